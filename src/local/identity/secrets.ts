/**
 * Keys from a secret of the cluster, a different one for each use (HKDF, RFC 5869), so that none
 * can be turned against another.
 */
import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { assert } from "../../../core/assert.ts";
import { KeyedHash } from "../../../core/keyed-hash.ts";
import { Prng } from "../../../core/prng.ts";
import type { ClusterDocument } from "../../../ring/cluster-document.ts";

/**
 * Made from the secret that the cluster began with: what is stored depends on them, so they stay.
 */
export interface DataKeys {
  /**
   * For digests and ETags. Its counterpart of the present secret makes the tags of context tokens.
   */
  readonly hash: KeyedHash;
  /** The key of that hash, in hexadecimal: what the cluster document keeps. */
  readonly hashKey: string;
  /** Places keys: unsigned 64 bits in decimal. */
  readonly ringSeed: string;
}

export interface ClusterKeys extends DataKeys {
  /** Proves membership when nodes connect. */
  readonly transport: Uint8Array;
}

function derive(secret: Uint8Array, purpose: string, length: number): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, "starling", purpose, length));
}

const HASH_BYTES = 16;
export const DATA_KEYS_BYTES = 24;

/** The data keys of a secret as bytes that a folder can keep in its place. */
export const dataKeyBytes = (secret: Uint8Array): Uint8Array =>
  new Uint8Array([
    ...derive(secret, "digests and contexts", HASH_BYTES),
    ...derive(secret, "ring seed", DATA_KEYS_BYTES - HASH_BYTES),
  ]);

/** The same bytes out of what a cluster document says; null when it does not say the key. */
export function dataKeyBytesIn({ dataKey, ring }: ClusterDocument): Uint8Array | null {
  if (dataKey === undefined) return null;
  const bytes = Buffer.alloc(DATA_KEYS_BYTES);
  bytes.write(dataKey, "hex");
  bytes.writeBigUInt64BE(BigInt(ring.seed), HASH_BYTES);
  return new Uint8Array(bytes);
}

/** @param bytes as `dataKeyBytes` gives them */
export function dataKeysFrom(bytes: Uint8Array, cluster: string): DataKeys {
  assert(bytes.length === DATA_KEYS_BYTES, "the data keys have one length");
  const seed = Buffer.from(bytes.subarray(HASH_BYTES)).readBigUInt64BE();
  return {
    hash: new KeyedHash(bytes.slice(0, HASH_BYTES), cluster),
    hashKey: Buffer.from(bytes.subarray(0, HASH_BYTES)).toString("hex"),
    ringSeed: seed.toString(),
  };
}

/** @param cluster its name, to which contexts are bound */
export const clusterKeys = (secret: Uint8Array, cluster: string): ClusterKeys => ({
  ...dataKeysFrom(dataKeyBytes(secret), cluster),
  transport: derive(secret, "transport", 32),
});

export const hmac = (key: Uint8Array, ...parts: readonly string[]): Buffer =>
  createHmac("sha256", key).update(JSON.stringify(parts)).digest();

/** A generator seeded from the system's randomness. */
export function systemPrng(): Prng {
  const bytes = randomBytes(16);
  const word = (i: number): number => bytes.readUInt32LE(4 * i);
  return new Prng([word(0), word(1), word(2), word(3)]);
}
