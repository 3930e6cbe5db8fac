/**
 * How likely a read sees a write, by the time between the two: what the model predicts, as a line,
 * and what canaries have measured, as dots; what both cost; and how old what each member knows of
 * each other is.
 */
import { ApiError, json } from "./api.js";
import { byId, count, duration, find, h, inputOf, plural, s, say, show, wordsOf } from "./dom.js";

/** After which times, in ms: those that canaries measure. */
const TIMES = [0, 1, 2, 5, 10, 20, 40, 50, 60, 80, 100];
/** Figures change slowly: they are asked for that often, in ms. */
const EVERY_MS = 10_000;
const WIDTH = 600;
const HEIGHT = 220;
const LEFT = 80;
const RIGHT = 8;
const TOP = 10;
const BOTTOM = 34;
/** Below this nothing is drawn when all of it is above. */
const FLOORS = [0.99, 0.9, 0.5, 0];
/** More members are no table that anybody reads. */
const LAG_MEMBERS_MAX = 12;

/** @typedef {{ p50: number, p99: number }} Percentiles */
/** @typedef {{ t: number, p: number, count?: number }} Point */
/**
 * @typedef {object} Choice
 * @property {number} n
 * @property {number} r
 * @property {number} w
 * @property {number} dw
 * @property {readonly Point[]} predicted
 * @property {readonly (Point & { count: number })[]} measured
 * @property {{ read: Percentiles | null, write: Percentiles | null }} latency
 */
/**
 * @typedef {object} Report
 * @property {{ samples: { reads: number, stores: number }, assumed: readonly string[] }} model
 * @property {readonly Choice[]} choices
 * @property {Readonly<Record<string, Readonly<Record<string, number | null>>>>} lag
 */

/** @param {number} p */
const percent = (p) => (p === 1 ? "100 %" : `${(p * 100).toFixed(p > 0.99 ? 2 : 1)} %`);

/** @param {number} t */
const xOf = (t) => LEFT + ((WIDTH - LEFT - RIGHT) * Math.log1p(t)) / Math.log1p(100);

/**
 * @param {number} p
 * @param {number} floor
 */
const yOf = (p, floor) => TOP + ((HEIGHT - TOP - BOTTOM) * (1 - p)) / (1 - floor);

/** @param {Choice} choice */
function floorOf({ predicted, measured }) {
  const least = Math.min(1, ...[...predicted, ...measured].map(({ p }) => p));
  return FLOORS.find((floor) => floor <= least) ?? 0;
}

/** @param {number} floor */
function grid(floor) {
  const levels = [1, (1 + floor) / 2, floor].flatMap((p) => [
    s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: yOf(p, floor), y2: yOf(p, floor), class: "base" }),
    s("text", { x: LEFT - 6, y: yOf(p, floor) + 4, class: "tick end" }, percent(p)),
  ]);
  const times = [0, 1, 10, 100].map((t) => {
    const place = t === 100 ? "end" : "middle";
    return s("text", { x: xOf(t), y: HEIGHT - 8, class: `tick ${place}` }, `${t} ms`);
  });
  return [...levels, ...times];
}

/** @param {Choice} choice */
function curves(choice) {
  const floor = floorOf(choice);
  const d = choice.predicted
    .map(({ t, p }, i) => `${i === 0 ? "M" : "L"}${xOf(t).toFixed(1)} ${yOf(p, floor).toFixed(1)}`)
    .join("");
  const dots = choice.measured.map(({ t, p, count: probes }) =>
    s(
      "circle",
      { cx: xOf(t), cy: yOf(p, floor), r: 4.5, class: "dot" },
      s("title", {}, `measured after ${t} ms: ${percent(p)} of ${plural(probes, "probe")}`),
    ),
  );
  return [...grid(floor), s("path", { d, class: "line line-a" }), ...dots];
}

/** @param {Choice} choice */
function figures({ predicted, measured }) {
  const found = new Map(measured.map((point) => [point.t, point]));
  return predicted.map(({ t, p }) => {
    const point = found.get(t);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, `${t} ms`),
      h("td", { class: "number", "data-label": "Predicted" }, percent(p)),
      h("td", { class: "number", "data-label": "Measured" }, point ? percent(point.p) : "–"),
      h("td", { class: "number", "data-label": "Probes" }, point ? count(point.count) : "–"),
    );
  });
}

/** @param {Report["lag"]} lag */
function lagTable(lag) {
  const ids = Object.keys(lag).sort();
  if (ids.length === 0) return h("p", { class: "muted" }, "No member told.");
  if (ids.length > LAG_MEMBERS_MAX) {
    const all = ids.flatMap((id) => Object.values(lag[id] ?? {}));
    const known = all.filter((seconds) => seconds !== null);
    const worst = duration(1000 * Math.max(0, ...known));
    const unknown = all.length - known.length;
    return h("p", {}, `At most ${worst} behind; ${plural(unknown, "pair")} not known.`);
  }
  // One that is away tells nothing, and the others tell of it.
  const peers = [...new Set([...ids, ...ids.flatMap((id) => Object.keys(lag[id] ?? {}))])].sort();
  const rows = ids.map((id) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, id),
      peers.map((peer) => lagCell(lag, id, peer)),
    ),
  );
  const caption = "How old what the member of each row knows of the member of each column is";
  return h(
    "table",
    { class: "pairs" },
    h("caption", { class: "visually-hidden" }, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("td", {}),
        peers.map((peer) => h("th", { scope: "col" }, peer)),
      ),
    ),
    h("tbody", {}, rows),
  );
}

