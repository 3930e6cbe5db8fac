/** What the deployment says of itself: vars and secrets of `wrangler.toml`, the same everywhere. */
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { KeyedHash } from "../core/keyed-hash.ts";
import { VALUE_BYTES_DEFAULT } from "../core/limits.ts";
import { Prng } from "../core/prng.ts";
import { parseClusterConfig } from "../ring/cluster-config.ts";
import type { KeyHasher } from "../ring/partition.ts";
import { bootstrapRing } from "../ring/ring.ts";
import { Knowledge } from "../src/node/knowledge.ts";
import type { ReplicaObject } from "./replica-object.ts";

export interface Env {
  readonly REPLICAS: DurableObjectNamespace<ReplicaObject>;
  /** Replicas and their zones: `r1:weur,r2:enam,…`. */
  readonly STARLING_REPLICAS: string;
  readonly STARLING_NAME?: string;
  readonly STARLING_N?: string;
  readonly STARLING_PARTITIONS?: string;
  readonly STARLING_TIMEOUT_MS?: string;
  /** A secret: contexts, digests, the ring's seed. */
  readonly STARLING_SECRET?: string;
  /** A secret: `{"tokens":[…]}`. */
  readonly STARLING_TOKENS?: string;
  /** "true" only where the frontend listens on loopback alone. */
  readonly STARLING_OPEN_ON_LOOPBACK?: string;
}

/** Zones that are location hints of Durable Objects; others are plain names. */
const HINTS = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"] as const;

export function locationHintOf(zone: string): DurableObjectLocationHint | undefined {
  return HINTS.find((hint) => hint === zone);
}

function derive(secret: Uint8Array, purpose: string, length: number): Uint8Array {
  const encoder = new TextEncoder();
  return hkdf(sha256, secret, encoder.encode("starling"), encoder.encode(purpose), length);
}

/** @throws ClusterConfigError with one line for vars that cannot work */
export function knowledgeOf(env: Env, keyHasher: KeyHasher, zone: string): Knowledge {
  const members = env.STARLING_REPLICAS.split(",").map((item) => {
    const [id = "", place = ""] = item.trim().split(":");
    return { id, zone: place === "" ? "default" : place };
  });
  const config = parseClusterConfig(
    {
      name: env.STARLING_NAME ?? "starling",
      partitions: Number(env.STARLING_PARTITIONS ?? 256),
      n: Math.min(Number(env.STARLING_N ?? 3), members.length),
      members,
    },
    { needsUrls: false },
  );
  const secret = new TextEncoder().encode(env.STARLING_SECRET ?? "");
  const seed = new DataView(derive(secret, "ring seed", 8).slice().buffer).getBigUint64(0);
  return new Knowledge({
    document: { ring: bootstrapRing(config, seed.toString()), namespaces: new Map() },
    hash: new KeyedHash(derive(secret, "digests and contexts", 16)),
    keyHasher,
    defaults: {
      n: config.n,
      r: "quorum",
      w: "quorum",
      dw: "quorum",
      ttl: null,
      maxValueBytes: VALUE_BYTES_DEFAULT,
      maxBytes: null,
      trustedContent: false,
    },
    timeoutMs: Number(env.STARLING_TIMEOUT_MS ?? 2000),
    zone,
  });
}

/** A generator seeded from the platform's randomness. */
export function platformPrng(): Prng {
  const [a = 0, b = 0, c = 0, d = 0] = crypto.getRandomValues(new Uint32Array(4));
  return new Prng([a, b, c, d]);
}
