/** One race of strict reads and writes of one key, and what is wrong with how it went. */
import { contextShowing, type Entry, liveSiblings } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import { type Group, START, writeOf } from "./group.ts";
import { groupApart } from "./racing.ts";
import {
  isAboutMembers,
  isOfRace,
  NEWCOMER,
  nameThatMoves,
  type Seen,
  type Unrest,
  Upheavals,
} from "./upheavals.ts";

const STEPS = 80;
/** Changes of members take many messages. */
const STEPS_OF_UNREST = 240;
const WRITES_MAX = 7;
const options = { consistency: "strict" } as const;

/** What happens beside the race. */
export interface Situation {
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
  /** Processes end and start again, members join and leave. */
  readonly unrest?: Unrest;
  /** One of the first writes is most likely a delete. */
  readonly hasEarlyDelete?: boolean;
  /** What was written is safe only later. */
  readonly hasSlowDisks?: boolean;
}

/** Without these nobody gets what it is to own, and the change does not end. */
const isFilling = ({ body }: Message): boolean => body.kind === "roots";

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
  /** The node that was asked. */
  readonly at: string;
  /** The lengths of what it showed, or `NOTHING`; null: it was refused. */
  shown: readonly number[] | null;
}

export class StrictRace {
  readonly #prng: Prng;
  readonly #group: Group;
  readonly #name: string;
  readonly #upheavals: Upheavals | null = null;
  readonly #writes: Write[] = [];
  readonly #reads: Read[] = [];
  #seen: Entry | null = null;
  /** What is sent to this node arrives later, and much of it at once. */
  #frozen: string | null = null;
  readonly #situation: Situation;
  /** No write says what it has seen. */
  readonly #isBlind: boolean;
  /** How many in ten of the messages about members are late. */
  readonly #newsInTen: number;
  /** The step in which an owner is wiped. */
  readonly #wipeAt: number;
  /** The step from which on future owners are filled. */
  readonly #fillsFrom: number;
  #step = 0;

  constructor(seed: number, situation: Situation) {
    this.#situation = situation;
    this.#isBlind = seed % 2 === 1;
    this.#prng = Prng.fromSeed(seed);
    const few = situation.unrest === undefined ? {} : { partitions: 8 };
    const rest = { heartbeatMs: 1000, ...few };
    this.#group = groupApart(this.#prng, { demo: { n: situation.n }, ...rest });
    this.#group.pass(1000);
    const { unrest } = situation;
    this.#newsInTen = unrest === undefined ? 0 : 2 + 3 * this.#prng.below(3);
    this.#name = unrest?.moves?.includes("join") ? nameThatMoves(this.#group.node("r1")) : "k";
    this.#wipeAt = situation.hasWipe === true ? 10 + this.#prng.below(50) : Infinity;
    this.#group.put("r1", "another", 1);
    this.#group.execute("r1", { ...writeOf(this.#name, FIRST_LENGTH), options } as Operation);
    const before = { token: -1, begunAt: -2, endedAt: -1, isDone: true };
    this.#writes.push({ length: FIRST_LENGTH, ...before });
    this.#group.loses = isFilling;
    if (situation.nextN !== undefined) this.#group.resize("r1", situation.nextN);
    if (situation.hasDead === true) this.#group.stop(this.#ownersBut(3)[0] ?? "");
    const isLossy = this.#prng.chance(1, 4);
    const inTen = this.#prng.chance(1, 2) ? 5 : 8;
    if (unrest !== undefined) {
      this.#group.start(NEWCOMER);
      const parts = { key: this.#key, unrest };
      this.#upheavals = new Upheavals(this.#group, this.#prng, parts);
    }
    this.#group.holdsBack = (message, to) =>
      to === this.#frozen || (this.#isHeardLate(message, to) ?? this.#prng.chance(inTen, 10));
    const isSlow = situation.hasSlowDisks === true;
    this.#group.isSlowDisk = () => isSlow && this.#prng.chance(1, 2);
    const fills = situation.hasSteps === true ? this.#prng.below(STEPS) : Infinity;
    this.#fillsFrom = unrest === undefined ? fills : 0;
    this.#group.loses = (message) =>
      (isFilling(message) && this.#step < this.#fillsFrom) || (isLossy && this.#prng.chance(1, 20));
  }

  get #key(): string {
    return storeKey("demo", this.#name);
  }

  /** Of what the members say among themselves: null for what requests are made of. */
  #isHeardLate(message: Message, to: string): boolean | null {
    if (this.#upheavals === null || isOfRace(message)) return null;
    if (isAboutMembers(message)) {
      return to === this.#upheavals.deaf || this.#prng.chance(this.#newsInTen, 10);
    }
    return this.#prng.chance(1, 5);
  }

  /** The owners of the key after the first `count`. */
  #ownersBut(count: number): readonly string[] {
    const { ring } = this.#group.node("r1").knowledge;
    return ring.preferenceList(ring.partitionOf(this.#key)).slice(count);
  }

  #anyone(): string {
    const running = this.#group.ids;
    return running[this.#prng.below(running.length)] ?? "";
  }

  #write(seen: Entry | null): void {
    const hasDelete = this.#writes.some((write) => write.length === NOTHING);
    // One that has seen something else leaves what it has not seen, and shows nothing of itself.
    const isDelete = !hasDelete && seen === null && this.#prng.chance(...this.#deletes);
    const length = isDelete ? NOTHING : 10 + this.#writes.length;
    const shown = seen === null ? [] : liveSiblings(seen, START);
    const context = seen === null ? null : contextShowing(seen, shown, START);
    const operation = {
      ...writeOf(this.#name, isDelete ? null : length, context),
      options,
    } as Operation;
    const token = this.#group.begin(this.#anyone(), operation);
    const rest = { begunAt: this.#step, endedAt: Infinity, isDone: false };
    this.#writes.push({ token, length, ...rest });
  }

  /** How likely a write is a delete. */
  get #deletes(): readonly [number, number] {
    return this.#situation.hasEarlyDelete === true && this.#writes.length < 3 ? [2, 3] : [1, 6];
  }

  #read(at = this.#anyone()): void {
    const token = this.#group.begin(at, { kind: "get", key: this.#key, options, session: null });
    this.#reads.push({ token, at, begunAt: this.#step, endedAt: Infinity, shown: null });
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
        const isThere = this.#group.ids.includes(span.at);
        if (isThere) this.#upheavals?.seen.layouts.add(this.#upheavals.layoutAt(span.at));
        span.shown =
          live.length === 0 ? [NOTHING] : live.map(({ content }) => content?.value.length ?? 0);
      }
    }
  }

