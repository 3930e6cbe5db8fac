/** The members as a table. */
import { ago, bytes, count, h, plural, s, show } from "./dom.js";

/** So many are seen at a glance. */
const FEW_MEMBERS = 12;

/** @import { MemberBody } from "../../admin/verdict.ts" */
/** @typedef {{ finishedAt: string, damaged: number, mended: number }} ScrubPass */
/**
 * A member as `GET /v1/cluster` has it.
 *
 * @typedef {MemberBody & {
 *   readonly lastAntiEntropy: Readonly<Record<string, string>>,
 *   readonly deadBytes?: number | null,
 *   readonly scrub?: { readonly last: ScrubPass | null } | null,
 * }} Member
 */
/**
 * With the classes that give it its colour.
 *
 * @typedef {Member & { readonly paint: string }} Painted
 */
/**
 * @typedef {object} View
 * @property {number} now ms since 1970, by the cluster's clock
 * @property {string | null} selected
 * @property {(id: string | null) => void} choose
 * @property {(id: string | null) => void} hover
 */
/** @typedef {View & { most: number, slots: number }} RowView */

/** @param {Member} member */
const hintsOf = ({ hintsHeld }) => Object.values(hintsHeld).reduce((a, b) => a + b, 0);

/**
 * What all members hold together, in words.
 *
 * @param {readonly Member[]} members
 */
export function membersSummary(members) {
  const there = members.filter(({ reachable }) => reachable).length;
  const copies = members.reduce((sum, { keys }) => sum + (keys ?? 0), 0);
  const stored = members.reduce((sum, member) => sum + (member.bytes ?? 0), 0);
  const who = there === members.length ? "all reachable" : `${there} reachable`;
  const held = `${count(copies)} ${copies === 1 ? "copy" : "copies"} of keys, ${bytes(stored)}`;
  return `${members.length}, ${who} · ${held}`;
}

/**
 * When all records were last read to look for rot, and what was found, in words.
 *
 * @param {readonly Member[]} members
 * @param {number} now
 */
export function scrubSummary(members, now) {
  const checked = members.filter(({ reachable, scrub }) => reachable && scrub);
  if (checked.length === 0) return { words: "", isBad: false };
  const passes = checked.flatMap(({ id, scrub }) => (scrub?.last ? [{ id, ...scrub.last }] : []));
  const never = checked.length - passes.length;
  const found = passes.filter(({ damaged }) => damaged > 0);
  const words = [];
  if (passes.length > 0) {
    const first = Math.min(...passes.map(({ finishedAt }) => Date.parse(finishedAt)));
    const who = passes.length === 1 ? "one member" : `${passes.length} members`;
    words.push(`${who} read all records for rot, the earliest ${ago(now - first)} ago`);
  }
  if (never > 0)
    words.push(
      `${plural(never, "member")} ${never === 1 ? "has" : "have"} yet to read all records`,
    );
  for (const { id, damaged, mended } of found) {
    words.push(`${id} found ${count(damaged)} damaged and mended ${count(mended)}`);
  }
  return { words: `Scrub: ${words.join("; ")}.`, isBad: found.length > 0 };
}

/**
 * @param {readonly Member[]} members
 */
export const hintsWaiting = (members) => members.reduce((sum, member) => sum + hintsOf(member), 0);

/**
 * @param {Painted} member
 * @param {RowView} view
 */
