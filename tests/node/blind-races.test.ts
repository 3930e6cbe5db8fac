/**
 * Writes of one key that race, most of them without a context: at random, messages are late, pass
 * one another or are lost, clients read and write over what they saw, and second coordinators are
 * asked. What the simulator meets once in a thousand runs happens here in one of a hundred. More of
 * them: `RACES=20000 RACES_FROM=1000 npx vitest run tests/node/blind-races.test.ts`.
 */
import { describe, expect, it } from "vitest";
import { contextShowing, type Entry, liveSiblings } from "../../core/entry.ts";
import { Prng } from "../../core/prng.ts";
import type { Result } from "../../core/results.ts";
import { type Group, START, writeOf } from "./group.ts";
import { anyoneOf, groupApart } from "./racing.ts";

const RUNS = Number(process.env["RACES"] ?? 300);
const FIRST = Number(process.env["RACES_FROM"] ?? 1);
const STEPS = 60;
const WRITES_MAX = 7;
const NAME = "k";
const KEY = `demo\0${NAME}`;
const lengthOf = (entry: Entry): readonly number[] =>
  liveSiblings(entry, START).map(({ content }) => content?.value.length ?? 0);

interface Write {
  readonly token: number;
  /** The length of its value, which names it; a delete has no value. */
  readonly length: number;
  readonly isDelete: boolean;
  /** Whether it came without a context. */
  readonly isBlind: boolean;
  /** The writes that its client was shown, and wrote over. */
  readonly saw: readonly number[];
  readonly begunAt: number;
  result: Extract<Result, { kind: "written" }> | null;
  endedAt: number;
}

class Race {
  readonly #prng: Prng;
  readonly #group: Group;
  readonly #writes: Write[] = [];
  readonly #reads = new Set<number>();
  readonly #n: number;
  readonly #hasStops: boolean;
  readonly #down: string[] = [];
  #step = 0;

