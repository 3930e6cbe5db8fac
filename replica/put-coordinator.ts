/**
 * One write, at the replica that minted it: sends the entry to the rest of the preference list at
 * the same time, answers when enough distinct replicas have acknowledged, and sees to it that the
 * rest gets it too (DeCandia et al., "Dynamo", 2007, 4.5 and 4.6).
 *
 * A primary that cannot be reached, is suspected, or is silent for the hedge delay is stood in for:
 * the next fallback gets the entry with a hint that names the primary. When no fallback is left the
 * coordinator keeps the hint itself, so that the write goes home even in a cluster of N members.
 * That helps no quorum and is the whole write once more, on the disk and on its way home, so where
 * there are no fallbacks at all mere slowness is given more time (`ownHintMs`).
 * The primary's own acknowledgement still counts if it comes after all.
 *
 * A primary that came back or lost its disk, and has not caught up, says so. It keeps the write as
 * well as any other, but another write's quorum may not find in it what it once had: so it counts
 * like a fallback, and not at all where there are none.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import { isStored, type Reply, type RequestOf, UNKNOWN_REQUEST } from "../core/messages.ts";
import type { Millis } from "../core/time.ts";
import { foundIn } from "./beside.ts";
import type { Candidate } from "./candidate.ts";
import { type Coordinator, SUSPECT_PATIENCE_MS } from "./coordination.ts";
import { ownHintMs, type PutOutbox, type PutOutcome, type PutPlan } from "./put-plan.ts";
import { Quorum } from "./quorum.ts";

interface Target {
  readonly candidate: Candidate;
  /** The primary that it stands in for; null when it gets the entry for itself. */
  readonly hintFor: ReplicaId | null;
  /**
   * `weak`: it has the write in memory, but its disk has failed since. `behind`: it has the write,
   * and may lack what it had before.
   */
  state: "asked" | "failed" | "acked" | "weak" | "behind";
  isDurable: boolean;
  /** It was sent the write alone. */
  readonly isAlone: boolean;
}

/** The replica lacks something that stands beside the write, or knows no such request. */
const needsWhole = (body: Reply): boolean =>
  body.kind === "lacking" || (body.kind === "refused" && body.code === UNKNOWN_REQUEST.code);

const hasIt = ({ state }: Target): boolean => state === "acked" || state === "behind";

/** The candidate that its acknowledgement counts for. */
const asCounted = ({ candidate, state }: Target): Candidate =>
  state === "behind" ? { ...candidate, isPrimary: false } : candidate;

export class PutCoordinator implements Coordinator {
  readonly #plan: PutPlan;
  readonly #out: PutOutbox;
  readonly #quorum: Quorum;
  readonly #targets = new Map<ReplicaId, Target>();
  readonly #primaries: Candidate[];
  /** Primaries for which a stand-in was asked, or a hint kept here. */
  readonly #stoodInFor = new Set<ReplicaId>();
  /** Primaries whose hint is kept here. */
  readonly #keptFor = new Set<ReplicaId>();
  #fallbacksUsed = 0;
  /** Acknowledgements of those that may lack what they had. */
  #behindCount = 0;
  #isLocallyDurable = false;
  #isLocallyFailed = false;
  #deadline: Millis = Infinity;
  /** Until when replicas that are believed dead are waited for, or others just to be counted. */
  #patienceAt: Millis = Infinity;
  #hedgeAt: Millis = Infinity;
  /** When a primary that is silent was waited for long enough just to be heard. */
  #urgentAt: Millis = Infinity;
  #hearAt: Millis = Infinity;
  #isFinished = false;

  constructor(plan: PutPlan, out: PutOutbox) {
    assert(plan.need.count >= 1, "a write is acknowledged by somebody");
    assert(
      plan.primaries.every(({ id }) => id !== plan.self.id),
      "the coordinator has it already",
    );
    this.#plan = plan;
    this.#out = out;
    this.#quorum = new Quorum(plan.need);
    this.#primaries = [...plan.primaries];
    if (plan.standsInFor !== null) {
      this.#stoodInFor.add(plan.standsInFor);
      this.#keptFor.add(plan.standsInFor);
    }
  }

