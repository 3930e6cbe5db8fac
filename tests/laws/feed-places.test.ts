/**
 * The law of a feed's places (src/node/operations/feed-places.ts), held against members that write,
 * follow each other, go away, come back and lose their disks, in any order. A version is a number,
 * a higher one covers those below; a member has for each key the highest that it has met.
 *
 * `PROPERTY_RUNS=20000 npx vitest run tests/laws/feed-places.test.ts` runs more of them.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import type { SourcePosition } from "../../core/feed.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { bootstrapRing, Ring } from "../../ring/ring.ts";
import {
  advance,
  fresh,
  handOver,
  isAboutToBegin,
  isTakingOver,
  NOWHERE,
  type Place,
  type Said,
} from "../../src/node/operations/feed-places.ts";
import { sharingOf } from "../../src/node/serving/feed-layout.ts";
import { runsOf } from "./model.ts";

const hasher = await xxhash();
const N = 3;
const IDS: readonly ReplicaId[] = ["r1", "r2", "r3", "r4", "r5"];
const KEYS = Array.from({ length: 12 }, (_, i) => `n\0k${i}`);
const LIMIT = 2;
const RUNS = runsOf(400).numRuns;

const members = IDS.map((id) => ({ id, zone: "a", url: "", weight: 1 }));
const ring = new Ring(bootstrapRing({ name: "laws", partitions: 16, n: N, members }, "42"), hasher);
const ownersOf = (key: string): readonly ReplicaId[] => ring.primariesOf(ring.partitionOf(key), N);

interface Kept {
  readonly version: number;
  readonly position: number;
}

let lastRun = 0;

class Member {
  run = ++lastRun;
  head = 0;
  isAway = false;
  entries = new Map<string, Kept>();
  marks = new Map<ReplicaId, Place>();
  readonly id: ReplicaId;

  constructor(id: ReplicaId) {
    this.id = id;
  }

  join(key: string, version: number): void {
    if ((this.entries.get(key)?.version ?? 0) >= version) return;
    this.entries.set(key, { version, position: ++this.head });
  }

  /** @param passesOver a key of which nothing is taken, although the mark rises past it */
  follow(other: Member, passesOver = ""): void {
    for (const [key, { version }] of other.entries) {
      if (key !== passesOver && ownersOf(key).includes(this.id)) this.join(key, version);
    }
    this.marks.set(other.id, { run: other.run, through: other.head });
  }

  loseDisk(): void {
    this.run = ++lastRun;
    this.head = 0;
    this.entries.clear();
    this.marks.clear();
  }

  after(position: number): readonly (readonly [string, Kept])[] {
    const later = [...this.entries].filter(([, kept]) => kept.position > position);
    return later.sort(([, a], [, b]) => a.position - b.position);
  }
}

/** A subscriber with its feed's token, and all that it was told. */
class Reader {
  readonly #members: ReadonlyMap<ReplicaId, Member>;
  readonly told = new Map<string, number>();
  places = NOWHERE;
  switchCount = 0;

  constructor(all: ReadonlyMap<ReplicaId, Member>) {
    this.#members = all;
  }

  /** Reads what is there; those that are not are left when the reader has no patience. */
  look({ isPatient = false, isBroken = false } = {}): void {
    const isAway = (id: ReplicaId): boolean => this.#members.get(id)?.isAway === true;
    if (this.places.sources.length === 0) {
      const sources = this.#moreFor([], isAway)?.map((id) => fresh(id, false)) ?? [];
      this.places = { ...NOWHERE, sources };
    }
    const gone = new Set(this.places.sources.map(({ id }) => id).filter(isAway));
    const kept = this.places.sources.map(({ id }) => id).filter((id) => !gone.has(id));
    const more = gone.size === 0 || isPatient ? null : this.#moreFor(kept, isAway);
    if (more === null) return this.#read(isAway, isBroken);
    const { places, switches } = handOver(this.places, { gone, more }, { ring, n: N });
    this.places = places;
    this.switchCount += switches.length;
  }

