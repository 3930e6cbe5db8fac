/** What is stored: the namespaces, and the keys of the one that is chosen. */
import { ApiError, json } from "./api.js";
import {
  ago,
  byId,
  bytes,
  count,
  h,
  inputOf,
  plural,
  readable,
  say,
  show,
  wordsOf,
} from "./dom.js";
import { write } from "./values.js";

/** @import { Key } from "./values.js" */
/** @typedef {{ readonly name: string, readonly expiration?: number }} ListedKey */
/**
 * @typedef {object} Page
 * @property {readonly ListedKey[]} keys
 * @property {boolean} list_complete
 * @property {string} [cursor]
 */
/** @typedef {{ keys: number, isMore: boolean }} Size */
/**
 * @typedef {object} Namespaces
 * @property {readonly { readonly name: string }[]} namespaces
 * @property {Readonly<Record<string, number | null>>} [bytes]
 */

const PAGE_KEYS = 100;
/** As many keys as one listing gives; a namespace with more is said to have more. */
const COUNTED_KEYS_MAX = 1000;
/** Counting costs a listing each; the others are counted when they are opened. */
const COUNTED_NAMESPACES_MAX = 24;
const TYPING_MS = 250;

/**
 * @param {string} namespace
 * @param {Readonly<Record<string, string>>} query
 */
async function listing(namespace, query) {
  const path = `/v1/kv/${encodeURIComponent(namespace)}?${new URLSearchParams(query)}`;
  return /** @type {Page} */ (await json(path));
}

/**
 * @param {string} namespace
 * @returns {Promise<Size>}
 */
async function sizeOf(namespace) {
  const limit = String(COUNTED_KEYS_MAX);
  let keys = 0;
  /** @type {Readonly<Record<string, string>>} */
  let query = { limit };
  // Pages are short where keys were deleted.
  for (;;) {
    const page = await listing(namespace, query);
    keys += page.keys.length;
    if (page.list_complete || page.cursor === undefined) return { keys, isMore: false };
    if (keys >= COUNTED_KEYS_MAX) return { keys, isMore: true };
    query = { limit, cursor: page.cursor };
  }
}

/** @param {Size | undefined} size */
const sizeWords = (size) => {
  if (size === undefined) return "";
  return size.isMore ? `${count(size.keys)}+ keys` : plural(size.keys, "key");
};

export class Keys {
  /** @type {readonly string[]} */
  #namespaces = [];
  /** @type {Map<string, Size>} */
  #sizes = new Map();
  /** @type {Map<string, number | null>} in bytes, all copies */
  #stored = new Map();
  /** @type {string | null} */
  #chosen = null;
  /** @type {ListedKey[]} */
  #keys = [];
  /** @type {string | null} */
  #cursor = null;
  /** @type {string | null} */
  #open = null;
  #turn = 0;
  #onOpen;
  #onClose;

