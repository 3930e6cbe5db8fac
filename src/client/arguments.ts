/** What a caller may give: a mistake is reported when it is made, not when it shows later. */
import { CONSISTENCY_NAMES } from "./consistency.ts";
import type { Body } from "./transport.ts";

const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
/**
 * The most of a stream, which is gathered before it is sent: far more than any deployment stores.
 */
const STREAM_BYTES_MAX = 64 * 1024 * 1024;

const nameOf = (value: unknown): string =>
  value === null ? "null" : typeof value === "object" ? "an object" : typeof value;

/** @throws TypeError when it is no text; RangeError when it is no namespace's name */
export function checkNamespace(namespace: unknown): string {
  if (typeof namespace !== "string") {
    throw new TypeError(`"namespace" must be a text, not ${nameOf(namespace)}`);
  }
  if (NAMESPACE.test(namespace)) return namespace;
  const letters = "1 to 64 of A-Z a-z 0-9 _ - ., the first a letter or a digit";
  throw new RangeError(`"namespace" must be ${letters}`);
}

/** @throws TypeError when it is no text */
export function checkKey(key: unknown): string {
  if (typeof key === "string") return key;
  throw new TypeError(`a key is a text, not ${nameOf(key)}`);
}

const CALL = [...CONSISTENCY_NAMES, "signal"];
const KEY_CALL = [...CALL, "context"];
const WRITE = [...KEY_CALL, "ifMatch", "ifNoneMatch", "repeatable"];

/** The members that the options of each call may have. */
const OPTIONS = {
  get: [...KEY_CALL, "ifNoneMatch"],
  head: [...KEY_CALL, "ifNoneMatch"],
  siblings: KEY_CALL,
  put: [...WRITE, "ttl", "metadata", "contentType", "contentEncoding", "tags"],
  delete: WRITE,
  update: [...CALL, "repeatable", "roundsMax"],
  list: [...CALL, "prefix", "limit"],
  batch: [...CALL, "repeatable"],
  purge: ["signal"],
  changes: ["since", "prefix", "values", "signal"],
  session: ["keysMax", "contexts"],
  client: [
    "url",
    "namespace",
    "token",
    "defaults",
    "retries",
    "attemptTimeoutMs",
    "decompress",
    "fetch",
    "random",
    "wait",
  ],
  defaults: CONSISTENCY_NAMES,
  "batch op": ["op", "key", "value", "ttl", "metadata", "context"],
  change: ["value", "ttl", "metadata", "contentType", "contentEncoding", "tags"],
} as const;

/** @throws TypeError for an unknown member, and for anything but an object */
export function checkOptions(of: keyof typeof OPTIONS, given: unknown): void {
  if (typeof given !== "object" || given === null) {
    throw new TypeError(`the options of ${of} must be an object, not ${nameOf(given)}`);
  }
  const known: readonly string[] = OPTIONS[of];
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(`${of} has no option "${unknown}"; it has ${known.join(", ")}`);
}

export type Sendable = Exclude<Body, ReadableStream>;

/** @throws TypeError for a value that cannot be stored as it is */
function checkValue(value: unknown): Body {
  const isBody =
    typeof value === "string" ||
    value instanceof ArrayBuffer ||
    ArrayBuffer.isView(value) ||
    value instanceof Blob ||
    value instanceof ReadableStream;
  if (isBody) return value as Body;
  const mend = typeof value === "object" && value !== null ? ": give JSON.stringify(value)" : "";
  throw new TypeError(`a value is a text, bytes, a Blob or a stream, not ${nameOf(value)}${mend}`);
}

/** Text or bytes, as a batch and an update take. @throws TypeError */
export function checkTextOrBytes(value: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof value === "string" || value instanceof Uint8Array) {
    return value as string | Uint8Array<ArrayBuffer>;
  }
  throw new TypeError(`a value is a text or bytes here, not ${nameOf(value)}`);
}

/**
 * A value in a form that can be sent, and sent again. A stream is gathered: browsers send none over
 * HTTP/1.1 (Chromium says `ERR_H2_OR_QUIC_REQUIRED`), and a value is a few MiB at most.
 *
 * @throws TypeError for what is no value; RangeError for a stream of more than 64 MiB; what the
 *   stream fails with
 */
export async function sendable(value: unknown): Promise<Sendable> {
  const body = checkValue(value);
  if (!(body instanceof ReadableStream)) return body;
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let left = STREAM_BYTES_MAX;
  const reader = body.getReader();
  for (;;) {
    const { value: chunk, done } = await reader.read();
    if (done) return new Blob(chunks);
    if (!(chunk instanceof Uint8Array)) throw new TypeError("a stream is one of bytes");
    left -= chunk.length;
    if (left < 0) {
      await reader.cancel();
      throw new RangeError(`a stream has at most ${STREAM_BYTES_MAX} bytes`);
    }
    chunks.push(chunk as Uint8Array<ArrayBuffer>);
  }
}
