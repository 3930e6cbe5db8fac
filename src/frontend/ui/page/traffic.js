/**
 * What all members answered lately. Each tells its totals with its status, every few seconds, and
 * the differences are drawn: rates, and latencies by interpolating within a histogram's classes, as
 * Prometheus' histogram_quantile does.
 */
import { byId, duration, find, plural, rate, s, say, show } from "./dom.js";

const SAMPLES_MAX = 60;
const WIDTH = 300;
const HEIGHT = 72;

/** @import { TrafficBody } from "../../admin/shown-traffic.ts" */
/** @typedef {"reads" | "writes" | "failed" | "repairs"} Kind */
/** @typedef {{ id: string, reachable: boolean, traffic?: TrafficBody | null }} Teller */
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

/** @type {readonly Kind[]} */
const KINDS = ["reads", "writes", "failed", "repairs"];

/** @param {string} le */
const secondsOf = (le) => (le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le));

/**
 * What came between two answers of a member; all of it where the totals fell, for then they began
 * anew.
 *
 * @param {TrafficBody} before
 * @param {TrafficBody} after
 */
function difference(before, after) {
  const isNew = KINDS.some((kind) => after[kind] < before[kind]);
  /** @type {(kind: Kind) => number} */
  const more = (kind) => after[kind] - (isNew ? 0 : before[kind]);
  const within = Object.entries(after.within).map(
    ([le, value]) =>
      /** @type {const} */ ([secondsOf(le), value - (isNew ? 0 : (before.within[le] ?? 0))]),
  );
  return { more, within };
}

/**
 * In ms; null when nothing was answered.
 *
 * @param {number} share
 * @param {ReadonlyMap<number, number>} within how many took so many seconds at most
 */
function quantile(share, within) {
  const classes = [...within].sort(([a], [b]) => a - b);
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

/**
 * Of which members the figures lack the traffic, in words; empty when all told theirs.
 *
 * @param {readonly Teller[]} members
 */
function missing(members) {
  const silent = members.filter(({ reachable }) => !reachable).length;
  const mute = members.filter(({ reachable, traffic }) => reachable && !traffic).length;
  const parts = [];
  if (silent > 0) parts.push(`${silent} silent`);
  if (mute > 0) parts.push(`${mute} of a version that does not count`);
  if (parts.length === 0) return "";
  return `of ${plural(members.length, "member")}, ${parts.join(", ")}`;
}

export class Traffic {
  /** By member, what it said last. @type {ReadonlyMap<string, TrafficBody>} */
  #before = new Map();
  #at = Number.NaN;
  /** @type {Sample[]} */
  #samples = [];
  #missing = "";

  /**
   * @param {readonly Teller[]} members what /v1/cluster says of them now
   * @param {number} at the page's own time, in ms
   */
  take(members, at) {
    const told = new Map(members.flatMap(({ id, traffic }) => (traffic ? [[id, traffic]] : [])));
    const seconds = (at - this.#at) / 1000;
    // Of whom nothing was known before, nothing can be said yet.
    const differences = [...told].flatMap(([id, after]) => {
      const before = this.#before.get(id);
      return before === undefined ? [] : [difference(before, after)];
    });
    this.#before = told;
    this.#at = at;
    this.#missing = missing(members);
    if (!(seconds > 0) || differences.length === 0) return;
    /** @param {Kind} kind */
    const per = (kind) => differences.reduce((sum, { more }) => sum + more(kind), 0) / seconds;
    /** @type {Map<number, number>} */
    const within = new Map();
    for (const [le, value] of differences.flatMap((one) => one.within)) {
      within.set(le, (within.get(le) ?? 0) + value);
    }
    this.#samples.push({
      reads: per("reads"),
      writes: per("writes"),
      failed: per("failed"),
      repairs: per("repairs"),
      p50: quantile(0.5, within),
      p99: quantile(0.99, within),
    });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** A gap in what is known must not be drawn as if it were. */
  forget() {
    this.#before = new Map();
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
    say(byId("traffic-members"), this.#missing);
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
