/**
 * A write without a context, at its coordinator, between minting and the answer. It covers what the
 * coordinator held when it minted, **and** what the replicas whose acknowledgements it has held
 * when the write reached them: each says so in its acknowledgement (replica/beside.ts). So it
 * covers every write that was answered before it began, wherever the primaries of the two meet,
 * even when its coordinator was down and missed the earlier one. What was found is covered at a
 * quorum before the answer: the write goes out once more, but only when something was found. A
 * version that its coordinator minted itself and that has not been acknowledged is overtaken, not
 * covered (see below): the client of that one may be answered by another coordinator, which has met
 * the two the other way round.
 *
 * **Two blind writes at the same time.** Each may find the other, at different replicas, and then
 * neither must be covered by the other for good, or both would be gone. So there is an order, by
 * (hybrid time, dot): a lower version is overtaken, and for a higher one the write is minted again,
 * above it, and overtakes its own first version as well. Whatever overtakes is thus above all that
 * it overtakes, the highest is overtaken by nobody, and of any number of them at least one stands.
 * ("Two blind writes never cover each other" means that never both do. One may cover another that
 * was on its way at the same time and came to a replica before it: that is what "held when it
 * reached them" says, and what any order of the two would lead to.)
 *
 * **A strict write is never minted again.** It has read a majority before it was minted
 * (write-gate.ts), so it is above all that was answered, or shown by a strict read, before that. A
 * higher one that it finds was on its way at the same time, and may have been shown since: were the
 * write, which may have been shown as well, minted above that, reads would go back. It leaves the
 * other one alone, and counts as the earlier of the two; a plain read shows the newest. In such a
 * register the greater time stands (the paper is named there), so a strict write may end what is
 * below it, whoever was shown that. **A strict delete** may do so only where most primaries had the
 * other one when the delete came (came-first.ts): a plain read shows a value beside a delete,
 * whatever the times are, so what came after the delete may have been shown after it.
 *
 * **Versions are overtaken, operations are covered** (core/entry.ts). An operation may have several
 * versions: two coordinators have minted it, or one has minted it again. Another write may stand
 * between two of them: it overtakes the lower one, and is overtaken by the higher one. Were the
 * operation over with its lower version, nothing would be left. But whoever was shown any of its
 * versions and writes over it has seen the operation, and covers all of them.
 *
 * **With what that had replaced.** A version is told of with all that is over where it is held, and
 * that is covered too. If only its dot were covered, a replica that lacks the version would show
 * what that had replaced, beside what overtook it.
 *
 * **Never what has seen it.** A version may be read, and replaced, before its answer. A replica
 * that holds what replaced it takes the version for over, and tells of nothing beside it. Where
 * only a second version comes, above the first, the replica cannot see that; so nobody is asked to
 * tell of a second version. The quorum of the first one has told of all that was answered before.
 *
 * **Never after the answer.** What comes after the answer may have been written by somebody who
 * knew of it. A second coordinator may have answered in this one's place, at the earliest when the
 * write is late (replica/lateness.ts). From then on, and for a write that was late when it came,
 * the coordinator asks before it covers: it tells the frontend `overdue`, with what it would cover,
 * and only a frontend that still waits asks again (see overdue-writes.ts).
 *
 * **Adopted by a second coordinator.** The replies that told the first one may be lost. So a second
 * one that finds the write done asks anew what was there when the write came
 * (replica/encounters.ts), and covers that as the first one would, when the frontend has said that
 * it still waits.
 */
import { CausalContext, type Dot } from "../../../core/causal-context.ts";
import {
  contextOfAll,
  emptyEntry,
  hasDot,
  merge,
  overtake,
  standingIn,
} from "../../../core/entry.ts";
import { encodeEntry } from "../../../core/entry-codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { RequestOf } from "../../../core/messages.ts";
import type { WallMillis } from "../../../core/time.ts";
import { type Beside, type Found, isAbove } from "../../../replica/beside.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import { isLate, type Moment } from "../../../replica/lateness.ts";
import type { HeldWrite } from "../../../replica/minting.ts";
import type { Came, CameFirst } from "./came-first.ts";
import { hasConditions } from "./preconditions.ts";

