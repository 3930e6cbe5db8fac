/** What members would tell of their delays. */
import type { CanaryCount, DelayReport, RoundTrips } from "../../core/delay-report.ts";

/** @param tripsOf of each ordered pair; null: nobody measured it */
export function reportsOf(
  ids: readonly string[],
  tripsOf: (from: string, to: string) => RoundTrips | null,
  canariesOf: (id: string) => readonly CanaryCount[] = () => [],
): ReadonlyMap<string, DelayReport> {
  return new Map(
    ids.map((from) => {
      const peers = new Map<string, RoundTrips>();
      for (const to of ids) {
        const trips = from === to ? null : tripsOf(from, to);
        if (trips !== null) peers.set(to, trips);
      }
      const lagsMs = new Map([[from === "r1" ? "r2" : "r1", 900]]);
      return [from, { hedgeMs: 250, peers, canaries: canariesOf(from), lagsMs }] as const;
    }),
  );
}

/** Round trips around this length, in ms. */
export const around = (ms: number, count = 100): readonly number[] =>
  Array.from({ length: count }, (_, i) => ms * (0.95 + (0.1 * i) / count));
