/**
 * Strict reads and writes of one key that race, while messages are late, pass one another and are
 * lost and clocks are apart: a read finds what finished before it began, and what was shown, or
 * done, before a finished write began never comes back alone. More of them:
 * `RACES=20000 RACES_FROM=1000 npx vitest run tests/node/strict-races.test.ts`.
 */
import { describe, expect, it } from "vitest";
import { contextShowing, type Entry, liveSiblings } from "../../core/entry.ts";
import type { Operation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import { type Group, START, writeOf } from "./group.ts";
import { anyoneOf, groupApart } from "./racing.ts";

const RUNS = Number(process.env["RACES"] ?? 300);
const FIRST = Number(process.env["RACES_FROM"] ?? 1);
const STEPS = 80;
const WRITES_MAX = 7;
const NAME = "k";
const options = { consistency: "strict" } as const;

interface Span {
  readonly token: number;
  readonly begunAt: number;
  endedAt: number;
}

interface Write extends Span {
  /** Its value is so long. */
  readonly length: number;
  isDone: boolean;
}

interface Read extends Span {
  /** How long what it showed is; null: it was refused. */
  shown: readonly number[] | null;
}

class StrictRace {
  readonly #prng: Prng;
  readonly #group: Group;
  readonly #writes: Write[] = [];
  readonly #reads: Read[] = [];
  #seen: Entry | null = null;
  /** What is sent to this node arrives later, and much of it at once. */
  #frozen: string | null = null;
  #step = 0;

  constructor(seed: number) {
    this.#prng = Prng.fromSeed(seed);
    this.#group = groupApart(this.#prng);
    const isLossy = this.#prng.chance(1, 4);
    const inTen = this.#prng.chance(1, 2) ? 5 : 8;
    this.#group.holdsBack = (_, to) => to === this.#frozen || this.#prng.chance(inTen, 10);
    this.#group.loses = () => isLossy && this.#prng.chance(1, 20);
  }

  #write(seen: Entry | null): void {
    const length = 10 + this.#writes.length;
    const shown = seen === null ? [] : liveSiblings(seen, START);
    const context = seen === null ? null : contextShowing(seen, shown, START);
    const operation = { ...writeOf(NAME, length, context), options } as Operation;
    const token = this.#group.begin(anyoneOf(this.#prng), operation);
    const rest = { begunAt: this.#step, endedAt: Infinity, isDone: false };
    this.#writes.push({ token, length, ...rest });
  }

  #read(at = anyoneOf(this.#prng)): void {
    const key = `demo\0${NAME}`;
    const token = this.#group.begin(at, { kind: "get", key, options, session: null });
    this.#reads.push({ token, begunAt: this.#step, endedAt: Infinity, shown: null });
  }

  #look(): void {
    for (const span of [...this.#writes, ...this.#reads]) {
      const result = this.#group.answerOf(span.token);
      if (result === undefined || span.endedAt !== Infinity) continue;
      span.endedAt = this.#step;
      if ("isDone" in span) span.isDone = result.kind === "written";
      else if (result.kind === "got") {
        this.#seen = result.entry;
        const live = liveSiblings(result.entry, START);
        span.shown = live.map(({ content }) => content?.value.length ?? 0);
      }
    }
  }

  #act(): void {
    const kind = this.#prng.below(20);
    if (kind < 3 && this.#writes.length < WRITES_MAX) {
      this.#write(this.#prng.chance(1, 5) ? this.#seen : null);
    } else if (kind < 7) this.#read();
    else if (kind < 9) this.#group.pass(1 + this.#prng.below(40));
    else if (kind < 11) this.#frozen = this.#prng.chance(1, 2) ? null : anyoneOf(this.#prng);
    else {
      for (let i = 0; i < 4; i++) {
        this.#group.letOneGo((_, to) => to !== this.#frozen && this.#prng.chance(1, 3));
      }
    }
  }

  run(): void {
    for (; this.#step < STEPS; this.#step++) {
      this.#act();
      this.#look();
    }
    this.#group.loses = () => false;
    this.#frozen = null;
    this.#group.letGo();
    for (let i = 0; i < 3; i++) {
      this.#group.pass(1000);
      this.#step++;
      this.#look();
      this.#read("r1");
    }
    this.#group.pass(100);
    this.#look();
  }

  /** What a write came after, for it was done, or shown by itself, before that began. */
  #isBefore(length: number, { begunAt }: Write): boolean {
    const write = this.#writes.find((one) => one.length === length);
    if (write === undefined) return false;
    const isShown = this.#reads.some(
      ({ endedAt, shown }) => endedAt < begunAt && shown?.length === 1 && shown[0] === length,
    );
    return isShown || (write.isDone && write.endedAt < begunAt);
  }

  judge(): readonly string[] {
    return this.#reads.flatMap(({ begunAt, shown }) => {
      if (shown === null) return [];
      const missed = this.#writes.filter(
        (write) =>
          write.isDone &&
          write.endedAt < begunAt &&
          !shown.includes(write.length) &&
          shown.every((length) => this.#isBefore(length, write)),
      );
      return missed.map(
        (write) => `at ${begunAt} there is ${shown || "nothing"}, not ${write.length}`,
      );
    });
  }

  get text(): string {
    const writes = this.#writes.map((w) => `${w.length} ${w.begunAt}-${w.endedAt} ${w.isDone}`);
    const reads = this.#reads.map((r) => `${r.begunAt}-${r.endedAt} ${r.shown}`);
    return `writes ${writes.join("; ")}, reads ${reads.join("; ")}`;
  }
}

describe("strict reads and writes that race", () => {
  it("never go back", () => {
    const faults: string[] = [];
    for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
      const race = new StrictRace(seed);
      race.run();
      for (const fault of race.judge()) faults.push(`${seed}: ${fault} (${race.text})`);
    }
    expect(faults).toEqual([]);
  }, 3_600_000);
});
