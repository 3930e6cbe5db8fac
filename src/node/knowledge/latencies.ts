/**
 * How long each peer took lately to answer reads and to store writes: predictions are drawn from
 * that (src/staleness). The last samples are kept as they are: a Monte Carlo draws from what was
 * measured, with its tail, and a sketch of so few would only lose some of it. Those of several
 * members are joined by putting them side by side, since each is of a pair of its own.
 */
import { DELAYS_WINDOW_MS, type RoundTrips } from "../../../core/delay-report.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Request } from "../../../core/messages.ts";
import type { Millis } from "../../../core/time.ts";

/** Of each kind and peer: twice 8 bytes, so 16 KiB a peer for both kinds. */
const SAMPLES_MAX = 512;
/** Samples of one kind that are told, all peers together, and of one peer at least. */
const TOLD_MAX = 4096;
const TOLD_MIN = 32;

class Window {
  readonly #ms = new Float64Array(SAMPLES_MAX);
  readonly #at = new Float64Array(SAMPLES_MAX);
  #count = 0;

  add(ms: number, now: Millis): void {
    const place = this.#count++ % SAMPLES_MAX;
    this.#ms[place] = ms;
    this.#at[place] = now;
  }

  /** Those of the last ten minutes, the newest first; not more than so many. */
  recent(now: Millis, most: number): readonly number[] {
    const recent: number[] = [];
    const kept = Math.min(this.#count, SAMPLES_MAX, most);
    for (let back = 1; back <= kept; back++) {
      const place = (this.#count - back) % SAMPLES_MAX;
      if ((this.#at[place] as number) < now - DELAYS_WINDOW_MS) break;
      recent.push(this.#ms[place] as number);
    }
    return recent;
  }
}

interface Windows {
  readonly reads: Window;
  readonly stores: Window;
}

export class Latencies {
  readonly #peers = new Map<ReplicaId, Windows>();

  note(peer: ReplicaId, kind: Request["kind"], ms: number, now: Millis): void {
    if (kind === "read") this.#of(peer).reads.add(ms, now);
    else if (kind === "store") this.#of(peer).stores.add(ms, now);
  }

  /** Of these peers alone: a node may have known others once. */
  recent(peers: readonly ReplicaId[], now: Millis): ReadonlyMap<ReplicaId, RoundTrips> {
    const most = Math.max(TOLD_MIN, Math.floor(TOLD_MAX / Math.max(1, peers.length)));
    const recent = new Map<ReplicaId, RoundTrips>();
    for (const peer of peers) {
      const windows = this.#peers.get(peer);
      if (windows === undefined) continue;
      const { reads, stores } = windows;
      recent.set(peer, { reads: reads.recent(now, most), stores: stores.recent(now, most) });
    }
    return recent;
  }

  #of(peer: ReplicaId): Windows {
    const known = this.#peers.get(peer);
    if (known !== undefined) return known;
    const windows = { reads: new Window(), stores: new Window() };
    this.#peers.set(peer, windows);
    return windows;
  }
}
