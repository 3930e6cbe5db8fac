/** The Worker: a stateless frontend in front of the replicas, over HTTP and as a binding. */
import { createApp } from "../src/frontend/app.ts";
import { responseOf } from "../src/frontend/exchange.ts";
import { Problem, problemAnswer } from "../src/frontend/problems.ts";
import type { Env } from "./config.ts";
import { backendFor, type Isolate, isolateOf, startedIsolate } from "./isolate.ts";
import { logEvent } from "./log.ts";
import { plainRequest, targetOf } from "./plain-request.ts";

export { KvBinding } from "./kv-binding.ts";
export { ReplicaObject } from "./replica-object.ts";

function serve(
  isolate: Isolate,
  request: Request,
  { env, ctx }: { readonly env: Env; readonly ctx: ExecutionContext },
): Promise<Response> {
  const { knowledge, auth, metrics } = isolate;
  // An app for every request, because its backend is: it takes some microseconds.
  const app = createApp({
    backend: backendFor(isolate, env, ctx),
    secret: knowledge.hash,
    auth: () => auth,
    metrics,
    log: logEvent,
    config: { openOnLoopback: env.STARLING_OPEN_ON_LOOPBACK === "true" },
  });
  const answer = app.answerKey(plainRequest(request), targetOf(request.url));
  return answer === null ? app.fetch(request) : answer.then(responseOf);
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    let isolate = startedIsolate();
    try {
      // To ask for `cf` has the platform parse it: only the first request of an isolate does.
      isolate ??= await isolateOf(env, { place: placeOf(request), ctx });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return responseOf(problemAnswer(error, request.method === "HEAD"));
    }
    return serve(isolate, request, { env, ctx });
  },
} satisfies ExportedHandler<Env>;

const placeOf = (request: Request): IncomingRequestCfProperties | undefined =>
  request.cf as IncomingRequestCfProperties | undefined;
