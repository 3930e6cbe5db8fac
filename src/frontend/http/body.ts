/**
 * Reading what a client sends: bounded while it streams in, and stored as it is, never inflated.
 */
import type { Content } from "../../../core/entry.ts";
import { utf8Length } from "../../../core/keys.ts";
import {
  METADATA_BYTES_MAX,
  STORED_HEADER_CHARS_MAX,
  TAG_CHARS_MAX,
  TAGS_COUNT_MAX,
} from "../../../core/limits.ts";
import { bodyRoom, SMALL_BYTES } from "./body-room.ts";
import {
  isContinueExpected,
  type PlainRequest,
  type RequestHeaders,
  type WholeBody,
} from "./exchange.ts";
import { Problem } from "./problems.ts";

type BodyOf = Pick<PlainRequest, "headers" | "body">;

const TAG = /^[\x21-\x7e]+$/;
const NO_TAGS: readonly string[] = [];

function tooLarge(byteCountMax: number): Problem {
  const detail = `The body is larger than the ${byteCountMax} bytes that are taken here.`;
  return new Problem("value-too-large", detail, { extras: { limit: byteCountMax } });
}

const incomplete = (): Problem =>
  new Problem("incomplete-body", "The body ended before its announced length. Nothing was stored.");

/**
 * For hosts that hand such bodies on (workerd does), as they come out of their chunks.
 *
 * @throws Problem `coding-not-implemented`
 */
function refuseCodings(headers: RequestHeaders): void {
  const coding = headers.get("Transfer-Encoding");
  if (coding === null || coding.trim().toLowerCase() === "chunked") return;
  const detail =
    "The only transfer coding that is taken is chunked: what is stored is the body as it was sent.";
  throw new Problem("coding-not-implemented", detail);
}

function announcedLength(headers: RequestHeaders): number | null {
  const text = headers.get("Content-Length");
  if (text === null) return null;
  if (!/^[0-9]{1,15}$/.test(text)) throw incomplete();
  return Number(text);
}

/**
 * How much is read on: a client that still sends would see its connection break, not the answer.
 */
const DISCARD_BYTES_MAX = 64 * 1024 * 1024;
const DISCARD_MS_MAX = 3000;
/** A client that has sent nothing for so long is waiting for the answer. */
const QUIET_MS_MAX = 500;

/** What arrives; null when nothing does for a while. */
async function beforeQuiet<Arrival>(arrival: Promise<Arrival>): Promise<Arrival | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const quiet = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), QUIET_MS_MAX);
  });
  return await Promise.race([arrival, quiet]).finally(() => clearTimeout(timer));
}

/** Reads on without keeping anything, as far as a client is likely to have sent. */
async function discard(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const until = Date.now() + DISCARD_MS_MAX;
  let byteCount = 0;
  while (byteCount < DISCARD_BYTES_MAX && Date.now() < until) {
    const chunk = await beforeQuiet(reader.read());
    if (chunk === null) break;
    if (chunk.done) return;
    byteCount += chunk.value.length;
  }
  reader.cancel().catch(() => {});
}

/** A client that is still sending is heard out; one that waits is answered. */
async function discardBody(request: BodyOf): Promise<void> {
  if (isContinueExpected(request.headers)) return;
  const { body } = request;
  if (body instanceof ReadableStream) await discard(body.getReader());
  else if (body !== null) await beforeQuiet(body.discard());
}

/** Hosts that parse HTTP themselves give a client a minute, and say the same a little earlier. */
const BODY_MS_MAX = 62_000;

/** The body in time, or an error: room that is kept for it must not be kept for ever. */
async function inTime<Body>(reading: Promise<Body>): Promise<Body> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const detail = `The body did not end within ${BODY_MS_MAX / 1000} s. Nothing was stored.`;
    timer = setTimeout(() => reject(new Problem("request-timeout", detail)), BODY_MS_MAX);
  });
  return await Promise.race([reading, late]).finally(() => clearTimeout(timer));
}

async function collect(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  byteCountMax: number,
): Promise<readonly Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks;
    byteCount += value.length;
    if (byteCount > byteCountMax) throw tooLarge(byteCountMax);
    chunks.push(value);
  }
}

async function gatherStream(
  body: ReadableStream<Uint8Array>,
  byteCountMax: number,
): Promise<Uint8Array> {
  const reader = body.getReader();
  try {
    return join(await inTime(collect(reader, byteCountMax)));
  } catch (error) {
    // A body without an announced length may never end.
    reader.cancel().catch(() => {});
    throw error;
  }
}

const gatherWhole = (body: WholeBody, byteCountMax: number): Promise<Uint8Array | null> =>
  body.isTimed ? body.gather(byteCountMax) : inTime(body.gather(byteCountMax));

function join(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks;
  if (chunks.length === 1 && only !== undefined) return only;
  const joined = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.length;
  }
  return joined;
}

