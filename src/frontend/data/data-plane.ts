/** GET, HEAD, PUT and DELETE of one key: from a request to an operation and back to an answer. */
import type { CausalContext } from "../../../core/causal-context.ts";
import { type Content, etagOf } from "../../../core/entry.ts";
import { endOf } from "../../../core/expiry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { storeKey } from "../../../core/keys.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import type { WriteOperation } from "../../../core/operations.ts";
import type { QuorumOptions, QuorumRules } from "../../../core/quorum-options.ts";
import type { ResultOf, WriteResult } from "../../../core/results.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Backend, ClusterView } from "../backend/backend.ts";
import { execute, executeJoined } from "../backend/large-work.ts";
import { readInRoom } from "../backend/read-room.ts";
import { rulesOf } from "../backend/rules.ts";
import { readBody, readContentHeaders } from "../http/body.ts";
import { bodyRoom, SMALL_BYTES } from "../http/body-room.ts";
import { readWriterControl, type WriterControl } from "../http/caching.ts";
import { readPrecondition } from "../http/conditions.ts";
import { contextToToken, type Session, tokenToSession } from "../http/context-token.ts";
import type { Answer, PlainRequest, RequestHeaders } from "../http/exchange.ts";
import { noOptions, type RequestOptions, readOptions } from "../http/options.ts";
import { Problem, problemOf } from "../http/problems.ts";
import { traceOf } from "../http/trace.ts";
import { addVersion, baseHeaders, contentHeaders, type Setting, writeTally } from "./answers.ts";
import { answerRead } from "./read-answers.ts";

export interface DataRequest {
  readonly request: PlainRequest;
  readonly namespace: string;
  readonly key: string;
  readonly query: string;
}

export const DATA_METHODS = ["GET", "HEAD", "PUT", "DELETE"] as const;

export const settingsOf = (view: ClusterView, namespace: string): NamespaceSettings =>
  view.namespaces.get(namespace) ?? view.defaults;

/** Whether a read wants more than the namespace gives by default: a cached answer could be less. */
function asksForMore(
  { consistency }: QuorumOptions,
  rules: QuorumRules,
  usual: QuorumRules,
): boolean {
  if (rules.maxStaleMs !== undefined || consistency === "auto") return true;
  return rules.r > usual.r || rules.strict || rules.pr > 0 || rules.zones > 0;
}

interface KeyRequest {
  readonly request: PlainRequest;
  readonly key: StoreKey;
  readonly options: RequestOptions;
  readonly session: Session | null;
  readonly context: CausalContext | null;
  readonly settings: NamespaceSettings;
  readonly startedAt: number;
  /** Whether a cache may answer such a request. */
  readonly mayBeKept: boolean;
}

export class DataPlane {
  readonly #backend: Backend;
  readonly #hash: KeyedHash;

  constructor(backend: Backend, hash: KeyedHash) {
    this.#backend = backend;
    this.#hash = hash;
  }