  /** @param hasStops whether processes end, and start again with their disks */
  constructor(seed: number, hasStops: boolean) {
    this.#prng = Prng.fromSeed(seed);
    this.#hasStops = hasStops;
    this.#n = hasStops && this.#prng.chance(1, 2) ? 2 : 3;
    const more = hasStops ? { demo: { n: this.#n }, heartbeatMs: 100 } : {};
    this.#group = groupApart(this.#prng, more);
    if (hasStops) this.#group.pass(1000);
    const isLossy = this.#prng.chance(1, 2);
    const inTen = this.#prng.chance(1, 4) ? 5 : 9;
    this.#group.holdsBack = () => this.#prng.chance(inTen, 10);
    this.#group.loses = () => isLossy && this.#prng.chance(1, 12);
  }

  #begin(isDelete: boolean, seen: Entry | null): void {
    const length = 10 + this.#writes.length;
    const shown =
      seen === null ? [] : liveSiblings(seen, START).slice(0, this.#prng.chance(1, 2) ? 1 : 9);
    const context = seen === null ? null : contextShowing(seen, shown, START);
    const token = this.#group.begin(
      anyoneOf(this.#prng),
      writeOf(NAME, isDelete ? null : length, context),
    );
    const saw = shown.map(({ content }) => content?.value.length ?? 0);
    const rest = { isDelete, saw, begunAt: this.#step, isBlind: seen === null };
    this.#writes.push({ token, length, ...rest, result: null, endedAt: Infinity });
  }

  #look(): void {
    for (const write of this.#writes) {
      const result = this.#group.answerOf(write.token);
      if (write.endedAt !== Infinity || result === undefined) continue;
      write.endedAt = this.#step;
      if (result.kind === "written") write.result = result;
    }
  }

  #stopOrStart(): void {
    const [first] = this.#down;
    if (first !== undefined && this.#prng.chance(1, 6)) {
      this.#group.start(first);
      this.#down.shift();
    }
    const id = anyoneOf(this.#prng);
    if (this.#down.length > 1 || this.#down.includes(id) || !this.#prng.chance(1, 12)) return;
    this.#group.stop(id);
    if (this.#prng.chance(1, 2)) this.#group.start(id);
    else this.#down.push(id);
  }

  #act(): void {
    if (this.#hasStops) this.#stopOrStart();
    const kind = this.#prng.below(20);
    const mayWrite = this.#writes.length < WRITES_MAX;
    if (kind < 3 && mayWrite) this.#begin(this.#prng.chance(1, 8), null);
    else if (kind < 5 && mayWrite) {
      const get = { kind: "get", key: KEY, options: { r: 1 }, session: null } as const;
      this.#reads.add(this.#group.begin(anyoneOf(this.#prng), get));
    } else if (kind < 9) this.#group.pass(1 + this.#prng.below(this.#prng.chance(1, 4) ? 700 : 60));
    else {
      for (let i = 0; i < 4; i++) this.#group.letOneGo(() => this.#prng.chance(1, 3));
    }
    for (const token of this.#reads) {
      const got = this.#group.answerOf(token);
      if (got === undefined) continue;
      this.#reads.delete(token);
      const isShown = got.kind === "got" && liveSiblings(got.entry, START).length > 0;
      if (isShown && this.#writes.length < WRITES_MAX)
        this.#begin(this.#prng.chance(1, 4), got.entry);
    }
  }

  run(): void {
    for (; this.#step < STEPS; this.#step++) {
      this.#act();
      this.#look();
    }
    this.#group.loses = () => false;
    for (const id of this.#down.splice(0)) this.#group.start(id);
    this.#group.letGo();
    for (let i = 0; i < 12; i++) {
      this.#group.pass(500);
      this.#group.runAll("handoff");
      this.#group.runAll("exchange");
      this.#group.letGo();
    }
    this.#step++;
    this.#look();
  }

  judge(): readonly string[] {
    const left = lengthOf(this.#group.read("r1", NAME, this.#n));
    const isNothing = left.length === 0 && this.#done.length > 0;
    const mayBeNothing = this.#writes.some(({ isDelete }) => isDelete);
    return [
      ...this.#unlike(left),
      ...(isNothing && !mayBeNothing ? ["nothing is left"] : []),
      ...this.#back(left),
      ...this.#beside(left),
      ...this.#gone(left),
    ];
  }

  get #done(): readonly Write[] {
    return this.#writes.filter(({ result }) => result !== null);
  }

  /** All replicas agree. */
  #unlike(left: readonly number[]): readonly string[] {
    return this.#group.ids.flatMap((id) => {
      const entry = this.#group.node(id).service?.keeper.own(KEY).entry;
      if (entry === undefined || entry.context.isEmpty) return [];
      const here = lengthOf(entry).toString();
      return here === left.toString() ? [] : [`${id} has ${here}, and a read finds ${left}`];
    });
  }

  /** A value that somebody saw and wrote over is over. */
  #back(left: readonly number[]): readonly string[] {
    return this.#done.flatMap(({ saw, length }) =>
      saw.filter((one) => left.includes(one)).map((one) => `${one} stands, and ${length} saw it`),
    );
  }

  /** A write without a context covers what was answered before it, where their primaries meet. */
  #beside(left: readonly number[]): readonly string[] {
    const primariesOf = ({ result }: Write): number => result?.tally.primaries ?? 0;
    // Both may stay where the write that replaced it was there first.
    const isSeen = (q: Write): boolean =>
      this.#writes.some((w) => w.begunAt <= q.endedAt && !w.isBlind && this.#knows(w, q));
    const standing = this.#done.filter(({ length }) => left.includes(length));
    return standing.flatMap((p) => {
      const after = this.#done.filter((q) => q.isBlind && p.endedAt < q.begunAt && !isSeen(q));
      const meets = after.filter((q) => primariesOf(p) + primariesOf(q) > this.#n);
      return meets.map((q) => `${p.length} stands, and ${q.length} came after it`);
    });
  }

  /** What was answered is gone only where another write can have covered it. */
  #gone(left: readonly number[]): readonly string[] {
    const gone = this.#done.filter((p) => !p.isDelete && !left.includes(p.length));
    const isCovered = (p: Write): boolean =>
      this.#writes.some((q) => q !== p && (q.isBlind ? q.endedAt >= p.begunAt : this.#knows(q, p)));
    return gone
      .filter((p) => !isCovered(p))
      .map((p) => `${p.length} is gone, and nobody covers it`);
  }

  /** Whether a write saw another one, or what may have covered that. */
  #knows(q: Write, p: Write, depth = 0): boolean {
    return q.saw.some((length) => {
      const seen = this.#writes.find((one) => one.length === length);
      if (seen === undefined || depth > 9) return false;
      return (
        seen === p || (seen.isBlind && seen.endedAt >= p.begunAt) || this.#knows(seen, p, depth + 1)
      );
    });
  }

  get text(): string {
    return this.#writes
      .map(
        (w) =>
          `${w.length}${w.isDelete ? "d" : ""}${w.isBlind ? "" : ` over ${w.saw}`} ${w.begunAt}-${w.endedAt} ${w.result?.kind}`,
      )
      .join("; ");
  }
}

function faultsOf(seed: number, hasStops: boolean): readonly string[] {
  const race = new Race(seed, hasStops);
  race.run();
  return race.judge().map((fault) => `${seed}: ${fault} (${race.text})`);
}

describe("writes that race", () => {
  it.each([
    ["", false],
    [" where processes end and start again", true],
  ])(
    "lose nothing that was answered, and bring nothing back%s",
    (_, hasStops) => {
      const faults: string[] = [];
      for (let seed = FIRST; seed < FIRST + RUNS; seed++) faults.push(...faultsOf(seed, hasStops));
      expect(faults).toEqual([]);
    },
    3_600_000,
  );

  it("cover what they were told that they may, also where another has minted them", () => {
    expect(faultsOf(1494, true)).toEqual([]);
  });
});
