/** The Worker: a stateless frontend in front of the replicas, over HTTP and as a binding. */
import { readOr } from "../core/check.ts";
import { purgeSite } from "../src/door/site-purge.ts";
import { createApp, type Starling } from "../src/frontend/app.ts";
import { responseOf } from "../src/frontend/http/exchange.ts";
import { parseCorsOrigins } from "../src/frontend/http/origins.ts";
import { Problem, problemAnswer } from "../src/frontend/http/problems.ts";
import { answerAtDoor, apiHostOf, isOwnFetch } from "./cache-door.ts";
import type { Env } from "./config.ts";
import { backendFor, type Isolate, isolateOf, startedIsolate } from "./isolate.ts";
import { logEvent } from "./log.ts";

export { CacheDoor } from "./cache-door.ts";
export { KvBinding } from "./kv-binding.ts";
export { ReplicaObject, ReplicaObject as Replica } from "./replica-object.ts";

/** Made with the isolate's first request, for all of them; each brings the store behind it. */
let made: Starling["app"] | null = null;

function appOf(isolate: Isolate, env: Env): Starling["app"] {
  made ??= createApp({
    backend: (call) => {
      const { backend } = call.env;
      if (backend === undefined) throw new Error("a request comes with its store");
      return backend;
    },
    secret: isolate.knowledge.hash,
    auth: () => isolate.auth,
    metrics: isolate.metrics,
    log: logEvent,
    purgeSite,
    config: {
      openOnLoopback: env.STARLING_OPEN_ON_LOOPBACK === "true",
      corsOrigins: corsOriginsOf(env),
      fixesOriginHost: true,
    },
  }).app;
  return made;
}

/** @throws Problem `not-configured` */
function corsOriginsOf({ STARLING_CORS_ORIGINS: text = "" }: Env): readonly string[] {
  return readOr(
    () => parseCorsOrigins(text),
    (problem) => new Problem("not-configured", `STARLING_CORS_ORIGINS: ${problem}`),
  );
}

const OWN_ORIGIN = "A site's origin is this deployment's own API.";

export default {
  /** Takes any request, so that a Worker with its own routes may mount it (`app.mount` of hono). */
  async fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
    let isolate = startedIsolate();
    let app: Starling["app"];
    try {
      const apiHost = apiHostOf(env);
      // To ask for `cf` has the platform parse it: only the first request of an isolate does.
      isolate ??= await isolateOf(env, { place: placeOf(request), ctx });
      if (apiHost !== null && new URL(request.url).host !== apiHost) {
        return await answerAtDoor(isolate, request, { env, ctx });
      }
      if (isOwnFetch(request, isolate)) throw new Problem("loop-detected", OWN_ORIGIN);
      app = appOf(isolate, env);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return responseOf(problemAnswer(error, request.method === "HEAD"));
    }
    return app.fetch(request, { backend: backendFor(isolate, env, ctx) }, ctx);
  },
} satisfies ExportedHandler<Env>;

const placeOf = (request: Request): IncomingRequestCfProperties | undefined =>
  request.cf as IncomingRequestCfProperties | undefined;
