/** What a client and a session have in common: the calls, with or without remembered contexts. */
import { checkKey, checkOptions, sendable } from "./arguments.ts";
import { type BatchOp, type BatchResult, batchBody, batchResults } from "./batch.ts";
import type {
  BatchOptions,
  CallOptions,
  GetOptions,
  ListedKey,
  ListOptions,
  Purged,
  PurgeTarget,
  PutOptions,
  Siblings,
  Stored,
  WriteOptions,
  Written,
} from "./call-types.ts";
import { type ChangesOptions, type FeedChange, followed } from "./changes.ts";
import { type ConsistencyOptions, consistencyQuery } from "./consistency.ts";
import type { Contexts } from "./contexts.ts";
import { StarlingError } from "./error.ts";
import {
  contextOf,
  type Got,
  type Headed,
  metadataOf,
  quorumOf,
  ReadAnswer,
  type Revalidated,
  readWhole,
} from "./got.ts";
import { keyPath } from "./key-path.ts";
import { versionsOf } from "./sibling-list.ts";
import type { Body, Transport, TransportRequest } from "./transport.ts";
import { dateOf, headerJson, Version } from "./version.ts";

export interface Parts {
  readonly transport: Transport;
  readonly namespace: string;
  /** The `Starling-Quorum` header of every request. */
  readonly defaults: string | null;
  readonly contexts: Contexts | null;
  /** Whether values that come within another answer lose their content coding. */
  readonly decompress: boolean;
}

const CONTEXT = "Starling-Context";
/** An answer without the header is not from Starling: a proxy's page is not a value. */
const isFromStarling = ({ headers }: Response): boolean => headers.has(CONTEXT);

const isRead = (response: Response): boolean =>
  [200, 304, 404].includes(response.status) && isFromStarling(response);
const isWritten = (response: Response): boolean => response.ok && isFromStarling(response);
const isSiblings = (response: Response): boolean =>
  [200, 300, 404].includes(response.status) && isFromStarling(response);
const isJson = (response: Response): boolean =>
  response.ok && (response.headers.get("Content-Type") ?? "").startsWith("application/json");

/** Frees the connection of an answer that nobody is going to read. */
const drain = async (response: Response): Promise<void> => {
  await response.body?.cancel();
};