  get #isLong(): boolean {
    return this.#upheavals !== null;
  }

  /** A write is rarer where a race takes longer: some are to come at the end of it, too. */
  #act(): void {
    const kind = this.#prng.below(20);
    const [likely, most] = this.#isLong ? [1, 2 * WRITES_MAX] : [3, WRITES_MAX];
    if (kind < likely && this.#writes.length < most) {
      this.#write(this.#isBlind || !this.#prng.chance(1, 5) ? null : this.#seen);
    } else if (kind < 7) this.#read();
    else if (kind < 9) this.#passTime();
    else if (kind < 11) this.#frozen = this.#prng.chance(1, 2) ? null : this.#anyone();
    else this.#letSomeGo();
  }

  /** Now and then so long that a second coordinator is asked for a write. */
  #passTime(): void {
    this.#group.pass(this.#isLong && this.#prng.chance(1, 6) ? 350 : 1 + this.#prng.below(40));
  }

  #letSomeGo(): void {
    for (let i = 0; i < 4; i++) {
      if (this.#situation.hasSlowDisks === true && this.#prng.chance(1, 2)) this.#group.flushOne();
      this.#group.letOneGo((message, to) => this.#mayArrive(message, to));
    }
  }

  #mayArrive(message: Message, to: string): boolean {
    if (to === this.#frozen) return false;
    if (isAboutMembers(message) && to === this.#upheavals?.deaf) return false;
    return this.#prng.chance(1, 3);
  }

  #wipe(): void {
    const owners = this.#group.ids.filter((id) => !this.#ownersBut(3).includes(id));
    const victim = owners[this.#prng.below(owners.length)] ?? "";
    this.#group.wipe(victim);
    this.#group.start(victim);
  }

  run(): void {
    const steps = this.#isLong ? STEPS_OF_UNREST : STEPS;
    for (; this.#step < steps; this.#step++) {
      if (this.#step === this.#wipeAt) this.#wipe();
      if (this.#situation.hasSteps === true && this.#prng.chance(1, 8))
        this.#group.runAll("change");
      this.#upheavals?.step(this.#step);
      this.#act();
      this.#look();
    }
    this.#upheavals?.end();
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

  get seen(): Seen | undefined {
    return this.#upheavals?.seen;
  }

  get text(): string {
    const writes = this.#writes.map((w) => `${w.length} ${w.begunAt}-${w.endedAt} ${w.isDone}`);
    const reads = this.#reads.map((r) => `${r.begunAt}-${r.endedAt} ${r.shown}`);
    return `writes ${writes.join("; ")}, reads ${reads.join("; ")}`;
  }
}
