/**
 * What this frontend answered lately. `/metrics` is read every few seconds and the differences are
 * drawn: rates, and latencies by interpolating within a histogram's classes, as Prometheus'
 * histogram_quantile does.
 */
import { byId, duration, find, rate, s, say, show } from "./dom.js";

const NAME = "http_server_request_duration_seconds";
const REPAIRS = "starling_read_repairs_total";
const SAMPLES_MAX = 60;
const WIDTH = 300;
const HEIGHT = 72;
const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;

/** @typedef {"reads" | "writes"} Kind */
/** @typedef {{ name: string, labels: Record<string, string>, value: number }} Metric */
/**
 * @typedef {object} Totals
 * @property {number} reads
 * @property {number} writes
 * @property {number} failed
 * @property {number} repairs
 * @property {Map<number, number>} buckets requests that took so many seconds at most
 */
/**
 * @typedef {object} Sample
 * @property {number} reads
 * @property {number} writes
 * @property {number} failed
 * @property {number} repairs
 * @property {number | null} p50 in ms; null when nothing was answered
 * @property {number | null} p99
 */
/** @typedef {"reads" | "writes" | "p50" | "p99"} Line */

/** @param {string} text */
const numberOf = (text) => (text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text));

/**
 * All samples of an exposition whose names are asked for.
 *
 * @param {string} text
 * @param {(name: string) => boolean} isWanted
 * @returns {Metric[]}
 */
export function parseMetrics(text, isWanted) {
  const samples = [];
  for (const line of text.split("\n")) {
    const [, name = "", labels = "", value = ""] = LINE.exec(line) ?? [];
    if (!isWanted(name)) continue;
    const pairs = [...labels.matchAll(LABEL)].map(([, label, content]) => [label, content]);
    samples.push({ name, labels: Object.fromEntries(pairs), value: numberOf(value) });
  }
  return samples;
}

/**
 * @param {Record<string, string>} labels
 * @returns {Kind | null}
 */
function kindOf({ http_route: route = "", http_request_method: method }) {
  if (!route.startsWith("/v1/kv") && !route.startsWith("/client/")) return null;
  return method === "GET" || method === "HEAD" ? "reads" : "writes";
}

/**
 * Totals since the process started: requests by kind, failures, the latency's classes.
 *
 * @param {string} text
 * @returns {Totals}
 */
function totalsOf(text) {
  const totals = { reads: 0, writes: 0, failed: 0, buckets: new Map(), repairs: 0 };
  const isWanted = (/** @type {string} */ name) => name.startsWith(NAME) || name === REPAIRS;
  for (const { name, labels, value } of parseMetrics(text, isWanted)) {
    if (name === REPAIRS) totals.repairs = value;
    const kind = kindOf(labels);
    if (kind === null) continue;
    if (name === `${NAME}_count`) {
      totals[kind] += value;
      if (Number(labels["http_response_status_code"]) >= 500) totals.failed += value;
    }
    if (name === `${NAME}_bucket`) {
      const le = numberOf(labels["le"] ?? "");
      totals.buckets.set(le, (totals.buckets.get(le) ?? 0) + value);
    }
  }
  return totals;
}

/**
 * In ms; null when nothing was answered between the two.
 *
 * @param {number} share
 * @param {Totals} before
 * @param {Totals} after
 */
function quantile(share, before, after) {
  const classes = [...after.buckets]
    .map(([le, value]) => /** @type {const} */ ([le, value - (before.buckets.get(le) ?? 0)]))
    .sort(([a], [b]) => a - b);
  const all = classes.at(-1)?.[1] ?? 0;
  if (all <= 0) return null;
  let [low, below] = [0, 0];
  for (const [le, value] of classes) {
    if (value >= share * all) {
      if (le === Number.POSITIVE_INFINITY) return low * 1000;
      return 1000 * (low + ((le - low) * (share * all - below)) / Math.max(1, value - below));
    }
    [low, below] = [le, value];
  }
  return low * 1000;
}

/**
 * @param {number | null | undefined} value
 * @param {(value: number) => string} format
 */
const shown = (value, format) =>
  value !== null && Number.isFinite(value) ? format(Number(value)) : "–";

export class Traffic {
  /** @type {{ totals: Totals, at: number } | null} */
  #before = null;
  /** @type {Sample[]} */
  #samples = [];

  /**
   * @param {string} text what /metrics says now
   * @param {number} at the page's own time, in ms
   */
  take(text, at) {
    const totals = totalsOf(text);
    const before = this.#before;
    this.#before = { totals, at };
    if (before === null || at <= before.at) return;
    // A counter that fell belongs to a new process.
    const restarted = totals.reads < before.totals.reads || totals.writes < before.totals.writes;
    if (restarted) return;
    const seconds = (at - before.at) / 1000;
    /** @param {Kind | "failed" | "repairs"} name */
    const per = (name) => (totals[name] - before.totals[name]) / seconds;
    this.#samples.push({
      reads: per("reads"),
      writes: per("writes"),
      failed: per("failed"),
      repairs: per("repairs"),
      p50: quantile(0.5, before.totals, totals),
      p99: quantile(0.99, before.totals, totals),
    });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** A gap in what is known must not be drawn as if it were. */
  forget() {
    this.#before = null;
  }

  draw() {
    const last = this.#samples.at(-1);
    say(byId("reads-now"), shown(last?.reads, rate));
    say(byId("writes-now"), shown(last?.writes, rate));
    say(byId("failed-now"), shown(last?.failed, rate));
    byId("failed-now").classList.toggle("bad", (last?.failed ?? 0) > 0);
    say(byId("repairs-now"), shown(last?.repairs, rate));
    say(byId("p50-now"), shown(last?.p50, duration));
    say(byId("p99-now"), shown(last?.p99, duration));
    const most = chart("rate-chart", this.#samples, ["reads", "writes"]);
    say(byId("rate-scale"), `0 to ${rate(most)} a second`);
    const slowest = chart("latency-chart", this.#samples, ["p50", "p99"]);
    say(byId("latency-scale"), `0 to ${duration(slowest)}`);
  }
}

/**
 * Lines over time, the newest at the right, with gaps where nothing is known.
 *
 * @param {string} id
 * @param {readonly Sample[]} samples
 * @param {readonly Line[]} names
 * @returns {number} the scale
 */
function chart(id, samples, names) {
  const values = names.flatMap((name) => samples.map((sample) => sample[name] ?? 0));
  const most = Math.max(1, ...values) * 1.1;
  const x = (/** @type {number} */ i) =>
    (WIDTH * (SAMPLES_MAX - samples.length + i)) / (SAMPLES_MAX - 1);
  const y = (/** @type {number} */ value) => HEIGHT - 2 - ((HEIGHT - 6) * value) / most;
  const paths = names.map((name, which) => {
    let d = "";
    let isDrawing = false;
    for (const [i, sample] of samples.entries()) {
      const value = sample[name];
      if (value !== null) {
        d += `${isDrawing ? "L" : "M"}${x(i).toFixed(1)} ${y(value).toFixed(1)}`;
        if (!isDrawing) d += "h0.01";
      }
      isDrawing = value !== null;
    }
    return s("path", { d, class: `line ${which === 0 ? "line-a" : "line-b"}` });
  });
  const base = s("line", { x1: 0, x2: WIDTH, y1: HEIGHT - 1, y2: HEIGHT - 1, class: "base" });
  show(find(id, SVGSVGElement), base, paths);
  return most;
}
