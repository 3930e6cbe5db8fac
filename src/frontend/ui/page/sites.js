/** The sites of the cache door: what they spare their origins, and purges of what they stored. */
import { ask, json } from "./api.js";
import { ago, byId, bytes, count, duration, find, h, inputOf, say, show, wordsOf } from "./dom.js";
import { SiteCounts } from "./site-counts.js";

/** Names of refreshes that are shown; of more only how many there are. */
const SHOWN_MAX = 8;
/** Sites change seldom: they are asked for once in so many looks. */
const EVERY = 5;

/** @typedef {{ name: string, origin: string, hosts: readonly string[] }} Site */
/** @typedef {{ site: string, url: string, since: string }} Refresh */
/** @typedef {{ until: string, replicas: { learnt: number, of: number } }} Purged */

/** What the form can name, and what the API takes for it. */
const WHATS = /** @type {const} */ ({
  tag: (/** @type {string} */ text) => ({ tags: [text] }),
  url: (/** @type {string} */ text) => ({ urls: [text] }),
  prefix: (/** @type {string} */ text) => ({ prefix: text }),
  everything: () => ({ everything: true }),
});
/** @type {Readonly<Record<keyof typeof WHATS, string>>} */
const EXAMPLES = {
  tag: "posts",
  url: "a whole URL, or /page on all hosts",
  prefix: "how URLs begin, or /blog/ on all hosts",
  everything: "",
};

const chosenWhat = () => {
  const { value } = find("purge-what", HTMLSelectElement);
  return /** @type {keyof typeof WHATS} */ (value);
};

/** @param {number | null} share */
const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);

/**
 * @param {Site} site
 * @param {SiteCounts} counts
 */
function row({ name, origin, hosts }, counts) {
  const { hits, requests, savedBytes, refreshes } = counts.now(name);
  const { hitRatio, originMs } = counts.lately(name);
  /**
   * @param {string} label
   * @param {string} content
   * @param {string} [title]
   */
  const number = (label, content, title) =>
    h("td", { "data-label": label, class: "number", title }, content);
  const since = `${count(hits)} of ${count(requests)} since the process began`;
  return h(
    "tr",
    { "data-site": name },
    h("th", { scope: "row" }, name),
    h("td", { "data-label": "Origin", class: "mono origin" }, origin),
    h("td", { "data-label": "Hosts", class: "mono" }, hosts.join(" ")),
    number("Requests", count(requests)),
    number("Hit ratio", percent(hitRatio), since),
    number("Bytes saved", bytes(savedBytes)),
    number(
      "Origin takes",
      originMs === null ? "–" : duration(originMs),
      "median, to its first byte",
    ),
    number("Refreshing", count(refreshes)),
  );
}

/**
 * @param {Refresh} refresh
 * @param {number} now
 */
const refreshItem = ({ site, url, since }, now) =>
  h(
    "li",
    {},
    h("span", { class: "mono" }, url),
    h("span", { class: "muted" }, `${site}, for ${ago(now - Date.parse(since))}`),
  );

export class Sites {
  /** @type {readonly Site[]} */
  #sites = [];
  /** @type {readonly Refresh[]} */
  #refreshes = [];
  #counts = new SiteCounts();
  #looks = 0;
  #isAllowed = true;

  constructor() {
    byId("purge-what").addEventListener("change", () => this.#drawForm());
    byId("purge-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#purge();
    });
  }

  /**
   * @param {string} metrics what /metrics says now
   * @param {number} at the page's own time, in ms
   */
  async look(metrics, at) {
    this.#counts.take(metrics, at);
    if (!this.#isAllowed) return;
    if (this.#looks++ % EVERY === 0) {
      const answer = await ask("/v1/sites");
      // A monitor sees how the cluster is, and not how it is set up.
      this.#isAllowed = answer.status !== 403 && answer.status !== 404;
      if (answer.ok) this.#sites = (await answer.json()).sites;
    }
    const isBusy = this.#sites.some(({ name }) => this.#counts.now(name).refreshes > 0);
    this.#refreshes = isBusy ? (await readRefreshes()).refreshes : [];
  }

  /** @param {number} now ms since 1970, by the cluster's clock */
  draw(now) {
    const sites = this.#sites;
    byId("sites").hidden = sites.length === 0;
    byId("sites-link").hidden = sites.length === 0;
    show(
      byId("sites-body"),
      sites.map((site) => row(site, this.#counts)),
    );
    const shown = this.#refreshes.slice(0, SHOWN_MAX).map((refresh) => refreshItem(refresh, now));
    const rest = this.#refreshes.length - shown.length;
    if (rest > 0) shown.push(h("li", { class: "muted" }, `and ${count(rest)} more`));
    const none = h("li", { class: "muted" }, "Nothing is being made anew behind an answer.");
    show(byId("refreshes"), shown.length === 0 ? none : shown);
    const options = find("purge-site", HTMLSelectElement);
    const names = sites.map(({ name }) => name);
    if ([...options.options].map(({ value }) => value).join() === names.join()) return;
    const { value } = options;
    show(
      options,
      names.map((name) => h("option", { value: name }, name)),
    );
    if (names.includes(value)) options.value = value;
    this.#drawForm();
  }

  #drawForm() {
    const what = chosenWhat();
    const input = inputOf("purge-text");
    const isWhole = what === "everything";
    input.disabled = isWhole;
    input.required = !isWhole;
    input.placeholder = EXAMPLES[what];
    if (isWhole) input.value = "";
  }

  async #purge() {
    const button = find("purge-button", HTMLButtonElement);
    const soft = inputOf("purge-soft").checked;
    const { value: site } = find("purge-site", HTMLSelectElement);
    const what = WHATS[chosenWhat()](inputOf("purge-text").value.trim());
    const body = JSON.stringify({ site, ...what, ...(soft ? { soft } : {}) });
    button.disabled = true;
    say(byId("purge-status"), "Working …");
    try {
      const headers = { "Content-Type": "application/json" };
      const purged = await json("/v1/purge", { method: "POST", headers, body });
      const { until, replicas } = /** @type {Purged} */ (purged);
      const time = until.slice(11, 19);
      const end = soft ? "is stale" : "is gone";
      const known = `${count(replicas.learnt)} of ${count(replicas.of)} members know.`;
      say(byId("purge-status"), `What was asked for until ${time} UTC ${end}; ${known}`);
    } catch (error) {
      say(byId("purge-status"), wordsOf(error));
    } finally {
      button.disabled = false;
    }
  }
}

/** @returns {Promise<{ refreshes: readonly Refresh[] }>} */
async function readRefreshes() {
  const answer = await ask("/v1/cluster/refreshes");
  return answer.ok ? answer.json() : { refreshes: [] };
}
