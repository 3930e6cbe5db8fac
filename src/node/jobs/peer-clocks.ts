/**
 * How far the own times of peers are apart from this node's, by question and answer (Cristian,
 * "Probabilistic clock synchronization", 1989): of the exchanges of the last minute the one that
 * took the least time is believed, on the assumption that its way there took as long as its way
 * back. Only canaries go by it; nothing that is promised rests on it.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";

/** Quartz drifts by some 20 ms in ten minutes at worst: an older exchange says too little. */
const KEPT_MS = 60_000;
const KEPT_COUNT = 32;

/** One question and its reply: two times by this node's clock, between them two by the peer's. */
export interface Exchange {
  readonly sentAt: Millis;
  readonly cameAt: Millis;
  readonly leftAt: Millis;
  readonly gotAt: Millis;
}

interface Sample {
  readonly at: Millis;
  readonly tripMs: number;
  readonly aheadMs: number;
}

export class PeerClocks {
  readonly #samples = new Map<ReplicaId, Sample[]>();

  note(peer: ReplicaId, { sentAt, cameAt, leftAt, gotAt }: Exchange): void {
    const tripMs = gotAt - sentAt - (leftAt - cameAt);
    const aheadMs = (cameAt - sentAt + (leftAt - gotAt)) / 2;
    const samples = this.#samples.get(peer) ?? [];
    this.#samples.set(peer, samples);
    samples.push({ at: gotAt, tripMs, aheadMs });
    if (samples.length > KEPT_COUNT) samples.shift();
  }

  /** By how much the peer's own time is ahead of this node's, in ms; null: not known. */
  aheadMs(peer: ReplicaId, now: Millis): number | null {
    let best: Sample | null = null;
    for (const sample of this.#samples.get(peer) ?? []) {
      if (sample.at < now - KEPT_MS) continue;
      if (best === null || sample.tripMs < best.tripMs) best = sample;
    }
    return best?.aheadMs ?? null;
  }
}
