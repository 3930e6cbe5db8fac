/** Values as the store gives and takes them: siblings, what is kept with them, the context. */
import { ask, failureOf } from "./api.js";

/** @typedef {{ readonly namespace: string, readonly key: string }} Key */
/**
 * @typedef {object} Value
 * @property {Uint8Array<ArrayBuffer>} bytes
 * @property {Readonly<Record<string, string>>} stored headers that are kept with it
 * @property {string} etag names the version
 * @property {string | null} lastModified
 * @property {string | null} expires
 */
/** @typedef {{ context: string | null, siblings: readonly Value[] }} Held */
/**
 * @typedef {object} Draft
 * @property {BodyInit} body
 * @property {Readonly<Record<string, string>>} stored
 * @property {number | null} ttl seconds; null: as the namespace has it
 */

/** @param {Key} key */
export const pathOf = ({ namespace, key }) =>
  `${encodeURIComponent(namespace)}/${encodeURIComponent(key)}`;

/** Of a stored value: what is written back with it. */
const STORED = [
  "Content-Type",
  "Content-Encoding",
  "Content-Language",
  "Content-Disposition",
  "Starling-Metadata",
];

/**
 * A header's bytes are UTF-8, and a browser shows each as one character.
 *
 * @param {string} header
 */
export const fromHeader = (header) =>
  new TextDecoder().decode(Uint8Array.from(header, (char) => char.charCodeAt(0)));

/** @param {string} text */
export const toHeader = (text) =>
  Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");

/**
 * @param {Headers} headers
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Value}
 */
function storedValue(headers, bytes) {
  const stored = STORED.flatMap((name) => {
    const content = headers.get(name);
    return content === null ? [] : [[name, content]];
  });
  return {
    bytes,
    stored: Object.fromEntries(stored),
    etag: headers.get("ETag") ?? "",
    lastModified: headers.get("Last-Modified"),
    expires: headers.get("Expires"),
  };
}

/**
 * The parts of multipart/mixed. Each says its length, so a value may hold whatever it likes.
 *
 * @param {Uint8Array<ArrayBuffer>} body
 */
function* partsOf(body) {
  // One char a byte, to find lines by; the browsers' latin1 is another set from 0x80 to 0x9f.
  const latin = new TextDecoder("latin1").decode(body);
  for (let at = latin.indexOf("\r\n") + 2; at > 1; ) {
    const end = latin.indexOf("\r\n\r\n", at);
    if (end < 0) return;
    const lines = String.fromCharCode(...body.subarray(at, end)).split("\r\n");
    const headers = new Headers();
    for (const line of lines) {
      const colon = line.indexOf(":");
      headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
    }
    const from = end + 4;
    const to = from + Number(headers.get("Content-Length"));
    yield storedValue(headers, body.slice(from, to));
    at = latin.indexOf("\r\n", to + 2) + 2;
  }
}

/**
 * All that is there. @throws ApiError
 *
 * @param {Key} key
 * @returns {Promise<Held>}
 */
export async function readHeld(key) {
  const init = { headers: { Accept: "multipart/mixed" } };
  const answer = await ask(`/v1/kv/${pathOf(key)}?siblings=all`, init);
  const context = answer.headers.get("Starling-Context");
  if (answer.status === 404) return { context, siblings: [] };
  if (!answer.ok && answer.status !== 300) throw await failureOf(answer);
  const body = new Uint8Array(await answer.arrayBuffer());
  if (answer.status === 300) return { context, siblings: [...partsOf(body)] };
  return { context, siblings: [storedValue(answer.headers, body)] };
}

/**
 * Writes over exactly what that context has shown. @throws ApiError
 *
 * @param {Key} key
 * @param {string | null} context null: over whatever is there
 * @param {Draft} draft
 */
export async function write(key, context, { body, stored, ttl }) {
  /** @type {Record<string, string>} */
  const headers = { ...stored };
  if (context !== null) headers["Starling-Context"] = context;
  const query = ttl === null ? "" : `?ttl=${Math.max(0.001, ttl).toFixed(3)}`;
  const answer = await ask(`/v1/kv/${pathOf(key)}${query}`, { method: "PUT", headers, body });
  if (!answer.ok) throw await failureOf(answer);
}

/**
 * Seconds until a value expires; null: never.
 *
 * @param {Value} value
 */
export const secondsLeft = ({ expires }) =>
  expires === null ? null : Math.max(0, (Date.parse(expires) - Date.now()) / 1000);

/**
 * @param {Key} key
 * @param {string | null} context
 */
export async function remove(key, context) {
  /** @type {Record<string, string>} */
  const headers = context === null ? {} : { "Starling-Context": context };
  const answer = await ask(`/v1/kv/${pathOf(key)}`, { method: "DELETE", headers });
  if (!answer.ok) throw await failureOf(answer);
}

/**
 * A value as a text; null where it is none.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {{ isCut?: boolean }} options isCut: its last character may be half there
 */
export function asText(bytes, { isCut = false } = {}) {
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const text = decoder.decode(bytes, { stream: isCut });
    return /[^\P{Cc}\t\n\v\f\r]/u.test(text) ? null : text;
  } catch {
    return null;
  }
}
