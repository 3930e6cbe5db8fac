/**
 * `/ui/ring.js`: the ring as a picture. A slice is a partition, a circle is a place in the
 * preference list (the first primary outermost), the colour is the member's zone and its shade the
 * member. So a zone that owns too much, or a partition with two copies in one zone, can be seen.
 */
export const ringScript = `
import { s, show } from "./dom.js";

const CENTRE = 200;
const OUTER = 184;
const INNER_MIN = 92;

/** Members in the order of their zones, each with the classes that give it its colour. */
export function paintMembers(members) {
  const zones = [...new Set(members.map(({ zone }) => zone))].sort();
  const seen = new Map();
  const sorted = [...members].sort((a, b) =>
    a.zone === b.zone ? a.id.localeCompare(b.id, "en", { numeric: true }) :
      a.zone.localeCompare(b.zone, "en"));
  return sorted.map((member) => {
    const shade = seen.get(member.zone) ?? 0;
    seen.set(member.zone, shade + 1);
    const paint = "zone-" + (zones.indexOf(member.zone) % 6) + " shade-" + (shade % 4);
    return { ...member, paint };
  });
}

const point = (angle, radius) =>
  (CENTRE + radius * Math.sin(angle)).toFixed(2) + " " +
  (CENTRE - radius * Math.cos(angle)).toFixed(2);

function slicePath(from, to, radii) {
  const [outer, inner] = radii;
  const large = to - from > Math.PI ? 1 : 0;
  return "M" + point(from, outer) +
    "A" + outer + " " + outer + " 0 " + large + " 1 " + point(to, outer) +
    "L" + point(to, inner) +
    "A" + inner + " " + inner + " 0 " + large + " 0 " + point(from, inner) + "Z";
}

function hatch() {
  return s("defs", {},
    s("pattern", {
      id: "away", width: 5, height: 5, patternUnits: "userSpaceOnUse",
      patternTransform: "rotate(45)",
    }, s("rect", { width: 5, height: 5, class: "away-ground" }),
      s("rect", { width: 2, height: 5, class: "away-line" })));
}

function slices({ assignment }, painted) {
  const depth = Math.max(1, ...assignment.map((list) => list.length));
  const thickness = Math.min(30, (OUTER - INNER_MIN) / depth);
  const step = (2 * Math.PI) / assignment.length;
  const byMember = new Map(painted.map((member) => [member.id, []]));
  for (const [partition, list] of assignment.entries()) {
    for (const [place, id] of list.entries()) {
      const outer = OUTER - place * thickness;
      const gap = assignment.length > 128 ? 0 : step * 0.04;
      const radii = [outer, outer - thickness + 2];
      const d = slicePath(partition * step + gap, (partition + 1) * step - gap, radii);
      byMember.get(id)?.push(d);
    }
  }
  return painted.map((member) =>
    s("path", {
      d: byMember.get(member.id).join(""),
      class: "slice " + member.paint + (member.reachable ? "" : " away"),
      "data-member": member.id,
    }, s("title", {}, member.id + ", zone " + member.zone)));
}

function marker(partition, partitions) {
  if (partition === null) return null;
  const angle = ((partition + 0.5) / partitions) * 2 * Math.PI;
  const half = 0.035;
  const d = "M" + point(angle, OUTER + 2) + "L" + point(angle - half, OUTER + 14) +
    "L" + point(angle + half, OUTER + 14) + "Z";
  return s("path", { d, class: "marker" });
}

function centre({ members, ring }) {
  const there = members.filter(({ reachable }) => reachable).length;
  return [
    s("text", { x: CENTRE, y: CENTRE + 4, class: "ring-count" }, there + "/" + members.length),
    s("text", { x: CENTRE, y: CENTRE + 28, class: "ring-word" }, "reachable"),
    s("text", { x: CENTRE, y: CENTRE - 40, class: "ring-word" }, ring.partitions + " partitions"),
  ];
}

/** Draws all of it anew; the picture's words are in its label, the numbers in the table. */
export function drawRing(svg, { ring, members, partition }) {
  const away = members.filter(({ reachable }) => !reachable).map(({ id }) => id);
  const words = "The ring: " + ring.partitions + " partitions over " + members.length +
    " members. " + (away.length === 0 ? "All are reachable." : away.join(", ") + " away.");
  svg.setAttribute("aria-label", words);
  show(svg, hatch(), slices(ring, members), marker(partition, ring.partitions),
    centre({ members, ring }));
}

/** Brings one member out; null for none. */
export function highlight(svg, id) {
  svg.classList.toggle("has-highlight", id !== null);
  for (const path of svg.querySelectorAll("[data-member]")) {
    path.classList.toggle("is-highlight", path.dataset.member === id);
  }
}
`;
