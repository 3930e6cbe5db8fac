/**
 * The arguments of a `KVNamespace`'s methods as workerd takes them: what is not a text is converted
 * as JavaScript does it, and what makes no sense is refused in workerd's own words, since existing
 * code looks at those.
 *
 * See https://github.com/cloudflare/workerd/blob/main/src/workerd/api/kv.c%2B%2B;
 * tests/contract/kv-calls.ts asks both the same.
 */
import { utf8Length } from "../../../core/keys.ts";
import { KEY_BYTES_MAX, LIST_KEYS_MAX, METADATA_BYTES_MAX } from "../../../core/limits.ts";
import { checkMetadata } from "../http/body.ts";
import { Problem, type ProblemCode } from "../http/problems.ts";
import type { KvExpiry } from "./kv-store.ts";
import { type KvShown, kvJson, kvText } from "./kv-values.ts";

/** Options as they came, whatever is in them. */
export type Given = Readonly<Record<string, unknown>>;

/** A problem that Workers KV has its own words for: these are passed on unchanged. */
export class KvRefusal extends Problem {}

/** As Workers KV allows. */
const KEYS_AT_ONCE_MAX = 100;
const BYTES_AT_ONCE_MAX = 25 * 1024 * 1024;

const isAbsent = (value: unknown): value is undefined | null =>
  value === undefined || value === null;

function wrongType(method: string, position: number, type: string): TypeError {
  const what = `Failed to execute '${method}' on 'KvNamespace'`;
  return new TypeError(`${what}: parameter ${position} is not of type '${type}'.`);
}

/** As ECMAScript's ToNumber: unlike `Number(…)`, of a bigint too. @throws TypeError */
const numberOf = (value: unknown): number => +(value as number);

/** As ECMAScript's ToInt32, but for its range. @throws TypeError for a bigint */
function wholeOf(value: unknown): number {
  const number = numberOf(value);
  return Number.isFinite(number) ? Math.trunc(number) : 0;
}

const refused = (code: ProblemCode, text: string): KvRefusal => new KvRefusal(code, text);

/** A key, or a prefix of keys. @throws KvRefusal `key-too-long` */
export function checkLength(key: string): string {
  const length = utf8Length(key);
  if (length <= KEY_BYTES_MAX) return key;
  const text = `UTF-8 encoded length of ${length} exceeds key length limit of ${KEY_BYTES_MAX}.`;
  throw refused("key-too-long", text);
}

/**
 * The key of a call.
 *
 * @param args all arguments: a missing one differs from `undefined`
 * @throws TypeError for none and for the empty one; KvRefusal
 */
export function keyOf(method: string, args: readonly unknown[], type = "string"): string {
  if (args.length === 0) throw wrongType(method, 1, type);
  const key = String(args[0]);
  if (key === "") throw new TypeError("Key name cannot be empty.");
  return checkLength(key);
}

/** The list of keys that `get` takes too. @throws KvRefusal */
export function keysOf(list: unknown): readonly string[] {
  if (!Array.isArray(list) || list.length === 0) {
    throw refused("invalid-request", "You must request a minimum of 1 key");
  }
  if (list.length > KEYS_AT_ONCE_MAX) {
    const text = `You can request a maximum of ${KEYS_AT_ONCE_MAX} keys`;
    throw refused("invalid-request", text);
  }
  const keys = list.map(String);
  if (keys.includes("")) throw refused("invalid-key", "Key names must not be empty");
  return keys.map(checkLength);
}

/** An options object. @throws TypeError for something else */
export function optionsAt(
  args: readonly unknown[],
  at: { readonly index: number; readonly method: string; readonly type: string },
): Given {
  const value = args[at.index];
  if (isAbsent(value)) return {};
  if (typeof value === "object") return value as Given;
  throw wrongType(at.method, at.index + 1, at.type);
}

/** Options of a `delete`: KV itself has none, and ignores whatever stands there. */
export const deleteOptionsAt = ([, value]: readonly unknown[]): Given =>
  typeof value === "object" && value !== null ? (value as Given) : {};

/** Options of a read; a type alone is accepted as well. */
export function readOptionsAt(args: readonly unknown[]): Given {
  const [, value] = args;
  if (isAbsent(value)) return {};
  return typeof value === "object" ? (value as Given) : { type: String(value) };
}

/** @param type as it was given */
export const typeOf = (type: unknown): string => (type === undefined ? "text" : String(type));

