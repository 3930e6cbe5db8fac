/** What the cache door counts. */
import { Histogram, type HistogramMetric, type Metric, render } from "../metrics/exposition.ts";

/** How a request was answered, by the door's own `Cache-Status`. */
export type CacheResult = "hit" | "stale" | "revalidated" | "miss" | "bypass" | "error";
export type BytesFrom = "cache" | "origin";

export interface SiteCounts {
  readonly results: ReadonlyMap<string, number>;
  readonly bytes: ReadonlyMap<BytesFrom, number>;
}

export class DoorMetrics {
  readonly #requests = new Map<string, Map<CacheResult, number>>();
  readonly #origin = new Map<string, Histogram>();
  readonly #bytes = new Map<BytesFrom, number>([
    ["cache", 0],
    ["origin", 0],
  ]);
  #collapsedCount = 0;
  #storeFailureCount = 0;

  answered(site: string, result: CacheResult): void {
    const results = this.#requests.get(site) ?? new Map<CacheResult, number>();
    results.set(result, (results.get(result) ?? 0) + 1);
    this.#requests.set(site, results);
  }

  /** The origin's head came, or did not, after this many seconds. */
  fetched(site: string, seconds: number): void {
    const histogram = this.#origin.get(site) ?? new Histogram();
    histogram.observe(seconds);
    this.#origin.set(site, histogram);
  }

  sent(from: BytesFrom, byteCount: number): void {
    this.#bytes.set(from, (this.#bytes.get(from) ?? 0) + byteCount);
  }

  collapsed(): void {
    this.#collapsedCount++;
  }

  storeFailed(): void {
    this.#storeFailureCount++;
  }

  text(): string {
    const metrics: (Metric | HistogramMetric)[] = [
      {
        name: "starling_cache_requests_total",
        type: "counter",
        help: "Requests at the cache door by site and how they were answered.",
        values: [...this.#requests].flatMap(([site, results]) =>
          [...results].map(([result, count]) => [{ site, result }, count] as const),
        ),
      },
      {
        name: "starling_cache_origin_seconds",
        type: "histogram",
        help: "Time until an origin's answer began.",
        values: [...this.#origin].map(([site, histogram]) => [{ site }, histogram] as const),
      },
      {
        name: "starling_cache_collapsed_total",
        type: "counter",
        help: "Requests that were answered by what another one had fetched.",
        values: [[{}, this.#collapsedCount]],
      },
      {
        name: "starling_cache_bytes_total",
        type: "counter",
        help: "Bytes of bodies sent to clients, by where they came from.",
        values: [...this.#bytes].map(([from, count]) => [{ from }, count] as const),
      },
      {
        name: "starling_cache_store_failures_total",
        type: "counter",
        help: "Look-ups and stores of responses that failed; the clients were answered.",
        values: [[{}, this.#storeFailureCount]],
      },
    ];
    return render(metrics);
  }
}
