/**
 * GET, HEAD, PUT and DELETE of one key: from a request to an operation and from its result back.
 */
import { etagOf, type Sibling } from "../../core/entry.ts";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { storeKey } from "../../core/keys.ts";
import type { GetResult, NamespaceSettings, WriteResult } from "../../core/operations.ts";
import { resolveOptions } from "../../core/quorum-options.ts";
import type { Millis } from "../../core/time.ts";
import {
  addContent,
  addReadTally,
  addVersion,
  addWriteTally,
  baseHeaders,
  contextOf,
  modifiedMs,
  type Setting,
  type View,
  viewOf,
} from "./answers.ts";
import type { Backend, ClusterView } from "./backend.ts";
import { readBody, readContentHeaders } from "./body.ts";
import { checkReadConditions, readPrecondition, readRange } from "./conditions.ts";
import { tokenToContext } from "./context-token.ts";
import { type RequestOptions, readOptions, ttlFromCacheControl } from "./options.ts";
import { Problem, problemOf, problemResponse } from "./problems.ts";
import { siblingsAsJson, siblingsAsMultipart } from "./sibling-bodies.ts";

export interface DataRequest {
  readonly request: Request;
  readonly namespace: string;
  readonly key: string;
  readonly query: string;
}

export const DATA_METHODS = ["GET", "HEAD", "PUT", "DELETE"] as const;

export const settingsOf = (view: ClusterView, namespace: string): NamespaceSettings =>
  view.namespaces.get(namespace) ?? view.defaults;

/** Bad ranges are refused before a body is read; the node checks again, by its newest document. */
export function checkRanges(
  view: ClusterView,
  settings: NamespaceSettings,
  options: RequestOptions,
): void {
  const { n, r, w, dw } = settings;
  const defaults = { n, r, w, dw, timeoutMs: 2000 };
  const resolution = resolveOptions(options.quorum, defaults, view.ring.zones.length);
  if (!resolution.ok) throw problemOf({ code: "invalid-option", ...resolution.error }, false);
}

export class DataPlane {
  readonly #backend: Backend;
  readonly #hash: KeyedHash;

  constructor(backend: Backend, hash: KeyedHash) {
    this.#backend = backend;
    this.#hash = hash;
  }

  async handle(data: DataRequest): Promise<Response> {
    const startedAt = performance.now();
    const { request, namespace } = data;
    const view = this.#backend.view();
    const settings = settingsOf(view, namespace);
    const options = readOptions(data.query, request.headers.get("Starling-Quorum"));
    checkRanges(view, settings, options);
    const key = storeKey(namespace, data.key);
    const token = request.headers.get("Starling-Context");
    const context = token === null ? null : tokenToContext(this.#hash, key, token);
    const isRead = request.method === "GET" || request.method === "HEAD";
    const { trustedContent } = settings;
    const setting = (): Setting => {
      const now = this.#backend.now();
      return { hash: this.#hash, key, now, startedAt, trustedContent };
    };
    if (isRead) return this.#read({ request, options, context, setting });
    return this.#write({ request, options, context, setting }, settings);
  }

  async #read(call: Call): Promise<Response> {
    const { request, options, context, setting } = call;
    const { key } = setting();
    const operation = { kind: "get", key, options: options.quorum, session: context } as const;
    const result = await this.#backend.execute(operation, traceOf(request));
    if (result.kind === "failed") throw problemOf(result.failure, false);
    if (result.kind !== "got") throw new Error(`a read ended as ${result.kind}`);
    return answerRead(result, call);
  }

  async #write(call: Call, settings: NamespaceSettings): Promise<Response> {
    const { request, options, context, setting } = call;
    const { key } = setting();
    const precondition = readPrecondition(request.headers);
    const isPut = request.method === "PUT";
    const content = isPut
      ? {
          ...readContentHeaders(request.headers),
          value: await readBody(request, settings.maxValueBytes),
        }
      : null;
    const ttlMs = isPut ? ttlOf(options, request.headers, settings) : 0;
    const quorum = options.quorum;
    const operation = {
      kind: "write",
      key,
      options: quorum,
      content,
      ttlMs,
      context,
      precondition,
    };
    const result = await this.#backend.execute({ ...operation, kind: "write" }, traceOf(request));
    if (result.kind === "failed") {
      const problem = problemOf(result.failure, true);
      if (result.context === null) throw problem;
      const response = problemResponse(problem, false);
      const headers = baseHeaders(setting(), result.context);
      response.headers.set("Starling-Context", headers.get("Starling-Context") ?? "");
      return response;
    }
    if (result.kind !== "written") throw new Error(`a write ended as ${result.kind}`);
    return answerWrite(result, call, isPut && quorum.returnBody === true);
  }
}

interface Call {
  readonly request: Request;
  readonly options: RequestOptions;
  readonly context: ReturnType<typeof tokenToContext> | null;
  readonly setting: () => Setting;
}