  /**
   * @param {(key: Key) => void} onOpen
   * @param {() => void} onClose another namespace was chosen
   */
  constructor(onOpen, onClose) {
    this.#onOpen = onOpen;
    this.#onClose = onClose;
    byId("namespace-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.choose(inputOf("namespace").value.trim());
      inputOf("namespace").value = "";
    });
    let timer = 0;
    inputOf("prefix").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => void this.#list(), TYPING_MS);
    });
    byId("keys-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = inputOf("prefix").value;
      if (name !== "") this.#openKey(name);
    });
    inputOf("upload").addEventListener("change", () => void this.#upload());
    byId("upload-button").addEventListener("click", () => inputOf("upload").click());
    byId("refresh").addEventListener("click", () => void this.load());
    byId("more").addEventListener("click", () => void this.#list(this.#cursor));
    byId("first-key").addEventListener("click", () => {
      void this.choose("demo").then(() => this.#openKey("hello"));
    });
  }

  /** Whether what is stored is still to be asked for: a cluster that has just begun cannot say. */
  isToLoad = true;

  /** All namespaces anew, and the keys of the one that is chosen. */
  async load() {
    this.isToLoad = false;
    try {
      const body = await json("/v1/namespaces");
      const { namespaces, bytes: stored = {} } = /** @type {Namespaces} */ (body);
      this.#namespaces = namespaces.map(({ name }) => name).sort();
      this.#stored = new Map(Object.entries(stored));
      say(byId("namespaces-status"), "");
      const [first] = this.#namespaces;
      if (this.#chosen === null && first !== undefined) await this.choose(first);
      else await this.#list();
      await this.#count();
    } catch (error) {
      this.isToLoad = !(error instanceof ApiError) || error.status >= 500;
      say(byId("namespaces-status"), wordsOf(error));
    }
  }

  async #count() {
    for (const name of this.#all().slice(0, COUNTED_NAMESPACES_MAX)) {
      this.#sizes.set(name, await sizeOf(name));
      this.#drawNamespaces();
    }
  }

  /** Those that are known, and the one that somebody has named. */
  #all() {
    const more = this.#chosen === null ? [] : [this.#chosen];
    return [...new Set([...this.#namespaces, ...more])].sort();
  }

  /** @param {string} namespace */
  async choose(namespace) {
    if (namespace === this.#chosen) return;
    this.#chosen = namespace;
    this.#open = null;
    inputOf("prefix").value = "";
    this.#onClose();
    this.#drawNamespaces();
    await this.#list();
  }

  /** @param {Key} key which was opened by its address */
  async reveal({ namespace, key }) {
    await this.choose(namespace);
    this.#open = key;
    this.#drawKeys();
  }

  /** @param {string} name */
  #openKey(name) {
    if (this.#chosen === null) return;
    this.#open = name;
    this.#drawKeys();
    this.#onOpen({ namespace: this.#chosen, key: name });
  }

  /** @param {string | null} cursor goes on behind what is shown; null: from the start */
  async #list(cursor = null) {
    const namespace = this.#chosen;
    const turn = ++this.#turn;
    if (namespace === null) {
      this.#draw();
      return;
    }
    let keys = cursor === null ? [] : this.#keys;
    let next = cursor;
    try {
      // A page may be empty where keys were deleted.
      for (const from = keys.length; keys.length === from; ) {
        const prefix = inputOf("prefix").value;
        const more = next === null ? {} : { cursor: next };
        const page = await listing(namespace, { prefix, limit: String(PAGE_KEYS), ...more });
        if (turn !== this.#turn) return;
        keys = [...keys, ...page.keys];
        next = page.cursor ?? null;
        if (page.list_complete) break;
      }
      this.#keys = keys;
      this.#cursor = next;
      say(byId("keys-status"), "");
    } catch (error) {
      this.#keys = [];
      this.#cursor = null;
      say(byId("keys-status"), wordsOf(error));
    }
    this.#draw();
  }

  /**
   * After a key was written or deleted: what is listed may be another.
   *
   * @param {Key} key
   */
  async changed({ namespace }) {
    if (!this.#namespaces.includes(namespace)) this.#namespaces = this.#all();
    await this.#list();
    this.#sizes.set(namespace, await sizeOf(namespace));
    this.#drawNamespaces();
  }

  async #upload() {
    const namespace = this.#chosen;
    const input = inputOf("upload");
    const files = [...(input.files ?? [])];
    input.value = "";
    if (namespace === null) return;
    const prefix = inputOf("prefix").value;
    let done = 0;
    try {
      for (const file of files) {
        say(byId("keys-status"), `Uploading ${file.name} …`);
        const stored = { "Content-Type": file.type || "application/octet-stream" };
        const key = { namespace, key: prefix + file.name };
        await write(key, null, { body: file, stored, ttl: null });
        done++;
      }
      await this.changed({ namespace, key: "" });
      say(byId("keys-status"), `${plural(done, "file")} stored.`);
    } catch (error) {
      say(byId("keys-status"), `${plural(done, "file")} stored, then: ${wordsOf(error)}`);
    }
  }

  #draw() {
    this.#drawNamespaces();
    this.#drawKeys();
  }

  #drawNamespaces() {
    const all = this.#all();
    const items = all.map((name) => {
      const size = sizeWords(this.#sizes.get(name));
      const attributes = {
        type: "button",
        id: `namespace-${name}`,
        class: "row",
        "aria-current": name === this.#chosen ? "true" : null,
        onclick: () => void this.choose(name),
      };
      const stored = this.#stored.get(name) ?? null;
      const words = [size, stored === null ? "" : bytes(stored)].filter((word) => word !== "");
      const title = "the bytes of all copies";
      const label =
        words.length === 0 ? null : h("span", { class: "muted", title }, words.join(" · "));
      return h("li", {}, h("button", attributes, h("span", { class: "name" }, name), label));
    });
    show(byId("namespaces"), items);
    const sizes = all.map((name) => this.#sizes.get(name)?.keys ?? 0);
    const isEmpty = sizes.every((keys) => keys === 0) && this.#keys.length === 0;
    byId("first-steps").hidden = !isEmpty;
    byId("some-steps").hidden = isEmpty;
  }

  #drawKeys() {
    const { namespaceless, words } = this.#keysTitle();
    byId("keys-pane").classList.toggle("is-off", namespaceless);
    say(byId("keys-title"), words);
    const items = this.#keys.map(({ name, expiration }) => {
      const left = expiration === undefined ? null : expiration * 1000 - Date.now();
      const attributes = {
        type: "button",
        id: `key-${name}`,
        class: "row",
        title: name,
        "aria-current": name === this.#open ? "true" : null,
        onclick: () => this.#openKey(name),
      };
      const label = left === null ? null : h("span", { class: "muted" }, ago(left));
      const shown = h("span", { class: "name mono" }, readable(name));
      return h("li", {}, h("button", attributes, shown, label));
    });
    const nothing = inputOf("prefix").value === "" ? "No keys here yet." : "No key begins so.";
    const empty = this.#chosen === null ? null : h("li", { class: "muted note" }, nothing);
    show(byId("keys"), items.length === 0 ? empty : items);
    byId("more").hidden = this.#cursor === null;
  }

  #keysTitle() {
    const namespaceless = this.#chosen === null;
    const number = `${count(this.#keys.length)}${this.#cursor === null ? "" : "+"}`;
    return { namespaceless, words: namespaceless ? "Keys" : `${this.#chosen}, ${number} shown` };
  }
}
