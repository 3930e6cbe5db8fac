/** Asks, every two seconds, and hands the parts of the page what they show. */
import { ask, BASE, forgetToken, giveToken, hasToken, json, text, usesTokens } from "./api.js";
import { ago, byId, count, find, plural, say, show, wordsOf } from "./dom.js";
import { Entry } from "./entry.js";
import { Keys } from "./keys.js";
import { drawMembers, hintsWaiting, membersSummary, scrubSummary } from "./members.js";
import { drawPairs } from "./pairs.js";
import { drawLegend, drawRing, highlight, paintMembers } from "./ring.js";
import { Sites } from "./sites.js";
import { Staleness } from "./staleness.js";
import { firstSteps } from "./steps.js";
import { Traffic } from "./traffic.js";
import { drawTransfers, isOver, readTransfers } from "./transfers.js";
import { pathOf } from "./values.js";

/** @import { ClusterBody, RingBody, Verdict } from "../../admin/verdict.ts" */
/** @import { Member } from "./members.js" */
/** @import { Transfer } from "./transfers.js" */
/** @typedef {ClusterBody & { readonly members: readonly Member[], verdict: Verdict }} Cluster */

const POLL_MS = 2000;
/** As exact as the header Date is. */
const SKEW_MS = 2000;

/** What the page knows. */
class State {
  /** @type {Cluster | null} */
  cluster = null;
  /** @type {RingBody | null} */
  ring = null;
  /** @type {string | null} */
  selected = null;
  /** @type {string | null} */
  hovered = null;
  /** @type {number | null} */
  partition = null;
  /** @type {readonly Transfer[]} */
  transfers = [];
  skewMs = 0;
  /** By the page's own time, in ms. */
  updatedAt = Number.NaN;
}

const state = new State();
const traffic = new Traffic();
const sites = new Sites();
const staleness = new Staleness();
const picture = find("ring", SVGSVGElement);

const entry = new Entry(
  (partition) => {
    state.partition = partition;
    drawPicture();
  },
  (key) => void keys.changed(key),
);
const keys = new Keys(
  (key) => {
    history.replaceState(null, "", `#key=${pathOf(key)}`);
    void entry.open(key);
    const isNarrow = matchMedia("(max-width: 1000px)").matches;
    if (isNarrow) byId("entry-pane").scrollIntoView({ block: "start" });
  },
  () => entry.close(),
);

const now = () => Date.now() + state.skewMs;

/** @param {string | null} id */
function choose(id) {
  state.selected = id;
  draw();
}

/** @param {string | null} id */
function hover(id) {
  state.hovered = id;
  highlight(picture, state.hovered ?? state.selected);
}

function drawPicture() {
  const { ring, cluster, partition } = state;
  if (ring === null || cluster === null) return;
  drawRing(picture, { ring, members: paintMembers(cluster.members), partition });
  highlight(picture, state.hovered ?? state.selected);
}

/** @param {Cluster} cluster */
function drawVerdict({ name, verdict, members }) {
  const [, word = "", sentence = ""] = /^([A-Z]+): (.*)$/.exec(verdict.text) ?? ["", "", ""];
  // Only a change is announced: a screen reader is not told the same every two seconds.
  byId("verdict").dataset["level"] = verdict.level;
  say(byId("verdict-word"), word);
  const startsWithMember = members.some(({ id }) => sentence.split(/[ ,]/)[0] === id);
  const first = startsWithMember ? sentence.charAt(0) : sentence.charAt(0).toUpperCase();
  say(byId("verdict-text"), first + sentence.slice(1));
  const hints = hintsWaiting(members);
  const waiting = hints === 0 ? [] : [`${plural(hints, "hint")} waiting for their owners`];
  const moving = state.transfers.filter((transfer) => !isOver(transfer)).length;
  if (moving > 0) waiting.push(`${plural(moving, "transfer")} to new owners`);
  say(byId("verdict-more"), waiting.join(" · "));
  say(byId("cluster-name"), name);
  document.title = `${verdict.level === "safe" ? "" : "▲ "}${name} · Starling`;
}

function draw() {
  const { cluster, ring } = state;
  if (cluster === null || ring === null) return;
  const members = paintMembers(cluster.members);
  drawVerdict(cluster);
  say(byId("version"), cluster.version === undefined ? "" : `Starling ${cluster.version}`);
  say(byId("members-summary"), membersSummary(members));
  const { words, isBad } = scrubSummary(members, now());
  say(byId("scrubs"), words);
  byId("scrubs").classList.toggle("warn", isBad);
  say(byId("ring-summary"), `version ${count(cluster.ringVersion)}`);
  const { selected } = state;
  drawMembers(byId("members-body"), members, { now: now(), selected, choose, hover });
  const where = { place: byId("pairs"), words: byId("pairs-summary") };
  drawPairs(where, members, { now: now(), ring });
  drawLegend(byId("legend"), members);
  drawTransfers(byId("transfers"), state.transfers);
  drawPicture();
  entry.paint(members);
}

