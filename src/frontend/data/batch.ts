/** `POST /v1/kv/{namespace}:batch`: many gets, puts and deletes in one request, each for itself. */
import {
  type Content,
  contextShowing,
  etagOf,
  liveSiblings,
  type Sibling,
  valueBytes,
} from "../../../core/entry.ts";
import { endOf } from "../../../core/expiry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { isStoreKey, storeKey } from "../../../core/keys.ts";
import { TTL_SECONDS_MAX, TTL_SECONDS_MIN } from "../../../core/limits.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import type { GetOperation, WriteOperation } from "../../../core/operations.ts";
import type { DoneOf, GetResult } from "../../../core/results.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Backend } from "../backend/backend.ts";
import { execute } from "../backend/large-work.ts";
import { ReadRoom } from "../backend/read-room.ts";
import { AnswerBudget } from "../http/answer-budget.ts";
import { inLanes } from "../http/at-once.ts";
import { type Grant, requireAccess } from "../http/auth.ts";
import { pause, toBase64 } from "../http/base64.ts";
import { checkMetadata, checkTags } from "../http/body.ts";
import { SMALL_BYTES } from "../http/body-room.ts";
import { contextToToken, keptToken, type Session, tokenToSession } from "../http/context-token.ts";
import { Deadline } from "../http/deadline.ts";
import { checkKey } from "../http/key-path.ts";
import type { RequestOptions } from "../http/options.ts";
import { internalProblem, Problem, problemOf } from "../http/problems.ts";
import { traceOf } from "../http/trace.ts";
import {
  answersBinary,
  type BatchForm,
  bytesOf,
  type Fields,
  invalidRequest,
  readOps,
  resultsResponse,
} from "./batch-body.ts";
import { encodingOf } from "./sibling-bodies.ts";

/** A whole batch, and its answer: sixteen of the largest values, whatever their number. */
const VALUES_PER_BATCH = 16;
const OVERHEAD_BYTES = 1_048_576;

export interface BatchParts {
  readonly backend: Backend;
  readonly hash: KeyedHash;
  readonly namespace: string;
  readonly settings: NamespaceSettings;
  readonly options: RequestOptions;
  readonly grant: Grant;
}

interface Batch extends BatchParts {
  readonly form: BatchForm;
  readonly answersBinary: boolean;
  readonly trace: string;
  readonly budget: AnswerBudget;
  readonly room: ReadRoom;
  readonly deadline: Deadline;
}

type OneOperation = GetOperation | WriteOperation;

/** Absent and null mean the same. */
const isAbsent = (value: unknown): value is null | undefined =>
  value === undefined || value === null;

function ttlOf(value: unknown, settings: NamespaceSettings): number {
  if (isAbsent(value)) return Math.round((settings.ttl ?? 0) * 1000);
  if (typeof value === "number" && value >= TTL_SECONDS_MIN && value <= TTL_SECONDS_MAX) {
    const ms = Math.round(value * 1000);
    if (ms / 1000 === value) return ms;
  }
  const extras = { option: "ttl" };
  const range = `${TTL_SECONDS_MIN} to ${TTL_SECONDS_MAX}`;
  const detail = `ttl must be seconds from ${range}, with at most three decimal places.`;
  throw new Problem("invalid-option", detail, { extras });
}

/** JSON makes some object of bytes, and null of a number that is none. @throws Problem */
function asJson(_name: string, value: unknown): unknown {
  const hasWords = typeof value !== "number" || Number.isFinite(value);
  if (hasWords && !(value instanceof Uint8Array)) return value;
  const detail = "The metadata has bytes, or a number, for which JSON has no words.";
  throw new Problem("invalid-metadata", detail);
}

function metadataOf(value: unknown): string | null {
  if (isAbsent(value)) return null;
  return checkMetadata(JSON.stringify(value, asJson));
}

function contentOf(op: Fields, { settings, form }: Batch): Content {
  const value = bytesOf(op["value"], form);
  if (value.length > settings.maxValueBytes) {
    const extras = { limit: settings.maxValueBytes };
    const detail = "The value is larger than the namespace takes.";
    throw new Problem("value-too-large", detail, { extras });
  }
  return {
    value,
    contentType: "application/octet-stream",
    contentEncoding: null,
    contentLanguage: null,
    contentDisposition: null,
    metadata: metadataOf(op["metadata"]),
    tags: tagsOf(op["tags"]),
  };
}

function tagsOf(value: unknown): readonly string[] {
  if (isAbsent(value)) return [];
  if (Array.isArray(value) && value.every((tag) => typeof tag === "string")) {
    return checkTags(value as string[]);
  }
  throw new Problem("invalid-tag", `"tags" is a list of texts.`);
}

const MEMBERS = new Set(["op", "key", "value", "ttl", "metadata", "tags", "context"]);

/** A misspelt member must not be taken for one that was left out. @throws Problem */
function refuseUnknown(op: Fields): void {
  const unknown = Object.keys(op).find((name) => !MEMBERS.has(name));
  if (unknown === undefined) return;
  const extras = { option: unknown.slice(0, 40) };
  const detail = `An op has no such member. It takes ${[...MEMBERS].join(", ")}.`;
  throw new Problem("invalid-request", detail, { extras });
}

/**
 * An unreadable context must not pass for none: the write would cover what its client never saw.
 */
function sessionOf(op: Fields, key: StoreKey, { hash }: Batch): Session | null {
  const token = op["context"];
  if (isAbsent(token)) return null;
  if (typeof token === "string") return tokenToSession({ hash, key }, token);
  throw new Problem("invalid-context", `"context" is a text, as it was given.`);
}

