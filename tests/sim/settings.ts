/** What every node of a simulated cluster shares. */
import xxhash from "xxhash-wasm";
import { KeyedHash } from "../../core/keyed-hash.ts";
import type { NamespaceSettings } from "../../core/namespace-settings.ts";

export const hasher = await xxhash();

/** Under the cluster's secret. */
export const hash = new KeyedHash(new Uint8Array(16).fill(7));

export const settings: NamespaceSettings = {
  n: 3,
  r: "quorum",
  w: "quorum",
  dw: "quorum",
  ttl: null,
  maxValueBytes: 1_048_576,
  maxBytes: null,
  trustedContent: false,
};

/** The namespace that all keys of a run are in. */
export const NAMESPACE = "sim";
