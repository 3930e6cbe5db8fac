/**
 * What an exchange costs: `node bench/exchange.ts [keys]`. Two replicas that hold the same keys
 * compare themselves, then once more with 100 keys that differ. Counted are the bytes of all
 * messages as they would cross the network, both ways, and the exchange's own time.
 */
import xxhash from "xxhash-wasm";
import { CausalContext } from "../core/causal-context.ts";
import type { Entry } from "../core/entry.ts";
import { KeyedHash } from "../core/keyed-hash.ts";
import { decodeMessage, encodeMessage, type Reply } from "../core/messages.ts";
import { Prng } from "../core/prng.ts";
import { hlcFromMillis } from "../core/time.ts";
import { MemoryStore } from "../replica/memory-store.ts";
import { bootstrapRing } from "../ring/ring.ts";
import type { Effect, Input } from "../src/node/boundary.ts";
import { Knowledge } from "../src/node/knowledge.ts";
import { Node } from "../src/node/node.ts";

const KEYS_COUNT = Number(process.argv[2] ?? 100_000);
const DIFFERING_COUNT = 100;
const VALUE_BYTES = 100;
const NOW = 1_750_000_000_000;
const hasher = await xxhash();
const never = { handoffMs: 0, antiEntropyMs: 0, collectMs: 0, heartbeatMs: 0 };

function makeNode(id: string): Node {
  const members = ["r1", "r2"].map((name) => ({ id: name, zone: "a", url: "", weight: 1 }));
  const ring = bootstrapRing({ name: "bench", partitions: 256, n: 2, members }, "42");
  const words = { r: "quorum", w: "quorum", dw: "quorum" } as const;
  const limits = { ttl: null, maxValueBytes: 1_048_576, maxBytes: null, trustedContent: false };
  const knowledge = new Knowledge({
    document: { ring, namespaces: new Map() },
    hash: new KeyedHash(new Uint8Array(16).fill(7)),
    keyHasher: hasher,
    defaults: { n: 2, ...words, ...limits },
    timeoutMs: 2000,
    zone: "a",
  });
  const times = { ...never, suspectAfterMs: 3000, tombstoneGraceMs: 60_000 };
  const replica = { id, store: new MemoryStore(), ...times };
  return new Node({ knowledge, prng: new Prng([1, 2, 3, 4]), replica });
}

const nodes = new Map(["r1", "r2"].map((id) => [id, makeNode(id)]));

function nodeOf(id: string): Node {
  const node = nodes.get(id);
  if (node === undefined) throw new Error(`no node ${id}`);
  return node;
}

/** Carries out what a step asks for, across the wire and back, until nothing is left to do. */
function run(id: string, input: Input): { byteCount: number; replies: readonly Reply[] } {
  const queue: [string, Input][] = [[id, input]];
  const replies: Reply[] = [];
  let byteCount = 0;
  const carryOut = (at: string, effect: Effect): void => {
    if (effect.kind === "flush") {
      queue.push([at, { kind: "flushed", token: effect.token, ok: true }]);
    } else if (effect.kind === "send") {
      const bytes = encodeMessage(effect.message);
      const message = decodeMessage(bytes);
      if (nodes.has(effect.to)) {
        byteCount += bytes.length;
        queue.push([effect.to, { kind: "message", from: at, message }]);
      } else if (message.type === "reply") replies.push(message.body);
    }
  };
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const [at, taken] = next;
    for (const effect of nodeOf(at).step(taken, NOW)) carryOut(at, effect);
  }
  return { byteCount, replies };
}

function entryOf(index: number, counter: number): Entry {
  // A replica mints for each key under an actor of its own, so no two keys have equal digests.
  const dot = { actor: index.toString(36).padStart(8, "0"), counter };
  const value = new Uint8Array(VALUE_BYTES).fill(index % 251);
  const headers = { contentEncoding: null, contentLanguage: null, contentDisposition: null };
  const content = { value, contentType: "text/plain", ...headers, metadata: null, tags: [] };
  const sibling = { dot, time: hlcFromMillis(NOW), op: `op${index}`, expiresAt: 0, content };
  return { context: CausalContext.empty.with(dot), siblings: [sibling], retries: [] };
}

function give(id: string, index: number, counter: number): void {
  const keeper = nodeOf(id).service?.keeper;
  keeper?.absorb(`bench\0key-${index}`, entryOf(index, counter), "", NOW);
}

function exchange(name: string): number {
  const { stamp } = nodeOf("r1").knowledge;
  const body = { kind: "exchange" } as const;
  const request = { type: "request", call: 1, stamp, budgetMs: 60_000, trace: "", body } as const;
  const begin = performance.now();
  const done = run("r1", { kind: "message", from: "operator", message: request });
  const ms = performance.now() - begin;
  const [reply] = done.replies;
  if (reply?.kind !== "exchanged") throw new Error("the exchange did not come to its end");
  const [, , differing, sent, received] = reply.totals;
  const counts = `trees ${differing}, keys sent ${sent}, received ${received}`;
  console.log(`${name}: ${done.byteCount} bytes, ${ms.toFixed(0)} ms; differing ${counts}`);
  return Number(differing);
}

for (let i = 0; i < KEYS_COUNT; i++) for (const id of nodes.keys()) give(id, i, 1);
console.log(`${KEYS_COUNT} keys of ${VALUE_BYTES} bytes, 256 partitions`);
exchange("equal");
for (let i = 0; i < DIFFERING_COUNT; i++) {
  give(i % 2 === 0 ? "r1" : "r2", Math.floor((i * KEYS_COUNT) / DIFFERING_COUNT), 2);
}
exchange(`${DIFFERING_COUNT} differ`);
if (exchange("once more") !== 0) throw new Error("one pass did not mend everything");
const shared = nodeOf("r1").knowledge;
const begin = performance.now();
for (let i = 0; i < 1000; i++) shared.sharedTrees("r1", "r2");
console.log(`sharedTrees: ${(performance.now() - begin).toFixed(2)} µs a call`);
