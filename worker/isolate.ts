/**
 * What requests of an isolate share, and what each of them has to itself. What is known of the
 * cluster is shared; what is in flight belongs to one request, because the platform binds calls and
 * promises to the request that made them.
 */

import xxhash from "xxhash-wasm";
import { readOr } from "../core/check.ts";
import type { Prng } from "../core/prng.ts";
import type { WallMillis } from "../core/time.ts";
import { ClusterConfigError } from "../ring/cluster-config.ts";
import type { Ring } from "../ring/ring.ts";
import { DoorMetrics } from "../src/door/door-metrics.ts";
import { DoorMemory } from "../src/door/flights.ts";
import { Driver } from "../src/driver/driver.ts";
import { backendOf } from "../src/driver/driver-backend.ts";
import { ringMetrics } from "../src/driver/node-metrics.ts";
import type { Backend } from "../src/frontend/backend/backend.ts";
import { type Auth, noTokens, parseTokens } from "../src/frontend/http/auth.ts";
import { Problem } from "../src/frontend/http/problems.ts";
import { render } from "../src/metrics/exposition.ts";
import { HttpMetrics } from "../src/metrics/http-metrics.ts";
import type { Knowledge } from "../src/node/knowledge/knowledge.ts";
import { Node } from "../src/node/node.ts";
import { callReplica, stubOf } from "./calls.ts";
import { platformNow } from "./clock.ts";
import {
  type Env,
  knowledgeOf,
  platformPrng,
  type ReplicaRpc,
  SECRET_CHARS_MIN,
} from "./config.ts";
import { FeedBells } from "./feed-bells.ts";
import { nearestZone } from "./zones.ts";

/** What the cache doors of an isolate's requests have in common: values, and no promises. */
export interface SharedByDoors {
  readonly metrics: DoorMetrics;
  readonly memory: DoorMemory;
  /** When the members may be asked again for a site that is not known. */
  askAgainAt: WallMillis;
}

export interface Isolate {
  readonly metrics: HttpMetrics;
  readonly knowledge: Knowledge;
  readonly auth: Auth;
  readonly cache: SharedByDoors;
  /** Shared: to ask the platform for randomness costs more than most requests need. */
  readonly prng: Prng;
}

/**
 * Of the thousand calls that the platform grants a request. A stream that made so many ends, and
 * its reader goes on by its token with another request.
 */
const CALLS_COUNT_MAX = 900;

/** A value and not a promise: one that another request began might die with that request. */
let isolate: Isolate | null = null;

const notConfigured = (detail: string): Problem => new Problem("not-configured", detail);

/** What the configuration lacks for the objects to be reached; null for nothing. */
function missingIn({ REPLICAS }: Partial<Pick<Env, "REPLICAS">>): string | null {
  if (REPLICAS === undefined) {
    const binding = 'name = "REPLICAS", class_name = "Replica"';
    return `Bind the objects: [[durable_objects.bindings]], ${binding}.`;
  }
  // A stub makes no object until it is called. With an older date it has no methods.
  const { exchange } = REPLICAS.get(REPLICAS.idFromName("any")) as Partial<ReplicaRpc>;
  if (typeof exchange === "function") return null;
  return "Set a compatibility_date of 2024-04-03 or later: objects cannot be called before that.";
}

async function start(env: Env, place: IncomingRequestCfProperties | undefined): Promise<Isolate> {
  const missing = missingIn(env);
  if (missing !== null) throw notConfigured(missing);
  if ((env.STARLING_SECRET ?? "").length < SECRET_CHARS_MIN) {
    const how =
      "npx wrangler secret put STARLING_SECRET; for wrangler dev a line " +
      'STARLING_SECRET="any text of that length" in .dev.vars, beside the configuration';
    throw notConfigured(`Set a secret of at least ${SECRET_CHARS_MIN} characters: ${how}.`);
  }
  const { STARLING_TOKENS: tokens } = env;
  const auth = readOr(
    () => (tokens === undefined ? noTokens : parseTokens(tokens)),
    (problem) => notConfigured(`The secret STARLING_TOKENS: ${problem}`),
  );
  const zoneIn = ({ zones }: Ring): string => env.STARLING_ZONE ?? nearestZone(zones, place);
  try {
    const knowledge = knowledgeOf(env, await xxhash(), zoneIn);
    const cache = { metrics: new DoorMetrics(), memory: new DoorMemory(), askAgainAt: 0 };
    return {
      knowledge,
      auth,
      cache,
      metrics: new HttpMetrics(knowledge.traffic),
      prng: platformPrng(),
    };
  } catch (error) {
    if (!(error instanceof ClusterConfigError)) throw error;
    throw notConfigured(`The vars STARLING_… of the deployment: ${error.message}.`);
  }
}

/** What an earlier request began; null for the first, which has to wait for `isolateOf`. */
export const startedIsolate = (): Isolate | null => isolate;

/**
 * @param at the request that is the first here, and where it came from, if it says
 * @throws Problem in words for an operator; it names vars, never the values of secrets
 */
export async function isolateOf(
  env: Env,
  at: {
    readonly place: IncomingRequestCfProperties | undefined;
    readonly ctx: ExecutionContext;
  },
): Promise<Isolate> {
  if (isolate !== null) return isolate;
  const started = await start(env, at.place);
  // The vars do not say what members and namespaces have become since the first ring.
  await backendFor(started, env, at.ctx).freshView();
  // Of several that started at once the first stays, with what it has learnt since.
  isolate ??= started;
  return isolate;
}

/** A node and a driver for one request; its calls outlive the answer until they are over. */
export function backendFor(of: Isolate, env: Env, ctx: ExecutionContext): Backend {
  const { knowledge, prng } = of;
  const { traffic } = knowledge;
  const node = new Node({ knowledge, prng, replica: null });
  let callsCount = 0;
  const driver: Driver = new Driver(node, {
    now: platformNow,
    send: (to, message) => {
      if (message.type === "request") {
        callsCount++;
        ctx.waitUntil(callReplica({ env, knowledge, driver, traffic }, to, message));
      }
    },
    flush: () => Promise.resolve(),
  });
  const backend = backendOf(driver, {
    metrics: () => render(ringMetrics(knowledge)) + of.cache.metrics.text(),
    refreshes: () => of.cache.metrics.underWay,
  });
  return {
    ...backend,
    shared: of,
    isEnding: () => callsCount >= CALLS_COUNT_MAX,
    openBell: (namespace) => new FeedBells(namespace, (id) => stubOf({ env, knowledge }, id)),
  };
}
