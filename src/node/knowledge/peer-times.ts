/**
 * The earliest that the time in each member's life can be: members tell it in their heartbeats,
 * which take a while to come. The heartbeat that came fastest says most. It is believed a little
 * less with every minute, because quartz drifts.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { LifeMillis, Millis } from "../../../core/time.ts";

/** How much faster one clock may be than another: ten times what quartz does at worst. */
const DRIFT = 1 / 5000;

interface Known {
  /** The name of its life. */
  readonly run: string;
  /** Its time less this node's own was at least so much, */
  readonly aheadMs: number;
  /** when this was so. */
  readonly at: Millis;
}

const leastAhead = ({ aheadMs, at }: Known, now: Millis): number =>
  aheadMs - Math.ceil((now - at) * DRIFT);

export class PeerTimes {
  readonly #known = new Map<ReplicaId, Known>();

  /** @param life 0 from a peer that does not tell */
  heard(peer: ReplicaId, { run, life }: { run: string; life: LifeMillis }, now: Millis): void {
    if (life === 0) return;
    const before = this.#known.get(peer);
    const aheadMs = life - Math.ceil(now);
    const says = before?.run === run ? leastAhead(before, now) : Number.NEGATIVE_INFINITY;
    if (aheadMs >= says) this.#known.set(peer, { run, aheadMs, at: now });
  }

  /** The time of a peer's life, or an earlier one; 0 where nothing is known of it. */
  of(peer: ReplicaId, now: Millis): LifeMillis {
    const known = this.#known.get(peer);
    return known === undefined ? 0 : Math.max(1, Math.floor(now) + leastAhead(known, now));
  }
}
