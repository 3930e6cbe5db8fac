/**
 * A writer of many keys that mostly waits for a single replica, and readers that ask a single one,
 * with a bound of staleness: the bound has to hold against this. Every version covers all that the
 * writer was acknowledged before, so a reader owes the newest one that is older than its bound, or
 * a later one. A key rests for seconds between two versions: the next one would bring what a
 * replica has missed.
 *
 * In a third of the runs messages to one of the members take long to come, and half of the reads
 * ask that one: it lacks what the others had acknowledged a while ago, and by the time their
 * answers come, these tell of a more distant past.
 *
 * In some runs of three members one of them has no word from another for a while, and follows the
 * third one alone, whose records rot (`rot-at-ack` in strikes.ts): all writes go to the member that
 * it does not hear, most with two acknowledgements, and all reads ask the one that lacks them.
 */
import { CausalContext } from "../../core/causal-context.ts";
import { liveSiblings } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import { Prng } from "../../core/prng.ts";
import type { Result } from "../../core/results.ts";
import type { StoreKey } from "../../core/store.ts";
import { type Counts, contentOf, idOf } from "./client.ts";
import { type Judge, name } from "./judge.ts";
import type { Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import { NAMESPACE } from "./settings.ts";
import type { World } from "./world.ts";

/** Two members, by their places among the machines: the first one misses what the second writes. */
export interface Apart {
  readonly follower: number;
  readonly writer: number;
}

/** What a run plans; null in runs without it. */
export interface PlannedBounds {
  readonly keyCount: number;
  /** Between two versions of a key, roughly. */
  readonly restMs: number;
  /** Reads of each version. */
  readonly readCount: number;
  /** Which machine hears of everything later, and by how many ms; null for none. */
  readonly slow: { readonly index: number; readonly ms: number } | null;
  /** null in most runs. */
  readonly apart: Apart | null;
  readonly prng: readonly [number, number, number, number];
}

export interface BoundsParts {
  readonly world: World;
  readonly judge: Judge;
  readonly counts: Counts;
}

interface Version {
  readonly number: number;
  /** When its client was answered. */
  readonly at: number;
  readonly durableCount: number;
}

interface Written {
  context: CausalContext;
  lastNumber: number;
  readonly acknowledged: Version[];
}

/** A namespace of their own, of which no feed is read: a feed's source would find the rot first. */
const APART = "apart";

const MAX_STALE_MS: readonly number[] = [400, 1200, 2500, 6000];
/** More than the age of a slow member's knowledge of the others. */
const LAX_MS = 12_000;
/** After so long no answer is waited for, in ms. */
const PATIENCE_MS = 3000;

export class Bounds {
  readonly #plan: Plan;
  readonly #planned: PlannedBounds;
  readonly #world: World;
  readonly #judge: Judge;
  readonly #counts: Counts;
  readonly #prng: Prng;
  readonly #written = new Map<StoreKey, Written>();

  constructor(plan: Plan, planned: PlannedBounds, of: BoundsParts) {
    this.#plan = plan;
    this.#planned = planned;
    this.#world = of.world;
    this.#judge = of.judge;
    this.#counts = of.counts;
    this.#prng = new Prng(planned.prng);
  }

  start(): void {
    const { slow } = this.#planned;
    const { events, machines, network } = this.#world;
    const machine = slow === null ? undefined : machines[slow.index];
    if (slow !== null && machine !== undefined) {
      const { stormMs } = this.#plan;
      // By then it follows the others; to begin with that would take it too long.
      events.after(stormMs / 3, () => network.slowTo.set(machine.id, slow.ms));
      events.after(stormMs, () => network.slowTo.clear());
    }
    for (let i = 0; i < this.#planned.keyCount; i++) {
      const key = storeKey(this.#planned.apart === null ? NAMESPACE : APART, `bound/${i}`);
      this.#written.set(key, { context: CausalContext.empty, lastNumber: 0, acknowledged: [] });
      this.#later(this.#planned.restMs, () => this.#write(key));
    }
  }

  #machine(): Machine {
    const { machines } = this.#world;
    return machines[this.#prng.below(machines.length)] as Machine;
  }

  #later(ms: number, work: () => void): void {
    const { events } = this.#world;
    events.after(1 + this.#prng.below(2 * ms), () => {
      if (events.now < this.#plan.stormMs) work();
    });
  }

  #write(key: StoreKey): void {
    const { events, hushed } = this.#world;
    if (hushed.has(key)) return;
    const written = this.#written.get(key) as Written;
    const number = ++written.lastNumber;
    const writer = this.#apart("writer");
    const count = this.#prng.chance(3, 4) === (writer === undefined) ? 1 : 2;
    let isOver = false;
    const end = (result: Result | null): void => {
      if (isOver) return;
      isOver = true;
      if (result?.kind === "written") {
        this.#counts.acknowledged++;
        written.context = written.context.join(result.context);
        const { durable } = result.tally;
        written.acknowledged.push({
          number,
          at: events.now,
          durableCount: Math.max(count, durable),
        });
      }
      const { restMs, readCount } = this.#planned;
      this.#later(restMs, () => this.#write(key));
      for (let i = 0; i < readCount; i++) this.#later(restMs, () => this.#read(key));
    };
    const operation = {
      ...({ kind: "write", key, options: { w: count, dw: count }, ttlMs: 0 } as const),
      content: contentOf(String(number), this.#prng.below(100)),
      context: written.context,
      precondition: null,
    };
    this.#counts.operations++;
    this.#world.submit(writer ?? this.#machine(), operation, end);
    events.after(PATIENCE_MS, () => end(null));
  }

  /** One of the two that are kept apart; undefined in most runs. */
  #apart(who: keyof Apart): Machine | undefined {
    const { apart } = this.#planned;
    return apart === null ? undefined : this.#world.machines[apart[who]];
  }

  /** Whom a read asks, and for what. */
  #asked(): { machine: Machine; maxStaleMs: number; staleW: number } {
    const follower = this.#apart("follower");
    // The member that it does not hear may be left out: two acknowledged what it has to show.
    if (follower !== undefined) return { machine: follower, maxStaleMs: LAX_MS, staleW: 2 };
    const slow = this.#world.machines[this.#planned.slow?.index ?? -1];
    const asksSlow = slow !== undefined && this.#prng.chance(1, 2);
    const machine = asksSlow ? slow : this.#machine();
    const any = MAX_STALE_MS[this.#prng.below(MAX_STALE_MS.length)] as number;
    // Its knowledge of the others is old; a read that wants more is answered by another member.
    const maxStaleMs = asksSlow ? LAX_MS : any;
    return { machine, maxStaleMs, staleW: asksSlow ? 1 : 1 + this.#prng.below(2) };
  }

  #read(key: StoreKey): void {
    const { events } = this.#world;
    const begunAt = events.now;
    const { machine, maxStaleMs, staleW } = this.#asked();
    const options = { r: 1, maxStaleMs, staleW };
    this.#counts.operations++;
    this.#world.submit(machine, { kind: "get", key, options, session: null }, (result) => {
      if (result?.kind !== "got") return;
      const seen = liveSiblings(result.entry, machine.clock).map(({ content }) =>
        Number(idOf(content?.value)),
      );
      const boundMs = result.staleBoundMs ?? Infinity;
      this.#check(key, { begunAt, boundMs, staleW, newest: Math.max(0, ...seen) });
    });
  }

  #check(
    key: StoreKey,
    of: { begunAt: number; boundMs: number; staleW: number; newest: number },
  ): void {
    const { begunAt, boundMs, staleW, newest } = of;
    const { lostDiskCount } = this.#judge;
    const { acknowledged } = this.#written.get(key) as Written;
    for (const { number, at, durableCount } of acknowledged) {
      const isOwed = at < begunAt - boundMs && durableCount >= staleW;
      if (!isOwed || durableCount <= lostDiskCount || newest >= number) continue;
      const what = `${name(key)}: ${number} of ${durableCount}, ${Math.round(begunAt - at)} ms old`;
      const why = `${what}, is not shown within ${boundMs} ms for ${staleW}: ${newest} is`;
      return this.#judge.accuse("staleness", why);
    }
  }
}
