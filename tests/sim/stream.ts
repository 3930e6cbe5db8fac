/**
 * A stream of values with short TTLs, each with its own key, beside all that the clients do: the
 * most usual load of a cache. Nobody reads it. Whatever became of a write, its value ends, and when
 * all of them have ended every disk gets its space back: the bodies first, the keys within the
 * grace and 20 s.
 */
import { storeKey } from "../../core/keys.ts";
import type { Operation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import type { Store, StoreKey } from "../../core/store.ts";
import { plainContent } from "../support/content.ts";
import { REMINT_MS_MAX } from "./history.ts";
import type { Judge } from "./judge.ts";
import type { Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import { NAMESPACE } from "./settings.ts";
import type { World } from "./world.ts";

/** Of a run; null in those without one. */
export interface PlannedStream {
  /** Between two of its keys, in ms. */
  readonly everyMs: number;
  readonly ttlMs: number;
  readonly prng: readonly [number, number, number, number];
}

/** From the end of the last value on, until its body is gone. */
const BODY_MS = 1000;
/** From then on, beside the grace, until its key is gone. */
const KEY_MS = 20_000;
const PREFIX = storeKey(NAMESPACE, "stream/");
const VALUE = "v".repeat(40);

function writeOf(key: StoreKey, ttlMs: number): Operation {
  const rest = { options: {}, ttlMs, context: null, precondition: null };
  return { kind: "write", key, content: plainContent(VALUE), ...rest };
}

export class Stream {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #stream: PlannedStream;
  readonly #prng: Prng;
  #count = 0;
  #lastAt = 0;

  constructor(plan: Plan, stream: PlannedStream, world: World) {
    this.#world = world;
    this.#plan = plan;
    this.#stream = stream;
    this.#prng = new Prng(stream.prng);
  }

  start(): void {
    const { events } = this.#world;
    if (events.now >= this.#plan.stormMs) return;
    const key = `${PREFIX}${this.#count++}`;
    this.#write(key);
    // Every third is written over while it lives: what is left of its key then covers something.
    if (this.#count % 3 === 0) events.after(this.#stream.ttlMs / 2, () => this.#write(key));
    events.after(this.#stream.everyMs, () => this.start());
  }

  #write(key: StoreKey): void {
    const { machines, events } = this.#world;
    const machine = machines[this.#prng.below(machines.length)] as Machine;
    this.#lastAt = events.now;
    this.#world.submit(machine, writeOf(key, this.#stream.ttlMs), () => {});
  }

  /** To be called when all faults have ended, and every replica is there. */
  check(judge: Judge, step: () => void): void {
    const { events, skewMsMax, skewMsMin } = this.#world;
    const { tombstoneGraceMs } = this.#plan.timing;
    // A write may be minted late, by a clock that is ahead, and end by one that is behind.
    const skewMs = skewMsMax - skewMsMin;
    const endsAt = this.#lastAt + REMINT_MS_MAX + this.#stream.ttlMs + skewMs;
    const bodiesAt = Math.max(events.now, endsAt) + BODY_MS;
    while (events.now < bodiesAt) step();
    this.#accuse(judge, "bodies", (store, key) => store.summary(key)?.holdsValue === true);
    const keysAt = bodiesAt + tombstoneGraceMs + KEY_MS;
    while (events.now < keysAt && this.#left(() => true).length > 0) step();
    this.#accuse(judge, "keys", () => true);
  }

  #accuse(judge: Judge, what: string, isSuch: (store: Store, key: StoreKey) => boolean): void {
    for (const [id, count] of this.#left(isSuch)) {
      judge.accuse("growth", `${id} holds ${count} ${what} of a stream that has ended`);
    }
  }

  #left(isSuch: (store: Store, key: StoreKey) => boolean): readonly (readonly [string, number])[] {
    const keys = Array.from({ length: this.#count }, (_, i) => `${PREFIX}${i}`);
    return this.#world.members.flatMap(({ id, store, isDamaged }) => {
      // Rot at rest cannot be given up until somebody reads it, and nobody does.
      if (store === null || isDamaged) return [];
      const has = (key: StoreKey): boolean =>
        store.summary(key) !== undefined && isSuch(store, key);
      const count = keys.filter(has).length;
      return count === 0 ? [] : [[id, count] as const];
    });
  }
}
