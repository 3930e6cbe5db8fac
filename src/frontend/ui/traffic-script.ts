/**
 * `/ui/traffic.js`: what this frontend answered lately. It reads `/metrics` every few seconds and
 * draws the differences: rates, and latencies by interpolating within a histogram's classes, as
 * Prometheus' histogram_quantile does.
 */
export const trafficScript = String.raw`
import { byId, duration, rate, s, say, show } from "./dom.js";

const NAME = "http_server_request_duration_seconds";
const SAMPLES_MAX = 60;
const WIDTH = 300;
const HEIGHT = 72;
const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;

const numberOf = (text) => (text === "+Inf" ? Infinity : Number(text));

/** All samples of an exposition whose names are asked for. */
export function parseMetrics(text, isWanted) {
  const samples = [];
  for (const line of text.split("\n")) {
    const match = LINE.exec(line);
    if (match === null || !isWanted(match[1])) continue;
    const labels = Object.fromEntries(
      [...(match[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    samples.push({ name: match[1], labels, value: numberOf(match[3]) });
  }
  return samples;
}

const kindOf = ({ http_route: route, http_request_method: method }) => {
  if (!route.startsWith("/v1/kv") && !route.startsWith("/client/")) return null;
  return method === "GET" || method === "HEAD" ? "reads" : "writes";
};

/** Totals since the process started: requests by kind, failures, the latency's classes. */
function totalsOf(text) {
  const totals = { reads: 0, writes: 0, failed: 0, buckets: new Map(), repairs: 0 };
  const isWanted = (name) => name.startsWith(NAME) || name === "starling_read_repairs_total";
  for (const { name, labels, value } of parseMetrics(text, isWanted)) {
    if (name === "starling_read_repairs_total") totals.repairs = value;
    const kind = labels.http_route === undefined ? null : kindOf(labels);
    if (kind === null) continue;
    if (name === NAME + "_count") {
      totals[kind] += value;
      if (Number(labels.http_response_status_code) >= 500) totals.failed += value;
    }
    if (name === NAME + "_bucket") {
      const le = numberOf(labels.le);
      totals.buckets.set(le, (totals.buckets.get(le) ?? 0) + value);
    }
  }
  return totals;
}

/** In ms; null when nothing was answered between the two. */
function quantile(share, before, after) {
  const classes = [...after.buckets]
    .map(([le, value]) => [le, value - (before.buckets.get(le) ?? 0)])
    .sort(([a], [b]) => a - b);
  const all = classes.at(-1)?.[1] ?? 0;
  if (all <= 0) return null;
  let [low, below] = [0, 0];
  for (const [le, value] of classes) {
    if (value >= share * all) {
      if (le === Infinity) return low * 1000;
      return 1000 * (low + ((le - low) * (share * all - below)) / Math.max(1, value - below));
    }
    [low, below] = [le, value];
  }
  return low * 1000;
}

export class Traffic {
  #before = null;
  #samples = [];

  /** Takes what /metrics says now; at is the page's clock in ms. */
  take(text, at) {
    const totals = totalsOf(text);
    const before = this.#before;
    this.#before = { totals, at };
    if (before === null || at <= before.at) return;
    // A counter that fell belongs to a new process.
    const restarted = totals.reads < before.totals.reads || totals.writes < before.totals.writes;
    if (restarted) return;
    const seconds = (at - before.at) / 1000;
    const per = (name) => (totals[name] - before.totals[name]) / seconds;
    this.#samples.push({
      reads: per("reads"), writes: per("writes"), failed: per("failed"), repairs: per("repairs"),
      p50: quantile(0.5, before.totals, totals), p99: quantile(0.99, before.totals, totals),
    });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** A gap in what is known must not be drawn as if it were. */
  forget() {
    this.#before = null;
  }

  draw() {
    const last = this.#samples.at(-1);
    const shown = (value, format) => (Number.isFinite(value) ? format(value) : "–");
    say(byId("reads-now"), shown(last?.reads, rate));
    say(byId("writes-now"), shown(last?.writes, rate));
    say(byId("failed-now"), shown(last?.failed, rate));
    byId("failed-now").classList.toggle("bad", (last?.failed ?? 0) > 0);
    say(byId("repairs-now"), shown(last?.repairs, rate));
    say(byId("p50-now"), shown(last?.p50, duration));
    say(byId("p99-now"), shown(last?.p99, duration));
    const most = chart(byId("rate-chart"), this.#samples, ["reads", "writes"]);
    say(byId("rate-scale"), "0 to " + rate(most) + " a second");
    const slowest = chart(byId("latency-chart"), this.#samples, ["p50", "p99"]);
    say(byId("latency-scale"), "0 to " + duration(slowest));
  }
}

/** Two lines over time, the newest at the right, with gaps where nothing is known; the scale. */
function chart(svg, samples, names) {
  const values = names.flatMap((name) => samples.map((sample) => sample[name] ?? 0));
  const most = Math.max(1, ...values) * 1.1;
  const x = (i) => (WIDTH * (SAMPLES_MAX - samples.length + i)) / (SAMPLES_MAX - 1);
  const y = (value) => HEIGHT - 2 - ((HEIGHT - 6) * value) / most;
  const paths = names.map((name, which) => {
    let d = "";
    let isDrawing = false;
    for (const [i, sample] of samples.entries()) {
      const value = sample[name];
      if (value === null) { isDrawing = false; continue; }
      d += (isDrawing ? "L" : "M") + x(i).toFixed(1) + " " + y(value).toFixed(1);
      if (!isDrawing) d += "h0.01";
      isDrawing = true;
    }
    return s("path", { d, class: "line " + (which === 0 ? "line-a" : "line-b") });
  });
  const base = s("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1, class: "base" });
  show(svg, base, paths);
  return most;
}
`;
