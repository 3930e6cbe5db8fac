/**
 * What an exchange costs: two replicas that hold the same keys compare themselves, then once more
 * with 100 keys that differ. Counted are the bytes of all messages as they would cross the network,
 * both ways. Time is a number that goes on when nothing else is left to do: exchanges keep to a
 * rate.
 */
import xxhash from "xxhash-wasm";
import { CausalContext } from "../../core/causal-context.ts";
import type { Entry } from "../../core/entry.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { decodeMessage, encodeMessage, type Reply } from "../../core/messages.ts";
import { Prng } from "../../core/prng.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import { Knowledge } from "../../src/node/knowledge/knowledge.ts";
import { Node } from "../../src/node/node.ts";
import type { Effect, Input } from "../../src/node/peers/boundary.ts";
import type { BenchOptions, Figure, Suite } from "../lib/figures.ts";
import { benchDefaults } from "../lib/sample-entries.ts";

const DIFFERING_COUNT = 100;
const VALUE_BYTES = 100;
const START = 1_750_000_000_000;
const hasher = await xxhash();
const never = { handoffMs: 0, antiEntropyMs: 0, collectMs: 0, heartbeatMs: 0 };

function makeNode(id: string): Node {
  const members = ["r1", "r2"].map((name) => ({ id: name, zone: "a", url: "", weight: 1 }));
  const ring = bootstrapRing({ name: "bench", partitions: 256, n: 2, members }, "42");
  const knowledge = new Knowledge({
    document: { ring, namespaces: new Map() },
    hash: new KeyedHash(new Uint8Array(16).fill(7)),
    keyHasher: hasher,
    defaults: { ...benchDefaults, n: 2 },
    timeoutMs: 2000,
    zoneIn: () => "a",
  });
  const times = { ...never, suspectAfterMs: 3000, tombstoneGraceMs: 60_000 };
  const replica = { id, store: new MemoryStore(), ...times };
  return new Node({ knowledge, prng: new Prng([1, 2, 3, 4]), replica });
}

function entryOf(index: number, counter: number): Entry {
  // A replica mints for each key under an actor of its own, so no two keys have equal digests.
  const dot = { actor: index.toString(36).padStart(8, "0"), counter };
  const value = new Uint8Array(VALUE_BYTES).fill(index % 251);
  const headers = { contentEncoding: null, contentLanguage: null, contentDisposition: null };
  const content = { value, contentType: "text/plain", ...headers, metadata: null, tags: [] };
  const sibling = { dot, time: hlcFromMillis(START), op: `op${index}`, expiresAt: 0, content };
  return { context: CausalContext.empty.with(dot), siblings: [sibling], retries: [] };
}

interface Cost {
  readonly byteCount: number;
  readonly differing: number;
  /** By the pair's own clock. */
  readonly ms: number;
}

/** Two replicas and all that lies between them. */
class Pair {
  readonly #nodes = new Map(["r1", "r2"].map((id) => [id, makeNode(id)]));
  readonly #queue: [string, Input][] = [];
  readonly #replies: Reply[] = [];
  #byteCount = 0;
  #now = START;

  give(id: string, index: number, counter: number): void {
    const keeper = this.#nodeOf(id).service?.keeper;
    keeper?.absorb(`bench\0key-${index}`, entryOf(index, counter), null, this.#now);
  }

  exchange(): Cost {
    const { stamp } = this.#nodeOf("r1").knowledge;
    const body = { kind: "exchange" } as const;
    const request = { type: "request", call: 1, stamp, budgetMs: 60_000, trace: "", body } as const;
    const startedAt = this.#now;
    this.#byteCount = 0;
    this.#queue.push(["r1", { kind: "message", from: "operator", message: request }]);
    let reply: Reply | undefined;
    while (reply === undefined) {
      this.#runToEnd();
      reply = this.#replies.shift();
      if (reply === undefined) this.#goOn();
    }
    if (reply.kind !== "exchanged") throw new Error("the exchange did not come to its end");
    const differing = reply.totals.treesDiffering;
    return { byteCount: this.#byteCount, differing, ms: this.#now - startedAt };
  }

  /** Carries out what steps ask for, across the wire and back, until nothing is left to do. */
  #runToEnd(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const [at, input] = next;
      for (const effect of this.#nodeOf(at).step(input, { monotonic: this.#now, wall: this.#now }))
        this.#carryOut(at, effect);
    }
  }

  #goOn(): void {
    const wakeAt = Math.min(...[...this.#nodes.values()].map((node) => node.wakeAt));
    if (wakeAt === Infinity) throw new Error("the exchange stands still");
    this.#now = Math.max(this.#now, wakeAt);
    for (const id of this.#nodes.keys()) this.#queue.push([id, { kind: "tick" }]);
  }

  #carryOut(at: string, effect: Effect): void {
    if (effect.kind === "flush") {
      this.#queue.push([at, { kind: "flushed", token: effect.token, ok: true }]);
    } else if (effect.kind === "send") {
      const bytes = encodeMessage(effect.message);
      const message = decodeMessage(bytes);
      if (this.#nodes.has(effect.to)) {
        this.#byteCount += bytes.length;
        this.#queue.push([effect.to, { kind: "message", from: at, message }]);
      } else if (message.type === "reply") this.#replies.push(message.body);
    }
  }

  #nodeOf(id: string): Node {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }
}

const figureOf = (name: string, target: number, { byteCount, ms }: Cost): Figure => {
  const note = `${ms} ms at the rate that exchanges keep to`;
  return { name, value: byteCount, unit: "bytes", better: "lower", target, note };
};

function run({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const keyCount = quick ? 10_000 : 100_000;
  const pair = new Pair();
  for (let i = 0; i < keyCount; i++) for (const id of ["r1", "r2"]) pair.give(id, i, 1);
  const equal = pair.exchange();
  for (let i = 0; i < DIFFERING_COUNT; i++) {
    pair.give(i % 2 === 0 ? "r1" : "r2", Math.floor((i * keyCount) / DIFFERING_COUNT), 2);
  }
  const apart = pair.exchange();
  const after = pair.exchange();
  if (apart.differing === 0 || after.differing > 0) throw new Error("one pass did not mend it all");
  return Promise.resolve([
    figureOf(`exchange of ${keyCount} equal keys`, 20_000, equal),
    figureOf(`exchange with ${DIFFERING_COUNT} of ${keyCount} keys apart`, 300_000, apart),
    figureOf("exchange after that one", 20_000, after),
  ]);
}

export const exchangeSuite: Suite = {
  name: "exchange",
  about: "what two replicas cost each other when they agree, and when they do not",
  run,
};
