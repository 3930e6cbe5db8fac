/** How lately each pair of members compared all that it shares. */
import { ago, h, plural, s, show } from "./dom.js";

/** @import { RingBody } from "../../admin/verdict.ts" */
/** @import { Painted } from "./members.js" */
/** @typedef {"self" | "apart" | "never" | "fresh" | "recent" | "old"} Level */
/** @typedef {{ a: Painted, b: Painted, age: number | null, level: Level }} Pair */

/** More members are a picture: nobody reads a table of a thousand cells. */
const TABLE_MEMBERS_MAX = 12;
const FRESH_MS = 60_000;
const RECENT_MS = 600_000;

/**
 * Pairs that are primaries of one partition, both ways round: only these have to agree.
 *
 * @param {RingBody} ring
 */
function sharedPairs({ assignment }) {
  const pairs = new Set();
  for (const list of assignment) {
    for (const a of list) for (const b of list) pairs.add(`${a} ${b}`);
  }
  return pairs;
}

/**
 * The newer of both directions: an exchange brings both sides up to date.
 *
 * @param {Painted} a
 * @param {Painted} b
 * @param {number} now
 */
function pairAge(a, b, now) {
  const times = [a.lastAntiEntropy[b.id], b.lastAntiEntropy[a.id]].filter((at) => at !== undefined);
  if (times.length === 0) return null;
  return now - Math.max(...times.map((at) => Date.parse(at)));
}

/**
 * @param {number | null} age
 * @returns {Level}
 */
function levelOf(age) {
  if (age === null) return "never";
  if (age < FRESH_MS) return "fresh";
  return age < RECENT_MS ? "recent" : "old";
}

/**
 * Each pair once a row and once a column: the rows read the same both ways.
 *
 * @param {readonly Painted[]} members
 * @param {{ now: number, ring: RingBody }} view
 * @returns {readonly (readonly Pair[])[]}
 */
function pairsOf(members, { now, ring }) {
  const shared = sharedPairs(ring);
  return members.map((a) =>
    members.map((b) => {
      if (a.id === b.id) return { a, b, age: null, level: "self" };
      if (!shared.has(`${a.id} ${b.id}`)) return { a, b, age: null, level: "apart" };
      const age = pairAge(a, b, now);
      return { a, b, age, level: levelOf(age) };
    }),
  );
}

/** @param {Pair} pair */
function wordsOf({ a, b, age, level }) {
  const names = `${a.id} and ${b.id}`;
  if (level === "self") return a.id;
  if (level === "apart") return `${names} share no partition`;
  return age === null ? `${names}: never compared` : `${names}: compared ${ago(age)} ago`;
}

/** @param {Pair} pair */
function cell(pair) {
  const { age, level } = pair;
  if (level === "self") return h("td", { class: "self", "aria-label": "itself" });
  const text = { apart: "·", never: "never" }[String(level)] ?? ago(age ?? 0);
  return h("td", { class: `pair ${level}`, title: wordsOf(pair) }, text);
}

/** @param {readonly (readonly Pair[])[]} rows */
function table(rows) {
  const heads = (rows[0] ?? []).map(({ b }) => h("th", { scope: "col" }, b.id));
  const body = rows.map((row) =>
    h("tr", {}, h("th", { scope: "row" }, row[0]?.a.id ?? ""), row.map(cell)),
  );
  const caption = "How long ago each pair of members last compared all that it shares";
  return h(
    "table",
    { class: "pairs" },
    h("caption", { class: "visually-hidden" }, caption),
    h("thead", {}, h("tr", {}, h("td", {}), heads)),
    h("tbody", {}, body),
  );
}

/** @param {readonly (readonly Pair[])[]} rows */
function picture(rows) {
  const size = rows.length;
  const cells = rows.flatMap((row, y) =>
    row.map((pair, x) =>
      s(
        "rect",
        { x: x + 0.06, y: y + 0.06, width: 0.88, height: 0.88, class: `cell ${pair.level}` },
        s("title", {}, wordsOf(pair)),
      ),
    ),
  );
  const label = "A square for each pair of members; its colour is how long ago they compared";
  const box = { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": label };
  return h("div", { class: "pairs-picture" }, s("svg", box, cells));
}

/**
 * One sentence on all of them.
 *
 * @param {readonly (readonly Pair[])[]} rows
 */
function summary(rows) {
  const once = rows.flatMap((row, y) => row.slice(y + 1)).filter(({ level }) => level !== "apart");
  const never = once.filter(({ level }) => level === "never").length;
  const ages = once.flatMap(({ age }) => (age === null ? [] : [age]));
  const oldest = ages.length === 0 ? "" : `The longest ago is ${ago(Math.max(...ages))}.`;
  if (once.length === 0) return { never, words: "No two members share a partition." };
  if (never === 0)
    return { never, words: `All ${plural(once.length, "pair")} have compared. ${oldest}` };
  const who = `${never} of ${plural(once.length, "pair")}`;
  return { never, words: `${who} never compared since their start. ${oldest}` };
}

/**
 * @param {{ place: Element, words: Element }} where
 * @param {readonly Painted[]} members
 * @param {{ now: number, ring: RingBody }} view
 */
export function drawPairs({ place, words }, members, view) {
  const rows = pairsOf(members, view);
  const { never, words: told } = summary(rows);
  if (words.textContent !== told) words.textContent = told;
  words.classList.toggle("warn", never > 0);
  show(place, rows.length > TABLE_MEMBERS_MAX ? picture(rows) : table(rows));
}