  get wakeAt(): Millis {
    if (this.isOver) return Infinity;
    const wakeAt = Math.min(this.#deadline, this.#hedgeAt);
    return this.#isFinished ? wakeAt : Math.min(wakeAt, this.#patienceAt, this.#hearAt);
  }

  get isOver(): boolean {
    if (!this.#isFinished) return false;
    for (const { state } of this.#targets.values()) if (state === "asked") return false;
    return true;
  }

  start(now: Millis): void {
    const { timeoutMs, hedgeMs, fallbacks, entry } = this.#plan;
    this.#deadline = now + timeoutMs;
    const standInMs = fallbacks.length > 0 ? hedgeMs : Math.max(hedgeMs, ownHintMs(entry.length));
    this.#hedgeAt = now + standInMs;
    this.#urgentAt = now + hedgeMs;
    this.#quorum.add(this.#plan.self, false);
    for (const primary of this.#primaries) this.#send(primary, null);
    for (const primary of this.#primaries) if (primary.isSuspect) this.#standIn(primary.id);
    this.#decide(now);
  }

  /**
   * The ring changed while the write was on its way: these are owners too, and those that the
   * coordinator still waits for may count under the new ring alone. A client that was answered
   * waits for nobody more; but a new owner may fetch what there is from one that lacks the write.
   */
  widen(owners: readonly Candidate[], now: Millis): void {
    if (this.isOver) return;
    const isNew = ({ id }: Candidate): boolean => id !== this.#plan.self.id && !this.#owns(id);
    const fresh = owners.filter(isNew);
    if (fresh.length === 0) return;
    if (!this.#isFinished) this.#quorum.raise(fresh);
    this.#primaries.push(...fresh);
    for (const owner of fresh) {
      this.#send(owner, null);
      if (owner.isSuspect) this.#standIn(owner.id);
    }
    this.#decide(now);
  }

  /** The coordinator's own record is on stable storage. */
  locallyDurable(now: Millis): void {
    this.#isLocallyDurable = true;
    this.#quorum.add(this.#plan.self, true);
    this.#decide(now);
  }

  /** The coordinator's own disk failed: its copy counts for nothing. */
  locallyFailed(now: Millis): void {
    this.#isLocallyFailed = true;
    this.#finish({
      ok: false,
      failure: {
        code: "insufficient-storage",
        detail: "The coordinator's disk failed while the write was on its way.",
      },
    });
    this.#decide(now);
  }

  reply(from: ReplicaId, body: Reply, now: Millis): void {
    const target = this.#targets.get(from);
    if (target === undefined) return;
    if (target.isAlone && needsWhole(body)) return this.#sendWhole(target.candidate, null);
    if (!isStored(body)) return this.failed(from, now);
    const isBehind = body.kind === "storedWith" && body.isBehind;
    target.state = isBehind ? "behind" : "acked";
    if (isBehind) this.#behindCount++;
    target.isDurable ||= body.durable;
    this.#out.found?.(from, foundIn(body), isBehind);
    if (!isBehind) this.#quorum.add(target.candidate, body.durable);
    this.#decide(now);
  }

  failed(from: ReplicaId, now: Millis): void {
    const target = this.#targets.get(from);
    if (target === undefined || target.state === "failed") return;
    target.state = target.state === "asked" ? "failed" : "weak";
    this.#standIn(target.hintFor === null ? from : target.hintFor);
    this.#decide(now);
  }

  wake(now: Millis): void {
    if (now >= this.#hedgeAt) {
      this.#hedgeAt = Infinity;
      for (const target of this.#unacked()) {
        const home = target.hintFor === null ? target.candidate.id : target.hintFor;
        if (target.hintFor !== null) this.#stoodInFor.delete(home);
        this.#standIn(home);
      }
    }
    if (now >= this.#deadline) {
      this.#end();
      this.#endWaiting();
    } else if (now >= this.#patienceAt) this.#end();
    else this.#decide(now);
  }

  /** The time is up. */
  #end(): void {
    if (this.#isFinished) return;
    if (this.#quorum.isMet) this.#finish({ ok: true, tally: this.#quorum.tally() });
    else this.#giveUp(true);
  }

  /** Nobody is waited for any longer: what a primary may have missed is kept for it here. */
  #endWaiting(): void {
    for (const target of this.#unacked()) target.state = "failed";
    const acked = [...this.#targets.values()].filter(hasIt);
    for (const { id } of this.#primaries) {
      const isCaredFor = acked.some(({ candidate, hintFor }) =>
        [candidate.id, hintFor].includes(id),
      );
      if (!isCaredFor) this.#keepHint(id);
    }
  }

  #unacked(): readonly Target[] {
    return [...this.#targets.values()].filter((target) => target.state === "asked");
  }

  /** To a primary the write alone, where that is worth it. */
  #send(candidate: Candidate, hintFor: ReplicaId | null): void {
    const { key, alone } = this.#plan;
    if (alone === null || hintFor !== null) return this.#sendWhole(candidate, hintFor);
    this.#asked(candidate, { hintFor, isAlone: true });
    this.#out.ask(candidate.id, { kind: "storeAlone", key, ...alone, ack: this.#ack });
  }

  #sendWhole(candidate: Candidate, hintFor: ReplicaId | null): void {
    const { key, entry, tells } = this.#plan;
    this.#asked(candidate, { hintFor, isAlone: false });
    this.#out.ask(candidate.id, { kind: "store", key, entry, hintFor, ack: this.#ack, tells });
  }

  #asked(candidate: Candidate, as: Pick<Target, "hintFor" | "isAlone">): void {
    this.#targets.set(candidate.id, { candidate, ...as, state: "asked", isDurable: false });
  }

  get #ack(): RequestOf<"store">["ack"] {
    const { durable, count } = this.#quorum.need;
    return durable === 0 ? "received" : durable >= count ? "durable" : "both";
  }

  /** Makes sure that somebody keeps the entry for the primary. */
  #standIn(primary: ReplicaId): void {
    if (this.#keptFor.has(primary)) return;
    if (this.#stoodInFor.has(primary) && !this.#standInFailed(primary)) return;
    this.#stoodInFor.add(primary);
    if (!this.#askFallback(primary)) this.#keepHint(primary);
  }

  /** Asks the next fallback to keep a hint; false where none is left or may stand in. */
  #askFallback(home: ReplicaId): boolean {
    const next = this.#plan.sloppy ? this.#fallbacksLeft()[0] : undefined;
    if (next === undefined) return false;
    this.#fallbacksUsed = this.#plan.fallbacks.indexOf(next) + 1;
    this.#send(next, home);
    return true;
  }

  #owns(id: ReplicaId): boolean {
    return this.#primaries.some((primary) => primary.id === id);
  }

  /** One that has become an owner meanwhile stands in for nobody: its own copy is waited for. */
  #fallbacksLeft(): readonly Candidate[] {
    const left = this.#plan.fallbacks.slice(this.#fallbacksUsed);
    return left.filter(({ id }) => !this.#owns(id));
  }

  #standInFailed(primary: ReplicaId): boolean {
    const standIns = [...this.#targets.values()].filter(({ hintFor }) => hintFor === primary);
    const isGone = ({ state }: Target): boolean => state === "failed" || state === "weak";
    return standIns.length > 0 && standIns.every(isGone);
  }

  /** A disk that failed takes no hint either. */
  #keepHint(primary: ReplicaId): void {
    if (this.#keptFor.has(primary) || this.#isLocallyFailed) return;
    this.#keptFor.add(primary);
    this.#out.keepHint(primary);
  }

  /**
   * Primaries that may lack what they had stand in as fallbacks do. A write without a context turns
   * to them when the others do not answer: those others know what it is to cover.
   */
  #countThoseBehind(): void {
    const { sloppy, isBlind } = this.#plan;
    if (this.#behindCount === 0 || !sloppy) return;
    if (isBlind && this.#hedgeAt !== Infinity && this.#hasPrimariesToCome()) return;
    for (const target of this.#targets.values()) {
      if (target.state === "behind") this.#quorum.add(asCounted(target), target.isDurable);
    }
  }

  #hasPrimariesToCome(): boolean {
    return this.#unacked().some(
      ({ candidate, hintFor }) => hintFor === null && !candidate.isSuspect,
    );
  }

  #decide(now: Millis): void {
    if (this.#isFinished) return;
    this.#countThoseBehind();
    if (this.#quorum.isMet) {
      if (this.#hasMoreToHear(now)) return;
      return this.#finish({ ok: true, tally: this.#quorum.tally() });
    }
    // It may have been short of nothing, until a change of members brought more owners.
    this.#hearAt = Infinity;
    this.#askInMoreZones();
    const possible = this.#possible();
    if (!this.#quorum.couldBeMetWith(possible)) return this.#hearOut(now);
    const isExpected = ({ id, isSuspect }: Candidate): boolean =>
      !isSuspect || this.#quorum.has(id);
    const isWorthIt =
      possible.every(isExpected) || this.#quorum.couldBeMetWith(possible.filter(isExpected));
    const patienceAt = Math.min(this.#patienceAt, now + SUSPECT_PATIENCE_MS);
    this.#patienceAt = isWorthIt ? Infinity : patienceAt;
  }

  /**
   * All that were asked may acknowledge, and still lie in too few zones. A fallback in another one
   * keeps a copy as a hint, whose home mostly has it already.
   */
  #askInMoreZones(): void {
    if (this.#quorum.need.zones === 0) return;
    const home = this.#primaries[0]?.id ?? this.#plan.self.id;
    while (!this.#quorum.couldBeMetWith(this.#open())) {
      if (!this.#quorum.couldBeMetWith(this.#possible()) || !this.#askFallback(home)) return;
    }
  }

  /** A primary that is believed to live is waited for until the hedge delay is over, if need be. */
  #hasMoreToHear(now: Millis): boolean {
    this.#hearAt = Infinity;
    if (now >= this.#urgentAt || this.#out.awaitsMore?.() !== true) return false;
    this.#patienceAt = Infinity;
    this.#hearAt = this.#urgentAt;
    return this.#hasPrimariesToCome();
  }

  /** It is over, but the answer says how many have the write: the healthy ones get a moment. */
  #hearOut(now: Millis): void {
    if (!this.#unacked().some(({ candidate }) => !candidate.isSuspect)) return this.#giveUp(false);
    this.#patienceAt = Math.min(this.#patienceAt, now + SUSPECT_PATIENCE_MS);
  }

  #possible(): readonly Candidate[] {
    const open = this.#open();
    return this.#plan.sloppy ? [...open, ...this.#fallbacksLeft()] : open;
  }

  /** Those that may add to the quorum: by an acknowledgement, or a durable one after the first. */
  #open(): Candidate[] {
    const open = this.#isLocallyDurable ? [] : [this.#plan.self];
    for (const target of this.#targets.values()) {
      const { state } = target;
      const mayCount = state !== "behind" || this.#plan.sloppy;
      if (state === "asked" || (hasIt(target) && mayCount)) open.push(asCounted(target));
    }
    return open;
  }

  #finish(outcome: PutOutcome): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#out.finish(outcome);
  }

  #giveUp(isLate: boolean): void {
    const wasPossible = this.#quorum.couldBeMetWith(this.#possible());
    const tally = this.#quorum.tally();
    const lacksDurable = tally.durable < this.#quorum.need.durable;
    const silent = this.#open().some(
      ({ id, isSuspect }) => !isSuspect && (lacksDurable || !this.#quorum.has(id)),
    );
    this.#finish({
      ok: false,
      failure: {
        code: isLate && wasPossible && silent ? "quorum-timeout" : "quorum-unavailable",
        detail: `The write is short of its quorum: ${this.#quorum.shortfall("acknowledged")}.`,
        ...this.#quorum.missing(),
      },
    });
  }
}
