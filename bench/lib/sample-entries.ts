/** Entries and keys as they usually are, for measurements that need no cluster. */
import xxhash from "xxhash-wasm";
import { CausalContext } from "../../core/causal-context.ts";
import type { Entry } from "../../core/entry.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import type { NamespaceSettings } from "../../core/namespace-settings.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import { Knowledge } from "../../src/node/knowledge/knowledge.ts";

export const benchDefaults: NamespaceSettings = {
  ...({ n: 3, r: "quorum", w: "quorum", dw: "quorum" } as const),
  ...{ ttl: null, maxValueBytes: 2 ** 20, maxBytes: null, trustedContent: false },
};

const members = Array.from({ length: 3 }, (_, i) => ({
  ...{ id: `r${i + 1}`, zone: "abc"[i] ?? "a", weight: 1 },
  url: `http://127.0.0.1:${i + 1}`,
}));

/** What a node of three knows. */
export async function benchKnowledge(): Promise<Knowledge> {
  const ring = bootstrapRing({ name: "bench", partitions: 256, n: 3, members }, "7");
  return new Knowledge({
    document: { ring, namespaces: new Map() },
    hash: new KeyedHash(new Uint8Array(16).fill(7)),
    keyHasher: await xxhash(),
    defaults: benchDefaults,
    timeoutMs: 2000,
    zoneIn: () => "a",
  });
}

/** A store key whose key part has 24 bytes. */
export const keyOf = (i: number): string => `bench\0user:${String(i).padStart(19, "0")}`;

/** One value that has been written `counter` times under one actor. */
export function entryOf(counter: number, valueBytes: number): Entry {
  let context = CausalContext.empty;
  for (let i = 1; i <= counter; i++) context = context.with({ actor: "AbCdEfGh", counter: i });
  const headers = { contentEncoding: null, contentLanguage: null, contentDisposition: null };
  const value = new Uint8Array(valueBytes).fill(counter);
  return {
    context,
    siblings: [
      {
        ...{ dot: { actor: "AbCdEfGh", counter }, time: 1.8e15, op: "op00000001", expiresAt: 0 },
        content: { value, contentType: "text/plain", ...headers, metadata: null, tags: [] },
      },
    ],
    retries: [],
  };
}
