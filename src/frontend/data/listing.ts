/** `GET /v1/kv/{namespace}`: the keys of a namespace, page by page. */
import { decode, encode } from "../../../core/codec.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { LIST_KEYS_MAX } from "../../../core/limits.ts";
import type { ListResult } from "../../../core/results.ts";
import type { Backend } from "../backend/backend.ts";
import { rulesOf } from "../backend/rules.ts";
import { run } from "../backend/run.ts";
import { NO_CACHE } from "../http/caching.ts";
import { Deadline } from "../http/deadline.ts";
import { type RequestOptions, readOptions } from "../http/options.ts";
import { Problem } from "../http/problems.ts";
import { seal, unseal } from "../http/sealed-token.ts";
import { traceOf } from "../http/trace.ts";
import { settingsOf } from "./data-plane.ts";

export interface ListRequest {
  readonly namespace: string;
  readonly prefix: string;
  readonly limit: number;
  /** Opaque; empty from the start. */
  readonly cursor: string;
  /** The trace that the listing belongs to. */
  readonly trace?: string;
}

/** What a cursor belongs to. */
type Listed = Pick<ListRequest, "namespace" | "prefix">;

const purposeOf = ({ namespace, prefix }: Listed): string => `cursor ${namespace}\0${prefix}`;

/** The cursor that goes on after that key. */
export const cursorAfter = (hash: KeyedHash, listed: Listed, after: string): string =>
  seal(hash, purposeOf(listed), encode(after));

function afterOf(list: ListRequest, hash: KeyedHash): string {
  if (list.cursor === "") return "";
  const payload = unseal(hash, purposeOf(list), list.cursor);
  const after = payload === null ? null : decode(payload);
  if (typeof after === "string") return after;
  throw new Problem("invalid-cursor", "The cursor is not one of this namespace and prefix.");
}

export interface ListedPage {
  readonly result: ListResult;
  /** Where the next page begins; empty when the list is complete. */
  readonly cursor: string;
}

/** @throws Problem */
export async function listKeys(
  backend: Backend,
  hash: KeyedHash,
  list: ListRequest,
): Promise<ListedPage> {
  const { namespace, prefix, limit } = list;
  const after = afterOf(list, hash);
  const operation = { kind: "list", namespace, prefix, after, limit } as const;
  const result = await run(backend, operation, list.trace);
  if (result.complete) return { result, cursor: "" };
  return { result, cursor: cursorAfter(hash, list, result.cursor) };
}

/** @throws Problem `invalid-option` */
function readLimit(text: string | undefined): number {
  if (text === undefined) return LIST_KEYS_MAX;
  const limit = Number(text);
  if (/^[0-9]{1,4}$/.test(text) && limit >= 1 && limit <= LIST_KEYS_MAX) return limit;
  const extras = { option: "limit", limit: LIST_KEYS_MAX };
  throw new Problem("invalid-option", `limit must be 1 to ${LIST_KEYS_MAX}.`, { extras });
}

/** Parameters that a listing takes beside the options of every request. */
const NAMES: ReadonlySet<string> = new Set(["prefix", "limit", "cursor"]);

/**
 * A bound that nobody proves must not look as if it were proven. @throws Problem `invalid-option`
 */
function refuseBound({ quorum }: RequestOptions): void {
  if (quorum.maxStaleMs === undefined) return;
  const detail = "A listing proves no bound: take max_stale away, or read the keys with it.";
  throw new Problem("invalid-option", detail, { extras: { option: "max_stale" } });
}

export interface ListCall {
  readonly request: Request;
  readonly namespace: string;
  readonly query: string;
}

/** The contract's own listing. @throws Problem */
export async function answerList(
  backend: Backend,
  hash: KeyedHash,
  { request, namespace, query }: ListCall,
): Promise<Response> {
  const view = backend.view();
  const options = readOptions(query, request.headers.get("Starling-Quorum"), NAMES);
  rulesOf(view, settingsOf(view, namespace), options.quorum);
  refuseBound(options);
  const prefix = options.others.get("prefix") ?? "";
  const limit = readLimit(options.others.get("limit"));
  const cursor = options.others.get("cursor") ?? "";
  const asked = { namespace, prefix, limit, cursor, trace: traceOf(request) };
  const page = await new Deadline(options.quorum).hold(() => listKeys(backend, hash, asked));
  const keys = page.result.keys.map(({ name, expiresAt, metadata }) => ({
    name,
    ...(expiresAt === 0 ? {} : { expiration: Math.floor(expiresAt / 1000) }),
    ...(metadata === null ? {} : { metadata: JSON.parse(metadata) as unknown }),
  }));
  const { complete } = page.result;
  const body = { keys, list_complete: complete, ...(complete ? {} : { cursor: page.cursor }) };
  const headers = { "X-Content-Type-Options": "nosniff", "Cache-Control": NO_CACHE };
  return Response.json(body, { headers });
}