function withQuery(
  path: string,
  options: ConsistencyOptions,
  more: Record<string, string>,
): string {
  const query = consistencyQuery(options);
  for (const [name, value] of Object.entries(more)) query.set(name, value);
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

function storedHeaders(headers: Headers, stored: Stored): void {
  const { metadata, contentType, contentEncoding, tags } = stored;
  if (contentEncoding !== undefined) headers.set("Content-Encoding", contentEncoding);
  if (contentType !== undefined) headers.set("Content-Type", contentType);
  if (metadata !== undefined) headers.set("Starling-Metadata", headerJson(metadata));
  if (tags !== undefined && tags.length > 0) headers.set("Cache-Tag", tags.join(","));
}

interface KeyCall {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE";
  readonly key: string;
  readonly options: WriteOptions;
  readonly query?: Record<string, string>;
  readonly isExpected: (response: Response) => boolean;
  readonly stored?: Stored;
  readonly body?: Body;
  readonly accept?: string;
}

export class Operations {
  protected readonly parts: Parts;

  protected constructor(parts: Parts) {
    this.parts = parts;
  }

  /**
   * The newest version.
   *
   * @throws StarlingError; TypeError, as all calls, for unknown or malformed options
   */
  get(key: string, options?: CallOptions): Promise<Got>;
  get(key: string, options: GetOptions): Promise<Revalidated>;
  async get(key: string, options: GetOptions = {}): Promise<Revalidated> {
    checkOptions("get", options);
    const response = await this.#ofKey({ method: "GET", key, options, isExpected: isRead });
    if (response.status === 404) await drain(response);
    return new ReadAnswer(response, true) as Revalidated;
  }

  /** All that `get` tells, without the value. @throws StarlingError */
  async head(key: string, options: GetOptions = {}): Promise<Headed> {
    checkOptions("head", options);
    const response = await this.#ofKey({ method: "HEAD", key, options, isExpected: isRead });
    return new ReadAnswer(response, false) as Headed;
  }

  /** All siblings with their values. @throws StarlingError */
  async siblings(key: string, options: CallOptions = {}): Promise<Siblings> {
    checkOptions("siblings", options);
    const response = await this.#ofKey({
      method: "GET",
      key,
      options,
      query: { siblings: "all" },
      isExpected: isSiblings,
      accept: "application/json",
    });
    const { headers, status } = response;
    const shared = { context: contextOf(headers), quorum: quorumOf(headers) };
    if (status === 404) {
      await drain(response);
      return { ...shared, versions: [], etag: null };
    }
    const etag = headers.get("ETag") ?? "";
    const bytes = new Uint8Array(await readWhole(response, (body) => body.arrayBuffer()));
    if (status === 300) {
      return { ...shared, etag, versions: await versionsOf(bytes, this.parts.decompress) };
    }
    const only = new Version({
      bytes,
      etag,
      contentEncoding: headers.get("Content-Encoding"),
      contentType: headers.get("Content-Type") ?? "application/octet-stream",
      metadata: metadataOf(headers),
      lastModified: dateOf(headers.get("Last-Modified")),
    });
    return { ...shared, etag, versions: [only] };
  }

  /**
   * Stores a value. With a context (of a session, or in the options) it replaces exactly what that
   * names; a concurrent version stays beside it.
   *
   * @throws StarlingError whose `outcome` says whether it may have been stored all the same
   */
  async put(key: string, value: Body, options: PutOptions = {}): Promise<Written> {
    checkOptions("put", options);
    const query: Record<string, string> =
      options.ttl === undefined ? {} : { ttl: String(options.ttl) };
    const call = { method: "PUT", key, options, query, isExpected: isWritten } as const;
    return this.#write({ ...call, stored: options, body: await sendable(value) });
  }

  /** Deletes a value; no error where there is none. @throws StarlingError, as `put` */
  async delete(key: string, options: WriteOptions = {}): Promise<Written> {
    checkOptions("delete", options);
    return this.#write({ method: "DELETE", key, options, isExpected: isWritten });
  }

  /** The keys of the namespace in the order of their UTF-8 bytes. @throws StarlingError */
  async *list(options: ListOptions = {}): AsyncGenerator<ListedKey, void, undefined> {
    checkOptions("list", options);
    const { prefix, limit, signal } = options;
    const more = {
      ...(prefix === undefined ? {} : { prefix }),
      ...(limit === undefined ? {} : { limit: String(limit) }),
    };
    const path = `/v1/kv/${encodeURIComponent(this.parts.namespace)}`;
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? more : { ...more, cursor };
      const call = { method: "GET", target: withQuery(path, options, query), signal } as const;
      const page = (await this.#json({ ...call, isWrite: false, isRepeatable: true })) as ListPage;
      for (const { name, expiration, metadata = null } of page.keys) {
        const expiresAt = expiration === undefined ? null : new Date(expiration * 1000);
        yield { name, expiresAt, metadata };
      }
      cursor = page.list_complete ? undefined : page.cursor;
    } while (cursor !== undefined);
  }

  /**
   * At most 1,000 ops in one request, in no order. Each result says for itself what became of it.
   *
   * @throws StarlingError when the batch as a whole was not answered
   */
  async batch(
    ops: readonly BatchOp[],
    options: BatchOptions = {},
  ): Promise<readonly BatchResult[]> {
    checkOptions("batch", options);
    const { contexts, namespace, decompress } = this.parts;
    const isWrite = ops.some(({ op }) => op !== "get");
    const sent = ops.map(({ key }) => contexts?.get(key) ?? null);
    const answer = await this.#json({
      method: "POST",
      target: withQuery(`/v1/kv/${encodeURIComponent(namespace)}:batch`, options, {}),
      body: batchBody(ops, contexts),
      isWrite,
      isRepeatable: options.repeatable ?? false,
      signal: options.signal,
    });
    const results = await batchResults(ops, answer, decompress);
    for (const [i, { key, context, error }] of results.entries()) {
      if (contexts === null || context === null || error !== null) continue;
      if (ops[i]?.op === "get") contexts.read(key, context, sent[i] ?? null);
      else contexts.wrote(key, context);
    }
    return results;
  }

  /** From now on, nothing of what it names that was written before is served. */
  async purge(what: PurgeTarget, options: { signal?: AbortSignal } = {}): Promise<Purged> {
    checkOptions("purge", options);
    const answer = (await this.#json({
      method: "POST",
      target: "/v1/purge",
      body: JSON.stringify({ namespace: this.parts.namespace, ...what }),
      isWrite: true,
      // A repeat would also purge what was written since the first one.
      isRepeatable: false,
      signal: options.signal,
    })) as { until: string; replicas: { learnt: number; of: number } };
    return { until: new Date(answer.until), ...answer.replicas };
  }

  /**
   * The changes of this namespace, or of the one that is named, for as long as somebody takes them:
   * through restarts and whatever frontend answers. Each has the token from which to go on.
   *
   * @throws StarlingError for what does not pass by itself: `invalid-token`, `forbidden` …
   */
  changes(
    first: string | ChangesOptions = {},
    second: ChangesOptions = {},
  ): AsyncGenerator<FeedChange, never, undefined> {
    return followed(this.parts, first, second);
  }

  async #write(call: KeyCall): Promise<Written> {
    const response = await this.#ofKey(call);
    await drain(response);
    const { headers, status } = response;
    return {
      created: status === 201,
      etag: headers.get("ETag"),
      context: contextOf(headers),
      siblings: Number(headers.get("Starling-Siblings") ?? 1),
      quorum: quorumOf(headers),
    };
  }

  /** One key's request with its context, and what the session learns of the answer. */
  async #ofKey({ key, options, ...call }: KeyCall): Promise<Response> {
    const { transport, namespace, contexts } = this.parts;
    const isWrite = call.method === "PUT" || call.method === "DELETE";
    const { ifMatch, ifNoneMatch, signal } = options;
    const known = contexts?.get(key) ?? null;
    const context = options.context === undefined ? known : options.context;
    const headers = this.#headers();
    if (context !== null) headers.set(CONTEXT, context);
    if (ifMatch !== undefined) headers.set("If-Match", ifMatch);
    if (ifNoneMatch !== undefined) headers.set("If-None-Match", ifNoneMatch);
    if (call.accept !== undefined) headers.set("Accept", call.accept);
    if (call.stored !== undefined) storedHeaders(headers, call.stored);
    const isConditional = ifMatch !== undefined || ifNoneMatch !== undefined;
    // Why this and nothing else: see transport.ts.
    const isIdempotent = call.method === "DELETE" && context !== null && !isConditional;
    const target = withQuery(keyPath(namespace, checkKey(key)), options, call.query ?? {});
    const isRepeatable = options.repeatable ?? isIdempotent;
    try {
      const rest = { headers, isWrite, isRepeatable, signal };
      const response = await transport.send({ ...call, target, ...rest });
      if (isWrite) contexts?.wrote(key, contextOf(response.headers));
      else contexts?.read(key, contextOf(response.headers), known);
      return response;
    } catch (error) {
      // It is of another cluster, or sealed under a secret that is gone: it will never be accepted.
      const isStale = error instanceof StarlingError && error.code === "invalid-context";
      if (isStale && context === known) contexts?.forget(key);
      throw error;
    }
  }

  async #json(call: Omit<TransportRequest, "headers" | "isExpected">): Promise<unknown> {
    const headers = this.#headers();
    if (call.body !== undefined) headers.set("Content-Type", "application/json");
    const response = await this.parts.transport.send({ ...call, headers, isExpected: isJson });
    try {
      return await response.json();
    } catch (cause) {
      call.signal?.throwIfAborted();
      const detail = "the answer broke off on its way";
      const outcome = call.isWrite ? "unknown" : "no";
      throw new StarlingError({
        code: "no-answer",
        detail,
        status: response.status,
        outcome,
        cause,
      });
    }
  }

  #headers(): Headers {
    const { defaults } = this.parts;
    return new Headers(defaults === null ? {} : { "Starling-Quorum": defaults });
  }
}

interface ListPage {
  readonly keys: readonly {
    readonly name: string;
    readonly expiration?: number;
    readonly metadata?: unknown;
  }[];
  readonly list_complete: boolean;
  readonly cursor?: string;
}