/** Whether the request gives no context and no condition, so that it covers what is there. */
export const isBlind = (body: Coordinate): boolean => body.covers === null && !hasConditions(body);

type Coordinate = RequestOf<"coordinate">;

export interface BlindWriteParts {
  readonly keeper: Keeper;
  readonly body: Coordinate;
  /** The primary that the coordinator stands in for; null when it is one itself. */
  readonly hintFor: ReplicaId | null;
  /** Of a strict delete: what the primaries say of what came before it. */
  readonly first: CameFirst | null;
  readonly held: HeldWrite;
  /**
   * What the write met when it came here, where it was found done because another coordinator had
   * minted it; null for one that was minted here.
   */
  readonly met: readonly Beside[] | null;
  wall(): WallMillis;
  moment(): Moment;
}

/**
 * What is to be done before the answer: nothing; send the write out once more, as it covers more;
 * or ask whether anybody still waits for it.
 */
export type CoverStep = "none" | "send" | "ask";

export class BlindWrite {
  readonly #parts: BlindWriteParts;
  #held: HeldWrite;
  #covers: CausalContext;
  #found: Beside[];
  /** What was over where it was found. */
  #past = CausalContext.empty;
  /** What was held at a time when somebody still waited for the write. */
  #confirmed: CausalContext;
  /**
   * Replicas that have said what was there when the write came: what came later does not matter.
   */
  readonly #told: ReplicaId[] = [];
  #isAnswered = false;
  #hasRisen = false;

  constructor(parts: BlindWriteParts) {
    this.#parts = parts;
    const { held, body } = parts;
    this.#held = held;
    this.#covers = body.covers ?? contextOfAll(held.before);
    this.#confirmed = body.covers ?? CausalContext.empty;
    // What came here between question and minting: siblings of others in the entry as it is sent.
    const others = standingIn(held.entry).filter(({ op }) => op !== held.sibling.op);
    this.#found = [...(parts.met ?? others)];
  }

  /** The write as it is held now. */
  get held(): HeldWrite {
    return this.#held;
  }

  /** Whether those that get the write as it is held now are to tell what they hold beside it. */
  get tells(): boolean {
    return !this.#hasRisen;
  }

