/**
 * `/ui/dom.js`: making nodes and saying numbers. Like all scripts of the page it is plain
 * JavaScript for browsers, kept as a text because a Worker has no files; it makes every node by
 * hand, so that nothing from a store or a peer is ever read as markup. Neither backticks nor
 * dollar braces may stand in it.
 */
export const domScript = `
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An element; children are nodes or texts. A true attribute has no value, a false one is not. */
export const h = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const s = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

/** Writes only where something changes: a selection or a focus stays. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Puts the new content in, and the focus back where it was. */
export function show(node, ...children) {
  const focused = node.contains(document.activeElement) ? document.activeElement.id : "";
  node.replaceChildren(...children.flat().filter((child) => child !== null));
  if (focused !== "") byId(focused)?.focus({ preventScroll: true });
}

export function bytes(count) {
  if (count === null || count === undefined) return "–";
  let value = count;
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (value < 1000) return (value < 10 && unit !== "B" ? value.toFixed(1) : Math.round(value)) +
      " " + unit;
    value /= 1000;
  }
  return value.toFixed(1) + " TB";
}

export const count = (value) =>
  value === null || value === undefined ? "–" : value.toLocaleString("en-US");

export const plural = (value, word) => count(value) + " " + word + (value === 1 ? "" : "s");

/** A rate with as many digits as it deserves. */
export const rate = (value) => (value < 10 ? value.toFixed(1) : count(Math.round(value)));

export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 10) return ms.toFixed(1) + " ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  return (ms / 1000).toFixed(ms < 10000 ? 1 : 0) + " s";
}

export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return seconds + " s";
  if (seconds < 6000) return Math.round(seconds / 60) + " min";
  return seconds < 172800 ? Math.round(seconds / 3600) + " h" : Math.round(seconds / 86400) + " d";
}
`;
