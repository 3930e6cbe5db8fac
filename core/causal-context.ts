/**
 * Causal contexts: sets of dots.
 *
 * A dot is one write: the `counter`-th that an actor minted for a key. A context is the set of dots
 * that somebody has seen. Dynamo's version vector can only say "all of an actor's writes up to c";
 * that is too coarse in two places: a client that was shown one of two siblings must not claim the
 * other, and a replica may learn of a late write before an early one. Delta-state CRDTs (Almeida,
 * Shoker, Baquero, 2018) therefore keep a vector plus a cloud of single dots. Here both are one
 * thing: for each actor a sorted list of disjoint, non-adjacent ranges. The first range is the
 * vector's entry when it starts at 1, the others are the cloud, and what becomes contiguous fuses
 * by itself. A hole costs one pair of numbers however far the actor has counted since.
 *
 * Contexts are immutable: every operation returns another one, or the same one when nothing
 * changed.
 */
import { assert } from "./assert.ts";
import { check } from "./check.ts";
import { type ActorId, isActorId } from "./ids.ts";

export interface Dot {
  readonly actor: ActorId;
  /** 1, 2, 3, … for one key and actor. */
  readonly counter: number;
}

/** `[lo, hi, lo, hi, …]`, inclusive, ascending, with a gap of at least one between two ranges. */
type Ranges = readonly number[];

/** What a context is in an encoded entry: `[actor, ranges, actor, ranges, …]`, actors ascending. */
export type EncodedContext = readonly (string | readonly number[])[];

/** By halving: an entry from a peer may ask for thousands of dots among thousands of ranges. */
function rangesCover(ranges: Ranges, counter: number): boolean {
  let [from, end] = [0, ranges.length >> 1];
  while (from < end) {
    const middle = (from + end) >> 1;
    if (counter > (ranges[2 * middle + 1] as number)) from = middle + 1;
    else if (counter < (ranges[2 * middle] as number)) end = middle;
    else return true;
  }
  return false;
}

/** Every counter of `inner` is in `outer`. */
function rangesInclude(outer: Ranges, inner: Ranges): boolean {
  let at = 0;
  for (let i = 0; i < inner.length; i += 2) {
    const lo = inner[i] as number;
    while (at < outer.length && (outer[at + 1] as number) < lo) at += 2;
    if (at >= outer.length || (outer[at] as number) > lo) return false;
    if ((outer[at + 1] as number) < (inner[i + 1] as number)) return false;
  }
  return true;
}

/** The union; the two lists are walked like the halves of a merge sort. */
function rangesJoin(a: Ranges, b: Ranges): Ranges {
  if (rangesInclude(a, b)) return a;
  if (rangesInclude(b, a)) return b;
  const out: number[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const takeA = j >= b.length || (i < a.length && (a[i] as number) <= (b[j] as number));
    const from = takeA ? a : b;
    const at = takeA ? i : j;
    const lo = from[at] as number;
    const hi = from[at + 1] as number;
    const last = out.length - 1;
    if (last > 0 && lo <= (out[last] as number) + 1) out[last] = Math.max(out[last] as number, hi);
    else out.push(lo, hi);
    if (takeA) i += 2;
    else j += 2;
  }
  return out;
}

/** @param counters ascending */
function rangesWithout(ranges: Ranges, counters: readonly number[]): Ranges {
  const out: number[] = [];
  let at = 0;
  for (let i = 0; i < ranges.length; i += 2) {
    const hi = ranges[i + 1] as number;
    let lo = ranges[i] as number;
    while (at < counters.length && (counters[at] as number) < lo) at++;
    for (; at < counters.length && (counters[at] as number) <= hi; at++) {
      const counter = counters[at] as number;
      if (lo < counter) out.push(lo, counter - 1);
      lo = Math.max(lo, counter + 1);
    }
    if (lo <= hi) out.push(lo, hi);
  }
  return out;
}

const compareActors = (a: unknown, b: unknown): number =>
  a === b ? 0 : (a as ActorId) < (b as ActorId) ? -1 : 1;

function checkRanges(ranges: readonly unknown[]): asserts ranges is number[] {
  check(ranges.length > 0 && ranges.length % 2 === 0, "ranges come in pairs");
  let previous = -1;
  for (let i = 0; i < ranges.length; i += 2) {
    const lo = ranges[i];
    const hi = ranges[i + 1];
    check(Number.isSafeInteger(lo) && Number.isSafeInteger(hi), "a counter is a safe integer");
    check((lo as number) >= 1 && (lo as number) <= (hi as number), "a range runs upwards from 1");
    check((lo as number) > previous + 1, "ranges ascend with a gap between them");
    previous = hi as number;
  }
}

/**
 * A flat list `[actor, ranges, actor, ranges, …]` in the order of the actors: as it is encoded, so
 * that reading one from a record, or writing it, is no work. Most have few actors, and two are
 * joined like the halves of a merge sort.
 */
export class CausalContext {
  static readonly empty = new CausalContext([]);
  readonly #pairs: EncodedContext;

  private constructor(pairs: EncodedContext) {
    this.#pairs = pairs;
  }

  get isEmpty(): boolean {
    return this.#pairs.length === 0;
  }

  get actorCount(): number {
    return this.#pairs.length >> 1;
  }

  /** How many dots have been seen. */
  get dotCount(): number {
    let count = 0;
    for (let i = 1; i < this.#pairs.length; i += 2) {
      const ranges = this.#pairs[i] as Ranges;
      for (let j = 0; j < ranges.length; j += 2) {
        count += (ranges[j + 1] as number) - (ranges[j] as number) + 1;
      }
    }
    return count;
  }

