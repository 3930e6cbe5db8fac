/** `/ui/app.js`: asks, every two seconds, and hands the parts of the page what they show. */
export const appScript = `
import { ask, forgetToken, giveToken, hasToken, json, text, usesTokens } from "./api.js";
import { ago, byId, count, h, plural, say, show } from "./dom.js";
import { Lookup } from "./lookup.js";
import { drawMembers, drawPairs, totals, verdict } from "./members.js";
import { drawRing, highlight, paintMembers } from "./ring.js";
import { Traffic } from "./traffic.js";
import { drawTransfers, readTransfers } from "./transfers.js";

const POLL_MS = 2000;
const state = { cluster: null, ring: null, selected: null, hovered: null, partition: null,
  skewMs: 0, transfers: [] };
const traffic = new Traffic();
const lookup = new Lookup((partition) => {
  state.partition = partition;
  drawPicture();
});

const now = () => Date.now() + state.skewMs;
const painted = () => paintMembers(state.cluster.members);

function choose(id) {
  state.selected = id;
  draw();
}

function hover(id) {
  state.hovered = id;
  highlight(byId("ring"), state.hovered ?? state.selected);
}

function drawPicture() {
  if (state.ring === null || state.cluster === null) return;
  drawRing(byId("ring"), { ring: state.ring, members: painted(), partition: state.partition });
  highlight(byId("ring"), state.hovered ?? state.selected);
}

function drawLegend(members) {
  const zones = new Map();
  for (const member of members) zones.set(member.zone, [...(zones.get(member.zone) ?? []), member]);
  show(byId("legend"), [...zones].map(([zone, list]) => h("li", {},
    list.map(({ paint }) => h("span", { class: "swatch " + paint, "aria-hidden": "true" })),
    "zone " + zone + ": " + list.map(({ id }) => id).join(", "))));
}

function drawFigures(sums) {
  const { members, ringVersion } = state.cluster;
  say(byId("figure-members"), members.length - sums.away.length + " of " + members.length);
  byId("figure-members").classList.toggle("bad", sums.away.length > 0);
  say(byId("figure-hints"), count(sums.hints));
  byId("figure-hints").classList.toggle("warn", sums.hints > 0);
  say(byId("figure-stale"), sums.oldest === null ? "–" : ago(sums.oldest));
  say(byId("figure-records"), count(sums.records));
  say(byId("figure-ring"), "v" + ringVersion);
}

function draw() {
  if (state.cluster === null || state.ring === null) return;
  const members = painted();
  const sums = totals(state.cluster, now());
  const moving = state.transfers.filter(({ isOver }) => !isOver).length;
  const { level, words, more } = verdict(sums, moving);
  // Only a change is announced: a screen reader is not told the same every two seconds.
  say(byId("verdict"), words);
  say(byId("verdict-more"), more);
  byId("verdict").dataset.level = level;
  say(byId("cluster-name"), state.cluster.name);
  document.title = (level === "good" ? "" : "▲ ") + state.cluster.name + " · Starling";
  drawFigures(sums);
  drawMembers(byId("members-body"), members,
    { now: now(), selected: state.selected, choose, hover });
  drawPairs(byId("pairs"), members, { now: now(), ring: state.ring });
  drawLegend(members);
  drawTransfers(byId("transfers"), state.transfers);
  drawPicture();
  lookup.paint(members);
}

async function poll() {
  const answer = await ask("/v1/cluster");
  const date = Date.parse(answer.headers.get("Date") ?? "");
  if (!answer.ok) throw new Error("The frontend answers " + answer.status + ".");
  // Ages are told by the cluster's clock; a second is as exact as that header is.
  if (Math.abs(date - Date.now()) > 2000) state.skewMs = date - Date.now();
  state.cluster = await answer.json();
  if (state.ring?.version !== state.cluster.ringVersion) {
    state.ring = await json("/v1/cluster/ring");
  }
  state.transfers = await readTransfers(state.cluster);
  traffic.take(await text("/metrics"), performance.now());
  traffic.draw();
  draw();
}

function tellTrouble(error) {
  const banner = byId("trouble");
  banner.hidden = error === null;
  if (error === null) return;
  say(banner, error instanceof TypeError ?
    "This frontend does not answer. What is shown is the last that it said; trying again." :
    error.message);
  traffic.forget();
}

async function forever() {
  let isFirst = true;
  for (;;) {
    // A page that nobody looks at asks nothing.
    while (document.hidden) {
      traffic.forget();
      await new Promise((go) =>
        document.addEventListener("visibilitychange", go, { once: true }));
    }
    await poll().then(() => tellTrouble(null), tellTrouble);
    byId("token-button").hidden = !usesTokens();
    say(byId("token-button"), hasToken() ? "Forget token" : "Token …");
    if (isFirst) lookup.fromAddress();
    isFirst = false;
    await new Promise((go) => setTimeout(go, POLL_MS));
  }
}

async function run(button, path, words) {
  button.disabled = true;
  say(byId("work-status"), "Working …");
  try {
    const init = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };
    say(byId("work-status"), words(await json(path, init)));
  } catch (error) {
    say(byId("work-status"), error.message);
  } finally {
    button.disabled = false;
  }
}

byId("compare").addEventListener("click", ({ currentTarget }) =>
  void run(currentTarget, "/v1/cluster/anti-entropy", (result) =>
    plural(result.exchanges, "exchange") + ": " + plural(result.partitionsCompared, "partition") +
    " compared, " + count(result.partitionsDiffering) + " differed, " +
    plural(result.keysSent + result.keysReceived, "key") + " moved."));
byId("deliver").addEventListener("click", ({ currentTarget }) =>
  void run(currentTarget, "/v1/cluster/handoff", ({ delivered, pending }) =>
    plural(delivered, "hint") + " delivered, " + count(pending) + " still held."));
byId("token-button").addEventListener("click", () => {
  if (hasToken()) forgetToken();
  void giveToken();
});
byId("token-cancel").addEventListener("click", () => byId("token-dialog").close());

void forever();
`;
