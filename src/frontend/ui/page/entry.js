/** The key that is open: its value or siblings, to change and delete, and where it lives. */
import { json } from "./api.js";
import { byId, find, h, readable, say, show, wordsOf } from "./dom.js";
import { editor, siblingCards } from "./editor.js";
import { Follower, placeOf } from "./follow.js";
import { agreement, replicaTable } from "./replicas.js";
import { pathOf, readHeld, remove, secondsLeft, write } from "./values.js";

/** @import { Painted } from "./members.js" */
/** @import { Explained } from "./replicas.js" */
/** @import { Draft, Held, Key, Value } from "./values.js" */

/**
 * @param {string} reason
 * @returns {Promise<boolean>}
 */
function confirmed(reason) {
  const dialog = find("confirm-dialog", HTMLDialogElement);
  say(byId("confirm-reason"), reason);
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/**
 * What only an admin may know of a key; null for others.
 *
 * @param {Key} key
 * @returns {Promise<Explained | null>}
 */
const explain = (key) =>
  json(`/v1/cluster/explain/${pathOf(key)}`).then(
    (body) => /** @type {Explained} */ (body),
    () => null,
  );

/** @param {Held} held */
const versionsIn = ({ siblings }) => siblings.map(({ etag }) => etag).join(" ");

/**
 * Whether two looks have found the same versions.
 *
 * @param {Held} a
 * @param {Held | null} b
 */
const isSame = (a, b) => b !== null && versionsIn(a) === versionsIn(b);

export class Entry {
  /** @type {ReadonlyMap<string, string>} */
  #paintOf = new Map();
  #turn = 0;
  #onPartition;
  #onWrite;
  #follower = new Follower();
  /** Whether something was typed that is not saved. */
  #isTouched = false;
  /** @type {Held | null} what is shown */
  #held = null;

  /**
   * @param {(partition: number | null) => void} onPartition the partition of the key that is shown
   * @param {(key: Key) => void} onWrite what was written or deleted here
   */
  constructor(onPartition, onWrite) {
    this.#onPartition = onPartition;
    this.#onWrite = onWrite;
    byId("entry-value").addEventListener("input", () => {
      this.#isTouched = true;
    });
  }

  /** @param {readonly Painted[]} members */
  paint(members) {
    this.#paintOf = new Map(members.map(({ id, paint }) => [id, paint]));
  }

  close() {
    this.#turn++;
    this.#follower.stop();
    this.#onPartition(null);
    byId("entry").hidden = true;
    byId("entry-hint").hidden = false;
  }

  /**
   * Shows the key, and what becomes of it.
   *
   * @param {Key} key
   * @param {string} note said before what is found
   */
  async open(key, note = "") {
    const turn = ++this.#turn;
    this.#follower.stop();
    show(byId("entry-news"));
    const name = readable(key.key);
    byId("entry").hidden = false;
    byId("entry-hint").hidden = true;
    say(byId("entry-namespace"), key.namespace);
    say(byId("entry-key"), name);
    if (note === "") say(byId("entry-status"), "Asking the replicas …");
    if (key.key === "." || key.key === "..") {
      // A browser takes these for folders, escaped or not: it would ask for something else.
      this.#fail(`A browser's address cannot carry the key ${key.key}: ask for it in a batch.`);
      return;
    }
    try {
      // First the place, or a change between the two would be missed.
      const place = await placeOf(key);
      const [held, explained] = await Promise.all([readHeld(key), explain(key)]);
      if (turn !== this.#turn) return;
      this.#draw(key, { held, explained, note });
      if (place === null) return;
      this.#follower.follow(key, place, () => this.#follow(key, turn));
    } catch (error) {
      if (turn === this.#turn) this.#fail(wordsOf(error));
    }
  }

  /**
   * The feed has told of a change, which may be the reader's own.
   *
   * @param {Key} key
   * @param {number} turn
   */
  async #follow(key, turn) {
    try {
      const [held, explained] = await Promise.all([readHeld(key), explain(key)]);
      if (turn !== this.#turn) return;
      if (isSame(held, this.#held)) {
        this.#drawReplicas(explained);
        return;
      }
      if (!this.#isTouched) {
        this.#draw(key, { held, explained, note: "Just changed. " });
        return;
      }
      const button = h("button", { type: "button", class: "small" }, "Show it");
      button.addEventListener("click", () => void this.open(key));
      const words = "It has changed meanwhile. What you have typed is saved beside it. ";
      show(byId("entry-news"), words, button);
    } catch {
      // The next change, or the reader, asks again.
    }
  }

  /** @param {string} words */
  #fail(words) {
    this.#held = null;
    this.#onPartition(null);
    show(byId("entry-value"));
    show(byId("entry-replicas"));
    say(byId("entry-status"), words);
  }

  /**
   * @param {Key} key
   * @param {{ held: Held, explained: Explained | null, note: string }} found
   */
  #draw(key, { held, explained, note }) {
    const { siblings, context } = held;
    this.#held = held;
    this.#isTouched = false;
    const [value = null] = siblings;
    const what = value === null ? "There is no value. " : "";
    const where = explained === null ? "" : agreement(explained);
    say(byId("entry-status"), note + what + where);
    const actions = {
      save: (/** @type {Draft} */ draft) =>
        void this.#change(key, () => write(key, context, draft), "Saved. "),
      remove: () => void this.#remove(key, context),
      fail: (/** @type {unknown} */ error) => say(byId("entry-status"), wordsOf(error)),
    };
    const keep = (/** @type {Value} */ sibling, /** @type {number} */ i) => {
      const draft = { body: sibling.bytes, stored: sibling.stored, ttl: secondsLeft(sibling) };
      const words = `Resolved: sibling ${i + 1} was kept. `;
      void this.#change(key, () => write(key, context, draft), words);
    };
    const isOne = siblings.length < 2;
    show(
      byId("entry-value"),
      isOne ? editor(key.key, value, actions) : siblingCards(siblings, keep),
    );
    this.#drawReplicas(explained);
  }

  /** @param {Explained | null} explained */
  #drawReplicas(explained) {
    this.#onPartition(explained?.partition ?? null);
    const table = explained === null ? [] : replicaTable(explained, this.#paintOf);
    const title = explained === null ? null : h("h3", {}, "Where it lives");
    show(byId("entry-replicas"), title, ...table);
  }

  /**
   * @param {Key} key
   * @param {string | null} context
   */
  async #remove(key, context) {
    if (!(await confirmed(`${key.namespace} / ${readable(key.key)}`))) return;
    await this.#change(key, () => remove(key, context), "Deleted. ");
  }

  /**
   * @param {Key} key
   * @param {() => Promise<void>} change
   * @param {string} words
   */
  async #change(key, change, words) {
    say(byId("entry-status"), "Writing …");
    try {
      await change();
      byId("entry-status").focus({ preventScroll: true });
      this.#onWrite(key);
      await this.open(key, words);
    } catch (error) {
      say(byId("entry-status"), wordsOf(error));
    }
  }
}
