/**
 * Strict reads and writes of one key that race, while messages are late, pass one another and are
 * lost, clocks are apart, N changes and an owner loses its disk: a read finds what finished before
 * it began, what was shown, or done, before a finished write began never comes back alone, and of
 * any two values that are shown alone one came first. More of them:
 * `RACES=20000 RACES_FROM=1000 npx vitest run tests/node/strict-races.test.ts`.
 */
import { describe, expect, it } from "vitest";
import { contextShowing, type Entry, liveSiblings } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import { type Group, START, writeOf } from "./group.ts";
import { groupApart } from "./racing.ts";

const RUNS = Number(process.env["RACES"] ?? 60);
const FIRST = Number(process.env["RACES_FROM"] ?? 1);
const STEPS = 80;
const WRITES_MAX = 7;
const NAME = "k";
const options = { consistency: "strict" } as const;
const KEY = storeKey("demo", NAME);

/** What happens beside the race. */
interface Situation {
  readonly name: string;
  readonly n: number;
  /** The N that the namespace is changed to. */
  readonly nextN?: number;
  /**
   * Whether the one that becomes an owner is down all the time, so that the change does not end.
   */
  readonly hasDead?: boolean;
  /** The change goes on meanwhile. */
  readonly hasSteps?: boolean;
  /** One owner loses its disk. */
  readonly hasWipe?: boolean;
}

/** Without these nobody gets what it is to own, and the change does not end. */
const isFilling = ({ body }: Message): boolean => body.kind === "roots";

const situations: readonly Situation[] = [
  { name: "with three owners", n: 3 },
  { name: "with four owners", n: 4 },
  { name: "of which one is wiped", n: 3, hasWipe: true },
  { name: "while a fourth is to become one", n: 3, nextN: 4 },
  { name: "while a fourth is to become one, and is down", n: 3, nextN: 4, hasDead: true },
  { name: "while a fourth becomes one", n: 3, nextN: 4, hasSteps: true },
  { name: "while one of four goes", n: 4, nextN: 3, hasSteps: true },
  ...[
    {
      name: "of which one is wiped, with a dead fourth",
      n: 3,
      nextN: 4,
      hasDead: true,
      hasWipe: true,
    },
  ],
];

interface Span {
  readonly token: number;
  readonly begunAt: number;
  endedAt: number;
}

/** The name of the delete, of which a race has one at most, and of what a read shows then. */
const NOTHING = 0;
/** The length of the value that is there before the race. */
const FIRST_LENGTH = 9;

interface Write extends Span {
  /** The length of its value, which names it; `NOTHING` for the delete. */
  readonly length: number;
  isDone: boolean;
}

interface Read extends Span {
  /** The lengths of what it showed, or `NOTHING`; null: it was refused. */
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
  readonly #situation: Situation;
  /** No write says what it has seen. */
  readonly #isBlind: boolean;
  /** The step in which an owner is wiped. */
  readonly #wipeAt: number;
  /** The step from which on future owners are filled. */
  readonly #fillsFrom: number;
  #step = 0;

  constructor(seed: number, situation: Situation) {
    this.#situation = situation;
    this.#isBlind = seed % 2 === 1;
    this.#prng = Prng.fromSeed(seed);
    this.#group = groupApart(this.#prng, { demo: { n: situation.n }, heartbeatMs: 1000 });
    this.#group.pass(1000);
    this.#wipeAt = situation.hasWipe === true ? 10 + this.#prng.below(50) : Infinity;
    this.#group.put("r1", "another", 1);
    this.#group.execute("r1", { ...writeOf(NAME, FIRST_LENGTH), options } as Operation);
    const before = { token: -1, begunAt: -2, endedAt: -1, isDone: true };
    this.#writes.push({ length: FIRST_LENGTH, ...before });
    this.#group.loses = isFilling;
    if (situation.nextN !== undefined) this.#group.resize("r1", situation.nextN);
    if (situation.hasDead === true) this.#group.stop(this.#ownersBut(3)[0] ?? "");
    const isLossy = this.#prng.chance(1, 4);
    const inTen = this.#prng.chance(1, 2) ? 5 : 8;
    this.#group.holdsBack = (_, to) => to === this.#frozen || this.#prng.chance(inTen, 10);
    this.#fillsFrom = situation.hasSteps === true ? this.#prng.below(STEPS) : Infinity;
    this.#group.loses = (message) =>
      (isFilling(message) && this.#step < this.#fillsFrom) || (isLossy && this.#prng.chance(1, 20));
  }

  /** The owners of the key after the first `count`. */
  #ownersBut(count: number): readonly string[] {
    const { ring } = this.#group.node("r1").knowledge;
    return ring.preferenceList(ring.partitionOf(KEY)).slice(count);
  }

  #anyone(): string {
    const running = this.#group.ids;
    return running[this.#prng.below(running.length)] ?? "";
  }

