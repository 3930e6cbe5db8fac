/** What the change feeds of a frontend are doing. */
import { Histogram, type HistogramMetric, type Metric, one } from "../metrics/exposition.ts";

/** How a feed is read; each has its series from the start. */
const FORMS = ["json", "msgpack", "ndjson", "sse", "binding"] as const;
export type FeedForm = (typeof FORMS)[number];

export class FeedMetrics {
  readonly #subscribers = new Map<FeedForm, number>(FORMS.map((form) => [form, 0]));
  readonly #lag = new Histogram();
  #changesCount = 0;
  #resyncsCount = 0;

  /** A subscriber is there; the result is to be called once, when it is gone. */
  opened(form: FeedForm): () => void {
    const add = (count: number): void => {
      this.#subscribers.set(form, (this.#subscribers.get(form) ?? 0) + count);
    };
    add(1);
    return () => add(-1);
  }

  /** What one subscriber was sent. */
  sent(types: { readonly changesCount: number; readonly resyncsCount: number }): void {
    this.#changesCount += types.changesCount;
    this.#resyncsCount += types.resyncsCount;
  }

  /** A change was found that long after it was written, in ms. */
  found(lagMs: number): void {
    this.#lag.observe(Math.max(0, lagMs) / 1000);
  }

  metrics(): readonly (Metric | HistogramMetric)[] {
    return [
      {
        name: "starling_feed_subscribers",
        type: "gauge",
        help: "Streams of changes that are open, and polls that are held, by form.",
        values: [...this.#subscribers].map(([form, count]) => [{ form }, count]),
      },
      {
        name: "starling_feed_changes_total",
        type: "counter",
        help: "Changes that subscribers were sent, once for each of them.",
        values: one(this.#changesCount),
      },
      {
        name: "starling_feed_resyncs_total",
        type: "counter",
        help: "How often a subscriber was told that its place is gone, once a source.",
        values: one(this.#resyncsCount),
      },
      {
        name: "starling_feed_lag_seconds",
        type: "histogram",
        help: "From a write to when a feed that had caught up found it here.",
        values: [[{}, this.#lag]],
      },
    ];
  }
}