  /** Whether the dot has been seen. */
  covers(dot: Dot): boolean {
    const ranges = this.#rangesOf(dot.actor);
    return ranges !== undefined && rangesCover(ranges, dot.counter);
  }

  /** Whether everything that `other` has seen has been seen here. */
  includes(other: CausalContext): boolean {
    const mine = this.#pairs;
    const theirs = other.#pairs;
    let at = 0;
    for (let i = 0; i < theirs.length; i += 2) {
      const actor = theirs[i] as ActorId;
      while (at < mine.length && (mine[at] as ActorId) < actor) at += 2;
      if (at >= mine.length || mine[at] !== actor) return false;
      if (!rangesInclude(mine[at + 1] as Ranges, theirs[i + 1] as Ranges)) return false;
    }
    return true;
  }

  equals(other: CausalContext): boolean {
    return this === other || (this.includes(other) && other.includes(this));
  }

  /** The highest counter seen of an actor; 0 when none. */
  latest(actor: ActorId): number {
    return this.#rangesOf(actor)?.at(-1) ?? 0;
  }

  with(dot: Dot): CausalContext {
    assert(Number.isSafeInteger(dot.counter) && dot.counter >= 1, "a counter starts at 1");
    const mine = this.#rangesOf(dot.actor) ?? [];
    const joined = rangesJoin(mine, [dot.counter, dot.counter]);
    return joined === mine ? this : this.#replacing(dot.actor, joined);
  }

  without(dot: Dot): CausalContext {
    const mine = this.#rangesOf(dot.actor);
    if (mine === undefined || !rangesCover(mine, dot.counter)) return this;
    return this.#replacing(dot.actor, rangesWithout(mine, [dot.counter]));
  }

  /** The same for many, in one walk for each actor. @param dots ascending by actor, then counter */
  withoutAll(dots: readonly Dot[]): CausalContext {
    let left: CausalContext = this;
    for (let i = 0; i < dots.length; ) {
      const { actor } = dots[i] as Dot;
      const counters: number[] = [];
      for (; dots[i]?.actor === actor; i++) counters.push((dots[i] as Dot).counter);
      const mine = left.#rangesOf(actor) ?? [];
      if (mine.length > 0) left = left.#replacing(actor, rangesWithout(mine, counters));
    }
    return left;
  }

  /** The union of both: commutative, associative, idempotent. */
  join(other: CausalContext): CausalContext {
    if (this === other || this.includes(other)) return this;
    if (other.includes(this)) return other;
    const a = this.#pairs;
    const b = other.#pairs;
    const out: (ActorId | Ranges)[] = [];
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
      const order = i >= a.length ? 1 : j >= b.length ? -1 : compareActors(a[i], b[j]);
      if (order < 0) out.push(a[i] as ActorId, a[i + 1] as Ranges);
      else if (order > 0) out.push(b[j] as ActorId, b[j + 1] as Ranges);
      else out.push(a[i] as ActorId, rangesJoin(a[i + 1] as Ranges, b[j + 1] as Ranges));
      if (order <= 0) i += 2;
      if (order >= 0) j += 2;
    }
    return new CausalContext(out);
  }

  /** The canonical form: equal contexts encode equally. Not to be written to. */
  encode(): EncodedContext {
    return this.#pairs;
  }

  /**
   * @param encoded becomes the context's own
   * @throws CodecError when the value is not an encoded context in its canonical form
   */
  static decode(encoded: unknown): CausalContext {
    check(Array.isArray(encoded) && encoded.length % 2 === 0, "a context is a list of pairs");
    let previous = "";
    for (let i = 0; i < encoded.length; i += 2) {
      const actor: unknown = encoded[i];
      const list: unknown = encoded[i + 1];
      check(typeof actor === "string" && isActorId(actor), "an actor is eight characters");
      check(actor > previous, "actors ascend");
      check(Array.isArray(list), "an actor has a list of ranges");
      checkRanges(list);
      previous = actor;
    }
    return new CausalContext(encoded as EncodedContext);
  }

  /** For people and digests: `actor:1-7,9;actor:1-3`, canonical. */
  toString(): string {
    const pairs = this.#pairs;
    let text = "";
    for (let i = 0; i < pairs.length; i += 2) {
      const ranges = pairs[i + 1] as Ranges;
      text += i > 0 ? `;${pairs[i]}:` : `${pairs[i]}:`;
      for (let j = 0; j < ranges.length; j += 2) {
        if (j > 0) text += ",";
        text += ranges[j] === ranges[j + 1] ? `${ranges[j]}` : `${ranges[j]}-${ranges[j + 1]}`;
      }
    }
    return text;
  }

  /** Where the actor is, or would have to be: by halving, for a client may name many. */
  #placeOf(actor: ActorId): number {
    const pairs = this.#pairs;
    let [from, end] = [0, pairs.length >> 1];
    while (from < end) {
      const middle = (from + end) >> 1;
      if ((pairs[2 * middle] as ActorId) < actor) from = middle + 1;
      else end = middle;
    }
    return 2 * from;
  }

  #rangesOf(actor: ActorId): Ranges | undefined {
    const at = this.#placeOf(actor);
    return this.#pairs[at] === actor ? (this.#pairs[at + 1] as Ranges) : undefined;
  }

  #replacing(actor: ActorId, ranges: Ranges): CausalContext {
    const at = this.#placeOf(actor);
    const copy = this.#pairs.slice();
    const isThere = copy[at] === actor;
    if (ranges.length === 0) copy.splice(at, 2);
    else copy.splice(at, isThere ? 2 : 0, actor, ranges);
    return new CausalContext(copy);
  }
}
