/**
 * A write without a context, at its coordinator, between minting and the answer. It covers what the
 * coordinator held when it minted, **and** what the replicas whose acknowledgements it has held
 * when the write reached them: each says so in its acknowledgement (replica/beside.ts). So it
 * covers whatever was answered before it began, wherever the primaries of the two writes meet, also
 * when its coordinator missed that one because it was down. What was found is covered at a quorum
 * before the answer: the write goes out once more, which it does only when there was something.
 *
 * **Two blind writes at the same time.** Each may find the other, at different replicas, and then
 * neither must be covered by the other for good, or both would be gone. So there is an order, by
 * (hybrid time, dot): of a lower version the dot's cover is made larger; for a higher one the write
 * is minted again, above it, and covers its own first dot. Whatever covers is thus above all that
 * it covers, the highest is covered by nobody, and of any number of them at least one stands.
 * ("Two blind writes never cover each other" is read so: never each the other. That one covers
 * another one that was on its way at the same time and had come to a replica before it is what
 * "held when it reached them" says, and what any order of the two would lead to.)
 *
 * **Never by one version of several.** An operation that two coordinators have minted is over with
 * the lower of its versions, and the order is one of versions: another write may stand between the
 * two. It covers the lower one, and would be covered by the higher one; nothing would be left. So
 * where there may be a second version, what is found is covered by a write that is minted again,
 * above it, and so has one version only.
 *
 * **Never what has seen it.** A version may be read, and replaced, before its answer. A replica
 * that holds what replaced it takes the version for over, and tells of nothing beside it. Where
 * only a second version comes, above the first, that cannot be seen: of that nobody is to tell. The
 * quorum that the first one had has told of all that was answered before.
 *
 * **Never after the answer.** What comes later may have been written by somebody who knew of the
 * answer. A second coordinator may have answered in this one's place, at the earliest when the
 * write is late (replica/lateness.ts). From then on, and for one that was late when it came, the
 * coordinator asks before it covers: it tells the frontend `overdue`, with what it would cover, and
 * only a frontend that still waits asks again (see overdue-writes.ts).
 *
 * The second version is an operation of its own: every replica that knows the first takes a second
 * dot of that operation for a repeat, and drops it with the first.
 */
import { CausalContext, type Dot } from "../../../core/causal-context.ts";
import { hasDot, sameDot } from "../../../core/entry.ts";
import { encodeEntry } from "../../../core/entry-codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { RequestOf } from "../../../core/messages.ts";
import type { WallMillis } from "../../../core/time.ts";
import { type Beside, isAbove } from "../../../replica/beside.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import { isLate, type Moment, mayBeRepeated } from "../../../replica/lateness.ts";
import type { HeldWrite } from "../../../replica/minting.ts";

/** Whether the request gives no context and no condition, so that it covers what is there. */
export const isBlind = ({ covers, ifMatch, ifNoneMatch, unmodifiedSince }: Coordinate): boolean =>
  covers === null && ifMatch.length === 0 && ifNoneMatch.length === 0 && unmodifiedSince === 0;

type Coordinate = RequestOf<"coordinate">;

export interface BlindWriteParts {
  readonly keeper: Keeper;
  readonly body: Coordinate;
  /** The primary that the coordinator stands in for; null when it is one itself. */
  readonly hintFor: ReplicaId | null;
  readonly held: HeldWrite;
  wall(): WallMillis;
  moment(): Moment;
}

/**
 * What is to be done before the answer: nothing, to send the write out once more, since it covers
 * more, or to ask whether anybody still waits for it.
 */
export type CoverStep = "none" | "send" | "ask";

export class BlindWrite {
  readonly #parts: BlindWriteParts;
  #held: HeldWrite;
  #covers: CausalContext;
  #found: Beside[];
  /** What was held when somebody still waited for the write. */
  #confirmed: CausalContext;
  /** Replicas that said what was there when the write came: what came after does not matter. */
  readonly #told: ReplicaId[] = [];
  #isAnswered = false;
  #hasRisen = false;

