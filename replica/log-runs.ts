/**
 * Which segments are worth copying. What a log takes up is bounded by what lives in it: segments of
 * which half is garbage go first, and when all that is left is drop records, the older segments for
 * whose sake these are kept are copied, whether there is garbage in them or not. A copy has nothing
 * that was superseded before it was begun, and so needs no drop of before.
 */
import { SEGMENT_HEADER_BYTES } from "./log-format.ts";
import type { SegmentState } from "./log-index.ts";

/** So many small neighbours are worth being joined: each restart leaves one. */
const SMALL_COUNT_MIN = 8;
/**
 * Drop records may take up this share of what lives. Then all that is older is copied once, so that
 * for each byte of drops some four of others are written.
 */
const DROPS_SHARE_MAX = 0.25;

interface Choice {
  readonly byteCountMax: number;
  readonly isEligible: (segment: SegmentState) => boolean;
  /** Eligible, and not worth copying yet, however much of them is garbage. */
  readonly dying: ReadonlySet<SegmentState>;
}

/** Bytes of a segment that copying it would save. */
function garbageByteCount(segment: SegmentState, isDropNeeded: boolean): number {
  const drops = isDropNeeded ? segment.dropByteCount : 0;
  return segment.byteCount - SEGMENT_HEADER_BYTES - segment.liveByteCount - drops;
}

const isMostlyGarbage = ({ byteCount }: SegmentState, garbage: number): boolean =>
  garbage * 2 > byteCount;

/**
 * The segments that are dying. Most of such a segment is garbage, and since it was closed the log
 * has grown by less than the segment's own length. Keys that are written again and again have not
 * all been written anew since, so what is copied of it now is garbage soon. Hot segments wait, as
 * in a log-structured file system that cleans by cost and benefit (Rosenblum and Ousterhout, 1992).
 * Seldom is more than one segment dying.
 */
export function dyingSegments(segments: readonly SegmentState[]): ReadonlySet<SegmentState> {
  const dying = new Set<SegmentState>();
  let byteCountBehind = 0;
  for (const segment of segments.toReversed()) {
    const isYoung = segment.closed && byteCountBehind < segment.byteCount;
    const isSound = !segment.worn && !segment.damaged;
    const garbage = garbageByteCount(segment, true);
    if (isYoung && isSound && segment.liveByteCount > 0 && isMostlyGarbage(segment, garbage))
      dying.add(segment);
    byteCountBehind += segment.byteCount;
  }
  return dying;
}

/**
 * The run of neighbouring segments that is most worth copying, or an empty one: of those of which
 * half is garbage, those that are worn, many small ones side by side, and at last those because of
 * which drops are kept.
 */
export function chooseRun(
  segments: readonly SegmentState[],
  options: Choice,
): readonly SegmentState[] {
  const run = worthwhileRun(segments, options);
  return run.length > 0 ? run : blockingRun(segments, options);
}

function worthwhileRun(
  segments: readonly SegmentState[],
  options: Choice,
): readonly SegmentState[] {
  let cleanSequence = Number.POSITIVE_INFINITY;
  let run: SegmentState[] = [];
  let best: { run: SegmentState[]; worth: number } = { run: [], worth: 0 };
  let keptByteCount = 0;
  let worth = 0;
  for (const segment of segments) {
    const isDropNeeded = segment.lastDropSequence >= cleanSequence;
    cleanSequence = Math.min(cleanSequence, segment.cleanSequence);
    const garbage = garbageByteCount(segment, isDropNeeded);
    const kept = segment.byteCount - garbage;
    const isWorth = segment.worn || segment.damaged || isMostlyGarbage(segment, garbage);
    const isSmall = segment.byteCount * SMALL_COUNT_MIN <= options.byteCountMax;
    const fits = run.length === 0 || keptByteCount + kept <= options.byteCountMax;
    const mayBe =
      options.isEligible(segment) && !options.dying.has(segment) && (isWorth || isSmall);
    if (!fits || !mayBe) {
      run = [];
      keptByteCount = 0;
      worth = 0;
    }
    if (!mayBe) continue;
    run = [...run, segment];
    keptByteCount += kept;
    // A segment that pays by itself counts as much as a whole crowd of small ones.
    worth += isWorth ? SMALL_COUNT_MIN : 1;
    if (worth >= SMALL_COUNT_MIN && worth > best.worth) best = { run, worth };
  }
  return best.run;
}

/** One segment at a time: what is copied blocks no more, and then the next one is looked for. */
function blockingRun(
  segments: readonly SegmentState[],
  { byteCountMax, isEligible }: Choice,
): readonly SegmentState[] {
  let cleanSequence = Number.POSITIVE_INFINITY;
  let dropByteCount = 0;
  let lastDropSequence = 0;
  for (const segment of segments.filter(({ closed }) => closed)) {
    if (segment.lastDropSequence >= cleanSequence) {
      dropByteCount += segment.dropByteCount;
      lastDropSequence = segment.lastDropSequence;
    }
    cleanSequence = Math.min(cleanSequence, segment.cleanSequence);
  }
  const liveByteCount = segments.reduce((sum, segment) => sum + segment.liveByteCount, 0);
  if (dropByteCount <= Math.max(byteCountMax, DROPS_SHARE_MAX * liveByteCount)) return [];
  const blocking = segments.filter(
    (segment) => segment.closed && segment.cleanSequence <= lastDropSequence,
  );
  // One that cannot be copied keeps the drops, and copying all the others would not change it.
  if (!blocking.every(isEligible)) return [];
  return blocking.slice(0, 1);
}
