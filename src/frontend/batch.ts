/** `POST /v1/kv/{namespace}:batch`: many gets, puts and deletes in one request, each for itself. */
import { Decoder, Encoder } from "@msgpack/msgpack";
import type { Content, Sibling } from "../../core/entry.ts";
import { etagOf } from "../../core/entry.ts";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { storeKey } from "../../core/keys.ts";
import { BATCH_OPS_MAX, TTL_SECONDS_MAX, TTL_SECONDS_MIN } from "../../core/limits.ts";
import type { NamespaceSettings, Operation, Result } from "../../core/operations.ts";
import { contextOf, viewOf } from "./answers.ts";
import type { Backend } from "./backend.ts";
import { checkMetadata, readBody } from "./body.ts";
import { contextToToken, tokenToContext } from "./context-token.ts";
import { checkKey } from "./key-path.ts";
import type { RequestOptions } from "./options.ts";
import { Problem, problemOf } from "./problems.ts";
import { toBase64 } from "./sibling-bodies.ts";

/** Operations of one batch that are at work at once. */
const AT_ONCE_MAX = 32;
/** A whole batch: sixteen of the largest values, whatever their number. */
const VALUES_PER_BATCH = 16;
const MSGPACK = "application/msgpack";

export interface BatchParts {
  readonly backend: Backend;
  readonly hash: KeyedHash;
  readonly namespace: string;
  readonly settings: NamespaceSettings;
  readonly options: RequestOptions;
}

type Fields = Readonly<Record<string, unknown>>;

const encoder = new Encoder();

function invalid(detail: string): Problem {
  return new Problem("invalid-request", detail);
}

function fromBase64(text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    throw invalid(`"value" must be base64 in a JSON batch.`);
  }
}

async function readOps(request: Request, parts: BatchParts): Promise<readonly Fields[]> {
  const bytes = await readBody(
    request,
    VALUES_PER_BATCH * parts.settings.maxValueBytes + 1_048_576,
  );
  let body: unknown;
  try {
    body = isMsgpack(request.headers.get("Content-Type"))
      ? new Decoder({ maxExtLength: 0, maxArrayLength: BATCH_OPS_MAX * 2 }).decode(bytes)
      : JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid(`A batch is JSON, or MessagePack with Content-Type: ${MSGPACK}.`);
  }
  const ops = (body as { ops?: unknown } | null)?.ops;
  if (!Array.isArray(ops)) throw invalid(`A batch has a list "ops".`);
  if (ops.length > BATCH_OPS_MAX) {
    const extras = { limit: BATCH_OPS_MAX };
    throw new Problem("invalid-request", `A batch has at most ${BATCH_OPS_MAX} ops.`, { extras });
  }
  return ops.map((op: unknown) => (typeof op === "object" && op !== null ? (op as Fields) : {}));
}

const isMsgpack = (type: string | null): boolean =>
  /^application\/(x-|vnd\.)?msgpack\b/i.test(type ?? "");

function ttlOf(value: unknown, settings: NamespaceSettings): number {
  if (value === undefined || value === null) return Math.round((settings.ttl ?? 0) * 1000);
  if (typeof value === "number" && value >= TTL_SECONDS_MIN && value <= TTL_SECONDS_MAX) {
    return Math.round(value * 1000);
  }
  const extras = { option: "ttl" };
  const detail = `ttl must be seconds from ${TTL_SECONDS_MIN} to ${TTL_SECONDS_MAX}.`;
  throw new Problem("invalid-option", detail, { extras });
}

function contentOf(op: Fields, settings: NamespaceSettings): Content {
  const { value, metadata } = op;
  const bytes = value instanceof Uint8Array ? value : null;
  if (bytes === null && typeof value !== "string") throw invalid(`A put has a "value".`);
  const stored = bytes ?? fromBase64(String(value));
  if (stored.length > settings.maxValueBytes) {
    const extras = { limit: settings.maxValueBytes };
    throw new Problem("value-too-large", "The value is larger than the namespace takes.", {
      extras,
    });
  }
  return {
    value: stored,
    contentType: "application/octet-stream",
    contentEncoding: null,
    contentLanguage: null,
    contentDisposition: null,
    metadata: metadata === undefined ? null : checkMetadata(JSON.stringify(metadata)),
    tags: [],
  };
}

