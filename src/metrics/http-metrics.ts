/** What the HTTP face counts of the requests that it answered. */

import { Traffic } from "../../core/traffic.ts";
import { Histogram, type HistogramMetric, type Metric, render } from "./exposition.ts";
import { FeedMetrics } from "./feed-metrics.ts";

/** All others share one series, or a client could make one for every method that it invents. */
const METHODS = new Set(["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS", "PATCH"]);

/** Operations by route; on a key's own route the method says which. */
const OPS: Readonly<Record<string, string>> = {
  "/v1/kv/{namespace}": "list",
  "/v1/kv/{namespace}:batch": "batch",
  "/v1/purge": "purge",
};
/** The same behind the façade's routes, by what these end with. */
const KV_OPS: readonly (readonly [suffix: string, op: string])[] = [
  ["/keys", "list"],
  ["/bulk", "batch"],
  ["/bulk/get", "batch"],
  ["/bulk/delete", "batch"],
];
const KEY_ROUTE = "/v1/kv/{namespace}/{key}";
const KV_KEY_ROUTE = "/values/{key}";
/** Requests about keys, in this API or in that of Workers KV. */
const isOfKeys = (route: string): boolean =>
  route.startsWith("/v1/kv/") || route.startsWith("/client/");
const READS = new Set(["GET", "HEAD"]);
const WRITES = new Set(["PUT", "DELETE", "POST"]);

/** Every way to miss a quorum has its series from the start: 0 is an answer too. */
const SHORTFALLS = ["quorum-unavailable", "quorum-timeout", "context-not-reached"] as const;

export interface Answered {
  readonly method: string;
  /** A pattern, never a path. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
  /** Of the problem that was the answer; null when there was none. */
  readonly code: string | null;
  /** The key had more than one value. */
  readonly hasSiblings: boolean;
}

interface Series {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly histogram: Histogram;
}

/** Each text is one series, but requests are counted by their parts: no text is made for one. */
export class HttpMetrics {
  readonly feeds = new FeedMetrics();
  readonly #series = new Map<string, Map<string, Map<number, Series>>>();
  readonly #shortfalls = new Map<string, number>(SHORTFALLS.map((code) => [code, 0]));
  readonly #traffic: Traffic;
  #siblingAnswerCount = 0;

  /** @param traffic where requests about keys are counted for the whole cluster's totals */
  constructor(traffic = new Traffic()) {
    this.#traffic = traffic;
  }

  /** One request is over. */
  observe({ method: asked, route, status, seconds, code, hasSiblings }: Answered): void {
    const method = METHODS.has(asked) ? asked : "_OTHER";
    const known = this.#series.get(route)?.get(method)?.get(status);
    const series = known ?? this.#add(route, method, status);
    series.histogram.observe(seconds);
    if (hasSiblings) this.#siblingAnswerCount++;
    const isWrite = WRITES.has(method);
    if (isOfKeys(route) && (isWrite || READS.has(method))) {
      this.#traffic.observe({ isWrite, isFailed: status >= 500, seconds });
    }
    const shortfallCount = code === null ? undefined : this.#shortfalls.get(code);
    if (code !== null && shortfallCount !== undefined) {
      this.#shortfalls.set(code, shortfallCount + 1);
    }
  }

  text(): string {
    const requests = [this.#durations(), this.#requests(), ...this.#rest()];
    return render([...requests, ...this.feeds.metrics()]);
  }

  #durations(): HistogramMetric {
    return {
      name: "http_server_request_duration_seconds",
      type: "histogram",
      help: "Time from the request's headers to the answer.",
      values: [...this.#all()].map(({ method, route, status, histogram }) => {
        const labels = {
          http_request_method: method,
          http_route: route,
          http_response_status_code: String(status),
        };
        return [labels, histogram];
      }),
    };
  }

  #requests(): Metric {
    const counts = new Map<string, Map<string, number>>();
    for (const { method, route, status, histogram } of this.#all()) {
      const outcomes = counts.get(opOf(route, method)) ?? new Map<string, number>();
      const outcome = outcomeOf(status);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + histogram.count);
      counts.set(opOf(route, method), outcomes);
    }
    return {
      name: "starling_requests_total",
      type: "counter",
      help: "Requests by operation and outcome.",
      values: [...counts].flatMap(([op, outcomes]) =>
        [...outcomes].map(([outcome, count]) => [{ op, outcome }, count] as const),
      ),
    };
  }

  #rest(): readonly Metric[] {
    return [
      {
        name: "starling_quorum_shortfalls_total",
        type: "counter",
        help: "Requests that too few replicas answered, by the problem's code.",
        values: [...this.#shortfalls].map(([code, count]) => [{ code }, count]),
      },
      {
        name: "starling_sibling_answers_total",
        type: "counter",
        help: "Answers about a key with more than one value.",
        values: [[{}, this.#siblingAnswerCount]],
      },
    ];
  }

  *#all(): Iterable<Series> {
    for (const methods of this.#series.values()) {
      for (const statuses of methods.values()) yield* statuses.values();
    }
  }

  #add(route: string, method: string, status: number): Series {
    const series: Series = { method, route, status, histogram: new Histogram() };
    const methods = this.#series.get(route) ?? new Map<string, Map<number, Series>>();
    const statuses = methods.get(method) ?? new Map<number, Series>();
    this.#series.set(route, methods.set(method, statuses.set(status, series)));
    return series;
  }
}

function opOf(route: string, method: string): string {
  if (route === KEY_ROUTE || route.endsWith(KV_KEY_ROUTE)) return method.toLowerCase();
  return OPS[route] ?? KV_OPS.find(([suffix]) => route.endsWith(suffix))?.[1] ?? "other";
}

function outcomeOf(status: number): string {
  if (status === 503 || status === 504) return "shortfall";
  if (status >= 500) return "error";
  if (status === 404) return "nothing";
  return status >= 400 ? "refused" : "done";
}