  constructor(parts: BlindWriteParts) {
    this.#parts = parts;
    const { held, body } = parts;
    this.#held = held;
    this.#covers = body.covers ?? held.before.context;
    this.#confirmed = body.covers ?? CausalContext.empty;
    // What came here between the question and the minting: of others, each is in the entry as sent.
    this.#found = held.entry.siblings.filter(({ op }) => op !== held.sibling.op);
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
  learn(from: ReplicaId, beside: readonly Beside[]): void {
    if (this.#isAnswered || this.#told.includes(from)) return;
    this.#told.push(from);
    this.#found.push(...beside);
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

  /** Covers what was found since the last time. After "none" it covers nothing more. */
  cover(): CoverStep {
    const found = this.#found.filter(({ dot }) => !this.#isOver(dot));
    if (found.length === 0 || !this.#isHere()) return this.#settle();
    if (!this.#isFresh && !found.every(({ dot }) => this.#confirmed.covers(dot))) return "ask";
    this.#found = [];
    return this.#coverNews(found) ? "send" : this.#settle();
  }

  #settle(): "none" {
    this.#isAnswered = true;
    return "none";
  }

  /** Whether nobody can have answered the write in this coordinator's place. */
  get #isFresh(): boolean {
    const { body, moment } = this.#parts;
    return body.covers === null && !isLate(body, moment());
  }

  /** Whether another coordinator may have minted the same operation, under another dot. */
  get #mayHaveAnother(): boolean {
    const { body, moment } = this.#parts;
    if (this.#hasRisen) return false;
    return body.covers !== null || mayBeRepeated(body, moment());
  }

  #isOver(dot: Dot): boolean {
    const { context, siblings } = this.#held.entry;
    return context.covers(dot) && !hasDot(siblings, dot);
  }

  /** @returns false when none of it is to be covered */
  #coverNews(news: readonly Beside[]): boolean {
    const { sibling } = this.#held;
    const isDouble = this.#mayHaveAnother;
    const higher = news.filter((beside) => isAbove(beside, sibling));
    const mayRise = (isDouble || higher.length > 0) && this.#isStanding;
    if (isDouble && !mayRise) return false;
    const isInReach = mayRise && this.#isInReach(higher);
    const covered = isInReach ? news : news.filter((b) => !higher.includes(b));
    if (covered.length === 0) return false;
    // A disk that takes nothing covers nothing; the caller sees that, and does not answer.
    if (this.#parts.keeper.store.health() !== "writable") return true;
    for (const { dot } of covered) this.#covers = this.#covers.with(dot);
    if (isDouble || covered.some((beside) => higher.includes(beside))) this.#mintAbove();
    else this.#widen(covered);
    return true;
  }

  /**
   * Whether the version, or what replaced it, is held at all. One whose time is over already is
   * forgotten where it covers nothing; a cover without it would end other writes for nothing, and
   * stay for ever.
   */
  #isHere(): boolean {
    const { keeper, body } = this.#parts;
    const { entry, isUnknown } = keeper.hold(body.key);
    return isUnknown || entry.context.covers(this.#held.sibling.dot);
  }

  /** What a clock far ahead has written nothing here can be above. */
  #isInReach(higher: readonly Beside[]): boolean {
    const { keeper, wall } = this.#parts;
    return higher.every(({ time }) => keeper.clock.observe(time, wall()));
  }

  /** Somebody who saw the version may have replaced it: it is not to come back beside that. */
  get #isStanding(): boolean {
    const { keeper, body } = this.#parts;
    return hasDot(keeper.hold(body.key).entry.siblings, this.#held.sibling.dot);
  }

  #mintAbove(): void {
    const { keeper, body, hintFor, wall } = this.#parts;
    this.#hasRisen = true;
    const { key, ttlMs, content } = body;
    this.#covers = this.#covers.with(this.#held.sibling.dot);
    const request = {
      key,
      op: keeper.newOp(),
      content,
      ttlMs,
      covers: this.#covers,
      isRetry: false,
    };
    const minted = keeper.mint({ ...request, hintFor }, wall());
    keeper.keepMinted(key, hintFor, minted);
    keeper.operations.note(minted.sibling, wall());
    this.#held = { ...minted, before: this.#held.before };
  }

  /** The same version, over more. */
  #widen(covered: readonly Beside[]): void {
    const { keeper, body, hintFor, wall } = this.#parts;
    const { before, entry: was, sibling } = this.#held;
    let { context } = was;
    for (const { dot } of covered) context = context.with(dot);
    const siblings = was.siblings.filter((s) => !covered.some(({ dot }) => sameDot(s.dot, dot)));
    // With the version: where the record cannot be read, this is what will be there instead.
    const entry = keeper.amend(body.key, { ...was, context, siblings }, hintFor, wall());
    const own = entry.siblings.find(({ dot }) => sameDot(dot, sibling.dot));
    const sharedBytes = encodeEntry(entry, null);
    this.#held = { before, entry, sibling: own ?? sibling, sharedBytes };
  }
}
