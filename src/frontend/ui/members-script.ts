/** `/ui/members.js`: the members as a table, and how lately each pair compared itself. */
export const membersScript = `
import { ago, bytes, count, h, plural, s, show } from "./dom.js";

const hintsOf = ({ hintsHeld }) => Object.values(hintsHeld).reduce((a, b) => a + b, 0);

/** Figures of the whole cluster. */
export function totals(cluster, now) {
  const away = cluster.members.filter(({ reachable }) => !reachable).map(({ id }) => id);
  const hints = cluster.members.reduce((sum, member) => sum + hintsOf(member), 0);
  const times = cluster.members.flatMap(({ lastAntiEntropy }) => Object.values(lastAntiEntropy));
  const oldest = times.length === 0 ? null : now - Math.min(...times.map((at) => Date.parse(at)));
  const records = cluster.members.reduce((sum, { keys }) => sum + (keys ?? 0), 0);
  const twice = cluster.members.filter((m) => m.duplicateSeenAt).map(({ id }) => id);
  return { away, hints, oldest, records, twice };
}

function shareCell(member, most, slots) {
  const width = (100 * member.partitionsOwned) / Math.max(1, most);
  const percent = ((100 * member.partitionsOwned) / Math.max(1, slots)).toFixed(1) + " %";
  const bar = s("svg", { class: "share " + member.paint, viewBox: "0 0 100 8",
    preserveAspectRatio: "none", "aria-hidden": "true" },
    s("rect", { width: 100, height: 8, class: "track" }),
    s("rect", { width: width.toFixed(1), height: 8, class: "filled" }));
  return h("td", { "data-label": "Share" },
    h("span", { class: "share-cell" }, bar, h("span", { class: "number" }, percent)));
}

function stateCell({ reachable, state, duplicateSeenAt }) {
  if (duplicateSeenAt) {
    return h("span", { class: "state bad", title: "last noticed " + duplicateSeenAt },
      "▲ runs twice");
  }
  if (!reachable) return h("span", { class: "state bad" }, "▲ away");
  return h("span", { class: "state " + (state === "up" ? "good" : "warn") },
    (state === "up" ? "● " : "◆ ") + state);
}

function hintsCell(member) {
  const held = Object.entries(member.hintsHeld).filter(([, number]) => number > 0);
  if (!member.reachable) return "–";
  if (held.length === 0) return "0";
  return held.map(([target, number]) => count(number) + " for " + target).join(", ");
}

function lastCell({ lastAntiEntropy, reachable }, now) {
  const times = Object.values(lastAntiEntropy).map((at) => Date.parse(at));
  if (!reachable || times.length === 0) return "–";
  return ago(now - Math.max(...times)) + " ago";
}

function row(member, parts) {
  const { most, slots, now, selected, choose, hover } = parts;
  const isSelected = member.id === selected;
  const button = h("button", {
    type: "button", id: "member-" + member.id, class: "member-name",
    "aria-pressed": String(isSelected),
    onclick: () => choose(isSelected ? null : member.id),
    onfocus: () => hover(member.id), onblur: () => hover(null),
  }, h("span", { class: "swatch " + member.paint, "aria-hidden": "true" }), member.id);
  return h("tr", {
    "data-member": member.id, class: isSelected ? "is-selected" : null,
    onmouseenter: () => hover(member.id), onmouseleave: () => hover(null),
  },
    h("th", { scope: "row" }, button),
    h("td", { "data-label": "Zone" }, member.zone),
    h("td", { "data-label": "State" }, stateCell(member)),
    shareCell(member, most, slots),
    h("td", { "data-label": "Keys", class: "number" }, count(member.keys)),
    h("td", { "data-label": "Dead", class: "number", title: bytes(member.deadBytes) },
      count(member.deadKeys)),
    h("td", { "data-label": "Stored", class: "number" }, bytes(member.bytes)),
    h("td", { "data-label": "Hints held", class: "number" }, hintsCell(member)),
    h("td", { "data-label": "Last exchange", class: "number" }, lastCell(member, now)));
}

export function drawMembers(body, members, view) {
  const most = Math.max(...members.map(({ partitionsOwned }) => partitionsOwned));
  const slots = members.reduce((sum, { partitionsOwned }) => sum + partitionsOwned, 0);
  show(body, members.map((member) => row(member, { ...view, most, slots })));
}

/** The newer of both directions: an exchange brings both sides up to date. */
function pairAge(a, b, now) {
  const times = [a.lastAntiEntropy[b.id], b.lastAntiEntropy[a.id]].filter(Boolean);
  if (times.length === 0) return null;
  return now - Math.max(...times.map((at) => Date.parse(at)));
}

function pairCell(a, b, { now, shared }) {
  if (a.id === b.id) return h("td", { class: "self", "aria-label": "itself" });
  if (!shared.has(a.id + " " + b.id)) {
    return h("td", { class: "pair", title: a.id + " and " + b.id + " share no partition" }, "·");
  }
  const age = pairAge(a, b, now);
  const level = age === null ? "never" : age < 60000 ? "fresh" : age < 600000 ? "recent" : "old";
  const words = age === null ? "never compared" : "compared " + ago(age) + " ago";
  return h("td", { class: "pair " + level, title: a.id + " and " + b.id + ": " + words },
    age === null ? "–" : ago(age));
}

/** Pairs that are primaries of one partition, both ways round: only these have to agree. */
function sharedPairs({ assignment }) {
  const pairs = new Set();
  for (const list of assignment) {
    for (const a of list) for (const b of list) pairs.add(a + " " + b);
  }
  return pairs;
}

/** Each pair once a row and once a column: the table reads the same both ways. */
export function drawPairs(table, members, { now, ring }) {
  const parts = { now, shared: sharedPairs(ring) };
  const head = h("thead", {}, h("tr", {},
    h("td", {}), members.map(({ id }) => h("th", { scope: "col" }, id))));
  const rows = members.map((a) => h("tr", {},
    h("th", { scope: "row" }, a.id), members.map((b) => pairCell(a, b, parts))));
  show(table, h("caption", { class: "visually-hidden" },
    "How long ago each pair of members last compared all that it shares"),
    head, h("tbody", {}, rows));
}

/** One sentence about the whole, how bad it is, and what changes too often to be announced. */
export function verdict({ away, hints, twice }, transfers) {
  const more = hints === 0 ? "" : plural(hints, "hint") + " wait" + (hints === 1 ? "s" : "") +
    " to be brought home.";
  if (twice.length > 0) {
    const words = "Two processes run as " + twice.join(", ") + ": stop the one on the copy.";
    return { level: "bad", words, more };
  }
  if (away.length > 0) {
    const words = away.join(", ") + (away.length === 1 ? " does" : " do") + " not answer.";
    return { level: "bad", words, more };
  }
  if (transfers > 0) return { level: "warn", words: "Data is moving to its new owners.", more };
  if (hints > 0) return { level: "warn", words: "All members answer.", more };
  return { level: "good", words: "All members answer and no hint waits.", more };
}
`;