function shareCell({ partitionsOwned, paint }, { most, slots }) {
  const width = (100 * partitionsOwned) / Math.max(1, most);
  const percent = `${((100 * partitionsOwned) / Math.max(1, slots)).toFixed(1)} %`;
  const box = { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" };
  const bar = s(
    "svg",
    { class: `share ${paint}`, ...box },
    s("rect", { width: 100, height: 8, class: "track" }),
    s("rect", { width: width.toFixed(1), height: 8, class: "filled" }),
  );
  const cell = h("span", { class: "share-cell" }, bar, h("span", { class: "number" }, percent));
  return h("td", { "data-label": "Share" }, cell);
}

/** @param {Member} member */
function stateCell(member) {
  const { reachable, state, duplicateSeenAt, incompatible = false, version } = member;
  if (incompatible) {
    const title = `this frontend and ${member.id} (${version ?? "unknown"}) refuse each other`;
    return h("span", { class: "state bad", title }, "▲ other version");
  }
  if (duplicateSeenAt) {
    const title = `last noticed ${duplicateSeenAt}`;
    return h("span", { class: "state bad", title }, "▲ runs twice");
  }
  const { startedAt, unreachableSince } = member;
  const title = reachable ? startedAt && `since ${startedAt}` : unreachableSince;
  if (!reachable) return h("span", { class: "state bad", title }, "▲ away");
  const isUp = state === "up";
  const words = `${isUp ? "●" : "◆"} ${state}`;
  return h("span", { class: `state ${isUp ? "good" : "warn"}`, title }, words);
}

/** @param {Member} member */
function hintsCell(member) {
  const held = Object.entries(member.hintsHeld).filter(([, number]) => number > 0);
  if (!member.reachable) return "–";
  if (held.length === 0) return "0";
  return held.map(([target, number]) => `${count(number)} for ${target}`).join(", ");
}

/**
 * @param {Member} member
 * @param {number} now
 */
function lastCell({ lastAntiEntropy, reachable }, now) {
  if (!reachable) return "–";
  const times = Object.values(lastAntiEntropy).map((at) => Date.parse(at));
  if (times.length === 0) return h("span", { class: "warn" }, "never");
  return `${ago(now - Math.max(...times))} ago`;
}

/**
 * @param {Painted} member
 * @param {RowView} view
 */
function row(member, view) {
  const { now, selected, choose, hover } = view;
  const { id } = member;
  const isSelected = id === selected;
  const button = h(
    "button",
    {
      type: "button",
      id: `member-${id}`,
      class: "member-name",
      "aria-pressed": String(isSelected),
      onclick: () => choose(isSelected ? null : id),
      onfocus: () => hover(id),
      onblur: () => hover(null),
    },
    h("span", { class: `swatch ${member.paint}`, "aria-hidden": "true" }),
    id,
  );
  /**
   * @param {string} label
   * @param {string | Node} content
   */
  const number = (label, content) => h("td", { "data-label": label, class: "number" }, content);
  const attributes = {
    "data-member": id,
    class: isSelected ? "is-selected" : null,
    onmouseenter: () => hover(id),
    onmouseleave: () => hover(null),
  };
  const dead = number("Dead", count(member.deadKeys));
  dead.title = bytes(member.deadBytes);
  return h(
    "tr",
    attributes,
    h("th", { scope: "row" }, button),
    h("td", { "data-label": "Zone" }, member.zone),
    h("td", { "data-label": "State" }, stateCell(member)),
    shareCell(member, view),
    number("Keys", count(member.keys)),
    dead,
    number("Stored", bytes(member.bytes)),
    number("Hints held", hintsCell(member)),
    number("Compared", lastCell(member, now)),
  );
}

/** @param {Painted} member */
const isWell = ({ reachable, state, duplicateSeenAt }) =>
  reachable && state === "up" && !duplicateSeenAt;

/**
 * Of many, those that somebody has to look after come first.
 *
 * @param {readonly Painted[]} members
 */
function inOrder(members) {
  if (members.length <= FEW_MEMBERS) return members;
  return [...members.filter((member) => !isWell(member)), ...members.filter(isWell)];
}

/**
 * @param {Element} body
 * @param {readonly Painted[]} members
 * @param {View} view
 */
export function drawMembers(body, members, view) {
  const most = Math.max(...members.map(({ partitionsOwned }) => partitionsOwned));
  const slots = members.reduce((sum, { partitionsOwned }) => sum + partitionsOwned, 0);
  show(
    body,
    inOrder(members).map((member) => row(member, { ...view, most, slots })),
  );
}
