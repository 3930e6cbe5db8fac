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
 * **Never what has seen it.** A version may be read, and replaced, before its answer. Whoever holds
 * what replaced it takes the version for over when it comes, and tells of nothing beside it.
 *
 * **Never after the answer.** What comes later may have been written by somebody who knew of the
 * answer. A second coordinator may have answered in this one's place, at the earliest when the
 * write is late (replica/lateness.ts); so from then on nothing above the write's own time is
 * covered, and what is below is older, as far as clocks agree.
 *
 * The second version is an operation of its own: every replica that knows the first takes a second
 * dot of that operation for a repeat, and drops it with the first.
 */
import type { CausalContext } from "../../../core/causal-context.ts";
import { encodeEntry } from "../../../core/entry-codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { RequestOf } from "../../../core/messages.ts";
import type { WallMillis } from "../../../core/time.ts";
import { type Beside, isAbove } from "../../../replica/beside.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import { isLate, type Moment } from "../../../replica/lateness.ts";
import type { HeldWrite } from "../../../replica/minting.ts";

/** Whether the client gave no context and no condition, so that the write covers what is there. */
export const isBlind = ({ covers, ifMatch, ifNoneMatch, unmodifiedSince }: Coordinate): boolean =>
  covers === null && ifMatch.length === 0 && ifNoneMatch.length === 0 && unmodifiedSince === 0;

type Coordinate = RequestOf<"coordinate">;

export interface BlindWriteParts {
  readonly keeper: Keeper;
  readonly body: Coordinate;
  /** The primary that the coordinator stands in for; empty when it is one itself. */
  readonly hintFor: ReplicaId | "";
  readonly held: HeldWrite;
  wall(): WallMillis;
  moment(): Moment;
}

export class BlindWrite {
  readonly #parts: BlindWriteParts;
  #held: HeldWrite;
  #covers: CausalContext;
  #found: Beside[] = [];
  /** Who has said what was there when the write came: what came after it is nobody's business. */
  readonly #told: ReplicaId[] = [];
  #isAnswered = false;

  constructor(parts: BlindWriteParts) {
    this.#parts = parts;
    this.#held = parts.held;
    this.#covers = parts.held.before.context;
  }

  /** The write as it is held now. */
  get held(): HeldWrite {
    return this.#held;
  }

  /** An acknowledgement has come, with what was held beside the write. */
  learn(from: ReplicaId, beside: readonly Beside[]): void {
    if (this.#isAnswered || this.#told.includes(from)) return;
    this.#told.push(from);
    this.#found.push(...beside);
  }

  /**
   * Covers what was found since the last time.
   *
   * @returns false when nothing was: then the write may be answered, and covers nothing more
   */
  cover(): boolean {
    const { context } = this.#held.entry;
    const found = this.#found.filter(({ dot }) => !context.covers(dot));
    this.#found = [];
    if (found.length === 0 || !this.#isHere()) return this.#settle();
    return this.#coverNews(found) || this.#settle();
  }

  #settle(): false {
    this.#isAnswered = true;
    return false;
  }

  /** @returns false when none of it is to be covered */
  #coverNews(news: readonly Beside[]): boolean {
    const { sibling } = this.#held;
    const higher = news.filter((beside) => isAbove(beside, sibling));
    const covered = this.#mayRise(higher) ? news : news.filter((b) => !higher.includes(b));
    if (covered.length === 0) return false;
    // A disk that takes nothing covers nothing; the caller sees that, and does not answer.
    if (this.#parts.keeper.store.health() !== "writable") return true;
    for (const { dot } of covered) this.#covers = this.#covers.with(dot);
    if (covered.some((beside) => higher.includes(beside))) this.#mintAbove();
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

  #mayRise(higher: readonly Beside[]): boolean {
    const { keeper, body, wall, moment } = this.#parts;
    if (higher.length === 0 || isLate(body, moment())) return false;
    // What a clock far ahead has written nothing here can be above.
    if (!higher.every(({ time }) => keeper.clock.observe(time, wall()))) return false;
    // Somebody who saw it has replaced it already: it is not to come back beside that.
    const { actor, counter } = this.#held.sibling.dot;
    const { siblings } = keeper.hold(body.key).entry;
    return siblings.some(({ dot }) => dot.actor === actor && dot.counter === counter);
  }

  #mintAbove(): void {
    const { keeper, body, hintFor, wall } = this.#parts;
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
    // With the version: where the record cannot be read, this is what will be there instead.
    const entry = keeper.amend(body.key, { ...was, context }, hintFor, wall());
    const { dot } = sibling;
    const own = entry.siblings.find(
      (s) => s.dot.counter === dot.counter && s.dot.actor === dot.actor,
    );
    const sharedBytes = encodeEntry(entry, null);
    this.#held = { before, entry, sibling: own ?? sibling, sharedBytes };
  }
}
