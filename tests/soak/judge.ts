/** Whether a line of samples is flat. */
import type { Sample } from "./soak.ts";

/** How much more the end may be than what was before, for chance alone. */
const SHARE_MAX = 0.1;
/** A log's files come and go by whole segments: one of 64 MiB each for three nodes. */
const SEGMENTS_BYTES = 3 * 64 * 1024 * 1024;
/** How much garbage collectors leave for later, in three processes together. */
const HEAPS_BYTES = 48 * 1024 * 1024;

const MEASURES = [
  { name: "rss", of: ({ rss }: Sample): number => rss, slack: HEAPS_BYTES },
  { name: "disk", of: ({ disk }: Sample): number => disk, slack: SEGMENTS_BYTES },
  { name: "keys", of: ({ keys }: Sample): number => keys, slack: 0 },
  { name: "dead keys", of: ({ deadKeys }: Sample): number => deadKeys, slack: 1000 },
] as const;

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

export interface Verdict {
  readonly name: string;
  /** Means of the third and of the last quarter of the time. */
  readonly before: number;
  readonly after: number;
  readonly isFlat: boolean;
}

/** Compares the last quarter of the samples with the one before: the first half is for filling up. */
export function verdictsOf(samples: readonly Sample[]): readonly Verdict[] {
  const quarter = Math.floor(samples.length / 4);
  const third = samples.slice(samples.length - 2 * quarter, samples.length - quarter);
  const last = samples.slice(samples.length - quarter);
  return MEASURES.map(({ name, of, slack }) => {
    const [before, after] = [mean(third.map(of)), mean(last.map(of))];
    return { name, before, after, isFlat: after <= before * (1 + SHARE_MAX) + slack };
  });
}
