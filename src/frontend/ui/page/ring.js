/**
 * The ring as a picture. A slice is a partition, a circle is a place in the preference list (the
 * first primary outermost), the colour is the member's zone and its shade the member. So a zone
 * that owns too much, or a partition with two copies in one zone, can be seen.
 */
import { count, h, plural, s, show } from "./dom.js";

/** @import { RingBody } from "../../admin/verdict.ts" */
/** @import { Member, Painted } from "./members.js" */

const CENTRE = 200;
const OUTER = 184;
const INNER_MIN = 96;
/** More of one zone are counted, not named. */
const NAMED_MAX = 8;

/**
 * Members in the order of their zones, each with the classes that give it its colour.
 *
 * @param {readonly Member[]} members
 * @returns {readonly Painted[]}
 */
export function paintMembers(members) {
  const zones = [...new Set(members.map(({ zone }) => zone))].sort();
  /** @type {Map<string, number>} */
  const seen = new Map();
  const byName = (/** @type {Member} */ a, /** @type {Member} */ b) =>
    a.zone === b.zone
      ? a.id.localeCompare(b.id, "en", { numeric: true })
      : a.zone.localeCompare(b.zone, "en");
  return members.toSorted(byName).map((member) => {
    const shade = seen.get(member.zone) ?? 0;
    seen.set(member.zone, shade + 1);
    const paint = `zone-${zones.indexOf(member.zone) % 6} shade-${shade % 4}`;
    return { ...member, paint };
  });
}

/**
 * @param {number} angle
 * @param {number} radius
 */
function point(angle, radius) {
  const x = CENTRE + radius * Math.sin(angle);
  const y = CENTRE - radius * Math.cos(angle);
  return `${x.toFixed(2)} ${y.toFixed(2)}`;
}

/**
 * @param {number} from
 * @param {number} to
 * @param {readonly [outer: number, inner: number]} radii
 */
function slicePath(from, to, [outer, inner]) {
  const large = to - from > Math.PI ? 1 : 0;
  const there = `A${outer} ${outer} 0 ${large} 1 ${point(to, outer)}`;
  const back = `A${inner} ${inner} 0 ${large} 0 ${point(from, inner)}`;
  return `M${point(from, outer)}${there}L${point(to, inner)}${back}Z`;
}

const hatch = () =>
  s(
    "defs",
    {},
    s(
      "pattern",
      {
        id: "away",
        width: 5,
        height: 5,
        patternUnits: "userSpaceOnUse",
        patternTransform: "rotate(45)",
      },
      s("rect", { width: 5, height: 5, class: "away-ground" }),
      s("rect", { width: 2, height: 5, class: "away-line" }),
    ),
  );

/**
 * @param {RingBody} ring
 * @param {readonly Painted[]} painted
 */
function slices({ assignment }, painted) {
  const depth = Math.max(1, ...assignment.map((list) => list.length));
  const thickness = Math.min(30, (OUTER - INNER_MIN) / depth);
  const step = (2 * Math.PI) / assignment.length;
  const gap = assignment.length > 128 ? 0 : step * 0.04;
  /** @type {Map<string, string>} */
  const paths = new Map();
  for (const [partition, list] of assignment.entries()) {
    for (const [place, id] of list.entries()) {
      const outer = OUTER - place * thickness;
      const from = partition * step + gap;
      const to = (partition + 1) * step - gap;
      const d = slicePath(from, to, [outer, outer - thickness + 1.5]);
      paths.set(id, (paths.get(id) ?? "") + d);
    }
  }
  return painted.map(({ id, zone, paint, reachable }) =>
    s(
      "path",
      {
        d: paths.get(id) ?? "",
        class: `slice ${paint}${reachable ? "" : " away"}`,
        "data-member": id,
      },
      s("title", {}, `${id}, zone ${zone}`),
    ),
  );
}

/**
 * Points at the partition of the key that is open.
 *
 * @param {number | null} partition
 * @param {number} partitions
 */
function marker(partition, partitions) {
  if (partition === null) return null;
  const angle = ((partition + 0.5) / partitions) * 2 * Math.PI;
  const half = 0.035;
  const outside = `L${point(angle - half, OUTER + 14)}L${point(angle + half, OUTER + 14)}Z`;
  return s("path", { d: `M${point(angle, OUTER + 2)}${outside}`, class: "marker" });
}

/**
 * Draws all of it anew; the picture's words are in its label, the numbers in the table.
 *
 * @param {SVGElement} svg
 * @param {{ ring: RingBody, members: readonly Painted[], partition: number | null }} parts
 */
export function drawRing(svg, { ring, members, partition }) {
  const away = members.filter(({ reachable }) => !reachable).map(({ id }) => id);
  const state = away.length === 0 ? "All are reachable." : `${away.join(", ")} away.`;
  const words = `The ring: ${ring.partitions} partitions over ${members.length} members. ${state}`;
  svg.setAttribute("aria-label", words);
  const number = s(
    "text",
    { x: CENTRE, y: CENTRE + 6, class: "ring-count" },
    count(ring.partitions),
  );
  const word = s("text", { x: CENTRE, y: CENTRE + 28, class: "ring-word" }, "partitions");
  show(svg, hatch(), slices(ring, members), marker(partition, ring.partitions), number, word);
}

/**
 * Brings one member out; null for none.
 *
 * @param {SVGElement} svg
 * @param {string | null} id
 */
export function highlight(svg, id) {
  svg.classList.toggle("has-highlight", id !== null);
  for (const path of svg.querySelectorAll("[data-member]")) {
    path.classList.toggle("is-highlight", path.getAttribute("data-member") === id);
  }
}

/**
 * @param {Element} list
 * @param {readonly Painted[]} members
 */
export function drawLegend(list, members) {
  /** @type {Map<string, Painted[]>} */
  const zones = new Map();
  for (const member of members) {
    zones.set(member.zone, [...(zones.get(member.zone) ?? []), member]);
  }
  const items = [...zones].map(([zone, inZone]) => {
    const swatches = inZone
      .slice(0, 4)
      .map(({ paint }) => h("span", { class: `swatch ${paint}`, "aria-hidden": "true" }));
    const names = inZone.map(({ id }) => id).join(", ");
    const who = inZone.length > NAMED_MAX ? plural(inZone.length, "member") : names;
    return h("li", {}, h("span", { class: "swatches" }, swatches), `zone ${zone}: ${who}`);
  });
  show(list, items);
}