const traceOf = (request: Request): string => {
  const header = request.headers.get("traceparent") ?? "";
  return /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(header) ? header : "";
};

function ttlOf(options: RequestOptions, headers: Headers, settings: NamespaceSettings): Millis {
  const asked = options.ttlMs ?? ttlFromCacheControl(headers.get("Cache-Control"));
  return asked ?? Math.round((settings.ttl ?? 0) * 1000);
}

function answerRead(result: GetResult, call: Call): Response {
  const setting = call.setting();
  const view = viewOf(result.entry, setting.now);
  const [newest] = view.live;
  const wantsAll = call.options.allSiblings || accepts(call.request, "multipart/mixed");
  if (newest === undefined) return answerNothing(view, result, call);
  if (view.live.length > 1 && wantsAll) return answerSiblings(view, result, call);
  const headers = baseHeaders(setting, contextOf(view, [newest], setting.now));
  addReadTally(headers, result.tally);
  addVersion(headers, newest, setting);
  if (view.live.length > 1) headers.set("Starling-Siblings", String(view.live.length));
  return answerValue(newest, headers, call);
}

const accepts = (request: Request, type: string): boolean =>
  (request.headers.get("Accept") ?? "").toLowerCase().includes(type);

function answerNothing(view: View, result: GetResult, call: Call): Response {
  const setting = call.setting();
  const headers = baseHeaders(setting, contextOf(view, [], setting.now));
  addReadTally(headers, result.tally);
  const problem = new Problem("not-found", "Nothing is stored under this key.", {
    headers: Object.fromEntries(headers),
  });
  return problemResponse(problem, call.request.method === "HEAD");
}

function answerValue(sibling: Sibling, headers: Headers, call: Call): Response {
  const isHead = call.request.method === "HEAD";
  const { hash } = call.setting();
  const shown = { etag: etagOf([sibling], hash), modifiedMs: modifiedMs(sibling) };
  if (checkReadConditions(call.request.headers, shown) === "not-modified") {
    return new Response(null, { status: 304, headers });
  }
  addContent(headers, sibling);
  headers.set("Accept-Ranges", "bytes");
  const value = sibling.content?.value ?? new Uint8Array(0);
  // Ranges are defined for GET alone (RFC 9110, 14.2).
  const range = isHead ? null : readRange(call.request.headers, value.length, shown);
  const part = range === null ? value : value.subarray(range.from, range.to + 1);
  headers.set("Content-Length", String(part.length));
  if (range !== null) {
    headers.set("Content-Range", `bytes ${range.from}-${range.to}/${value.length}`);
  }
  const body = isHead ? null : (part as Uint8Array<ArrayBuffer>);
  return new Response(body, { status: range === null ? 200 : 206, headers });
}

function answerSiblings(view: View, result: GetResult, call: Call): Response {
  const setting = call.setting();
  const { hash } = setting;
  const headers = baseHeaders(setting, contextOf(view, view.live, setting.now));
  addReadTally(headers, result.tally);
  const newest = view.live[0] as Sibling;
  const shown = { etag: etagOf(view.live, hash), modifiedMs: modifiedMs(newest) };
  headers.set("ETag", shown.etag);
  headers.set("Last-Modified", new Date(shown.modifiedMs).toUTCString());
  headers.set("Starling-Siblings", String(view.live.length));
  headers.append("Vary", "Accept");
  if (checkReadConditions(call.request.headers, shown) === "not-modified") {
    return new Response(null, { status: 304, headers });
  }
  const isJson = accepts(call.request, "application/json");
  const { contentType, body } = isJson
    ? {
        contentType: "application/json",
        body: new TextEncoder().encode(siblingsAsJson(view.live, hash)),
      }
    : siblingsAsMultipart(view.live, hash);
  headers.set("Content-Type", contentType);
  headers.set("Content-Length", String(body.length));
  const isHead = call.request.method === "HEAD";
  return new Response(isHead ? null : (body as Uint8Array<ArrayBuffer>), { status: 300, headers });
}

function answerWrite(result: WriteResult, call: Call, withBody: boolean): Response {
  const setting = call.setting();
  const headers = baseHeaders(setting, result.context);
  addWriteTally(headers, result.tally);
  addVersion(headers, result.sibling, setting);
  if (result.siblingCount > 1) headers.set("Starling-Siblings", String(result.siblingCount));
  if (!withBody) {
    const isCreated = result.sibling.content !== null && result.created;
    if (isCreated) headers.set("Content-Length", "0");
    return new Response(null, { status: isCreated ? 201 : 204, headers });
  }
  addContent(headers, result.sibling);
  const value = result.sibling.content?.value ?? new Uint8Array(0);
  headers.set("Content-Length", String(value.length));
  return new Response(value as Uint8Array<ArrayBuffer>, { status: 200, headers });
}
