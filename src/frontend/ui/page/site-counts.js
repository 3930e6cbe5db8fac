/**
 * What `/metrics` says of the sites of this frontend's cache door: totals since its process began,
 * and what came lately, as differences between two readings.
 */
const REQUESTS = "starling_cache_requests_total";
const BYTES = "starling_cache_site_bytes_total";
const REFRESHES = "starling_cache_refreshes";
const ORIGIN = "starling_cache_origin_seconds";
const LATELY_MS = 120_000;
const LINE = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-z_]+)="((?:[^"\\]|\\.)*)"/g;
/** Answers that needed no body of the origin: as they were stored, stale ones too, or by a 304. */
const HITS = new Set(["hit", "stale", "revalidated"]);

/** @typedef {{ name: string, labels: Record<string, string>, value: number }} Metric */
/**
 * @typedef {object} Counts
 * @property {number} hits
 * @property {number} requests those that a cache could have answered
 * @property {number} savedBytes
 * @property {number} refreshes
 * @property {Map<number, number>} origin answers that took the origin so many seconds at most
 */
/** @typedef {{ at: number, counts: Map<string, Counts> }} Reading */
/**
 * @typedef {object} Lately
 * @property {number | null} hitRatio null: nothing was asked for
 * @property {number | null} originMs the median; null: the origin was not asked
 */

/**
 * All samples of an exposition whose names are asked for.
 *
 * @param {string} text
 * @param {(name: string) => boolean} isWanted
 * @returns {Metric[]}
 */
function parseMetrics(text, isWanted) {
  const samples = [];
  for (const line of text.split("\n")) {
    const [, name = "", labels = "", value = ""] = LINE.exec(line) ?? [];
    if (!isWanted(name)) continue;
    const pairs = [...labels.matchAll(LABEL)].map(([, label, content]) => [label, content]);
    samples.push({ name, labels: Object.fromEntries(pairs), value: numberOf(value) });
  }
  return samples;
}

/** @param {string} text */
const numberOf = (text) => (text === "+Inf" ? Number.POSITIVE_INFINITY : Number(text));

/** @returns {Counts} */
const nothing = () => ({ hits: 0, requests: 0, savedBytes: 0, refreshes: 0, origin: new Map() });

/**
 * @param {string} text
 * @returns {Map<string, Counts>}
 */
export function countsOf(text) {
  /** @type {Map<string, Counts>} */
  const sites = new Map();
  const isWanted = (/** @type {string} */ name) =>
    name === REQUESTS || name === BYTES || name === REFRESHES || name === `${ORIGIN}_bucket`;
  for (const { name, labels, value } of parseMetrics(text, isWanted)) {
    const { site = "", result = "", from = "", le = "" } = labels;
    const counts = sites.get(site) ?? nothing();
    sites.set(site, counts);
    if (name === REQUESTS && result !== "bypass") counts.requests += value;
    if (name === REQUESTS && HITS.has(result)) counts.hits += value;
    if (name === BYTES && from === "cache") counts.savedBytes = value;
    if (name === REFRESHES) counts.refreshes = value;
    if (name !== `${ORIGIN}_bucket`) continue;
    counts.origin.set(le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le), value);
  }
  return sites;
}

/**
 * The median by interpolating within a class, in ms; null where nothing was measured.
 *
 * @param {Map<number, number>} after
 * @param {Map<number, number>} before
 */
function medianMs(after, before) {
  const classes = [...after]
    .map(([le, value]) => /** @type {const} */ ([le, value - (before.get(le) ?? 0)]))
    .sort(([a], [b]) => a - b);
  const half = (classes.at(-1)?.[1] ?? 0) / 2;
  if (half <= 0) return null;
  let [low, below] = [0, 0];
  for (const [le, value] of classes) {
    if (value >= half) {
      if (le === Number.POSITIVE_INFINITY) return low * 1000;
      return 1000 * (low + ((le - low) * (half - below)) / Math.max(1, value - below));
    }
    [low, below] = [le, value];
  }
  return low * 1000;
}

export class SiteCounts {
  /** @type {Reading[]} */
  #readings = [];

  /**
   * @param {string} text what /metrics says now
   * @param {number} at the page's own time, in ms
   */
  take(text, at) {
    const counts = countsOf(text);
    // A counter that fell belongs to a new process: what was before it says nothing.
    const before = this.#readings.at(-1)?.counts ?? new Map();
    const fell = [...before].some(([site, { requests }]) => {
      return (counts.get(site)?.requests ?? 0) < requests;
    });
    if (fell) this.#readings = [];
    this.#readings.push({ at, counts });
    while ((this.#readings[0]?.at ?? at) < at - LATELY_MS) this.#readings.shift();
  }

  /** @param {string} site */
  now(site) {
    return this.#readings.at(-1)?.counts.get(site) ?? nothing();
  }

  /**
   * Of the last two minutes, or since the process began where nothing was asked for in these, or
   * the page was opened just now.
   *
   * @param {string} site
   * @returns {Lately}
   */
  lately(site) {
    const after = this.now(site);
    const first = this.#readings.length > 1 ? this.#readings[0]?.counts.get(site) : undefined;
    const hasNews = first !== undefined && after.requests > first.requests;
    const before = hasNews ? first : nothing();
    const requests = after.requests - before.requests;
    return {
      hitRatio: requests === 0 ? null : (after.hits - before.hits) / requests,
      originMs: medianMs(after.origin, before.origin) ?? medianMs(after.origin, new Map()),
    };
  }
}
