/**
 * An operation takes effect at most once. This is what a replica does with a write that may have
 * been asked for before. It looks whether a version of it was stored here
 * (replica/done-operations.ts), asks the key's other owners the same, and has it minted only when
 * enough of them say that they have not met it. A write that is found done is brought to its owners
 * as it is, with whatever covers it by now, and answered as done.
 */
import { check } from "../../../core/check.ts";
import { type Entry, newestFirst, type Sibling, standingIn } from "../../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../../core/entry-codec.ts";
import type { OpId, ReplicaId } from "../../../core/ids.ts";
import type { Reply, ReplyOf, RequestOf } from "../../../core/messages.ts";
import type { StoreKey } from "../../../core/store.ts";
import { type Millis, millisOfHlc } from "../../../core/time.ts";
import { type Done, GRANT_MS } from "../../../replica/done-operations.ts";
import type { Encounters } from "../../../replica/encounters.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import { ageOf, isOfThisLife, type Moment, mayBeRepeated } from "../../../replica/lateness.ts";
import type { HeldWrite } from "../../../replica/minting.ts";
import { RecallCoordinator, type RecallOutcome } from "../../../replica/recall-coordinator.ts";
import { refused } from "../peers/replies.ts";
import { recallNeed, writeCandidates } from "../peers/routes.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";

type Coordinate = RequestOf<"coordinate">;

export interface RepeatsHost extends TaskHost {
  now(): Millis;
  /** The same moment, as others are told of it. */
  moment(): Moment;
}

/** A version of an operation that was stored here, with what is held of the key. */
interface Found extends Done {
  readonly entry: Entry;
}

export class Repeats {
  readonly #id: ReplicaId;
  readonly #keeper: Keeper;
  readonly #encounters: Encounters;
  readonly #host: RepeatsHost;

  constructor(
    { id, keeper, encounters }: Pick<Replica, "id" | "keeper" | "encounters">,
    host: RepeatsHost,
  ) {
    this.#id = id;
    this.#keeper = keeper;
    this.#encounters = encounters;
    this.#host = host;
  }

