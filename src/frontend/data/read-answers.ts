/** What a read found, as an answer: nothing, one version, a part of it, or several siblings. */
import {
  contextShowing,
  type Entry,
  etagOf,
  liveSiblings,
  type Sibling,
} from "../../../core/entry.ts";
import { endOf } from "../../../core/expiry.ts";
import { oncePer } from "../../../core/once-per.ts";
import type { GetResult } from "../../../core/results.ts";
import { SMALL_BYTES } from "../http/body-room.ts";
import { cacheControlOf } from "../http/caching.ts";
import { checkReadConditions, readRange, tagInParts, type Validators } from "../http/conditions.ts";
import { keptToken } from "../http/context-token.ts";
import type { Answer, HeaderFields, PlainRequest } from "../http/exchange.ts";
import { Problem, problemAnswer } from "../http/problems.ts";
import {
  addVersion,
  baseHeaders,
  contentHeaders,
  keptTag,
  lastModified,
  modifiedMs,
  readTally,
  type Setting,
} from "./answers.ts";
import {
  type LiveSibling,
  qualityOf,
  type SiblingsBody,
  siblingsAsJson,
  siblingsAsMultipart,
} from "./sibling-bodies.ts";

export interface Reading {
  readonly request: PlainRequest;
  readonly setting: Setting;
  readonly result: GetResult;
}

const isHead = ({ request }: Reading): boolean => request.method === "HEAD";
const hasContent = (sibling: Sibling): sibling is LiveSibling => sibling.content !== null;

/** @throws Problem `precondition-failed`, `range-not-satisfiable` or `invalid-request` */
export function answerRead(reading: Reading, allSiblings: boolean): Answer | Promise<Answer> {
  const { request, setting, result } = reading;
  const { now } = setting;
  const live = liveSiblings(result.entry, now).filter(hasContent);
  const [newest] = live;
  if (newest === undefined) return answerNothing(reading);
  if (live.length === 1) {
    const headers = headersShowing(reading, live);
    if (setting.mayBeKept) headers["Cache-Control"] = cacheControlOf(newest, now);
    return answerOne(newest, headers, reading);
  }
  const accept = request.headers.get("Accept");
  if (allSiblings || qualityOf(accept, "multipart/mixed") > 0) return answerAll(live, reading);
  const headers = headersShowing(reading, [newest]);
  headers["Starling-Siblings"] = String(live.length);
  return answerOne(newest, headers, reading);
}

function headersShowing(reading: Reading, shown: readonly Sibling[]): HeaderFields {
  const { setting, result } = reading;
  const { entry } = result;
  const context = contextShowing(entry, shown, setting.now);
  const headers = baseHeaders(setting, keptToken(setting, context, endOf(entry.siblings)));
  headers["Starling-Quorum"] = readTally(result);
  return headers;
}

/** It still carries a context, so that a re-creation is ordered after a delete. */
function answerNothing(reading: Reading): Answer {
  const headers = headersShowing(reading, []);
  const problem = new Problem("not-found", "Nothing is stored under this key.", { headers });
  return problemAnswer(problem, isHead(reading));
}

/** Reads that were shared give one value, and their answers share one copy of it. */
const largeCopy = oncePer((value: Uint8Array) => new Uint8Array(value));

/** An answer that waits for its reader must not keep the record that it is a small part of. */
export function ownBytes(value: Uint8Array): Uint8Array {
  if (value.buffer.byteLength <= 2 * value.length + SMALL_BYTES) return value;
  return value.length > SMALL_BYTES ? largeCopy(value) : new Uint8Array(value);
}

function answerOne(sibling: LiveSibling, headers: HeaderFields, reading: Reading): Answer {
  const { request, setting } = reading;
  const shown = addVersion(headers, { sibling, etag: keptTag(sibling, setting.hash) }, setting);
  if (checkReadConditions(request.headers, shown) === "not-modified") {
    return { status: 304, headers, body: null };
  }
  const value = ownBytes(sibling.content.value);
  Object.assign(headers, contentHeaders(sibling.content));
  headers["Accept-Ranges"] = "bytes";
  // Ranges are defined for GET alone (RFC 9110, 14.2).
  const range = isHead(reading) ? null : readRange(request.headers, value.length, shown);
  if (range === null) {
    headers["Content-Length"] = String(value.length);
    return { status: 200, headers, body: isHead(reading) ? null : value };
  }
  const part = value.subarray(range.from, range.to + 1);
  headers["Content-Length"] = String(part.length);
  headers["Content-Range"] = `bytes ${range.from}-${range.to}/${value.length}`;
  return { status: 206, headers, body: part };
}

/** Bodies that are being made from an entry just now, by what they show and how. */
const making = oncePer((_entry: Entry) => new Map<string, Promise<SiblingsBody>>());

/** Shared reads share a body: a hundred MiB of siblings are not put together twice. */
function siblingsBody(
  live: readonly LiveSibling[],
  isJson: boolean,
  { setting: { hash }, result }: Reading,
): Promise<SiblingsBody> {
  const bodies = making(result.entry);
  const name = `${isJson} ${etagOf(live, hash)}`;
  const known = bodies.get(name);
  if (known !== undefined) return known;
  const made = isJson
    ? siblingsAsJson(live, hash)
    : Promise.resolve(siblingsAsMultipart(live, hash));
  bodies.set(name, made);
  return made.finally(() => bodies.delete(name));
}

async function answerAll(live: readonly LiveSibling[], reading: Reading): Promise<Answer> {
  const { request, setting } = reading;
  const headers = headersShowing(reading, live);
  const accept = request.headers.get("Accept");
  const json = qualityOf(accept, "application/json");
  const isJson = json > 0 && json >= qualityOf(accept, "multipart/mixed");
  const tag = etagOf(live, setting.hash);
  // The newest one's time does not validate the set: an older sibling may have joined it since.
  const shown: Validators = {
    etag: isJson ? tag : tagInParts(tag),
    modifiedMs: Number.NaN,
    now: setting.now,
  };
  headers["ETag"] = shown.etag;
  headers["Last-Modified"] = lastModified(Math.max(...live.map(modifiedMs)), setting.now);
  headers["Starling-Siblings"] = String(live.length);
  if (checkReadConditions(request.headers, shown) === "not-modified") {
    return { status: 304, headers, body: null };
  }
  const { contentType, body } = await siblingsBody(live, isJson, reading);
  headers["Content-Type"] = contentType;
  headers["Content-Length"] = String(body.length);
  return { status: 300, headers, body: isHead(reading) ? null : body };
}
