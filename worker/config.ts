/** What the deployment says of itself: vars and secrets of `wrangler.toml`, the same everywhere. */
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import type { ReplicaId } from "../core/ids.ts";
import { KeyedHash } from "../core/keyed-hash.ts";
import { defaultSettings } from "../core/namespace-settings.ts";
import { Prng } from "../core/prng.ts";
import {
  type ClusterConfig,
  ClusterConfigError,
  parseClusterConfig,
} from "../ring/cluster-config.ts";
import type { KeyHasher } from "../ring/partition.ts";
import { bootstrapRing, type Ring } from "../ring/ring.ts";
import { Knowledge } from "../src/node/knowledge/knowledge.ts";
import type { Wire } from "./wire.ts";

/** What a replica's object can be asked: one request, its last reply; see wire.ts. */
export interface ReplicaRpc extends Rpc.DurableObjectBranded {
  exchange(self: ReplicaId, request: Wire, answered?: number[] | null): Promise<Wire>;
}

export interface Env {
  readonly REPLICAS: DurableObjectNamespace<ReplicaRpc>;
  /** Replicas and their zones: `r1:weur,r2:enam,…`. */
  readonly STARLING_REPLICAS: string;
  readonly STARLING_NAME?: string;
  readonly STARLING_N?: string;
  readonly STARLING_PARTITIONS?: string;
  /** The API's host, exactly; every other one is the cache door's. Without it there is none. */
  readonly STARLING_API_HOST?: string;
  /** How long a request may take that names no timeout, in ms. */
  readonly STARLING_TIMEOUT_MS?: string;
  /** The zone of every frontend; without it, the one nearest to the client that it serves. */
  readonly STARLING_ZONE?: string;
  /** To be changed after a point-in-time restore: replicas then mint under a new incarnation. */
  readonly STARLING_GENERATION?: string;
  /** A secret: contexts, cursors; digests and the ring's seed too, without STARLING_DATA_SECRET. */
  readonly STARLING_SECRET?: string;
  /** A secret whose contexts and cursors are taken too, while the other is being replaced. */
  readonly STARLING_SECRET_OLD?: string;
  /** A secret: the very first one, once STARLING_SECRET was replaced. */
  readonly STARLING_DATA_SECRET?: string;
  /** A secret: `{"tokens":[…]}`. */
  readonly STARLING_TOKENS?: string;
  /** Origins whose pages may read answers, with commas between them; `*` for any. */
  readonly STARLING_CORS_ORIGINS?: string;
  /** "true" for drills alone: admins may tell replicas to be down, silent, slow or lossy. */
  readonly STARLING_FAULTS?: string;
  /** "true" only where the frontend listens on loopback alone. */
  readonly STARLING_OPEN_ON_LOOPBACK?: string;
}

export const SECRET_CHARS_MIN = 16;

function derive(secret: Uint8Array, purpose: string, length: number): Uint8Array {
  const encoder = new TextEncoder();
  return hkdf(sha256, secret, encoder.encode("starling"), encoder.encode(purpose), length);
}

/** @returns null when it is not set @throws ClusterConfigError when it is too short */
function secretIn(
  env: Env,
  name: "STARLING_SECRET" | "STARLING_SECRET_OLD" | "STARLING_DATA_SECRET",
): Uint8Array | null {
  const text = env[name] ?? "";
  if (text === "") return null;
  if (text.length >= SECRET_CHARS_MIN) return new TextEncoder().encode(text);
  throw new ClusterConfigError(`${name} has fewer than ${SECRET_CHARS_MIN} characters`);
}

const numberOf = (text: string | undefined, otherwise: number | undefined): number | undefined =>
  text === undefined ? otherwise : Number(text);

/** @throws ClusterConfigError with one line that names the member and the mend */
function configOf(env: Env): ClusterConfig {
  const members = (env.STARLING_REPLICAS ?? "").split(",").map((item) => {
    const [id = "", zone] = item.trim().split(":");
    return zone === undefined ? { id } : { id, zone };
  });
  const value = {
    name: env.STARLING_NAME ?? "starling",
    partitions: numberOf(env.STARLING_PARTITIONS, 256),
    n: numberOf(env.STARLING_N, Math.min(3, members.length)),
    members,
    timing: { requestTimeoutMs: numberOf(env.STARLING_TIMEOUT_MS, 2000) },
  };
  return parseClusterConfig(value, { needsUrls: false });
}

/**
 * What a node of this deployment knows before it has spoken to any other: ring version 1, made from
 * the vars by every isolate and every object for itself.
 *
 * @param zoneIn where the node stands, by the ring in force
 * @throws ClusterConfigError with one line for vars that cannot work
 */
export function knowledgeOf(
  env: Env,
  keyHasher: KeyHasher,
  zoneIn: (ring: Ring) => string,
): Knowledge {
  const config = configOf(env);
  const secret = secretIn(env, "STARLING_SECRET");
  if (secret === null) throw new ClusterConfigError("STARLING_SECRET is not set");
  const data = secretIn(env, "STARLING_DATA_SECRET") ?? secret;
  const seed = new DataView(derive(data, "ring seed", 8).slice().buffer).getBigUint64(0);
  const hashOf = (of: Uint8Array): KeyedHash =>
    new KeyedHash(derive(of, "digests and contexts", 16), config.name);
  const hash = hashOf(data);
  const old = secretIn(env, "STARLING_SECRET_OLD");
  hash.sealBy([secret, ...(old === null ? [] : [old])].map(hashOf));
  return new Knowledge({
    document: { ring: bootstrapRing(config, seed.toString()), namespaces: new Map() },
    hash,
    keyHasher,
    defaults: defaultSettings(config.n),
    timeoutMs: config.timing.requestTimeoutMs,
    zoneIn,
  });
}

/** A generator seeded from the platform's randomness. */
export function platformPrng(): Prng {
  const [a = 0, b = 0, c = 0, d = 0] = crypto.getRandomValues(new Uint32Array(4));
  return new Prng([a, b, c, d]);
}
