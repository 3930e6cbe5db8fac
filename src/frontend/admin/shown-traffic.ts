/** What a member answered to clients, as `GET /v1/cluster` has it. */
import { SECONDS_BOUNDS, type TrafficTotals } from "../../../core/traffic.ts";

export interface TrafficBody {
  readonly reads: number;
  readonly writes: number;
  readonly failed: number;
  readonly repairs: number;
  /** By upper bound in seconds, `+Inf` last: how many took at most that long. */
  readonly within: Readonly<Record<string, number>>;
}

/** null where the member does not say. */
export function shownTraffic(totals: TrafficTotals | null = null): TrafficBody | null {
  if (totals === null) return null;
  const { counts, ...rest } = totals;
  let below = 0;
  const within = counts.map((count, i) => {
    below += count;
    return [String(SECONDS_BOUNDS[i] ?? "+Inf"), below] as const;
  });
  return { ...rest, within: Object.fromEntries(within) };
}
