/**
 * Keys from the cluster's one secret, a different one for each use (HKDF, RFC 5869), so that none
 * can be turned against another.
 */
import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { Prng } from "../../core/prng.ts";

export interface ClusterKeys {
  /** Digests, ETags and the tags of context tokens. */
  readonly hash: KeyedHash;
  /** Places keys: unsigned 64 bits in decimal. */
  readonly ringSeed: string;
  /** Proves membership when nodes connect. */
  readonly transport: Uint8Array;
}

function derive(secret: Uint8Array, purpose: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "starling", purpose, length));
}

/** @param cluster its name, to which contexts are bound */
export function clusterKeys(secret: Uint8Array, cluster: string): ClusterKeys {
  const seed = Buffer.from(derive(secret, "ring seed", 8)).readBigUInt64BE();
  return {
    hash: new KeyedHash(derive(secret, "digests and contexts", 16), cluster),
    ringSeed: seed.toString(),
    transport: derive(secret, "transport", 32),
  };
}

export const hmac = (key: Uint8Array, ...parts: readonly string[]): Buffer =>
  createHmac("sha256", key).update(JSON.stringify(parts)).digest();

/** A generator seeded from the system's randomness. */
export function systemPrng(): Prng {
  const bytes = randomBytes(16);
  const word = (i: number): number => bytes.readUInt32LE(4 * i);
  return new Prng([word(0), word(1), word(2), word(3)]);
}