  /** An acknowledgement has come, with what was held beside the write. */
  learn(from: ReplicaId, found: Found, isBehind: boolean): void {
    if (this.#isAnswered || this.#told.includes(from)) return;
    const { beside, covered } = found;
    this.#told.push(from);
    this.#parts.first?.tell(from, found, isBehind);
    if (this.#isAdopted && found.wasThere) return;
    this.#found.push(...beside);
    this.#past = this.#past.join(covered);
  }

  /** All that is to be covered, whoever has to be asked before. */
  get wanted(): CausalContext {
    let context = this.#covers;
    for (const { dot } of this.#found) context = context.with(dot);
    return context;
  }

  /** Somebody still waits for the write, and did when all of that was held already. */
  confirm(held: CausalContext): void {
    this.#confirmed = this.#confirmed.join(held);
  }

  /** Whether primaries that have not been heard may decide what a strict delete is to end. */
  get awaitsMore(): boolean {
    if (this.#isAnswered || this.#parts.first === null) return false;
    return this.#news().some((one) => this.#came(one) === "silent");
  }

  /** Covers what was found since the last time. After "none" it covers nothing more. */
  cover(): CoverStep {
    const news = this.#news();
    if (news.length === 0) return this.#settle();
    if (!this.#isFresh && !news.every(({ dot }) => this.#confirmed.covers(dot))) return "ask";
    this.#found = [];
    return this.#coverNews(news) ? "send" : this.#settle();
  }

  #settle(): "none" {
    this.#isAnswered = true;
    return "none";
  }

  /** What was found, is not covered and is within reach. */
  #news(): readonly Beside[] {
    const { strict } = this.#parts.body.rules;
    const mayEnd = (one: Beside): boolean => !strict || isAbove(this.#held.sibling, one);
    const news = this.#found.filter((one) => mayEnd(one) && !this.#isOver(one.dot));
    // Mostly there is nothing: then the record is not read.
    if (news.length === 0) return news;
    return this.#isAdopted && !this.#isStanding ? [] : this.#inReach(news);
  }

  #higherIn(news: readonly Beside[]): readonly Beside[] {
    return news.filter((beside) => isAbove(beside, this.#held.sibling));
  }

  /** For a write that is no strict delete, all that was found came before. */
  #came({ dot }: Beside): Came {
    return this.#parts.first?.came(dot) ?? "before";
  }

  get #isAdopted(): boolean {
    return this.#parts.met !== null;
  }

  /** Whether nobody can have answered the write in this coordinator's place. */
  get #isFresh(): boolean {
    const { body, moment } = this.#parts;
    return body.covers === null && !this.#isAdopted && !isLate(body, moment());
  }

  /** Whether a version is covered by the write as it is held, or overtaken. */
  #isOver(dot: Dot): boolean {
    const { entry } = this.#held;
    return entry.context.covers(dot) && !hasDot(standingIn(entry), dot);
  }

  /** @returns false when none of it is to be covered */
  #coverNews(news: readonly Beside[]): boolean {
    const toCover = news.filter((beside) => this.#came(beside) === "before");
    const higher = this.#higherIn(toCover);
    const mayRise = higher.length > 0 && this.#isStanding && this.#mayPass(higher);
    const covered = mayRise ? toCover : toCover.filter((beside) => !higher.includes(beside));
    if (covered.length === 0) return false;
    // A disk that takes nothing covers nothing; the caller sees that, and does not answer.
    if (this.#parts.keeper.store.health() !== "writable") return true;
    if (mayRise) this.#mintAbove(covered);
    else this.#widen(covered);
    for (const { dot } of covered) this.#covers = this.#covers.with(dot);
    return true;
  }

  /**
   * The part of what was found that the write may end. Where the write is over by now, maybe
   * covered by somebody who was shown it, that is only what is below a version that stands. And a
   * write whose own time has passed may be forgotten where it covers nothing: without it a cover
   * would end other writes for nothing, and stay for ever.
   */
  #inReach(found: readonly Beside[]): readonly Beside[] {
    const { keeper, body } = this.#parts;
    const { entry, isUnknown } = keeper.hold(body.key);
    const { dot } = this.#held.sibling;
    const standing = entry.context.covers(dot) ? standingIn(entry) : [];
    if (isUnknown || hasDot(standing, dot)) return found;
    return found.filter((one) => standing.some((other) => isAbove(other, one)));
  }

  /** No version from here can be above one that a clock far ahead has written. */
  #mayPass(higher: readonly Beside[]): boolean {
    const { keeper, wall } = this.#parts;
    return higher.every(({ time }) => keeper.clock.observe(time, wall()));
  }

  /** Somebody who saw the version may have replaced it: it must not come back beside that. */
  get #isStanding(): boolean {
    const { keeper, body } = this.#parts;
    return hasDot(standingIn(keeper.hold(body.key).entry), this.#held.sibling.dot);
  }

  /** Another version of the operation, in place of the first, that overtakes what was found. */
  #mintAbove(found: readonly Beside[]): void {
    const { keeper, body, hintFor, wall } = this.#parts;
    const { before, sibling } = this.#held;
    this.#hasRisen = true;
    const { key, op, ttlMs, content } = body;
    const more = { covers: this.#past, overtakes: [...found, sibling], isRetry: true };
    const request = { key, op, content, ttlMs, ...more };
    const minted = keeper.mint({ ...request, hintFor }, wall());
    keeper.keepMinted(key, hintFor, minted);
    this.#held = { ...minted, before };
  }

  /** The same version, which now overtakes more. */
  #widen(found: readonly Beside[]): void {
    const { keeper, body, hintFor, wall } = this.#parts;
    const { before, entry: was, sibling } = this.#held;
    // With the version: where the record cannot be read, this is what will be there instead.
    const past = { ...emptyEntry, context: this.#past };
    const entry = keeper.amend(body.key, overtake(merge(was, past), found), hintFor, wall());
    // Its client is told of it as it was written, even if it was overtaken or purged meanwhile.
    this.#held = { before, entry, sibling, sharedBytes: encodeEntry(entry, null) };
  }
}
