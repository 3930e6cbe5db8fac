/** What a host hands to its node at every step: the wall clock, and a time that only goes on. */
import type { Millis, Now, WallMillis } from "../../core/time.ts";

/** Where every node's own time begins: a day after 0, so that 0 is long ago for whatever waits. */
const BEGINNING_MS: Millis = 86_400_000;

/**
 * @param ticks milliseconds that pass, from whatever zero. Where the host has no monotonic clock
 *   this is its wall clock. When that is set back, the step is ignored. When it is set ahead, the
 *   step counts once: deadlines come too early by no more than that.
 * @param wall milliseconds since 1970
 */
export function hostClock(ticks: () => number, wall: () => WallMillis): () => Now {
  let monotonic = BEGINNING_MS;
  let last = ticks();
  return () => {
    const at = ticks();
    monotonic += Math.max(0, at - last);
    last = at;
    return { monotonic, wall: wall() };
  };
}
