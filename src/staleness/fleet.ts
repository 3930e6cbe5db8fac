/**
 * The deployment in the terms of the model (see wars.ts): who is how far from whom, where keys lie,
 * and what Starling does that a textbook Dynamo does not.
 *
 * - Delays are of pairs of members, as each has measured them to its peers.
 * - The shortest round trip of a pair is halved; what another one takes longer is divided at random
 *   between the two ways. For delays with an exponential part that is exact.
 * - A trial is about a random partition. Its write goes from a random frontend to the nearest of
 *   the partition's primaries, which holds it at once and sends it to the others.
 * - A replica shows a write as soon as it has it in memory. Its durable acknowledgement waits for
 *   the disk: that is what a store takes longer than a read, rank by rank.
 * - A read asks the r nearest, as the reader's frontend sees them, and after the hedge delay one
 *   more, again and again; the first r replies count.
 */
import { assert } from "../../core/assert.ts";
import type { DelayReport, RoundTrips } from "../../core/delay-report.ts";
import type { Prng } from "../../core/prng.ts";
import { quantile, type Scenario, shuffle, type Trial } from "./wars.ts";

export interface FleetPlan {
  /** Of every member that told of its delays, and of a frontend that is not a member. */
  readonly reports: ReadonlyMap<string, DelayReport>;
  /** The n primaries of each partition. */
  readonly partitions: readonly (readonly string[])[];
  /** The members whose frontends clients write through. */
  readonly writers: readonly string[];
  /** The members whose frontends others read through; empty: nothing is known of these. */
  readonly readers: readonly string[];
  readonly from: "same" | "other";
  readonly trials: number;
  readonly dw: number;
}

type Samples = readonly number[];

const sorted = (samples: Samples): Float64Array => Float64Array.from(samples).sort();

/** The part of a store's time that is the disk's, as samples: ranks are compared with ranks. */
function syncTimes({ reads, stores }: RoundTrips): Samples {
  if (reads.length === 0) return [];
  const fast = sorted(reads);
  const slow = sorted(stores);
  return Array.from(slow, (ms, i) => Math.max(0, ms - quantile(fast, (i + 1) / slow.length)));
}

/**
 * Delays by pair; of a pair that nobody measured, those of all pairs. Members go by a number here:
 * a trial asks a dozen times.
 */
export class Delays {
  readonly #numbers = new Map<string, number>();
  /** By `from * count + to`; each pair has some. */
  readonly #trips: Samples[] = [];
  readonly #medians: number[] = [];
  readonly #shortest: number[] = [];
  readonly #syncs: Samples[];
  readonly #isMeasured: boolean[] = [];

