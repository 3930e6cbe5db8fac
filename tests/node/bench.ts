/** One node by itself, fed by hand: for what a node does with an input, whatever the others do. */
import xxhash from "xxhash-wasm";
import { KeyedHash } from "../../core/keyed-hash.ts";
import type { Reply, Request } from "../../core/messages.ts";
import { defaultSettings } from "../../core/namespace-settings.ts";
import { Prng } from "../../core/prng.ts";
import type { Now } from "../../core/time.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import { Knowledge } from "../../src/node/knowledge/knowledge.ts";
import { Node } from "../../src/node/node.ts";
import type { Effect, Input } from "../../src/node/peers/boundary.ts";

const hasher = await xxhash();
export const MEMBERS = ["r1", "r2", "r3", "r4", "r5"] as const;
export const START = 1_750_000_000_000;

const never = { handoffMs: 0, antiEntropyMs: 0, collectMs: 0, heartbeatMs: 0 };

export class Bench {
  readonly store: MemoryStore;
  readonly knowledge: Knowledge;
  readonly node: Node;
  now = START;
  /** How far the wall clock is ahead of where it began to be set, in ms. */
  wallOffMs = 0;
  #lastCall = 0;

  /** The node of r1, in a ring of five. */
  constructor(
    options: {
      readonly store?: MemoryStore;
      readonly takesFaults?: boolean;
      /** Above 0 it is always awake, and notices when it was not. */
      readonly heartbeatMs?: number;
      /** Above 0 it does by itself all that nobody waits for. */
      readonly collectMs?: number;
    } = {},
  ) {
    this.store = options.store ?? new MemoryStore();
    const members = MEMBERS.map((id) => ({ id, zone: "a", url: "", weight: 1 }));
    const ring = bootstrapRing({ name: "bench", partitions: 16, n: 3, members }, "42");
    this.knowledge = new Knowledge({
      document: { ring, namespaces: new Map() },
      hash: new KeyedHash(new Uint8Array(16).fill(7)),
      keyHasher: hasher,
      defaults: defaultSettings(3),
      timeoutMs: 2000,
      zoneIn: () => "a",
    });
    const times = { ...never, suspectAfterMs: 3000, tombstoneGraceMs: 60_000 };
    const takesFaults = options.takesFaults ?? false;
    const { heartbeatMs = 0, collectMs = 0 } = options;
    const replica = { id: "r1", store: this.store, takesFaults, ...times, heartbeatMs, collectMs };
    this.node = new Node({ knowledge: this.knowledge, prng: new Prng([1, 2, 3, 4]), replica });
  }

  get clocks(): Now {
    return { monotonic: this.now, wall: this.now + this.wallOffMs };
  }

  /** Feeds one input; a flush it asks for is durable at once. */
  step(input: Input): readonly Effect[] {
    const effects = [...this.node.step(input, this.clocks)];
    for (let i = 0; i < effects.length; i++) {
      const effect = effects[i];
      if (effect?.kind !== "flush") continue;
      effects.push(
        ...this.node.step({ kind: "flushed", token: effect.token, ok: true }, this.clocks),
      );
    }
    return effects;
  }

  /** What r2 gets for a request, in the same moment. */
  ask(body: Request, budgetMs = 2000): readonly Reply[] {
    const call = ++this.#lastCall;
    const { stamp } = this.knowledge;
    const message = { type: "request", call, stamp, budgetMs, trace: "", body } as const;
    return repliesIn(this.step({ kind: "message", from: "r2#1", message }));
  }
}

export const repliesIn = (effects: readonly Effect[]): readonly Reply[] =>
  effects.flatMap((effect) =>
    effect.kind === "send" && effect.message.type === "reply" ? [effect.message.body] : [],
  );