  #moreFor(
    kept: readonly ReplicaId[],
    isAway: (id: ReplicaId) => boolean,
  ): readonly ReplicaId[] | null {
    const more: ReplicaId[] = [];
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      const owners = ring.primariesOf(partition, N);
      if (owners.some((id) => kept.includes(id) || more.includes(id))) continue;
      const next = owners.find((id) => !isAway(id));
      if (next === undefined) return null;
      more.push(next);
    }
    return more;
  }

  #read(isAway: (id: ReplicaId) => boolean, isBroken: boolean): void {
    const ids = this.places.sources.map(({ id }) => id);
    const sharing = sharingOf(ring, N, ids);
    const said = new Map<ReplicaId, Said>();
    const sources = this.places.sources.map((source, i) => {
      const member = this.#members.get(source.id) as Member;
      if (isAway(source.id)) return source;
      const isMine = (key: string): boolean => sharing.shares[ring.partitionOf(key)] === i;
      const [next, isAtEnd] = this.#page(member, source, isMine);
      const end = isAtEnd ? { run: next.run, through: next.after } : null;
      said.set(source.id, { marks: new Map(member.marks), end, dueThrough: 0 });
      return next;
    });
    const returned = new Map<ReplicaId, Place>();
    for (const { id } of this.places.left) {
      const { run, head: through } = this.#members.get(id) as Member;
      if (!isAway(id) && !ids.includes(id)) returned.set(id, { run, through });
    }
    // What was told stays told, though the token that came with it may be lost.
    if (!isBroken) this.places = advance(this.places, { sources, said, returned }, sharing);
  }

  #page(
    member: Member,
    source: SourcePosition,
    isMine: (key: string) => boolean,
  ): readonly [SourcePosition, boolean] {
    const { run, head } = member;
    const isNew = source.run === 0 || isAboutToBegin(source);
    if (!isNew && (source.run !== run || source.after > head)) {
      return [{ ...source, run, after: 0, ended: null, until: head, isResync: true }, false];
    }
    // A reader that begins has nothing; one that begins anew is told so.
    if (isNew) this.#forget(isMine);
    const limit = isTakingOver(source) ? 0 : LIMIT;
    const from = isNew ? 0 : source.after;
    const rows = member.after(from).filter(([key]) => isMine(key));
    for (const [key, { version }] of rows.slice(0, limit)) this.told.set(key, version);
    const isAtEnd = rows.length <= limit;
    const after = isAtEnd ? head : (rows[limit - 1]?.[1].position ?? from);
    const until = isNew ? head : source.until;
    const isThrough = after >= until;
    const rest = isThrough ? { until: 0, isResync: false } : { until };
    return [{ ...source, run, after, ended: 0, ...rest }, isAtEnd && isThrough];
  }

  #forget(isMine: (key: string) => boolean): void {
    for (const key of [...this.told.keys()]) if (isMine(key)) this.told.delete(key);
  }
}

class World {
  readonly members = new Map(IDS.map((id) => [id, new Member(id)]));
  readonly reader = new Reader(this.members);
  #passesOver: string;
  #version = 0;

  constructor(passesOver = "") {
    this.#passesOver = passesOver;
  }

  happen(what: number, which: number, other: number): void {
    const all = [...this.members.values()];
    const one = all[which % all.length] as Member;
    const two = all[other % all.length] as Member;
    const key = KEYS[other % KEYS.length] as string;
    if (what < 6) this.#write(key, one);
    else if (what < 8) this.#follow(one, two);
    else if (what < 10) this.#followAll();
    else if (what < 12) one.isAway = true;
    else if (what < 14) one.isAway = false;
    else if (what < 15) this.#replaceDisk(one);
    else this.reader.look({ isPatient: what < 17, isBroken: what > 21 });
  }