  /** @throws Problem */
  handle(data: DataRequest): Promise<Answer> {
    const startedAt = performance.now();
    const { request, namespace } = data;
    const view = this.#backend.view();
    const settings = settingsOf(view, namespace);
    const options = readOptions(data.query, request.headers.get("Starling-Quorum"));
    const rules = rulesOf(view, settings, options.quorum);
    const usual = rulesOf(view, settings, noOptions.quorum);
    const key = storeKey(namespace, data.key);
    const token = request.headers.get("Starling-Context");
    const session = token === null ? null : tokenToSession({ hash: this.#hash, key }, token);
    const context = session?.context ?? null;
    const mayBeKept = context === null && !asksForMore(options.quorum, rules, usual);
    const call = { request, key, options, session, context, settings, startedAt, mayBeKept };
    const isRead = request.method === "GET" || request.method === "HEAD";
    return isRead ? this.#read(call) : this.#write(call);
  }

  async #read(call: KeyRequest): Promise<Answer> {
    const { request, key, options, session } = call;
    const operation = {
      kind: "get",
      key,
      options: options.quorum,
      session: session?.context ?? null,
      sessionEndsAt: session?.endsAt ?? 0,
    } as const;
    const reader = { backend: this.#backend, holder: request, trace: traceOf(request) };
    const result = await readInRoom(reader, operation);
    if (result.kind === "failed") throw problemOf(result.failure, false);
    return answerRead({ request, setting: this.#setting(call), result }, options.allSiblings);
  }

  async #write(call: KeyRequest): Promise<Answer> {
    const { request, key, options, context, settings } = call;
    const precondition = readPrecondition(request.headers, this.#backend.now());
    const isPut = request.method === "PUT";
    if (isPut) refusePart(request.headers);
    const control = readWriterControl(isPut ? request.headers.get("Cache-Control") : null);
    const reading = { maxBytes: settings.maxValueBytes, heldBytes: this.#heldBytes(key) };
    const content = isPut ? await readContent(request, control, reading) : null;
    if (!isPut && reading.heldBytes > 0) await bodyRoom.reserve(request, reading.heldBytes);
    const ttlMs = isPut ? ttlOf(options, control, settings) : 0;
    const { quorum } = options;
    const write = { key, options: quorum, content, ttlMs, context, precondition };
    const result = await this.#execute({ kind: "write", ...write }, request, reading.heldBytes);
    if (result.kind === "failed") {
      const { failure, context: resolving } = result;
      if (resolving === null) throw problemOf(failure, true);
      const headers = { "Starling-Context": contextToToken({ hash: this.#hash, key }, resolving) };
      throw problemOf(failure, true, headers);
    }
    return answerWrite(result, this.#setting(call), isPut && quorum.returnBody === true);
  }

  #execute(
    write: WriteOperation,
    request: PlainRequest,
    heldByteCount: number,
  ): Promise<ResultOf<"write">> {
    const trace = traceOf(request);
    if (heldByteCount === 0) return execute(this.#backend, write, trace);
    return executeJoined(this.#backend, write, { trace, heldByteCount });
  }

  /** Bytes that the write is joined to, which take room beside its own; 0 where they are few. */
  #heldBytes(key: StoreKey): number {
    const byteCount = this.#backend.weigh?.(key) ?? 0;
    return byteCount > SMALL_BYTES ? byteCount : 0;
  }

  #setting({ key, startedAt, settings, mayBeKept }: KeyRequest): Setting {
    const { trustedContent } = settings;
    const now = this.#backend.now();
    return { hash: this.#hash, key, now, startedAt, trustedContent, mayBeKept };
  }
}

/** What is stored is always the whole value (RFC 9110, 14.5). @throws Problem `invalid-request` */
function refusePart(headers: RequestHeaders): void {
  if (headers.get("Content-Range") === null) return;
  const detail = "A PUT with Content-Range would store a part: send the whole value without it.";
  throw new Problem("invalid-request", detail);
}

/** Headers first: a body is not read for a request that is refused anyway. */
async function readContent(
  request: PlainRequest,
  { life }: WriterControl,
  { maxBytes, heldBytes }: { readonly maxBytes: number; readonly heldBytes: number },
): Promise<Content> {
  const described = readContentHeaders(request.headers);
  const value = await readBody(request, maxBytes, heldBytes);
  return { ...described, value, ...(life === null ? {} : { cacheLife: life }) };
}

function ttlOf(
  options: RequestOptions,
  { ttlSeconds }: WriterControl,
  settings: NamespaceSettings,
): number {
  return options.ttlMs ?? Math.round((ttlSeconds ?? settings.ttl ?? 0) * 1000);
}

function answerWrite(result: WriteResult, setting: Setting, withBody: boolean): Answer {
  const { sibling, created, siblingCount } = result;
  const headers = baseHeaders(setting, contextToToken(setting, result.context, endOf([sibling])));
  headers["Starling-Quorum"] = writeTally(result.tally);
  addVersion(headers, { sibling, etag: etagOf([sibling], setting.hash) }, setting);
  if (siblingCount > 1) headers["Starling-Siblings"] = String(siblingCount);
  if (sibling.content === null || !withBody) {
    const status = created && sibling.content !== null ? 201 : 204;
    // A 204 has no content, and so no length of it (RFC 9110, 8.6).
    if (status === 201) headers["Content-Length"] = "0";
    return { status, headers, body: null };
  }
  const { value } = sibling.content;
  Object.assign(headers, contentHeaders(sibling.content));
  headers["Content-Length"] = String(value.length);
  return { status: 200, headers, body: value };
}
