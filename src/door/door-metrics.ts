/** What the cache door counts. */
import type { Refresh } from "../frontend/backend/backend.ts";
import {
  Histogram,
  type HistogramMetric,
  type Metric,
  render,
  type Sample,
} from "../metrics/exposition.ts";
import type { DoorAnswer } from "./ports.ts";

/** How a request was answered, by the door's own `Cache-Status`. */
export type CacheResult = "hit" | "stale" | "revalidated" | "miss" | "bypass" | "error";
export type BytesFrom = "cache" | "origin";

export class DoorMetrics {
  readonly #requests = new Map<string, Map<CacheResult, number>>();
  readonly #origin = new Map<string, Histogram>();
  readonly #bytes = new Map<BytesFrom, number>([
    ["cache", 0],
    ["origin", 0],
  ]);
  readonly #siteBytes = new Map<string, Map<BytesFrom, number>>();
  readonly #underWay = new Set<Refresh>();
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

  /** Bytes of a body went to a client; those of the door's own answers are not counted. */
  sent({ from, site }: Pick<DoorAnswer, "from" | "site">, byteCount: number): void {
    if (from === undefined) return;
    this.#bytes.set(from, (this.#bytes.get(from) ?? 0) + byteCount);
    if (site === undefined) return;
    const ofSite = this.#siteBytes.get(site) ?? new Map<BytesFrom, number>();
    this.#siteBytes.set(site, ofSite.set(from, (ofSite.get(from) ?? 0) + byteCount));
  }

  /** A refresh begins. @returns to be called when it is over, however it ended */
  refreshes(refresh: Refresh): () => void {
    this.#underWay.add(refresh);
    return () => {
      this.#underWay.delete(refresh);
    };
  }

  /** What is being refreshed now, the oldest first. */
  get underWay(): readonly Refresh[] {
    return [...this.#underWay];
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
        name: "starling_cache_site_bytes_total",
        type: "counter",
        help: "The same by site.",
        values: [...this.#siteBytes].flatMap(([site, counts]) =>
          [...counts].map(([from, count]) => [{ site, from }, count] as const),
        ),
      },
      {
        name: "starling_cache_refreshes",
        type: "gauge",
        help: "Stale responses that are being made anew behind an answer, by site.",
        values: this.#refreshCounts(),
      },
      {
        name: "starling_cache_store_failures_total",
        type: "counter",
        help: "Look-ups of responses, or of pieces of their bodies, and stores that failed.",
        values: [[{}, this.#storeFailureCount]],
      },
    ];
    return render(metrics);
  }

  /** For every site that was ever asked for: 0 is an answer too. */
  #refreshCounts(): readonly Sample[] {
    const counts = new Map([...this.#requests.keys()].map((site) => [site, 0]));
    for (const { site } of this.#underWay) counts.set(site, (counts.get(site) ?? 0) + 1);
    return [...counts].map(([site, count]) => [{ site }, count]);
  }
}