  #follow(one: Member, two: Member): void {
    if (one !== two && !one.isAway && !two.isAway) one.follow(two, this.#passesOver);
  }

  #followAll(): void {
    for (const one of this.members.values()) {
      for (const two of this.members.values()) this.#follow(one, two);
    }
  }

  #write(key: string, { id, isAway }: Member): void {
    const owners = ownersOf(key);
    const owner = owners.includes(id) ? id : owners[0];
    if (!isAway) this.members.get(owner ?? "")?.join(key, ++this.#version);
  }

  /** It tells nothing before it has what the others can bring. */
  #replaceDisk(member: Member): void {
    member.loseDisk();
    const others = [...this.members.values()].filter((other) => other !== member);
    for (const other of others) member.follow(other);
    member.isAway = false;
  }

  /** Claims of the places that do not hold. */
  broken(): readonly string[] {
    const faults: string[] = [];
    const { sources, proven } = this.reader.places;
    const { shares } = sharingOf(
      ring,
      N,
      sources.map(({ id }) => id),
    );
    for (const { id, run, through } of proven) {
      faults.push(...this.#untold(id, { run, through }, () => true));
    }
    for (const [i, { id, run, after, until, isResync }] of sources.entries()) {
      if (until > 0 || isResync) continue;
      const isMine = (key: string): boolean => shares[ring.partitionOf(key)] === i;
      faults.push(...this.#untold(id, { run, through: after }, isMine));
    }
    return faults;
  }

  #untold(id: ReplicaId, place: Place, isMeant: (key: string) => boolean): readonly string[] {
    const member = this.members.get(id) as Member;
    if (member.run !== place.run) return [];
    const entries = [...member.entries].filter(([key]) => isMeant(key));
    const untold = entries.filter(
      ([key, { version, position }]) =>
        position <= place.through && (this.reader.told.get(key) ?? 0) < version,
    );
    return untold.map(([key]) => `${id} at ${place.through}: ${key}`);
  }

  /** Everybody comes back and follows everybody; the reader reads to the end. */
  settle(): void {
    this.#passesOver = "";
    for (const member of this.members.values()) member.isAway = false;
    for (let round = 0; round < 2; round++) this.#followAll();
    for (let i = 0; i < 40; i++) this.reader.look();
  }

  living(): Record<string, number> {
    const living: Record<string, number> = {};
    for (const key of KEYS) {
      const owners = ownersOf(key).map((id) => this.members.get(id)?.entries.get(key)?.version);
      const version = Math.max(0, ...owners.map((found) => found ?? 0));
      if (version > 0) living[key] = version;
    }
    return living;
  }
}

const happenings = fc.array(fc.tuple(fc.nat(23), fc.nat(4), fc.nat(60)), {
  minLength: 20,
  maxLength: 120,
});

/** Lets all of that happen, and compares what is claimed and told with what is true. */
function hold(world: World, steps: readonly (readonly [number, number, number])[]): void {
  for (const [what, which, other] of steps) {
    world.happen(what, which, other);
    expect(world.broken()).toEqual([]);
  }
  world.settle();
  expect(world.broken()).toEqual([]);
  expect(Object.fromEntries(world.reader.told)).toEqual(world.living());
  expect(world.reader.places.left).toEqual([]);
}

describe("a feed's places", () => {
  it("claim nothing that was not told, and lose nothing when a source is left", () => {
    let switchCount = 0;
    fc.assert(
      fc.property(happenings, (steps) => {
        const world = new World();
        hold(world, steps);
        switchCount += world.reader.switchCount;
      }),
      { numRuns: RUNS, seed: 7 },
    );
    expect(switchCount).toBeGreaterThan(RUNS / 10);
  });

  it("are found to be wrong when a mark passes a key that was not taken over", () => {
    const lying = fc.property(happenings, (steps) => hold(new World(KEYS[3]), steps));
    expect(fc.check(lying, { numRuns: 400, seed: 7 }).failed).toBe(true);
  });
});
