/** The body of a batch: from JSON or MessagePack to its ops, and its results back. */
import { Encoder } from "@msgpack/msgpack";
import { BATCH_OPS_MAX, METADATA_BYTES_MAX } from "../../../core/limits.ts";
import { fromBase64 } from "../http/base64.ts";
import { isJsonBomb, isMsgpackBomb } from "../http/batch-guard.ts";
import { readBody } from "../http/body.ts";
import { decodeWithTexts } from "../http/msgpack-texts.ts";
import { isMsgpack, MSGPACK } from "../http/msgpack-type.ts";
import { Problem } from "../http/problems.ts";

export type Fields = Readonly<Record<string, unknown>>;

const encoder = new Encoder();
const utf8 = new TextEncoder();
const LISTS_MAX = Math.max(BATCH_OPS_MAX + 1, METADATA_BYTES_MAX);

export const invalidRequest = (detail: string): Problem => new Problem("invalid-request", detail);

/**
 * How values are written: in JSON as base64 of their bytes, in MessagePack as bytes, or as a text
 * for its UTF-8.
 */
export interface BatchForm {
  readonly isBinary: boolean;
}

/** @throws Problem `invalid-request` */
export function bytesOf(value: unknown, { isBinary }: BatchForm): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value !== "string") throw invalidRequest(`A put has a "value".`);
  if (isBinary) return utf8.encode(value);
  try {
    return fromBase64(value);
  } catch {
    throw invalidRequest(`"value" must be base64 in a JSON batch.`);
  }
}

function parse(bytes: Uint8Array, { isBinary }: BatchForm): unknown {
  if (isBinary ? isMsgpackBomb(bytes) : isJsonBomb(bytes)) {
    const isCut = isBinary ? "is cut off, or " : "";
    throw invalidRequest(
      `The batch ${isCut}nests too deeply, or has more values than a batch needs.`,
    );
  }
  try {
    if (!isBinary) return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const limits = { maxExtLength: 0, maxArrayLength: LISTS_MAX, maxMapLength: LISTS_MAX };
    return decodeWithTexts(bytes, limits);
  } catch {
    throw invalidRequest(`A batch is JSON, or MessagePack with Content-Type: ${MSGPACK}.`);
  }
}

/**
 * Something that a client asks for beside the ops must not be ignored in silence. @throws Problem
 */
function refuseUnknown(body: Fields): void {
  const unknown = Object.keys(body).find((name) => name !== "ops");
  if (unknown === undefined) return;
  const extras = { option: unknown.slice(0, 40) };
  throw new Problem("invalid-request", "A batch has no such member. It takes ops.", { extras });
}

/** @throws Problem `invalid-request`, `value-too-large` or `incomplete-body` */
export async function readOps(
  request: Request,
  byteCountMax: number,
): Promise<BatchForm & { readonly ops: readonly Fields[] }> {
  const form = { isBinary: isMsgpack(request.headers.get("Content-Type")) };
  const body = parse(await readBody(request, byteCountMax), form);
  const ops = (body as { ops?: unknown } | null)?.ops;
  if (!Array.isArray(ops)) throw invalidRequest(`A batch has a list "ops".`);
  if (ops.length > BATCH_OPS_MAX) {
    const extras = { limit: BATCH_OPS_MAX };
    throw new Problem("invalid-request", `A batch has at most ${BATCH_OPS_MAX} ops.`, { extras });
  }
  refuseUnknown(body as Fields);
  const fields = ops.map((op: unknown) => (typeof op === "object" && op !== null ? op : {}));
  return { ...form, ops: fields as Fields[] };
}

/** Results go back in the form that the client asked for, or else in the form of the request. */
export const answersBinary = ({ headers }: Request): boolean => {
  const accept = headers.get("Accept");
  return isMsgpack(accept === null || accept === "*/*" ? headers.get("Content-Type") : accept);
};

export function resultsResponse(results: readonly Fields[], isBinary: boolean): Response {
  const headers = { "X-Content-Type-Options": "nosniff" };
  if (!isBinary) return Response.json({ results }, { status: 207, headers });
  const body = encoder.encode({ results });
  return new Response(body, { status: 207, headers: { ...headers, "Content-Type": MSGPACK } });
}
