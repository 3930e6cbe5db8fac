/** Which replicas do not answer the change feeds of this frontend, for how long. */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";

/** A source that has not answered for so long, in ms, is given up: until then it may be back. */
const PATIENCE_MS = 3000;
/** So long after it was last asked, in ms, it is worth asking once more. */
const AGAIN_MS = 10_000;

interface Silence {
  readonly since: Millis;
  /** When it was last asked in vain. */
  readonly askedAt: Millis;
}

export class FeedSilence {
  readonly #silences = new Map<ReplicaId, Silence>();

  answered(id: ReplicaId): void {
    this.#silences.delete(id);
  }

  failed(id: ReplicaId, now: Millis): void {
    const since = this.#silences.get(id)?.since ?? now;
    this.#silences.set(id, { since, askedAt: now });
  }

  /** Whether another one is to take its place, and it may not take another one's. */
  isGivenUp(id: ReplicaId, now: Millis): boolean {
    const silence = this.#silences.get(id);
    if (silence === undefined) return false;
    return now - silence.since >= PATIENCE_MS && now - silence.askedAt < AGAIN_MS;
  }
}
