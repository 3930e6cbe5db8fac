/** Counters of the HTTP face in the Prometheus text format. */

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** The rest is one series, or a client could make as many as it can think of methods. */
const METHODS = new Set(["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS", "PATCH"]);

interface Series {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  count: number;
  sum: number;
  /** How many were that fast and no faster: one more than there are bounds. */
  readonly counts: number[];
}

/** One text is one series, but no text is made for a request: they are counted by their parts. */
export class HttpMetrics {
  readonly #series = new Map<string, Map<string, Map<number, Series>>>();

  /** One request is over. The route is a pattern, never a key. */
  observe(of: { method: string; route: string; status: number; seconds: number }): void {
    const { route, status, seconds } = of;
    const method = METHODS.has(of.method) ? of.method : "_OTHER";
    const known = this.#series.get(route)?.get(method)?.get(status);
    const series = known ?? this.#add(route, method, status);
    series.count++;
    series.sum += seconds;
    let i = 0;
    while (seconds > (BUCKETS[i] ?? Infinity)) i++;
    series.counts[i] = (series.counts[i] ?? 0) + 1;
  }

  text(): string {
    const name = "http_server_request_duration_seconds";
    const lines = [`# HELP ${name} Time to answer a request.`, `# TYPE ${name} histogram`];
    const outcomes = new Map<string, number>();
    for (const series of this.#all()) {
      const { method, route, status, count, sum } = series;
      const labels =
        `http_request_method="${method}",http_route="${route}",` +
        `http_response_status_code="${status}"`;
      let below = 0;
      for (const [i, le] of BUCKETS.entries()) {
        below += series.counts[i] ?? 0;
        lines.push(`${name}_bucket{${labels},le="${le}"} ${below}`);
      }
      lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}`);
      lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${count}`);
      const outcome = `op="${method.toLowerCase()}",outcome="${outcomeOf(status)}"`;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
    }
    const requests = "starling_requests_total";
    lines.push(`# HELP ${requests} Requests by operation and outcome.`);
    lines.push(`# TYPE ${requests} counter`);
    for (const [labels, count] of outcomes) lines.push(`${requests}{${labels}} ${count}`);
    return `${lines.join("\n")}\n`;
  }

  *#all(): Iterable<Series> {
    for (const methods of this.#series.values()) {
      for (const statuses of methods.values()) yield* statuses.values();
    }
  }

  #add(route: string, method: string, status: number): Series {
    const counts = new Array<number>(BUCKETS.length + 1).fill(0);
    const series: Series = { method, route, status, count: 0, sum: 0, counts };
    const methods = this.#series.get(route) ?? new Map<string, Map<number, Series>>();
    const statuses = methods.get(method) ?? new Map<number, Series>();
    this.#series.set(route, methods.set(method, statuses.set(status, series)));
    return series;
  }
}

function outcomeOf(status: number): string {
  if (status === 503 || status === 504) return "shortfall";
  if (status >= 500) return "error";
  if (status === 404) return "nothing";
  return status >= 400 ? "refused" : "done";
}
