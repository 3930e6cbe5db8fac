/** One value of the Workers KV façade: read, written, deleted, or only its metadata. */
import type { Content } from "../../../core/entry.ts";
import { METADATA_BYTES_MAX, STORED_HEADER_CHARS_MAX } from "../../../core/limits.ts";
import { checkMetadata, readBody, readContentHeaders } from "../http/body.ts";
import { type Answer, type HeaderFields, type PlainRequest, responseOf } from "../http/exchange.ts";
import { Problem } from "../http/problems.ts";
import { envelope } from "./kv-envelope.ts";
import { type KvExpiry, type KvStore, type KvValue, secondsOf } from "./kv-store.ts";
import { isMultipart, type Part, readParts } from "./multipart.ts";

/**
 * How much a form adds to its value: the metadata, and the headers and delimiters of some parts.
 */
const FORM_BYTES_MAX = METADATA_BYTES_MAX + 16_384;
const PLAIN = "application/octet-stream";
const SANDBOX = "sandbox; default-src 'none'";

/** What is stored of a value that came without any header. */
export const contentOf = (value: Uint8Array, metadata: string | null): Content => ({
  value,
  contentType: PLAIN,
  contentEncoding: null,
  contentLanguage: null,
  contentDisposition: null,
  metadata,
  tags: [],
});

/** Unlike a `Response`, KV leaves a byte order mark where it is. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A value as text. */
export const kvText = (value: Uint8Array): string => decoder.decode(value);

/**
 * What code is given: parsed JSON, a text, a buffer, a stream. Not a recursive type: the platform's
 * types for a service's methods do not get to the end of those.
 */
export type KvShown = string | number | boolean | object | null;

/** A value read as JSON. @throws SyntaxError */
export const kvJson = (text: string): KvShown => JSON.parse(text) as KvShown;

/** The JSON value that is stored with a value; null for none. */
export const metadataIn = ({ metadata }: Content): KvShown =>
  metadata === null ? null : kvJson(metadata);

const noSuchKey = (): Problem => new Problem("not-found", "get: 'key not found'");

/** @throws Problem `invalid-option` */
function secondsIn(query: URLSearchParams, option: string): number | null {
  const text = query.get(option);
  if (text === null || text === "") return null;
  if (/^[0-9]{1,12}(\.[0-9]{1,3})?$/.test(text)) return Number(text);
  const extras = { option };
  throw new Problem("invalid-option", `${option} must be a number of seconds.`, { extras });
}

export const readExpiry = (query: URLSearchParams): KvExpiry => ({
  ttl: secondsIn(query, "expiration_ttl"),
  at: secondsIn(query, "expiration"),
});

/** A value is shown as bytes whatever it was stored as: clients of KV rely on that. */
function answerOf({ content, expiresAt }: KvValue, trustedContent: boolean): Answer {
  const headers: HeaderFields = {
    "Content-Type": PLAIN,
    "Content-Length": String(content.value.length),
    "X-Content-Type-Options": "nosniff",
  };
  if (!trustedContent) headers["Content-Security-Policy"] = SANDBOX;
  if (content.contentEncoding !== null) headers["Content-Encoding"] = content.contentEncoding;
  if (expiresAt !== 0) headers["expiration"] = String(secondsOf(expiresAt));
  return { status: 200, headers, body: content.value };
}

/** @throws Problem `not-found` */
export async function getValue(store: KvStore, key: string): Promise<Response> {
  const found = await store.get(key);
  if (found === null) throw noSuchKey();
  return responseOf(answerOf(found, store.settings.trustedContent));
}

/** @throws Problem `not-found` */
export async function getMetadata(store: KvStore, key: string): Promise<Response> {
  const found = await store.get(key);
  if (found === null) throw noSuchKey();
  return envelope(metadataIn(found.content));
}

const textOf = (part: Part): string => new TextDecoder().decode(part.value);

/** A part's headers are text within the body: no HTTP parser has checked them. */
function checkPartType(type: string | null): string {
  if (type === null) return PLAIN;
  if (/^[\x20-\x7e]+$/.test(type) && type.length <= STORED_HEADER_CHARS_MAX) return type;
  const extras = { limit: STORED_HEADER_CHARS_MAX };
  const detail = `A part's Content-Type has 1 to ${STORED_HEADER_CHARS_MAX} characters of ASCII.`;
  throw new Problem("invalid-request", detail, { extras });
}

/** @throws Problem `invalid-request` with the mend */
function contentOfForm(contentType: string, bytes: Uint8Array): Content {
  const parts = readParts(contentType, bytes);
  const value = parts.find(({ name }) => name === "value");
  if (value === undefined) {
    throw new Problem("invalid-request", `The form has no part "value".`);
  }
  // Some clients flatten objects into parts of this kind, all texts: as such it would be lost.
  if (parts.some(({ name }) => name.startsWith("metadata["))) {
    const detail = `"metadata" is one part with JSON in it: give your client JSON.stringify(…).`;
    throw new Problem("invalid-metadata", detail);
  }
  const metadata = parts.find(({ name }) => name === "metadata");
  const content = contentOf(
    value.value.slice(),
    metadata === undefined ? null : checkMetadata(textOf(metadata)),
  );
  return { ...content, contentType: checkPartType(value.contentType) };
}

async function readPut(request: PlainRequest, byteCountMax: number): Promise<Content> {
  const contentType = request.headers.get("Content-Type");
  if (contentType !== null && isMultipart(contentType)) {
    return contentOfForm(contentType, await readBody(request, byteCountMax + FORM_BYTES_MAX));
  }
  const described = readContentHeaders(request.headers);
  return { ...described, value: await readBody(request, byteCountMax) };
}

export interface KvPut {
  readonly request: PlainRequest;
  readonly key: string;
  readonly query: URLSearchParams;
}

/** A raw body, or a form with the parts `value` and `metadata`. @throws Problem */
export async function putValue(store: KvStore, { request, key, query }: KvPut): Promise<Response> {
  const ttlMs = store.ttlMsOf(readExpiry(query));
  await store.put(key, await readPut(request, store.settings.maxValueBytes), ttlMs);
  return envelope({});
}

/** Deleting what is not there is no error. @throws Problem */
export async function deleteValue(store: KvStore, key: string): Promise<Response> {
  await store.delete(key);
  return envelope({});
}
