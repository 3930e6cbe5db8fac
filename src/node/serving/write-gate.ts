/**
 * What stands between a coordinator and the minting of a version, in this order: the read for the
 * write's conditions, or for a strict write that names no context; the question whether the write
 * has taken effect before (see repeats.ts); and the conditions themselves. So a write is never
 * refused because its conditions meet its own first version.
 */
import type { CausalContext } from "../../../core/causal-context.ts";
import { contextOfAll, type Entry } from "../../../core/entry.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { SPREAD_MS_MAX } from "../../../core/limits.ts";
import type { Reply, RequestOf } from "../../../core/messages.ts";
import type { Millis } from "../../../core/time.ts";
import type { GetOutcome } from "../../../replica/get-plan.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import { mayBeRepeated } from "../../../replica/lateness.ts";
import type { HeldWrite } from "../../../replica/minting.ts";
import { failed, refused, unmet } from "../peers/replies.ts";
import { writeCandidates } from "../peers/routes.ts";
import { hasConditions, judgeConditions } from "./preconditions.ts";
import type { Repeats, RepeatsHost } from "./repeats.ts";

type Coordinate = RequestOf<"coordinate">;

export interface WriteGateHost extends RepeatsHost {
  /** Reads with a quorum on behalf of a write: for its conditions, or to be above what is there. */
  readFirst(request: Coordinate, timeoutMs: number, done: (outcome: GetOutcome) => void): void;
}

/** A write that is waited for, and what becomes of it. */
export interface Caller {
  /** When its client began it. */
  readonly begunAt: Millis;
  readonly deadline: Millis;
  /** Whether it ends what is held here, without its client having seen that. */
  readonly isBlind: boolean;
  respond(reply: Reply): void;
  /** @param covers what it replaces; null for all that is held */
  mint(covers: CausalContext | null): void;
  /** It has taken effect already. */
  adopt(held: HeldWrite): void;
}

/**
 * Whether a quorum is read before the write is minted: for its conditions, or because it is strict.
 * A strict write without a context asks a majority first, and is minted above what it finds: so
 * that a write that began after another one was over, or shown, has the later time, whatever the
 * clocks say, and a plain read shows it (H. Attiya, A. Bar-Noy and D. Dolev, "Sharing memory
 * robustly in message-passing systems", 1995; with many writers N. Lynch and A. Shvartsman, 1997).
 */
const readsBefore = (body: Coordinate, isBlind: boolean): boolean =>
  hasConditions(body) || (body.rules.strict && isBlind);

/** Where it was asked whether anybody still waits for the write, it names what was held by then. */
const seeing = (body: Coordinate, entry: Entry): Coordinate =>
  body.covers === null ? body : { ...body, covers: body.covers.join(contextOfAll(entry)) };

export class WriteGate {
  readonly #id: ReplicaId;
  readonly #keeper: Keeper;
  readonly #repeats: Repeats;
  readonly #host: WriteGateHost;

  constructor(
    parts: { readonly id: ReplicaId; readonly keeper: Keeper; readonly repeats: Repeats },
    host: WriteGateHost,
  ) {
    this.#id = parts.id;
    this.#keeper = parts.keeper;
    this.#repeats = parts.repeats;
    this.#host = host;
  }

  /**
   * @param body a write that has not taken effect here: the caller has looked, in this very step
   */
  pass(body: Coordinate, to: Caller): void {
    if (readsBefore(body, to.isBlind)) this.#readFirst(body, to);
    else this.#mintUnseen(body, to);
  }

  #readFirst(body: Coordinate, to: Caller): void {
    const { knowledge } = this.#host;
    const { stamp } = knowledge;
    const begunAt = this.#host.now();
    this.#host.readFirst(body, Math.max(1, to.deadline - begunAt), (outcome) => {
      const now = this.#host.now();
      if (!outcome.ok) {
        return to.respond(unmet(outcome.failure));
      }
      // Nobody waits any more, and no version was minted: the write may as well not happen.
      if (now >= to.deadline) return;
      // What was read so long ago may have been deleted, and forgotten, since.
      if (now - begunAt > SPREAD_MS_MAX) {
        const detail = "The read that the write begins with took too long to write by it.";
        return to.respond(failed("quorum-timeout", detail, null));
      }
      // The key may have other owners by now, and this replica may be none of them.
      if (knowledge.stamp !== stamp) return to.respond(refused("overloaded"));
      // The disk may have failed, or filled up, while the quorum was read.
      const { hintFor } = writeCandidates(knowledge, { id: this.#id, body, now });
      if (!this.#keeper.absorb(body.key, outcome.entry, hintFor, this.#host.wall())) {
        return to.respond(refused("insufficient-storage"));
      }
      this.#mintOnce(to.isBlind ? seeing(body, outcome.entry) : body, to);
    });
  }

  /** Nothing that has taken effect already, here or with others, is minted again. */
  #mintOnce(body: Coordinate, to: Caller): void {
    const held = this.#repeats.find(body);
    if (held !== null) to.adopt(held);
    else this.#mintUnseen(body, to);
  }

  #mintUnseen(body: Coordinate, to: Caller): void {
    const isRepeat = mayBeRepeated(body, this.#host.moment());
    if (!isRepeat || this.#repeats.isAlone(body)) return this.#mintIfAllowed(body, to);
    this.#repeats.settle(body, { ...to, mint: () => this.#mintIfAllowed(body, to) });
  }

  #mintIfAllowed(body: Coordinate, { respond, mint }: Caller): void {
    if (!hasConditions(body)) return mint(body.covers);
    const at = { now: this.#host.wall(), hash: this.#host.knowledge.hash };
    const verdict = judgeConditions(body, this.#keeper.hold(body.key).entry, at);
    if (verdict.isBroken) return respond(failed("precondition-failed", verdict.why, null));
    mint(verdict.covers);
  }
}
