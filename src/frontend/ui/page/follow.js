/** The key that is open, followed by the change feed: somebody else may write it meanwhile. */
import { ask } from "./api.js";

/** @import { Key } from "./values.js" */

const RETRY_MS = 1000;
/** Between two changes that are told, in ms: what is written all the time is still readable. */
const GAP_MS = 250;
/** A poll whose changes nobody wants: what is wanted is where they would go on. */
const HERE = "limit=1";

/** @param {number} ms */
const pause = (ms) => new Promise((go) => setTimeout(go, ms));

/** @param {Key} key */
const feedOf = ({ namespace, key }) =>
  `/v1/changes/${encodeURIComponent(namespace)}?prefix=${encodeURIComponent(key)}`;

/**
 * Where the feed of a key is now: nothing that is written from now on is missed from there.
 *
 * @param {Key} key
 * @returns {Promise<string | null>} null: there is none for this reader, or not just now
 */
export async function placeOf(key) {
  try {
    const answer = await ask(`${feedOf(key)}&${HERE}`);
    if (!answer.ok) return null;
    const { next } = /** @type {{ next: string }} */ (await answer.json());
    return next;
  } catch {
    return null;
  }
}

/**
 * @param {ReadableStream<Uint8Array>} body
 * @returns {AsyncGenerator<Readonly<Record<string, unknown>>>}
 */
async function* linesOf(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line);
  }
}

export class Follower {
  /** @type {AbortController | null} */
  #ending = null;

  /** Nobody looks at a key any more. */
  stop() {
    this.#ending?.abort();
    this.#ending = null;
  }

  /**
   * Tells of each change of the key from that place on, one after the other. A page that is hidden
   * holds no connection; it hears of what it has missed when it is seen again.
   *
   * @param {Key} key
   * @param {string} place
   * @param {() => Promise<void>} changed
   */
  follow(key, place, changed) {
    this.stop();
    const ending = new AbortController();
    this.#ending = ending;
    void this.#run({ key, changed, signal: ending.signal }, place);
  }

  /**
   * @param {{ key: Key, changed: () => Promise<void>, signal: AbortSignal }} followed
   * @param {string} place
   */
  async #run(followed, place) {
    const { signal } = followed;
    /** @type {string | null} */
    let at = place;
    while (at !== null && !signal.aborted) {
      if (document.hidden) {
        await new Promise((go) =>
          document.addEventListener("visibilitychange", go, { once: true, signal }),
        );
      }
      at = await this.#read(followed, at);
      if (!signal.aborted) await pause(RETRY_MS);
    }
  }

  /**
   * One stream, until it ends or breaks.
   *
   * @param {{ key: Key, changed: () => Promise<void>, signal: AbortSignal }} followed
   * @param {string} place
   * @returns {Promise<string | null>} where it has come to; null when there is no going on
   */
  async #read({ key, changed, signal }, place) {
    const seen = new AbortController();
    const hide = () => document.hidden && seen.abort();
    document.addEventListener("visibilitychange", hide);
    let at = place;
    try {
      const headers = { Accept: "application/x-ndjson" };
      const both = AbortSignal.any([signal, seen.signal]);
      const path = `${feedOf(key)}&since=${encodeURIComponent(place)}`;
      const answer = await ask(path, { headers, signal: both });
      if (answer.status >= 400 && answer.status < 500) return null;
      if (!answer.ok || answer.body === null) return at;
      let isNews = false;
      for await (const line of linesOf(answer.body)) {
        // Marks and purges may mean any key: what they have made of this one is looked up.
        if (line["token"] === undefined)
          isNews ||= line["key"] === undefined || line["key"] === key.key;
        else {
          at = String(line["token"]);
          if (isNews) await changed();
          if (isNews) await pause(GAP_MS);
          isNews = false;
        }
      }
    } catch {
      // Cut off, or nobody answers just now: it goes on from here.
    } finally {
      document.removeEventListener("visibilitychange", hide);
    }
    return at;
  }
}
