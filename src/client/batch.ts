/** Many gets, puts and deletes in one request, each for itself. */

import { checkKey, checkOptions, checkTextOrBytes } from "./arguments.ts";
import { decoded } from "./coding.ts";
import type { Contexts } from "./contexts.ts";
import { errorOf, StarlingError } from "./error.ts";
import { fromBase64, toBase64, toBytes, Version } from "./version.ts";

export type BatchOp =
  | { readonly op: "get" | "delete"; readonly key: string; readonly context?: string | null }
  | {
      readonly op: "put";
      readonly key: string;
      readonly value: string | Uint8Array;
      /** Seconds. */
      readonly ttl?: number;
      readonly metadata?: unknown;
      readonly context?: string | null;
    };

/** What became of one op. Without an `error` it was done. */
export interface BatchResult {
  readonly key: string;
  readonly status: number;
  readonly error: StarlingError | null;
  /** Of a get: what was found; null when nothing is there. */
  readonly version: Version | null;
  readonly siblings: number;
  readonly context: string | null;
  readonly etag: string | null;
}

/** The context of an op: its own, else the session's. */
export const contextFor = (
  op: { readonly key: string; readonly context?: string | null },
  contexts: Contexts | null,
): string | null => (op.context === undefined ? (contexts?.get(op.key) ?? null) : op.context);

/** The request's body. @throws TypeError for a malformed op */
export function batchBody(ops: readonly BatchOp[], contexts: Contexts | null): string {
  const described = ops.map((op) => {
    checkOptions("batch op", op);
    checkKey(op.key);
    const context = contextFor(op, contexts);
    const base = { op: op.op, key: op.key, ...(context === null ? {} : { context }) };
    if (op.op !== "put") return base;
    const { ttl, metadata, value } = op;
    return { ...base, ttl, metadata, value: toBase64(toBytes(checkTextOrBytes(value))) };
  });
  return JSON.stringify({ ops: described });
}

type Fields = Readonly<Record<string, unknown>>;

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);

async function versionOf(fields: Fields, decompress: boolean): Promise<Version> {
  const contentEncoding = textOf(fields["contentEncoding"]);
  const bytes = fromBase64(textOf(fields["value"]) ?? "");
  return new Version({
    bytes: decompress ? await decoded(bytes, contentEncoding) : bytes,
    contentEncoding,
    etag: textOf(fields["etag"]) ?? "",
    contentType: textOf(fields["contentType"]) ?? "application/octet-stream",
    metadata: fields["metadata"] ?? null,
    lastModified: null,
  });
}

async function resultOf(op: BatchOp, fields: Fields, decompress: boolean): Promise<BatchResult> {
  const status = typeof fields["status"] === "number" ? fields["status"] : 0;
  const isDone = status >= 200 && status < 300;
  const isMiss = op.op === "get" && status === 404 && fields["code"] === "not-found";
  const context = textOf(fields["context"]);
  const isWrite = op.op !== "get";
  const version = op.op === "get" && isDone ? await versionOf(fields, decompress) : null;
  const { siblings } = fields;
  return {
    key: op.key,
    status,
    context,
    version,
    error: isDone || isMiss ? null : errorOf(fields, { status, isWrite, context }),
    siblings: typeof siblings === "number" ? siblings : version === null ? 0 : 1,
    etag: textOf(fields["etag"]),
  };
}

/** The results in the order of the ops. @throws StarlingError when the answer has no such list */
export async function batchResults(
  ops: readonly BatchOp[],
  answer: unknown,
  decompress: boolean,
): Promise<readonly BatchResult[]> {
  const results: unknown = (answer as { results?: unknown } | null)?.results;
  if (Array.isArray(results) && results.length === ops.length) {
    const described = ops.map((op, i) => resultOf(op, (results[i] ?? {}) as Fields, decompress));
    return Promise.all(described);
  }
  const detail = "the answer to a batch lacks the results of some ops";
  const outcome = ops.some(({ op }) => op !== "get") ? "unknown" : "no";
  throw new StarlingError({ code: "unexpected-answer", detail, status: 207, outcome });
}