async function poll() {
  const answer = await ask("/v1/cluster");
  const date = Date.parse(answer.headers.get("Date") ?? "");
  if (!answer.ok) throw new Error(`The cluster's part is closed: ${answer.status}.`);
  if (Math.abs(date - Date.now()) > SKEW_MS) state.skewMs = date - Date.now();
  /** @type {Cluster} */
  const cluster = await answer.json();
  if (state.ring?.version !== cluster.ringVersion) {
    state.ring = /** @type {RingBody} */ (await json("/v1/cluster/ring"));
  }
  state.cluster = cluster;
  state.transfers = await readTransfers(cluster);
  traffic.take(cluster.members, performance.now());
  traffic.draw();
  const metrics = await text("/metrics");
  draw();
  await sites.look(metrics, performance.now());
  sites.draw(now());
  await staleness.look(cluster.members.length);
  state.updatedAt = performance.now();
  byId("cluster").classList.remove("is-unknown");
}

function tellAge() {
  const age = performance.now() - state.updatedAt;
  const isOld = age > 3 * POLL_MS;
  say(byId("updated"), Number.isNaN(age) ? "" : `updated ${ago(age)} ago`);
  byId("updated").classList.toggle("warn", isOld);
}

/** @param {unknown} error null: none */
function tellTrouble(error) {
  const banner = byId("trouble");
  banner.hidden = error === null;
  if (error === null) return;
  const isSilent = error instanceof TypeError;
  const silence = "This frontend does not answer. What is shown is the last that it said.";
  say(banner, isSilent ? `${silence} Trying again.` : wordsOf(error));
  traffic.forget();
}

/** A link to a key opens it: #key=namespace/key, both percent-encoded. */
async function openFromAddress() {
  const [, namespace = "", key = ""] = /^#key=([^/]+)\/(.+)$/.exec(location.hash) ?? [];
  if (key === "") return;
  try {
    const named = { namespace: decodeURIComponent(namespace), key: decodeURIComponent(key) };
    await keys.reveal(named);
    await entry.open(named);
  } catch {
    say(byId("keys-status"), "The address names no key.");
  }
}

async function forever() {
  let isFirst = true;
  for (;;) {
    // A page that nobody looks at asks nothing.
    while (document.hidden) {
      traffic.forget();
      await new Promise((go) => document.addEventListener("visibilitychange", go, { once: true }));
    }
    await poll().then(() => tellTrouble(null), tellTrouble);
    byId("token-button").hidden = !usesTokens();
    say(byId("token-button"), hasToken() ? "Forget token" : "Token …");
    show(byId("steps"), firstSteps(BASE, usesTokens()));
    if (isFirst) await openFromAddress();
    if (keys.isToLoad) void keys.load();
    isFirst = false;
    await new Promise((go) => setTimeout(go, POLL_MS));
  }
}

/**
 * @param {string} id
 * @param {string} path
 * @param {(result: Readonly<Record<string, number>>) => string} words
 */
function onClick(id, path, words) {
  const button = find(id, HTMLButtonElement);
  button.addEventListener("click", async () => {
    button.disabled = true;
    say(byId("work-status"), "Working …");
    try {
      const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
      const result = /** @type {Record<string, number>} */ (await json(path, init));
      say(byId("work-status"), words(result));
    } catch (error) {
      say(byId("work-status"), wordsOf(error));
    } finally {
      button.disabled = false;
    }
  });
}

onClick("compare", "/v1/cluster/anti-entropy", (result) => {
  const { exchanges = 0, partitionsCompared = 0, partitionsDiffering = 0 } = result;
  const moved = (result["keysSent"] ?? 0) + (result["keysReceived"] ?? 0);
  const compared = `${plural(partitionsCompared, "partition")} compared`;
  const differed = `${count(partitionsDiffering)} differed, ${plural(moved, "key")} moved`;
  return `${plural(exchanges, "exchange")}: ${compared}, ${differed}.`;
});
onClick("deliver", "/v1/cluster/handoff", ({ delivered = 0, pending = 0 }) => {
  return `${plural(delivered, "hint")} delivered, ${count(pending)} still held.`;
});
byId("token-button").addEventListener("click", () => {
  if (hasToken()) forgetToken();
  void giveToken().then(() => keys.load());
});
byId("token-cancel").addEventListener("click", () =>
  find("token-dialog", HTMLDialogElement).close(),
);
window.addEventListener("hashchange", () => void openFromAddress());
setInterval(tellAge, 1000);

void forever();
