/** The Worker: a stateless frontend in front of the replicas, over HTTP and as a binding. */
import { createApp } from "../src/frontend/app.ts";
import { responseOf } from "../src/frontend/exchange.ts";
import { Problem, problemAnswer } from "../src/frontend/problems.ts";
import type { Env } from "./config.ts";
import { backendFor, type Isolate, isolateOf } from "./isolate.ts";
import { logEvent } from "./log.ts";

export { KvBinding } from "./kv-binding.ts";
export { ReplicaObject } from "./replica-object.ts";

export default {
  async fetch(request, env, ctx): Promise<Response> {
    let isolate: Isolate;
    try {
      const place = request.cf as IncomingRequestCfProperties | undefined;
      isolate = await isolateOf(env, { place, ctx });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return responseOf(problemAnswer(error, request.method === "HEAD"));
    }
    const { knowledge, auth, metrics } = isolate;
    // An app for every request, because its backend is: it takes some microseconds.
    const app = createApp({
      backend: backendFor(knowledge, env, ctx),
      secret: knowledge.hash,
      auth: () => auth,
      metrics,
      log: logEvent,
      config: { openOnLoopback: env.STARLING_OPEN_ON_LOOPBACK === "true" },
    });
    return app.fetch(request);
  },
} satisfies ExportedHandler<Env>;