  /** @param ids all that are asked about; others in the reports only count as samples */
  constructor(ids: Iterable<string>, reports: ReadonlyMap<string, DelayReport>) {
    for (const id of ids) if (!this.#numbers.has(id)) this.#numbers.set(id, this.#numbers.size);
    const names = [...this.#numbers.keys()];
    const of = (from: string, to: string): Samples => reports.get(from)?.peers.get(to)?.reads ?? [];
    const all = readsOf(reports, names.length);
    const typical = quantile(sorted(all), 0.5);
    const shortest = quantile(sorted(all), 0);
    for (const from of names) {
      for (const to of names) {
        const there = of(from, to);
        const trips = there.length > 0 ? there : of(to, from);
        this.#isMeasured.push(trips.length > 0);
        this.#trips.push(trips.length > 0 ? trips : all);
        this.#medians.push(trips.length > 0 ? quantile(sorted(trips), 0.5) : typical);
        this.#shortest.push(trips.length > 0 ? quantile(sorted(trips), 0) : shortest);
      }
    }
    const syncs = names.map((name) =>
      [...reports.values()].flatMap(({ peers }) => syncTimes(peers.get(name) ?? NO_TRIPS)),
    );
    const allSyncs = syncs.flat();
    const known = allSyncs.length > 0 ? allSyncs : [0];
    this.#syncs = syncs.map((own) => (own.length > 0 ? own : known));
  }

  number(id: string): number {
    const number = this.#numbers.get(id);
    assert(number !== undefined, "one that was named");
    return number;
  }

  /** Whether one of the two has asked the other. */
  knows(from: number, to: number): boolean {
    return from === to || this.#isMeasured[from * this.#numbers.size + to] === true;
  }

  /** One way of a round trip, in ms. */
  way(from: number, to: number, prng: Prng): number {
    if (from === to) return 0;
    const pair = from * this.#numbers.size + to;
    const shortest = this.#shortest[pair] as number;
    const longer = draw(this.#trips[pair] as Samples, prng) - shortest;
    return shortest / 2 + (longer * prng.u32()) / 2 ** 32;
  }

  /** Whether somebody who is told of it at `from` can mostly act at `to` that many ms later. */
  reaches(from: number, to: number, ms: number): boolean {
    if (from === to) return true;
    const trips = this.#trips[from * this.#numbers.size + to] as Samples;
    return quantile(sorted(trips), 0.25) / 2 <= ms;
  }

  /** How long a replica's disk takes for a write. */
  sync(of: number, prng: Prng): number {
    return draw(this.#syncs[of] as Samples, prng);
  }

  /** How far it is there and back, mostly. */
  median(from: number, to: number): number {
    return from === to ? -1 : (this.#medians[from * this.#numbers.size + to] as number);
  }
}

/** All that were measured, by whichever member. A member that is alone has no way to anybody. */
function readsOf(reports: ReadonlyMap<string, DelayReport>, count: number): readonly number[] {
  const all = [...reports.values()].flatMap(({ peers }) =>
    [...peers.values()].flatMap(({ reads }) => reads),
  );
  assert(all.length > 0 || count === 1, "some pair was measured, or there is none");
  return all.length > 0 ? all : [0];
}

const NO_TRIPS: RoundTrips = { reads: [], stores: [] };

const draw = (samples: Samples, prng: Prng): number =>
  samples[prng.below(samples.length)] as number;

interface At {
  readonly frontend: number;
  readonly partition: number;
}

export class Fleet implements Scenario {
  readonly replicaCount: number;
  readonly trials: number;
  readonly dw: number;
  readonly delays: Delays;
  readonly writers: readonly number[];
  /** By partition: its primaries. */
  readonly partitions: readonly (readonly number[])[];
  readonly #isSame: boolean;
  /** By writer: who else reads. */
  readonly #others: ReadonlyMap<number, readonly number[]>;
  readonly #hedgesMs: ReadonlyMap<number, number>;
  /** By frontend, and then by partition: the places of its primaries, the nearest first. */
  readonly #orders = new Map<number, (readonly number[])[]>();

  constructor({ reports, partitions, writers, readers, from, trials, dw }: FleetPlan) {
    const [first = []] = partitions;
    assert(first.length > 0 && writers.length > 0, "keys have owners, and somebody writes");
    const delays = new Delays([...writers, ...readers, ...partitions.flat()], reports);
    this.delays = delays;
    const number = (id: string): number => delays.number(id);
    this.writers = writers.map(number);
    this.partitions = partitions.map((primaries) => primaries.map(number));
    const reading = readers.map(number);
    this.#others = new Map(
      this.writers.map((writer) => [writer, reading.filter((reader) => reader !== writer)]),
    );
    const hedges = [...writers, ...readers].map((id): readonly [number, number] => [
      number(id),
      reports.get(id)?.hedgeMs || Infinity,
    ]);
    this.#hedgesMs = new Map(hedges);
    this.#isSame = from === "same";
    this.replicaCount = first.length;
    this.trials = trials;
    this.dw = Math.min(dw, this.replicaCount);
  }

  draw(trial: Trial, prng: Prng): void {
    const writer = pick(this.writers, prng);
    const partition = prng.below(this.partitions.length);
    this.#write(trial, { frontend: writer, partition }, prng);
    const others = this.#isSame ? [] : (this.#others.get(writer) as readonly number[]);
    const reader = others.length === 0 ? writer : pick(others, prng);
    this.#read(trial, { frontend: reader, partition }, prng);
    // Of a frontend that nothing is known of: as far away as the writer's, in an order of its own.
    if (!this.#isSame && others.length === 0) shuffle(trial.order, prng);
  }

  #write(trial: Trial, at: At, prng: Prng): void {
    const { delays } = this;
    const primaries = this.partitions[at.partition] as readonly number[];
    const coordinator = primaries[this.#order(at)[0] as number] as number;
    const there = delays.way(at.frontend, coordinator, prng);
    const back = delays.way(at.frontend, coordinator, prng);
    for (let i = 0; i < primaries.length; i++) {
      const replica = primaries[i] as number;
      const arrival = there + delays.way(coordinator, replica, prng);
      const acknowledged = arrival + delays.way(coordinator, replica, prng) + back;
      trial.arrival[i] = arrival;
      trial.acknowledged[i] = acknowledged;
      trial.durable[i] = this.dw === 0 ? 0 : acknowledged + delays.sync(replica, prng);
    }
  }

  #read(trial: Trial, at: At, prng: Prng): void {
    const { delays } = this;
    const primaries = this.partitions[at.partition] as readonly number[];
    const order = this.#order(at);
    for (let i = 0; i < primaries.length; i++) {
      const asked = delays.way(at.frontend, primaries[i] as number, prng);
      trial.asked[i] = asked;
      trial.replied[i] = asked + delays.way(at.frontend, primaries[i] as number, prng);
      trial.order[i] = order[i] as number;
    }
    trial.hedgeMs = this.#hedgesMs.get(at.frontend) ?? Infinity;
  }

  #order(at: At): readonly number[] {
    const orders = this.#orders.get(at.frontend) ?? [];
    this.#orders.set(at.frontend, orders);
    const known = orders[at.partition];
    if (known !== undefined) return known;
    const primaries = this.partitions[at.partition] as readonly number[];
    const farness = primaries.map((replica) => this.delays.median(at.frontend, replica));
    const order = primaries.map((_, i) => i);
    order.sort((a, b) => (farness[a] as number) - (farness[b] as number));
    orders[at.partition] = order;
    return order;
  }
}

const pick = (from: readonly number[], prng: Prng): number =>
  from[prng.below(from.length)] as number;
