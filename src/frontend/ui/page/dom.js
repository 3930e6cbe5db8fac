/**
 * Making nodes and saying numbers. Every node is made by hand, so that nothing from a store or a
 * peer is ever read as markup.
 */
const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | null | undefined} Child */

/**
 * @template {Element} T
 * @param {T} node
 * @param {Readonly<Record<string, unknown>>} attributes a true one has no value, a false one is not
 * @param {readonly (Child | readonly Child[])[]} children
 * @returns {T}
 */
function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") {
      const listener = /** @type {EventListener} */ (value);
      node.addEventListener(name.slice(2), listener);
    } else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) if (child) node.append(child);
  return node;
}

/**
 * An element; `onNAME` is a listener.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, unknown>>} attributes
 * @param {...(Child | readonly Child[])} children
 */
export const h = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

/**
 * The same for SVG.
 *
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Readonly<Record<string, unknown>>} attributes
 * @param {...(Child | readonly Child[])} children
 */
export const s = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/**
 * A node of the page that is always there.
 *
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function find(id, kind) {
  const node = document.getElementById(id);
  if (node instanceof kind) return node;
  throw new Error(`the page has no ${kind.name} with the id ${id}`);
}

/** @param {string} id */
export const byId = (id) => find(id, HTMLElement);
/** @param {string} id */
export const inputOf = (id) => find(id, HTMLInputElement);

/**
 * Writes only where something changes: a selection or a focus stays.
 *
 * @param {Element} node
 * @param {string} text
 */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Puts the new content in, and the focus back where it was.
 *
 * @param {Element} node
 * @param {...(Child | readonly Child[])} children
 */
export function show(node, ...children) {
  const { activeElement } = document;
  const focused = node.contains(activeElement) ? (activeElement?.id ?? "") : "";
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  if (focused !== "") document.getElementById(focused)?.focus({ preventScroll: true });
}

/** @param {unknown} error */
export const wordsOf = (error) => (error instanceof Error ? error.message : String(error));

/** @param {number | null | undefined} amount */
export function bytes(amount) {
  if (amount === null || amount === undefined) return "–";
  let value = amount;
  for (const unit of ["B", "KB", "MB", "GB"]) {
    const isSmall = value < 10 && unit !== "B";
    if (value < 1000) return `${isSmall ? value.toFixed(1) : Math.round(value)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} TB`;
}

/** @param {number | null | undefined} value */
export const count = (value) =>
  value === null || value === undefined ? "–" : value.toLocaleString("en-US");

/**
 * @param {number} value
 * @param {string} word
 */
export const plural = (value, word) => `${count(value)} ${word}${value === 1 ? "" : "s"}`;

/**
 * A rate with as many digits as it deserves.
 *
 * @param {number} value
 */
export const rate = (value) => (value < 10 ? value.toFixed(1) : count(Math.round(value)));

/** @param {number} ms */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "–";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
}

/** @param {number} ms */
export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}

/**
 * A key as it can be read: spaces at its ends and what cannot be seen are escaped.
 *
 * @param {string} key
 */
export const readable = (key) => (/^\s|\s$|\p{Cc}|\p{Cf}/u.test(key) ? JSON.stringify(key) : key);
