/** Counters of the HTTP face in the Prometheus text format. */

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** The rest is one series, or a client could make as many as it can think of methods. */
const METHODS = new Set(["GET", "HEAD", "PUT", "DELETE", "POST", "OPTIONS", "PATCH"]);

interface Series {
  count: number;
  sum: number;
  readonly buckets: number[];
}

export class HttpMetrics {
  readonly #durations = new Map<string, Series>();
  readonly #outcomes = new Map<string, number>();

  /** One request is over. The route is a pattern, never a key. */
  observe(of: { method: string; route: string; status: number; seconds: number }): void {
    const { route, status, seconds } = of;
    const method = METHODS.has(of.method) ? of.method : "_OTHER";
    const labels =
      `http_request_method="${method}",http_route="${route}",` +
      `http_response_status_code="${status}"`;
    let series = this.#durations.get(labels);
    if (series === undefined) {
      series = { count: 0, sum: 0, buckets: BUCKETS.map(() => 0) };
      this.#durations.set(labels, series);
    }
    series.count++;
    series.sum += seconds;
    for (let i = BUCKETS.length - 1; i >= 0 && seconds <= (BUCKETS[i] ?? 0); i--) {
      series.buckets[i] = (series.buckets[i] ?? 0) + 1;
    }
    const outcome = `op="${method.toLowerCase()}",outcome="${outcomeOf(status)}"`;
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  text(): string {
    const name = "http_server_request_duration_seconds";
    const lines = [`# HELP ${name} Time to answer a request.`, `# TYPE ${name} histogram`];
    for (const [labels, { count, sum, buckets }] of this.#durations) {
      for (const [i, le] of BUCKETS.entries()) {
        lines.push(`${name}_bucket{${labels},le="${le}"} ${buckets[i]}`);
      }
      lines.push(`${name}_bucket{${labels},le="+Inf"} ${count}`);
      lines.push(`${name}_sum{${labels}} ${sum}`, `${name}_count{${labels}} ${count}`);
    }
    const requests = "starling_requests_total";
    lines.push(`# HELP ${requests} Requests by operation and outcome.`);
    lines.push(`# TYPE ${requests} counter`);
    for (const [labels, count] of this.#outcomes) lines.push(`${requests}{${labels}} ${count}`);
    return `${lines.join("\n")}\n`;
  }
}

function outcomeOf(status: number): string {
  if (status === 503 || status === 504) return "shortfall";
  if (status >= 500) return "error";
  if (status === 404) return "nothing";
  return status >= 400 ? "refused" : "done";
}
