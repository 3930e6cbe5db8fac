/**
 * The Worker: a stateless frontend in front of the replicas. What it knows of the cluster is shared
 * by all requests of an isolate; what is in flight belongs to one request, because the platform
 * binds calls and promises to the request that made them.
 */
import xxhash from "xxhash-wasm";
import { Driver } from "../src/driver.ts";
import { createApp } from "../src/frontend/app.ts";
import { type Auth, noTokens, parseTokens } from "../src/frontend/auth.ts";
import type { Backend } from "../src/frontend/backend.ts";
import { HttpMetrics } from "../src/frontend/metrics.ts";
import { Problem, problemResponse } from "../src/frontend/problems.ts";
import type { Knowledge } from "../src/node/knowledge.ts";
import { Node } from "../src/node/node.ts";
import { callReplica } from "./calls.ts";
import { type Env, knowledgeOf, platformPrng } from "./config.ts";

export { ReplicaObject } from "./replica-object.ts";

interface Isolate {
  readonly metrics: HttpMetrics;
  readonly knowledge: Knowledge;
  readonly auth: Auth;
}

let isolate: Promise<Isolate> | null = null;

async function start(env: Env): Promise<Isolate> {
  const zone = "";
  const knowledge = knowledgeOf(env, await xxhash(), zone);
  const auth = env.STARLING_TOKENS === undefined ? noTokens : parseTokens(env.STARLING_TOKENS);
  if (typeof auth === "string") throw new Error(`STARLING_TOKENS: ${auth}`);
  return { knowledge, auth, metrics: new HttpMetrics() };
}

/** A node and a driver for one request; its calls outlive the answer until they are over. */
function backendFor(knowledge: Knowledge, env: Env, ctx: ExecutionContext): Backend {
  const node = new Node({ knowledge, prng: platformPrng(), replica: null });
  const driver: Driver = new Driver(node, {
    now: () => Date.now(),
    send: (to, message) => {
      if (message.type === "request") {
        ctx.waitUntil(callReplica({ env, knowledge, driver }, to, message));
      }
    },
    flush: () => Promise.resolve(),
  });
  return {
    now: () => Date.now(),
    view: () => ({
      ring: knowledge.ring,
      defaults: knowledge.defaults,
      namespaces: knowledge.namespaces,
      isReachable: (id) => !knowledge.liveness.isSuspect(id),
    }),
    execute: (operation, trace) => driver.execute(operation, trace),
    metrics: () => `starling_ring_version ${knowledge.ring.document.version}\n`,
  };
}

export default {
  async fetch(request, env, ctx): Promise<Response> {
    if (env.STARLING_SECRET === undefined || env.STARLING_SECRET.length < 16) {
      const detail =
        "Set the secret STARLING_SECRET to at least 16 characters: wrangler secret put.";
      return problemResponse(new Problem("not-configured", detail), request.method === "HEAD");
    }
    // A start that failed is tried again by the next request.
    isolate ??= start(env).catch((error: unknown) => {
      isolate = null;
      throw error;
    });
    const { knowledge, auth, metrics } = await isolate;
    const app = createApp({
      backend: backendFor(knowledge, env, ctx),
      secret: knowledge.hash,
      auth: () => auth,
      metrics,
      config: { openOnLoopback: env.STARLING_OPEN_ON_LOOPBACK === "true" },
    });
    return app.fetch(request);
  },
} satisfies ExportedHandler<Env>;