function jsonOf(text: string): KvShown {
  try {
    return kvJson(text);
  } catch {
    const what = "At least one of the requested keys corresponds to a non-json value";
    throw refused("invalid-request", what);
  }
}

/**
 * How each of the many values of one call is shown: as text or as JSON.
 *
 * @throws KvRefusal for another type; the returned function throws it for a value that is not JSON,
 *   and when the values together become too much
 */
export function readerOf(type: string): (value: Uint8Array) => KvShown {
  if (type !== "text" && type !== "json") {
    throw refused("invalid-request", `"${type}" is not a valid type. Use "json" or "text"`);
  }
  let byteCount = 0;
  return (value) => {
    byteCount += value.length;
    if (byteCount > BYTES_AT_ONCE_MAX) {
      throw refused("value-too-large", "Total size of request exceeds the limit of 25MB");
    }
    const text = kvText(value);
    return type === "json" ? jsonOf(text) : text;
  };
}

/**
 * The value of a `put`; one that is not an object becomes a text.
 *
 * @throws TypeError when there is none
 */
export function valueIn(args: readonly unknown[]): string | object {
  if (args.length < 2) throw wrongType("put", 2, "string or Object");
  const [, value] = args;
  const isObject = typeof value === "object" || typeof value === "function";
  return isObject && value !== null ? value : String(value);
}

/** A value as it is to be stored. @throws KvRefusal `value-too-large` */
export function checkSize(byteCount: number, byteCountMax: number): void {
  if (byteCount <= byteCountMax) return;
  const text = `Value length of ${byteCount} exceeds limit of ${byteCountMax}.`;
  throw refused("value-too-large", text);
}

/** How `metadata` is to be stored; null for none. @throws KvRefusal; Problem */
export function metadataOf(metadata: unknown): string | null {
  if (isAbsent(metadata)) return null;
  const text: string | undefined = JSON.stringify(metadata);
  if (text === undefined) {
    const detail = "The metadata must be a JSON value.";
    throw new Problem("invalid-metadata", detail);
  }
  return metadataFrom(text);
}

/** The same from its JSON. @throws KvRefusal; Problem */
export function metadataFrom(json: string): string {
  const length = utf8Length(json);
  if (length <= METADATA_BYTES_MAX) return checkMetadata(json);
  const text = `Metadata length of ${length} exceeds limit of ${METADATA_BYTES_MAX}.`;
  throw refused("value-too-large", text);
}

/** Seconds from now on. Fractions count: a life may be shorter than a second here. */
function ttlOf(value: unknown): number | null {
  if (value === undefined) return null;
  const seconds = numberOf(value);
  if (seconds > 0 && seconds !== Infinity) return seconds;
  const what = `Invalid expiration_ttl of ${wholeOf(value)}`;
  throw refused("invalid-option", `${what}. Please specify integer greater than 0.`);
}

/** Whole seconds since 1970. @param now in ms @throws KvRefusal; TypeError for a bigint */
function expirationOf(value: unknown, now: number): number | null {
  if (value === undefined) return null;
  const seconds = wholeOf(value);
  if (seconds > now / 1000) return seconds;
  const mend =
    "Please specify integer greater than the current number of seconds since the UNIX epoch.";
  throw refused("invalid-option", `Invalid expiration of ${seconds}. ${mend}`);
}

/**
 * When a value is to expire. As with KV, `expiration` is ignored beside an `expirationTtl`.
 *
 * @param now in ms
 * @throws KvRefusal; TypeError for a bigint
 */
export function expiryOf(given: Given, now: number): KvExpiry {
  const ttl = ttlOf(given["expirationTtl"]);
  return { ttl, at: ttl === null ? expirationOf(given["expiration"], now) : null };
}

export interface ListArguments {
  readonly prefix: string;
  readonly limit: number;
  readonly cursor: string;
}

/** How many keys at most; absent, or not a count, means as many as possible. @throws KvRefusal */
export function limitOf(limit: unknown): number {
  const count = wholeOf(limit);
  if (count <= 0) return LIST_KEYS_MAX;
  if (count <= LIST_KEYS_MAX) return count;
  throw refused(
    "invalid-option",
    `Invalid key_count_limit of ${count}. Please specify an integer less than ${LIST_KEYS_MAX}.`,
  );
}

/** The options of `list`. @throws KvRefusal */
export function listOf({ prefix, limit, cursor }: Given): ListArguments {
  const textOf = (value: unknown): string => (isAbsent(value) ? "" : String(value));
  return { prefix: checkLength(textOf(prefix)), limit: limitOf(limit), cursor: textOf(cursor) };
}
