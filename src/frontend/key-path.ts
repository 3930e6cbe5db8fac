/**
 * From the raw path to namespace and key. Keys are data: the path is decoded once, as UTF-8, and
 * nothing in it is resolved. `new URL` would resolve `..`; a host that has the raw target of the
 * request line hands it in.
 */
import { isNamespace } from "../../core/keys.ts";
import { KEY_BYTES_MAX } from "../../core/limits.ts";
import { Problem } from "./problems.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const ESCAPE = /%([0-9A-Fa-f]{2})?/g;
const PLAIN = /^[A-Za-z0-9_.~!$&'()*+,;=:@/-]*$/;

/** The target of a request: path and query as they stood on the request line. */
export interface Target {
  readonly path: string;
  /** Without the question mark; empty when there is none. */
  readonly query: string;
}

/** Cuts an origin-form or absolute-form target (RFC 9112, 3.2). */
export function splitTarget(raw: string): Target {
  const origin = raw.startsWith("/") ? raw : raw.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
  const whole = origin.startsWith("/") ? origin : `/${origin}`;
  const hash = whole.indexOf("#");
  const target = hash < 0 ? whole : whole.slice(0, hash);
  const mark = target.indexOf("?");
  if (mark < 0) return { path: target, query: "" };
  return { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Percent-decodes once, as UTF-8. @throws Problem `invalid-key` */
export function decodePart(part: string, what: string): string {
  if (PLAIN.test(part)) return part;
  for (const match of part.matchAll(ESCAPE)) {
    if (match[1] === undefined) {
      throw new Problem(
        "invalid-key",
        `The ${what} has a "%" that is not followed by two hex digits.`,
      );
    }
  }
  const raw = encoder.encode(part);
  const bytes = new Uint8Array(raw.length);
  let length = 0;
  for (let i = 0; i < raw.length; i++) {
    const isEscape = raw[i] === 0x25;
    bytes[length++] = isEscape
      ? Number.parseInt(String.fromCharCode(raw[i + 1] ?? 0, raw[i + 2] ?? 0), 16)
      : (raw[i] ?? 0);
    if (isEscape) i += 2;
  }
  try {
    return utf8.decode(bytes.subarray(0, length));
  } catch {
    throw new Problem("invalid-key", `The ${what} is not UTF-8 after percent-decoding.`);
  }
}

/** @throws Problem `invalid-key` */
export function checkNamespace(text: string): string {
  if (isNamespace(text)) return text;
  throw new Problem(
    "invalid-key",
    "A namespace has 1 to 64 of A-Z a-z 0-9 _ - . and begins with a letter or a digit.",
  );
}

/** @throws Problem `invalid-key` or `key-too-long` */
export function checkKey(key: string): string {
  if (key === "") throw new Problem("invalid-key", "The key is empty.");
  if (key.length > KEY_BYTES_MAX || encoder.encode(key).length > KEY_BYTES_MAX) {
    const extras = { limit: KEY_BYTES_MAX };
    throw new Problem("key-too-long", `A key has at most ${KEY_BYTES_MAX} bytes.`, { extras });
  }
  return key;
}

export interface KeyPath {
  readonly namespace: string;
  /** null: the path ends with the namespace. */
  readonly key: string | null;
}

/**
 * Reads what follows `/v1/kv/`, or another prefix of that kind.
 *
 * @throws Problem `invalid-key` or `key-too-long`
 */
export function readKeyPath(rest: string): KeyPath {
  const slash = rest.indexOf("/");
  const namespace = checkNamespace(
    decodePart(slash < 0 ? rest : rest.slice(0, slash), "namespace"),
  );
  if (slash < 0) return { namespace, key: null };
  return { namespace, key: checkKey(decodePart(rest.slice(slash + 1), "key")) };
}
