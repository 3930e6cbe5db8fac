/**
 * Whether a member runs twice: two processes under one id, on a folder and a copy of it, in two
 * places. Each would acknowledge writes as the one replica that it claims to be.
 *
 * Every process draws a name for its life, and says it in each heartbeat. Two names of one member
 * alone prove nothing: a process was started anew, and what the former one had sent comes late, or
 * lay unread while this node stood still. So the proof is by causes and not by clocks. Each answer
 * to a heartbeat carries a mark, a number that only grows; the next heartbeat echoes it. A life
 * that echoes a mark made after two lives were first heard of is alive after both had begun, and
 * when both do so, both lived at one moment.
 *
 *     r2, life A ── greet ──▶ r1        A is first heard of at mark 1
 *     r2, life B ── greet ──▶ r1        B at mark 2
 *     A ◀── mark 2 ──  ── echo 2 ──▶    A has outlived the beginning of B
 *     B ◀── mark 2 ──  ── echo 2 ──▶    and B that of A: r2 runs twice
 *
 * Names are ordered by when their lives began, by their own clocks, so that all members say the
 * same of the same two: the younger one is told to end. The elder goes on under a new incarnation,
 * since the younger has its actors too.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { ReplyOf, RequestOf } from "../../../core/messages.ts";
import type { Prng } from "../../../core/prng.ts";
import type { Millis, WallMillis } from "../../../core/time.ts";
import { LifeTime } from "./life-time.ts";

/** Two processes that run under one id. */
export interface Duplicate {
  readonly replica: ReplicaId;
  /** The name of the life that goes on, and of the one that is to end. */
  readonly elder: string;
  readonly younger: string;
}

interface Life {
  /** When it was first heard of, or last proven to have company: as a mark. */
  since: number;
  /** It was alive after this mark was made. */
  alive: number;
  /** Another life of the member that was proven, and when it last was. */
  rival: string;
  rivalAt: Millis;
}

/** Lives of one member that are remembered: more than two are restarts. */
const LIVES_MAX = 8;
/** How long after its last proof a duplicate is told of, in ms. */
const TOLD_MS = 600_000;
const NEVER = Number.NEGATIVE_INFINITY;
/** 9 digits of 36 are enough for milliseconds until the year 5188. */
const TIME_DIGITS = 9;
const RUN = /^[0-9a-z]{9}-[0-9a-z]{1,16}$/;

/** The name of a life: the order of names is the order of beginnings. */
const newRun = (u32: number, wall: WallMillis): string =>
  `${Math.floor(wall).toString(36).padStart(TIME_DIGITS, "0")}-${u32.toString(36)}`;

export interface LivesParts {
  readonly self: ReplicaId;
  readonly prng: Prng;
  wall(): WallMillis;
  isMember(id: ReplicaId): boolean;
  /**
   * Told once of each pair of lives, also of two of its own member; then it is also told whether
   * this life is the one that is to end.
   */
  notice(duplicate: Duplicate, isToEnd: boolean): void;
}

type Greeted = Omit<ReplyOf<"greeted">, "wall" | "arrived" | "life">;

export class Lives {
  readonly #parts: LivesParts;
  readonly #u32: number;
  /** The time of this very life, as it is told to others. */
  readonly time: LifeTime;
  readonly #lives = new Map<ReplicaId, Map<string, Life>>();
  /** The last mark of each peer, to be echoed. */
  readonly #echoes = new Map<ReplicaId, string>();
  /** Those of this very member that it has been told of. */
  readonly #rivals = new Set<string>();
  #run: string | null = null;
  #mark = 0;

  constructor(parts: LivesParts) {
    this.#parts = parts;
    this.#u32 = parts.prng.u32();
    this.time = new LifeTime(this.#u32);
  }

  /**
   * The members of which two lives were proven lately, and when they last were, by the wall clock.
   */
  duplicates(now: Millis): readonly (readonly [ReplicaId, WallMillis])[] {
    const wall = this.#parts.wall();
    const out: (readonly [ReplicaId, WallMillis])[] = [];
    for (const [replica, lives] of this.#lives) {
      const at = Math.max(NEVER, ...[...lives.values()].map(({ rivalAt }) => rivalAt));
      if (now - at < TOLD_MS) out.push([replica, Math.max(0, Math.round(wall - (now - at)))]);
    }
    return out;
  }

  /** What a heartbeat says, and the mark that the answering life will be shown to have outlived. */
  greeting(to: ReplicaId): { body: RequestOf<"greet">; mark: number } {
    const echo = this.#echoes.get(to) ?? "";
    return {
      body: { kind: "greet", from: this.#parts.self, run: this.#ownRun, echo, life: this.time.now },
      mark: this.#mark,
    };
  }

  /** A peer's heartbeat, and the answer to it. */
  greet({ from, run, echo }: RequestOf<"greet">, now: Millis): Greeted {
    const own = this.#ownRun;
    this.#heard(from, { run, alive: this.#markIn(echo), now });
    const life = this.#lives.get(from)?.get(run);
    const isTold = life !== undefined && now - life.rivalAt < TOLD_MS;
    const rival = isTold ? life.rival : "";
    return { kind: "greeted", run: own, mark: `${own}.${this.#mark}`, rival };
  }

  /** The answer to a heartbeat that went out with this mark. */
  answered(
    from: ReplicaId,
    { run, mark, rival }: Greeted,
    at: { readonly mark: number; readonly now: Millis },
  ): void {
    this.#echoes.set(from, mark);
    this.#heard(from, { run, alive: at.mark, now: at.now });
    const own = this.#ownRun;
    if (!RUN.test(rival) || rival === own || this.#rivals.has(rival)) return;
    this.#rivals.add(rival);
    this.#parts.notice(duplicateOf(this.#parts.self, own, rival), rival < own);
  }

  get #ownRun(): string {
    this.#run ??= newRun(this.#u32, this.#parts.wall());
    return this.#run;
  }

  /** A mark of an earlier life of this process says nothing of the lives that it knows. */
  #markIn(echo: string): number {
    const [run, mark] = echo.split(".");
    return run === this.#run ? Number(mark) || 0 : 0;
  }

  #heard(replica: ReplicaId, of: { run: string; alive: number; now: Millis }): void {
    const { run, alive, now } = of;
    if (!RUN.test(run) || !this.#parts.isMember(replica)) return;
    const lives = this.#lives.get(replica) ?? new Map<string, Life>();
    this.#lives.set(replica, lives);
    const life = lives.get(run) ?? { since: ++this.#mark, alive: 0, rival: "", rivalAt: NEVER };
    lives.delete(run);
    lives.set(run, life);
    life.alive = Math.max(life.alive, alive);
    for (const [other, its] of lives) {
      if (lives.size > LIVES_MAX) lives.delete(other);
      else if (other !== run) this.#compare(replica, [run, life], { other, its, now });
    }
  }

  #compare(
    replica: ReplicaId,
    [run, life]: readonly [string, Life],
    { other, its, now }: { other: string; its: Life; now: Millis },
  ): void {
    const both = Math.max(life.since, its.since);
    if (life.alive < both || its.alive < both) return;
    const isNews = life.rival !== other || its.rival !== run;
    life.rival = other;
    its.rival = run;
    life.rivalAt = its.rivalAt = now;
    // From now on both have to prove it again: one of them may end.
    life.since = its.since = ++this.#mark;
    if (isNews) this.#parts.notice(duplicateOf(replica, run, other), false);
  }
}

function duplicateOf(replica: ReplicaId, a: string, b: string): Duplicate {
  return a < b ? { replica, elder: a, younger: b } : { replica, elder: b, younger: a };
}