function operationOf(op: Fields, parts: BatchParts): Operation {
  const { namespace, hash, settings, options } = parts;
  if (typeof op["key"] !== "string") throw new Problem("invalid-key", `An op has a "key".`);
  const key = storeKey(namespace, checkKey(op["key"]));
  const token = op["context"];
  const context = typeof token === "string" ? tokenToContext(hash, key, token) : null;
  const { quorum } = options;
  const write = { kind: "write", key, options: quorum, context, precondition: null } as const;
  switch (op["op"]) {
    case "get":
      return { kind: "get", key, options: quorum, session: context };
    case "put":
      return { ...write, content: contentOf(op, settings), ttlMs: ttlOf(op["ttl"], settings) };
    case "delete":
      return { ...write, content: null, ttlMs: 0 };
    default:
      throw invalid(`"op" must be get, put or delete.`);
  }
}

function describe(sibling: Sibling, parts: BatchParts, isBinary: boolean): Fields {
  const { content } = sibling;
  const value = content?.value ?? new Uint8Array(0);
  return {
    etag: etagOf([sibling], parts.hash),
    contentType: content?.contentType,
    ...(content?.metadata == null ? {} : { metadata: JSON.parse(content.metadata) as unknown }),
    value: isBinary ? value : toBase64(value),
  };
}

function describeResult(
  result: Result,
  key: string,
  of: { readonly parts: BatchParts; readonly isBinary: boolean },
): Fields {
  const { backend, hash } = of.parts;
  if (result.kind === "got") {
    const now = backend.now();
    const view = viewOf(result.entry, now);
    const [newest] = view.live;
    const shown = newest === undefined ? [] : [newest];
    const context = contextToToken(hash, key, contextOf(view, shown, now));
    if (newest === undefined) return { status: 404, code: "not-found", context };
    const more = view.live.length > 1 ? { siblings: view.live.length } : {};
    return { status: 200, context, ...more, ...describe(newest, of.parts, of.isBinary) };
  }
  if (result.kind !== "written") throw new Error(`a batch op ended as ${result.kind}`);
  const isCreated = result.created && result.sibling.content !== null;
  return {
    status: isCreated ? 201 : 204,
    etag: etagOf([result.sibling], hash),
    context: contextToToken(hash, key, result.context),
  };
}

function describeProblem(problem: Problem): Fields {
  const { status, code, message, extras } = problem;
  return { status, code, detail: message, ...extras };
}

async function runOne(op: Fields, parts: BatchParts, isBinary: boolean): Promise<Fields> {
  const key = typeof op["key"] === "string" ? op["key"] : null;
  try {
    const operation = operationOf(op, parts);
    const result = await parts.backend.execute(operation, "");
    if (result.kind === "failed") throw problemOf(result.failure, operation.kind === "write");
    const name = "key" in operation ? operation.key : "";
    return { key, ...describeResult(result, name, { parts, isBinary }) };
  } catch (error) {
    if (error instanceof Problem) return { key, ...describeProblem(error) };
    throw error;
  }
}

/** 207 with one result an op, in the order of the ops. @throws Problem for the batch as a whole */
export async function answerBatch(request: Request, parts: BatchParts): Promise<Response> {
  const ops = await readOps(request, parts);
  const isBinary = isMsgpack(request.headers.get("Accept") ?? request.headers.get("Content-Type"));
  const results: Fields[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let i = next++; i < ops.length; i = next++) {
      results[i] = await runOne(ops[i] as Fields, parts, isBinary);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE_MAX, ops.length) }, work));
  const headers = { "X-Content-Type-Options": "nosniff" };
  if (!isBinary) return Response.json({ results }, { status: 207, headers });
  const body = encoder.encode({ results }) as Uint8Array<ArrayBuffer>;
  return new Response(body, { status: 207, headers: { ...headers, "Content-Type": MSGPACK } });
}