  #write(seen: Entry | null): void {
    const hasDelete = this.#writes.some((write) => write.length === NOTHING);
    // One that has seen something else leaves what it has not seen, and shows nothing of itself.
    const isDelete = !hasDelete && seen === null && this.#prng.chance(1, 6);
    const length = isDelete ? NOTHING : 10 + this.#writes.length;
    const shown = seen === null ? [] : liveSiblings(seen, START);
    const context = seen === null ? null : contextShowing(seen, shown, START);
    const operation = { ...writeOf(NAME, isDelete ? null : length, context), options } as Operation;
    const token = this.#group.begin(this.#anyone(), operation);
    const rest = { begunAt: this.#step, endedAt: Infinity, isDone: false };
    this.#writes.push({ token, length, ...rest });
  }

  #read(at = this.#anyone()): void {
    const token = this.#group.begin(at, { kind: "get", key: KEY, options, session: null });
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
        span.shown =
          live.length === 0 ? [NOTHING] : live.map(({ content }) => content?.value.length ?? 0);
      }
    }
  }

  #act(): void {
    const kind = this.#prng.below(20);
    if (kind < 3 && this.#writes.length < WRITES_MAX) {
      this.#write(this.#isBlind || !this.#prng.chance(1, 5) ? null : this.#seen);
    } else if (kind < 7) this.#read();
    else if (kind < 9) this.#group.pass(1 + this.#prng.below(40));
    else if (kind < 11) this.#frozen = this.#prng.chance(1, 2) ? null : this.#anyone();
    else {
      for (let i = 0; i < 4; i++) {
        this.#group.letOneGo((_, to) => to !== this.#frozen && this.#prng.chance(1, 3));
      }
    }
  }

  #wipe(): void {
    const owners = this.#group.ids.filter((id) => !this.#ownersBut(3).includes(id));
    const victim = owners[this.#prng.below(owners.length)] ?? "";
    this.#group.wipe(victim);
    this.#group.start(victim);
  }

  run(): void {
    for (; this.#step < STEPS; this.#step++) {
      if (this.#step === this.#wipeAt) this.#wipe();
      if (this.#situation.hasSteps === true && this.#prng.chance(1, 8))
        this.#group.runAll("change");
      this.#act();
      this.#look();
    }
    this.#group.loses = (message) => isFilling(message) && this.#fillsFrom === Infinity;
    this.#frozen = null;
    this.#group.letGo();
    for (let i = 0; i < 3; i++) {
      this.#group.pass(1000);
      this.#step++;
      this.#look();
      this.#read();
    }
    this.#group.pass(100);
    this.#look();
  }

  /** Whether a write came before another one: it was done, or shown alone, before that began. */
  #isBefore(length: number, { begunAt }: Write): boolean {
    const write = this.#writes.find((one) => one.length === length);
    if (write === undefined) return false;
    const isShown = this.#reads.some(
      ({ endedAt, shown }) => endedAt < begunAt && shown?.length === 1 && shown[0] === length,
    );
    return isShown || (write.isDone && write.endedAt < begunAt);
  }

  judge(): readonly string[] {
    return [...this.#missed(), ...this.#crossed()];
  }

  /**
   * Pairs of which each came before the other one: something that one of them did or showed
   * was over before something of the other one began. Without such a pair there is an order (P. B.
   * Gibbons and E. Korach, "Testing shared memories", 1997).
   */
  #crossed(): readonly string[] {
    const zones = this.#writes.flatMap(({ length, begunAt, endedAt, isDone }) => {
      const reads = this.#reads.filter((read) => this.#shows(read, length));
      if (!isDone && reads.length === 0) return [];
      const end = Math.min(isDone ? endedAt : Infinity, ...reads.map((read) => read.endedAt));
      return [{ length, end, begin: Math.max(begunAt, ...reads.map((read) => read.begunAt)) }];
    });
    return zones.flatMap((one, i) =>
      zones
        .slice(i + 1)
        .filter((other) => one.end < other.begin && other.end < one.begin)
        .map((other) => `${one.length} and ${other.length} go back and forth`),
    );
  }

  /**
   * Where all writes are without contexts a plain read has to suffice: it shows the newest sibling.
   */
  #shows({ shown }: Read, length: number): boolean {
    return shown?.[0] === length && (this.#isBlind || shown.length === 1);
  }

  #missed(): readonly string[] {
    return this.#reads.flatMap(({ begunAt, shown }) => {
      if (shown === null) return [];
      if (!shown.every((length) => this.#writes.some((write) => write.length === length)))
        return [`at ${begunAt} there is ${shown}, which nobody wrote`];
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

describe.each(situations)("strict reads and writes that race $name", (situation) => {
  it("never go back", () => {
    const faults: string[] = [];
    for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
      const race = new StrictRace(seed, situation);
      race.run();
      for (const fault of race.judge()) faults.push(`${seed}: ${fault} (${race.text})`);
    }
    expect(faults).toEqual([]);
  }, 3_600_000);
});