function operationOf(op: Fields, batch: Batch): OneOperation {
  refuseUnknown(op);
  if (typeof op["key"] !== "string") throw new Problem("invalid-key", `An op has a "key".`);
  const key = storeKey(batch.namespace, checkKey(op["key"]));
  const session = sessionOf(op, key, batch);
  const context = session?.context ?? null;
  const options = batch.options.quorum;
  const write = { kind: "write", key, options, context, precondition: null } as const;
  switch (op["op"]) {
    case "get":
      return { kind: "get", key, options, session: context, sessionEndsAt: session?.endsAt ?? 0 };
    case "put": {
      const ttlMs = ttlOf(op["ttl"], batch.settings);
      return { ...write, content: contentOf(op, batch), ttlMs };
    }
    case "delete":
      return { ...write, content: null, ttlMs: 0 };
    default:
      throw invalidRequest(`"op" must be get, put or delete.`);
  }
}

function describe(sibling: Sibling, batch: Batch): Fields {
  const { content } = sibling;
  const value = content?.value ?? new Uint8Array(0);
  const metadata = content?.metadata ?? null;
  batch.budget.take(value.length);
  return {
    etag: etagOf([sibling], batch.hash),
    contentType: content?.contentType,
    ...(content === null ? {} : encodingOf(content)),
    ...(metadata === null ? {} : { metadata: JSON.parse(metadata) as unknown }),
    value: batch.answersBinary ? value : toBase64(value),
  };
}

/** In seconds, of a read with `max_stale`. */
const boundOf = ({ staleBoundMs, staleW }: GetResult): Fields =>
  staleBoundMs === undefined ? {} : { staleBound: Math.ceil(staleBoundMs) / 1000, staleW };

function describeResult(result: DoneOf<"get" | "write">, key: StoreKey, batch: Batch): Fields {
  const { backend, hash } = batch;
  if (result.kind === "got") {
    const now = backend.now();
    const live = liveSiblings(result.entry, now);
    const shown = live.slice(0, 1);
    const of = { hash, key };
    const { siblings } = result.entry;
    const context = keptToken(of, contextShowing(result.entry, shown, now), endOf(siblings));
    const [newest] = shown;
    const bound = boundOf(result);
    if (newest === undefined) return { status: 404, code: "not-found", context, ...bound };
    const more = { ...bound, ...(live.length > 1 ? { siblings: live.length } : {}) };
    return { status: 200, context, ...more, ...describe(newest, batch) };
  }
  const isCreated = result.created && result.sibling.content !== null;
  return {
    status: isCreated ? 201 : 204,
    etag: etagOf([result.sibling], hash),
    context: contextToToken({ hash, key }, result.context, endOf([result.sibling])),
  };
}

async function carryOut(asked: OneOperation, batch: Batch): Promise<Fields> {
  const isWrite = asked.kind === "write";
  try {
    const operation = { ...asked, options: batch.deadline.options() };
    const result =
      operation.kind === "get"
        ? await batch.room.read(operation)
        : await execute(batch.backend, operation, batch.trace);
    // Base64 of many large values takes its time: the others have their turn between.
    if (result.kind === "got" && valueBytes(result.entry.siblings) > SMALL_BYTES) await pause();
    if (result.kind !== "failed") return describeResult(result, operation.key, batch);
    const described = describeProblem(problemOf(result.failure, isWrite));
    if (result.context === null) return described;
    const of = { hash: batch.hash, key: operation.key };
    return { ...described, context: contextToToken(of, result.context) };
  } catch (error) {
    // One op's accident must not fail the others: some of them may be written already.
    return describeProblem(error instanceof Problem ? error : internalProblem(error, isWrite));
  }
}

function describeProblem({ status, code, message, extras }: Problem): Fields {
  return { status, code, detail: message, ...extras };
}

/** The key of an op that reads; none for a malformed one, which will be refused. */
const readKeyOf = ({ op, key }: Fields, namespace: string): readonly StoreKey[] =>
  op === "get" && typeof key === "string" && isStoreKey(`${namespace}\0${key}`)
    ? [storeKey(namespace, key)]
    : [];

const nameOf = ({ key }: Fields): string | null => (typeof key === "string" ? key : null);

async function runOne(op: Fields, batch: Batch): Promise<Fields> {
  const key = nameOf(op);
  let operation: OneOperation;
  try {
    operation = operationOf(op, batch);
  } catch (error) {
    if (error instanceof Problem) return { key, ...describeProblem(error) };
    throw error;
  }
  return { key, ...(await carryOut(operation, batch)) };
}

/** 207 with one result an op, in the order of the ops. @throws Problem for the batch as a whole */
export async function answerBatch(request: Request, parts: BatchParts): Promise<Response> {
  const byteCountMax = VALUES_PER_BATCH * parts.settings.maxValueBytes + OVERHEAD_BYTES;
  const { ops, ...form } = await readOps(request, byteCountMax);
  const { grant, namespace } = parts;
  const deadline = new Deadline(parts.options.quorum);
  if (ops.some(({ op }) => op !== "get")) requireAccess(grant, { role: "write", namespace });
  const isBinary = answersBinary(request);
  const valuesMax = VALUES_PER_BATCH * parts.settings.maxValueBytes;
  const budget = new AnswerBudget(valuesMax);
  const trace = traceOf(request);
  const room = new ReadRoom({ backend: parts.backend, holder: request, trace });
  await room.reserve(
    ops.flatMap((op) => readKeyOf(op, namespace)),
    valuesMax,
  );
  const batch = { ...parts, form, answersBinary: isBinary, trace, budget, room, deadline };
  // Two blind writes at once would become siblings, and a get would not see the put before it.
  const lanes = { laneOf: nameOf, work: (op: Fields) => runOne(op, batch) };
  const results = await inLanes(ops, lanes, room.atOnce);
  return resultsResponse(results, isBinary);
}
