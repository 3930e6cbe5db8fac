/**
 * What time it is, as far as the members agree. Each says with its heartbeats what its wall clock
 * shows. Where the clocks of a majority of all members agree within five minutes and this node's
 * own is further off, the node goes by theirs. What it minted by its own would count as older, or
 * newer, than any purge for as long as the clock is off. Without such a majority it believes
 * itself.
 *
 * Kept as the difference to the node's own, monotonic time, so that a wall clock that jumps between
 * two heartbeats is seen at once. What is told to others is always the node's own clock as it is:
 * members that went by each other's belief would not notice when all their clocks are put right.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import { majority } from "../../../core/quorum-options.ts";
import { CLOCK_SKEW_MS_MAX, type Millis, type Now, type WallMillis } from "../../../core/time.ts";

/**
 * The largest group of values that lies within a span, ascending; of equally large ones the latest.
 * Empty when it has fewer than are needed.
 */
export function agreeing(
  values: readonly number[],
  { needed, span }: { readonly needed: number; readonly span: number },
): readonly number[] {
  const sorted = [...values].sort((a, b) => a - b);
  let best: readonly number[] = [];
  for (const [i, first] of sorted.entries()) {
    const within = sorted.slice(i).filter((value) => value - first <= span);
    if (within.length >= best.length) best = within;
  }
  return best.length >= needed ? best : [];
}

export class ClusterClock {
  /** By member, its wall clock less this node's own time. */
  readonly #offsets = new Map<ReplicaId, number>();
  #ownOffset = 0;
  #agreed: number | null = null;
  #shown: WallMillis = 0;

  /** What the node's own wall clock showed at the last step. */
  get shown(): WallMillis {
    return this.#shown;
  }

  /** To be called in every step: what the wall clock ought to show. */
  believed({ monotonic, wall }: Now): WallMillis {
    this.#shown = wall;
    this.#ownOffset = wall - monotonic;
    if (this.#agreed === null) return wall;
    const isOff = Math.abs(this.#ownOffset - this.#agreed) > CLOCK_SKEW_MS_MAX;
    // What is stored counts whole milliseconds.
    return isOff ? Math.floor(monotonic + this.#agreed) : wall;
  }

  /** A member's wall clock, just now. */
  heard(from: ReplicaId, wall: WallMillis, now: Millis): void {
    this.#offsets.set(from, wall - now);
  }

  /** All that was heard in this round of heartbeats is weighed, and forgotten. */
  settle(memberIds: readonly ReplicaId[], self: ReplicaId): void {
    const others = memberIds.flatMap((id) => this.#offsets.get(id) ?? []);
    const votes = memberIds.includes(self) ? [...others, this.#ownOffset] : others;
    this.#offsets.clear();
    const needed = majority(memberIds.length);
    // Too few were heard to tell anything: what was agreed on before still holds.
    if (votes.length < needed) return;
    const agreed = agreeing(votes, { needed, span: CLOCK_SKEW_MS_MAX });
    this.#agreed = agreed[Math.floor(agreed.length / 2)] ?? null;
  }
}