async function wholeOf(
  request: BodyOf,
  byteCountMax: number,
  besideByteCount: number,
): Promise<Uint8Array> {
  const { body } = request;
  if (body === null) return new Uint8Array(0);
  const longest = Math.min(announcedLength(request.headers) ?? byteCountMax, byteCountMax);
  const most = longest + besideByteCount;
  const isStream = body instanceof ReadableStream;
  try {
    if (isStream || most > SMALL_BYTES) await bodyRoom.reserve(request, most);
  } catch (error) {
    if (!isStream) await beforeQuiet(body.discard()).catch(() => {});
    throw error;
  }
  const bytes = isStream
    ? await gatherStream(body, byteCountMax)
    : await gatherWhole(body, byteCountMax);
  if (bytes === null) throw tooLarge(byteCountMax);
  bodyRoom.shrinkTo(request, bytes.length + besideByteCount);
  return bytes;
}

/**
 * The whole body, or a problem; more than the limit is never held. What it takes of `bodyRoom` is
 * taken under the request's own object, until that is released.
 *
 * @param besideByteCount what the request needs beside the body: room is taken for both at once,
 *   since two halves could wait for ever
 * @throws Problem `value-too-large`, `incomplete-body`, `request-timeout`,
 *   `coding-not-implemented` or `overloaded`
 */
export async function readBody(
  request: BodyOf,
  byteCountMax: number,
  besideByteCount = 0,
): Promise<Uint8Array> {
  const { headers } = request;
  refuseCodings(headers);
  const announced = announcedLength(headers);
  if (announced !== null && announced > byteCountMax) {
    await discardBody(request).catch(() => {});
    throw tooLarge(byteCountMax);
  }
  // Some hosts begin to read the body when this property is read, so that happens only here.
  const { body } = request;
  if (body === null) {
    if (announced !== null && announced > 0) throw incomplete();
    if (besideByteCount > SMALL_BYTES) await bodyRoom.reserve(request, besideByteCount);
    return new Uint8Array(0);
  }
  let bytes: Uint8Array;
  try {
    bytes = await wholeOf(request, byteCountMax, besideByteCount);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw incomplete();
  }
  if (announced !== null && bytes.length !== announced) throw incomplete();
  return bytes;
}

/**
 * The text of a JSON value as it was sent, numbers and blanks included: only what a header cannot
 * carry is written as an escape, or as a blank where it was one between values.
 *
 * @throws Problem `invalid-metadata`
 */
export function checkMetadata(text: string): string {
  if (utf8Length(text) > METADATA_BYTES_MAX) {
    const extras = { limit: METADATA_BYTES_MAX };
    throw new Problem("invalid-metadata", `Metadata has at most ${METADATA_BYTES_MAX} bytes.`, {
      extras,
    });
  }
  try {
    JSON.parse(text);
  } catch {
    throw new Problem("invalid-metadata", "The metadata must be a JSON value.");
  }
  return toAscii(text);
}

const toAscii = (json: string): string =>
  // Within texts JSON has no line breaks, so these stand between values.
  json
    .replace(/[\t\n\r]/g, " ")
    .replace(
      /[\u007f-\uffff]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );

/** Header values arrive as one char a byte; what a client wrote in UTF-8 is put together again. */
export function headerText(value: string): string {
  try {
    const bytes = Uint8Array.from(value, (char) => {
      const code = char.charCodeAt(0);
      if (code > 255) throw new RangeError("not a byte");
      return code;
    });
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return value;
  }
}

function storedHeader(headers: RequestHeaders, name: string): string | null {
  const value = headers.get(name);
  if (value === null) return null;
  if (value.length <= STORED_HEADER_CHARS_MAX) return value;
  const extras = { limit: STORED_HEADER_CHARS_MAX };
  const detail = `${name} has at most ${STORED_HEADER_CHARS_MAX} characters.`;
  throw new Problem("invalid-request", detail, { extras });
}

/** The tags of `Cache-Tag` (commas) and `Surrogate-Key` (spaces). @throws Problem `invalid-tag` */
export function readTags(headers: RequestHeaders): readonly string[] {
  const commas = headers.get("Cache-Tag");
  const spaces = headers.get("Surrogate-Key");
  if (commas === null && spaces === null) return NO_TAGS;
  const tags = [...(commas?.split(",") ?? []), ...(spaces?.split(" ") ?? [])];
  return checkTags(tags.map((tag) => tag.trim()).filter(Boolean));
}

/** Each of them once. @throws Problem `invalid-tag` */
export function checkTags(given: readonly string[]): readonly string[] {
  const tags = [...new Set(given)];
  if (tags.length > TAGS_COUNT_MAX) {
    throw new Problem("invalid-tag", `A value has at most ${TAGS_COUNT_MAX} cache tags.`);
  }
  const bad = tags.find((tag) => tag.length > TAG_CHARS_MAX || !TAG.test(tag));
  if (bad === undefined) return tags;
  throw new Problem(
    "invalid-tag",
    `A cache tag has 1 to ${TAG_CHARS_MAX} visible ASCII characters.`,
  );
}

/** What is stored with the value. @throws Problem */
export function readContentHeaders(headers: RequestHeaders): Omit<Content, "value"> {
  const metadata = headers.get("Starling-Metadata");
  return {
    // An empty one counts as absent; some platforms drop it on the way.
    contentType: storedHeader(headers, "Content-Type") || "application/octet-stream",
    contentEncoding: storedHeader(headers, "Content-Encoding"),
    contentLanguage: storedHeader(headers, "Content-Language"),
    contentDisposition: storedHeader(headers, "Content-Disposition"),
    metadata: metadata === null ? null : checkMetadata(headerText(metadata)),
    tags: readTags(headers),
  };
}