/**
 * @param {Report["lag"]} lag
 * @param {string} id
 * @param {string} peer
 */
function lagCell(lag, id, peer) {
  if (id === peer) return h("td", { class: "self", "aria-label": "itself" });
  const seconds = lag[id]?.[peer] ?? null;
  if (seconds === null) {
    return h("td", { class: "pair never", title: `${id} knows nothing of ${peer} yet` }, "?");
  }
  const level = seconds < 2 ? "fresh" : seconds < 10 ? "recent" : "old";
  const age = duration(seconds * 1000);
  const title = `${id} has all that ${peer} held ${age} ago`;
  return h("td", { class: `pair ${level}`, title }, age);
}

/** The card, and what its sliders are set to. */
export class Staleness {
  /** @type {Report | null} */
  #report = null;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asked = 0;

  constructor() {
    for (const name of ["n", "r", "w"]) {
      inputOf(`staleness-${name}`).addEventListener("input", () => {
        this.#settle();
        if (name === "n") void this.#ask();
        else this.draw();
      });
    }
    find("staleness-from", HTMLSelectElement).addEventListener("change", () => void this.#ask());
  }

  /**
   * Asks when it is time to.
   *
   * @param {number} memberCount
   */
  async look(memberCount) {
    const slider = inputOf("staleness-n");
    if (slider.max !== String(memberCount)) {
      slider.max = String(memberCount);
      slider.value = String(Math.min(3, memberCount));
      this.#settle();
    }
    if (performance.now() - this.#askedAt < EVERY_MS) return;
    await this.#ask();
  }

  draw() {
    const choice = this.#chosen();
    const { read = null, write = null } = choice?.latency ?? {};
    byId("staleness-figures").hidden = read === null;
    if (this.#report !== null) show(byId("lag"), lagTable(this.#report.lag));
    if (choice === undefined || read === null || write === null) return;
    const { r, w, predicted, measured } = choice;
    const chart = find("staleness-chart", SVGSVGElement);
    show(chart, ...curves(choice));
    const first = predicted[0]?.p ?? 0;
    const label = `r=${r}, w=${w}: ${percent(first)} of reads see a write that was just answered`;
    chart.setAttribute("aria-label", label);
    say(byId("staleness-now"), percent(first));
    say(byId("staleness-read"), `${duration(read.p50)} · ${duration(read.p99)}`);
    say(byId("staleness-write"), `${duration(write.p50)} · ${duration(write.p99)}`);
    show(byId("staleness-points"), ...figures(choice));
    const { reads, stores } = this.#report?.model.samples ?? { reads: 0, stores: 0 };
    const probes = measured.reduce((sum, point) => sum + point.count, 0);
    const from = `from ${plural(reads, "read")} and ${plural(stores, "store")} of ten minutes`;
    say(
      byId("staleness-status"),
      `Predicted ${from}; measured by ${plural(probes, "canary read")}.`,
    );
  }

  /** The sliders' bounds follow n, and their numbers stand beside them. */
  #settle() {
    const n = Number(inputOf("staleness-n").value);
    for (const name of ["r", "w"]) inputOf(`staleness-${name}`).max = String(n);
    for (const name of ["n", "r", "w"]) {
      say(byId(`staleness-${name}-value`), inputOf(`staleness-${name}`).value);
    }
  }

  #chosen() {
    const [r, w] = ["r", "w"].map((name) => Number(inputOf(`staleness-${name}`).value));
    return this.#report?.choices.find((choice) => choice.r === r && choice.w === w);
  }

  async #ask() {
    this.#askedAt = performance.now();
    const asked = ++this.#asked;
    const query = new URLSearchParams({ n: inputOf("staleness-n").value, t: TIMES.join(",") });
    query.set("from", find("staleness-from", HTMLSelectElement).value);
    try {
      const report = /** @type {Report} */ (await json(`/v1/cluster/staleness?${query}`));
      // A slider was moved meanwhile: that answer is on its way.
      if (asked !== this.#asked) return;
      this.#report = report;
      const isKnown = report.choices.some(({ predicted }) => predicted.length > 0);
      if (!isKnown) say(byId("staleness-status"), NOTHING);
      this.draw();
    } catch (error) {
      if (asked !== this.#asked) return;
      const isClosed = error instanceof ApiError && error.status === 403;
      const words = isClosed ? "This part needs an admin's token." : wordsOf(error);
      say(byId("staleness-status"), words);
    }
  }
}

const NOTHING = "Nothing was measured in the last ten minutes. It takes some traffic, or a minute.";