  /** The write as it is held here already; null when it is not. */
  find(body: Coordinate): HeldWrite | null {
    const { operations } = this.#keeper;
    const isKnown = operations.find(body.op) !== null;
    if (!isKnown && !mayBeRepeated(body, this.#host.moment())) return null;
    const found = this.#find(body.key, body.op);
    if (found === null) return null;
    const { entry } = found;
    const others = entry.siblings.filter(({ op }) => op !== body.op);
    const before = others.length === entry.siblings.length ? entry : { ...entry, siblings: others };
    const sibling = versionIn(entry, body.op) ?? versionOf(body, found);
    return { before, entry, sibling, sharedBytes: encodeEntry(entry, null) };
  }

  /** @param isAwaited it may be minted here in a moment: then its word is given to nobody else */
  answer({ key, op, ageMs, by }: RequestOf<"recall">, isAwaited: boolean): Reply {
    const found = this.#find(key, op);
    if (found === null) {
      const isUnseen = !isAwaited && this.#grant({ key, op }, by, ageMs);
      return { kind: "recalled", done: null, isUnknown: !isUnseen, entry: null };
    }
    const { dot, time, entry } = found;
    return {
      kind: "recalled",
      done: { dot, time },
      isUnknown: false,
      entry: encodeEntry(entry, null),
    };
  }

  /**
   * Asks the other owners, and does one of three things. It calls `mint` when enough have not met
   * the write, and `adopt` when one has, and what it holds is here now. Else it refuses: nothing
   * was done here, and nobody can say whether it was elsewhere.
   *
   * A strict write that others were asked for before is minted only with their word.
   */
  settle(
    body: Coordinate,
    to: {
      readonly begunAt: Millis;
      readonly deadline: Millis;
      /** Whether it ends what is held here: then this replica must know what that has seen. */
      readonly isBlind: boolean;
      respond(reply: Reply): void;
      mint(): void;
      adopt(held: HeldWrite): void;
    },
  ): void {
    const { knowledge } = this.#host;
    const { stamp } = knowledge;
    const ageMs = Math.max(0, Math.ceil(this.#host.now() - to.begunAt));
    const isUnseen = this.#mayMint(body) && this.#grant(body, this.#id, ageMs);
    this.#ask(body, { ...to, ageMs, isUnseen }, (outcome) => {
      const now = this.#host.now();
      // Nobody waits any more, and no version was minted: the write may as well not happen.
      if (now >= to.deadline) return;
      // The key may have other owners by now, and this replica may be none of them.
      if (knowledge.stamp !== stamp) return to.respond(refused("overloaded"));
      const { operations } = this.#keeper;
      const isHearsay = operations.isHearsay(body.key, to.begunAt);
      if (outcome.kind === "done") this.#take(body, outcome.reply, isUnseen && !isHearsay);
      // The disk may have failed, or filled up, meanwhile.
      if (this.#keeper.store.health() !== "writable") {
        return to.respond(refused("insufficient-storage"));
      }
      const held = this.find(body);
      if (held !== null) return to.adopt(held);
      // The write may have come here while others said "not met", and may be gone again.
      const isMet = operations.find(body.op) !== null || isHearsay;
      const mayMint = this.#mayMint(body) && (isUnseen || !to.isBlind);
      if (outcome.kind === "unseen" && !isMet && mayMint) to.mint();
      else to.respond(refused("quorum-unavailable"));
    });
  }

  /**
   * Whether nobody but this replica can mint the write: it is the first that was asked for a strict
   * one, and has not given its word to another (replica/write-router.ts). Then it need not ask.
   */
  isAlone(body: Coordinate): boolean {
    const moment = this.#host.moment();
    const isFirst = body.rules.strict && !body.isRetry && isOfThisLife(body, moment);
    const begunAt = this.#host.now() - ageOf(body, moment);
    return isFirst && !this.#hasGiven(body.op) && this.#keeper.operations.remembers(begunAt);
  }

  /**
   * Whether a strict write is still this replica's, as far as it can tell. A former life of it may
   * have minted it, or given its word.
   */
  #mayMint(body: Coordinate): boolean {
    if (!body.rules.strict) return true;
    const { askedAt = 0, isRetry } = body;
    const isKnown = isRetry || askedAt === 0 || isOfThisLife(body, this.#host.moment());
    return isKnown && !this.#hasGiven(body.op);
  }

  /** Whether this replica has given its word to another one that it will not mint the operation. */
  #hasGiven(op: OpId): boolean {
    const by = this.#keeper.operations.grantedTo(op);
    return by !== null && by !== this.#id;
  }

  #ask(
    body: Coordinate,
    {
      ageMs,
      deadline,
      isUnseen,
    }: { readonly ageMs: Millis; readonly deadline: Millis; readonly isUnseen: boolean },
    finish: (outcome: RecallOutcome) => void,
  ): void {
    const { knowledge } = this.#host;
    const { key, op } = body;
    const now = this.#host.now();
    const { self, primaries, fallbacks } = writeCandidates(knowledge, { id: this.#id, body, now });
    const { rules } = body;
    const timeoutMs = Math.max(1, Math.min(deadline - now, GRANT_MS));
    const plan = {
      question: { kind: "recall", key, op, ageMs, by: this.#id },
      self: isUnseen ? self : null,
      primaries,
      fallbacks: rules.sloppy ? fallbacks.slice(0, rules.n) : [],
      need: recallNeed(knowledge, key, rules),
      mustSay: rules.strict ? (body.asked ?? []) : [],
      timeoutMs,
      hedgeMs: knowledge.liveness.hedgeMs,
    } as const;
    this.#host.run<RecallOutcome>(
      { timeoutMs, again: null, finish, make: (out) => new RecallCoordinator(plan, out) },
      now,
    );
  }

  /**
   * What another has of a write that was done, and what covers it.
   *
   * @param isNews whether nothing that is held here can have seen the write: it meets that now
   */
  #take(body: Coordinate, { done, entry }: ReplyOf<"recalled">, isNews: boolean): void {
    check(done !== null && entry !== null, "what was done is held");
    const { dot, time } = done;
    const now = this.#host.now();
    const wall = this.#host.wall();
    const { hintFor } = writeCandidates(this.#host.knowledge, { id: this.#id, body, now });
    const taken = this.#keeper.take(body.key, entry, hintFor, wall);
    if (taken === null) return;
    this.#keeper.operations.note({ op: body.op, dot, time }, wall);
    if (isNews) this.#encounters.tell(this.#keeper.heldWith(body.key, taken), taken);
  }

  #grant(
    { key, op }: { readonly key: StoreKey; readonly op: OpId },
    by: ReplicaId,
    ageMs: number,
  ): boolean {
    const { operations } = this.#keeper;
    const now = this.#host.now();
    if (operations.isHearsay(key, now - ageMs)) return false;
    // It was stored here and is no longer held: given away as a hint, or lost. That says nothing.
    if (operations.find(op) !== null) return false;
    return operations.grant(op, { by, begunAt: now - ageMs });
  }

  /** What was stored of an operation, as long as that, or what covers it, is held here. */
  #find(key: StoreKey, op: OpId): Found | null {
    const { entry, isUnknown } = this.#keeper.hold(key);
    if (isUnknown) return null;
    const done =
      versionIn(entry, op) ??
      entry.siblings.find((sibling) => sibling.op === op) ??
      this.#keeper.operations.find(op) ??
      this.#mintedBefore(key, op) ??
      noted(entry, op);
    return done !== null && entry.context.covers(done.dot) ? { ...done, entry } : null;
  }

  /** A restart forgets what was stored, except for what this replica itself has minted. */
  #mintedBefore(key: StoreKey, op: OpId): Done | null {
    const { bytes } = this.#keeper.own(key);
    const { tenure } = bytes === null ? { tenure: null } : decodeEntry(bytes);
    return tenure?.minted.find(op) ?? null;
  }
}

/** Its latest version that was not overtaken: an overtaken one is shown to nobody. */
const versionIn = (entry: Entry, op: OpId): Sibling | undefined =>
  standingIn(entry)
    .filter((one) => one.op === op)
    .sort(newestFirst)[0];

/** Where somebody was in doubt about it, the entry itself tells that it was minted. */
function noted({ retries }: Entry, op: OpId): Done | null {
  const retry = retries.find((other) => other.op === op);
  return retry === undefined ? null : { dot: retry.dot, time: 0 };
}

/** What its client is told of a version that is not held any more. */
function versionOf({ op, content, ttlMs }: Coordinate, { dot, time }: Done): Sibling {
  const expiresAt = ttlMs === 0 || content === null ? 0 : millisOfHlc(time) + ttlMs;
  return { dot, time, op, expiresAt, content };
}
