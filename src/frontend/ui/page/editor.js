/** One value: its text to change, what is kept with it, when it ends; or siblings side by side. */
import { ago, bytes, h, plural } from "./dom.js";
import { asText, fromHeader, secondsLeft, toHeader } from "./values.js";

/** @import { Draft, Value } from "./values.js" */

const EDITED_BYTES_MAX = 65_536;
const PREVIEW_BYTES = 2048;
const PREVIEW_HEX_BYTES = 256;

/**
 * The value's beginning as a text, or as hexadecimal when it is none.
 *
 * @param {Uint8Array<ArrayBuffer>} value
 */
function preview(value) {
  const head = value.subarray(0, PREVIEW_BYTES);
  const isCut = head.length < value.length;
  const text = asText(head, { isCut });
  if (text !== null) return isCut ? `${text}\n… ${bytes(value.length)} in all` : text;
  const shown = head.subarray(0, PREVIEW_HEX_BYTES);
  const pairs = Array.from(shown, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return value.length > shown.length ? `${pairs}\n… ${bytes(value.length)} in all` : pairs;
}

/** @param {Value} value */
function facts(value) {
  const left = secondsLeft(value);
  const { bytes: body, lastModified } = value;
  return [
    bytes(body.length),
    lastModified === null ? "" : `written ${ago(Date.now() - Date.parse(lastModified))} ago`,
    left === null ? "never expires" : `expires in ${ago(left * 1000)}`,
  ].filter((text) => text !== "");
}

/**
 * Its text, where all of it is one that can be changed here.
 *
 * @param {Value} value
 */
function editableText({ bytes: body, stored }) {
  // What is stored compressed reaches this page unpacked: written back it would be something else.
  if (body.length > EDITED_BYTES_MAX || stored["Content-Encoding"] !== undefined) return null;
  return asText(body);
}

/** What a form of a value has besides its text; none of it is read before it is saved. */
class Fields {
  #value;

  /** @param {Value | null} value null: there is none yet */
  constructor(value) {
    this.#value = value;
    const stored = value?.stored ?? {};
    const type = stored["Content-Type"] ?? "text/plain; charset=utf-8";
    const left = value === null ? null : secondsLeft(value);
    this.type = h("input", { value: type, spellcheck: "false", autocapitalize: "none" });
    this.ttl = h("input", {
      value: left === null ? "" : String(Math.ceil(left)),
      inputmode: "decimal",
      placeholder: "never",
    });
    this.metadata = h("input", {
      value: fromHeader(stored["Starling-Metadata"] ?? ""),
      placeholder: "JSON",
      spellcheck: "false",
      class: "mono",
    });
    this.#before = this.ttl.value;
  }

  #before;

  get nodes() {
    return h(
      "div",
      { class: "fields" },
      h("label", {}, "Content type ", this.type),
      h("label", {}, "Expires in seconds ", this.ttl),
      h("label", {}, "Metadata ", this.metadata),
    );
  }

  /**
   * @param {BodyInit} body
   * @returns {Draft}
   */
  draft(body) {
    /** @type {Record<string, string>} */
    const stored = { ...this.#value?.stored, "Content-Type": this.type.value.trim() };
    const metadata = this.metadata.value.trim();
    if (metadata === "") delete stored["Starling-Metadata"];
    else stored["Starling-Metadata"] = toHeader(metadata);
    const text = this.ttl.value.trim();
    if (text === "") return { body, stored, ttl: null };
    // Nobody has touched it: it ends when it would have ended.
    const left = this.#value === null ? null : secondsLeft(this.#value);
    if (text === this.#before && left !== null) return { body, stored, ttl: left };
    const ttl = Number(text);
    if (!(ttl >= 0.001)) throw new Error("A time to live is a number of seconds, 0.001 or more.");
    return { body, stored, ttl };
  }
}

/**
 * @typedef {object} Actions
 * @property {(draft: Draft) => void} save
 * @property {() => void} remove
 * @property {(error: unknown) => void} fail
 */

/**
 * @param {string} words
 * @param {(file: File) => void} take
 */
export function fileButton(words, take) {
  const input = h("input", { type: "file", class: "visually-hidden", tabindex: "-1" });
  input.addEventListener("change", () => {
    for (const file of input.files ?? []) take(file);
    input.value = "";
  });
  const button = h("button", { type: "button", onclick: () => input.click() }, words);
  return { input, nodes: [button, input] };
}

/**
 * @param {Value} value
 * @param {string} name
 */
function download({ bytes: body, stored }, name) {
  const type = stored["Content-Type"] ?? "application/octet-stream";
  const href = URL.createObjectURL(new Blob([body], { type }));
  h("a", { href, download: name.split("/").at(-1) || "value" }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}

/**
 * The form of one value, or of one that is to be.
 *
 * @param {string} key
 * @param {Value | null} value
 * @param {Actions} actions
 */
export function editor(key, value, { save, remove, fail }) {
  const fields = new Fields(value);
  const text = value === null ? "" : editableText(value);
  const area = h("textarea", { id: "value", rows: "8", spellcheck: "false", class: "mono" });
  area.value = text ?? "";
  /** @param {BodyInit} body */
  const keep = (body) => {
    try {
      save(fields.draft(body));
    } catch (error) {
      fail(error);
    }
  };
  const { nodes } = fileButton(value === null ? "From a file …" : "Replace by a file …", (file) => {
    if (file.type !== "") fields.type.value = file.type;
    keep(file);
  });
  const label = value === null ? "New value" : "Value";
  const shown =
    text === null && value !== null
      ? h("pre", { tabindex: 0, "aria-label": "Value, its content" }, preview(value.bytes))
      : area;
  return h(
    "form",
    {
      class: "editor",
      onsubmit: (/** @type {Event} */ event) => {
        event.preventDefault();
        keep(text === null && value !== null ? value.bytes : area.value);
      },
    },
    h("div", { class: "editor-head" }, [
      h("label", { for: "value" }, h("h4", {}, label)),
      h("p", { class: "muted note" }, value === null ? "" : facts(value).join(" · ")),
    ]),
    shown,
    fields.nodes,
    h(
      "div",
      { class: "actions" },
      h("button", { type: "submit", class: "primary" }, "Save"),
      nodes,
      value && h("button", { type: "button", onclick: () => download(value, key) }, "Download"),
      value && h("button", { type: "button", class: "danger", onclick: remove }, "Delete …"),
    ),
  );
}

/**
 * @param {Value} sibling
 * @param {string} title
 * @param {() => void} onKeep
 */
function siblingCard(sibling, title, onKeep) {
  const metadata = sibling.stored["Starling-Metadata"];
  const told = [sibling.stored["Content-Type"] ?? "", ...facts(sibling)].join(" · ");
  return h(
    "article",
    { class: "sibling" },
    h("h4", {}, title),
    h("p", { class: "muted note" }, told),
    h("pre", { tabindex: 0, "aria-label": `${title}, its content` }, preview(sibling.bytes)),
    metadata && h("p", { class: "muted mono" }, `metadata ${fromHeader(metadata)}`),
    h("button", { type: "button", class: "primary", onclick: onKeep }, "Keep this one"),
  );
}

/**
 * Concurrent writes, of which nobody has chosen yet.
 *
 * @param {readonly Value[]} siblings
 * @param {(sibling: Value, index: number) => void} onKeep
 */
export function siblingCards(siblings, onKeep) {
  const cards = siblings.map((sibling, i) =>
    siblingCard(sibling, `Sibling ${i + 1} of ${siblings.length}`, () => onKeep(sibling, i)),
  );
  return [
    h("h3", {}, `${plural(siblings.length, "sibling")} side by side`),
    h(
      "p",
      { class: "muted note" },
      "Writers who had not seen each other's value. Keep one, and it replaces all that are shown.",
    ),
    h("div", { class: "siblings" }, cards),
  ];
}
