/**
 * Five nodes in three zones on virtual time, with delays that are known: one way 5 ms within a zone
 * and 40 ms between two on average, four fifths of that fixed and the rest exponential; a disk takes
 * 1 to 3 ms. No machine is busy here, so what canaries measure is what the nodes do.
 */
import xxhash from "xxhash-wasm";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { decodeMessage, encodeMessage } from "../../core/messages.ts";
import { defaultSettings } from "../../core/namespace-settings.ts";
import { Prng } from "../../core/prng.ts";
import type { Result, StalenessResult } from "../../core/results.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { bootstrapRing, Ring } from "../../ring/ring.ts";
import { Knowledge } from "../../src/node/knowledge/knowledge.ts";
import { Node } from "../../src/node/node.ts";
import type { Effect, Input } from "../../src/node/peers/boundary.ts";

const hasher = await xxhash();
const NEAR_MS = 5;
const FAR_MS = 40;
const FIXED = 0.8;
const members = ["a", "b", "c", "a", "b"].map((zone, i) => ({
  ...{ id: `r${i + 1}`, zone, url: "", weight: 1 },
}));
const quiet = { handoffMs: 0, antiEntropyMs: 0, heartbeatMs: 0, collectMs: 0 };

interface Arrival {
  readonly at: number;
  readonly to: string;
  readonly input: Input;
}

interface Member {
  readonly node: Node;
  readonly store: MemoryStore;
}

export class FarFleet {
  readonly ring: Ring;
  now = 1000;
  readonly #members = new Map<string, Member>();
  readonly #prng: Prng;
  /** The earliest first: a heap would be faster, and they are few. */
  readonly #events: Arrival[] = [];
  readonly #results: Result[] = [];

  /** @param canaryMs between two canaries of a member */
  constructor({ seed, canaryMs, n = 3 }: { seed: number; canaryMs: number; n?: number }) {
    this.#prng = Prng.fromSeed(seed);
    const config = { name: "far", partitions: 64, n, members };
    const document = { ring: bootstrapRing(config, "42"), namespaces: new Map() };
    this.ring = new Ring(document.ring, hasher);
    const times = { ...quiet, suspectAfterMs: 3000, tombstoneGraceMs: 60_000, canaryMs };
    for (const { id, zone } of members) {
      const store = new MemoryStore();
      const knowledge = new Knowledge({
        ...{ document, keyHasher: hasher, defaults: defaultSettings(n), timeoutMs: 2000 },
        zoneIn: () => zone,
        hash: new KeyedHash(new Uint8Array(16).fill(7)),
      });
      const replica = { id, store, ...times };
      const node = new Node({ knowledge, prng: this.#prng.fork(), replica });
      this.#members.set(id, { node, store });
    }
  }

  get ids(): readonly string[] {
    return [...this.#members.keys()];
  }

  /** So much time passes, with all that happens in it. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (;;) {
      const [next] = this.#events;
      const [id, wakeAt] = this.#nextTick();
      const at = Math.min(next?.at ?? Infinity, wakeAt);
      if (at > until) break;
      this.now = Math.max(this.now, at);
      if (next !== undefined && next.at <= wakeAt) {
        this.#events.shift();
        this.#step(next.to, next.input);
      } else this.#step(id, { kind: "tick" });
    }
    this.now = until;
  }

  /** What a member collects of all. */
  told(): StalenessResult {
    const operation = { kind: "staleness" } as const;
    this.#step("r1", { kind: "client", token: 1, operation, trace: "" });
    while (this.#results.length === 0) this.pass(10);
    const result = this.#results.shift();
    if (result?.kind !== "staleness") throw new Error(`it ended as ${result?.kind}`);
    return result;
  }

  #nextTick(): readonly [string, number] {
    let [first, earliest] = ["", Infinity];
    for (const [id, { node }] of this.#members) {
      if (node.wakeAt < earliest) [first, earliest] = [id, node.wakeAt];
    }
    return [first, earliest];
  }

  #step(to: string, input: Input): void {
    const member = this.#members.get(to);
    if (member === undefined) throw new Error(`no ${to}`);
    const clocks = { monotonic: this.now, wall: Math.floor(this.now) };
    for (const effect of member.node.step(input, clocks)) {
      this.#carryOut(to, effect);
    }
  }

  #carryOut(from: string, effect: Effect): void {
    switch (effect.kind) {
      case "answer":
        return void this.#results.push(effect.result);
      case "send": {
        const message = decodeMessage(encodeMessage(effect.message));
        const input = { kind: "message", from, message } as const;
        return this.#add({ at: this.now + this.#delay(from, effect.to), to: effect.to, input });
      }
      case "flush": {
        this.#members.get(from)?.store.flush();
        const input = { kind: "flushed", token: effect.token, ok: true } as const;
        return this.#add({ at: this.now + 1 + 2 * this.#share(), to: from, input });
      }
      default:
        throw new Error(effect.kind);
    }
  }

  #add(arrival: Arrival): void {
    const events = this.#events;
    let place = events.length;
    while (place > 0 && (events[place - 1] as Arrival).at > arrival.at) place--;
    events.splice(place, 0, arrival);
  }

  /** 0 to 1, exclusive. */
  #share(): number {
    return this.#prng.u32() / 2 ** 32;
  }

  #delay(from: string, to: string): number {
    const mean = this.ring.zoneOf(from) === this.ring.zoneOf(to) ? NEAR_MS : FAR_MS;
    return mean * (FIXED - (1 - FIXED) * Math.log(1 - this.#share()));
  }
}
