/**
 * The protocol between workerd and the service behind a KV namespace of its configuration, so that
 * a real `env.KV` can keep its keys here. It is not public, but small and old: a key is a path of
 * one segment, metadata a header, a list the root. workerd sends it to the root of a host of its
 * own; a forwarder puts the namespace in front (docs/kv.md).
 *
 * See https://github.com/cloudflare/workerd/blob/main/src/workerd/api/kv.c%2B%2B.
 */
import { Hono } from "hono";
import type { WallMillis } from "../../../core/time.ts";
import {
  type Call,
  isRead,
  type RouteParts,
  rawRest,
  rawTargetOf,
  type StarlingEnv,
} from "../backend/call.ts";
import type { Access } from "../http/auth.ts";
import { headerText, readBody } from "../http/body.ts";
import { type Answer, type HeaderFields, responseOf } from "../http/exchange.ts";
import { readJson } from "../http/json-body.ts";
import { percentDecode, readNamespace, splitTarget } from "../http/key-path.ts";
import { readOptions } from "../http/options.ts";
import { Problem, problemAnswer } from "../http/problems.ts";
import { traceOf } from "../http/trace.ts";
import {
  checkLength,
  expiryOf,
  type Given,
  KvRefusal,
  keysOf,
  listOf,
  metadataFrom,
  readerOf,
  typeOf,
} from "./kv-arguments.ts";
import { readMany } from "./kv-bulk.ts";
import { KvStore, secondsOf } from "./kv-store.ts";
import { contentOf, metadataIn } from "./kv-values.ts";

export const WORKERD_KV = "/v1/workerd-kv/";
const BULK_GET = "bulk/get";
const METADATA = "CF-KV-Metadata";
const EXPIRATION = "CF-Expiration";
const noSniff = { "X-Content-Type-Options": "nosniff" } as const;

interface KvCall {
  readonly store: KvStore;
  readonly request: Request;
  readonly query: URLSearchParams;
  /** As it stands in the path; empty for the list. */
  readonly rawKey: string;
  readonly now: WallMillis;
}

/** @throws Problem */
function keyIn(rawKey: string): string {
  const refuse = (): Problem => new Problem("invalid-key", "The key is empty, or not UTF-8.");
  if (rawKey === "") throw refuse();
  return checkLength(percentDecode(rawKey, refuse));
}

/** workerd takes 404 for a key that is not there. */
async function get({ store, rawKey }: KvCall): Promise<Response> {
  const found = await store.get(keyIn(rawKey));
  if (found === null) return new Response(null, { status: 404, headers: noSniff });
  const { value, metadata } = found.content;
  const headers: HeaderFields = { ...noSniff, "Content-Type": "application/octet-stream" };
  if (metadata !== null) headers[METADATA] = metadata;
  if (found.expiresAt !== 0) headers[EXPIRATION] = String(secondsOf(found.expiresAt));
  return responseOf({ status: 200, headers, body: value });
}

async function put({ store, request, query, rawKey, now }: KvCall): Promise<Response> {
  const header = request.headers.get(METADATA);
  const metadata = header === null ? null : metadataFrom(headerText(header));
  const { expiration_ttl: expirationTtl, expiration } = Object.fromEntries(query);
  const ttlMs = store.ttlMsOf(expiryOf({ expirationTtl, expiration }, now));
  const value = await readBody(request, store.settings.maxValueBytes);
  await store.put(keyIn(rawKey), contentOf(value, metadata), ttlMs);
  return new Response(null, { headers: noSniff });
}

async function remove({ store, rawKey }: KvCall): Promise<Response> {
  await store.delete(keyIn(rawKey));
  return new Response(null, { headers: noSniff });
}

async function list({ store, query }: KvCall): Promise<Response> {
  const { key_count_limit: limit, prefix, cursor } = Object.fromEntries(query);
  const page = await store.list(listOf({ limit, prefix, cursor }));
  const keys = page.keys.map(({ name, expiresAt, metadata }) => ({
    name,
    ...(expiresAt === 0 ? {} : { expiration: secondsOf(expiresAt) }),
    // As text: workerd itself parses it.
    ...(metadata === null ? {} : { metadata }),
  }));
  const isComplete = page.cursor === "";
  const more = isComplete ? {} : { cursor: page.cursor };
  return Response.json({ keys, list_complete: isComplete, ...more }, { headers: noSniff });
}

async function bulkGet({ store, request }: KvCall): Promise<Response> {
  const { keys, type, withMetadata } = ((await readJson(request)) ?? {}) as Given;
  const shown = readerOf(typeOf(type));
  const values = await readMany(store, keysOf(keys), ({ content }) => {
    const value = shown(content.value);
    return withMetadata === true ? { value, metadata: metadataIn(content) } : value;
  });
  return Response.json(Object.fromEntries(values), { headers: noSniff });
}

export const isWorkerdKv = (path: string): boolean => path.startsWith(WORKERD_KV);

/**
 * Characters that a reason phrase cannot carry (RFC 9112, section 4), or a reader would not see.
 */
const NO_REASON = /[^\x20-\x7e]/g;

/** workerd shows its users the reason phrase of an error answer, and nothing else. */
export function workerdProblemAnswer(problem: Problem, isHead: boolean): Answer {
  const { code, message } = problem;
  const words = problem instanceof KvRefusal ? message : `${message} (${code})`;
  return { ...problemAnswer(problem, isHead), statusText: words.replace(NO_REASON, "?") };
}

function answererOf(method: string, rawKey: string): (call: KvCall) => Promise<Response> {
  if (isRead(method)) return rawKey === "" ? list : get;
  if (method === "PUT") return put;
  if (method === "DELETE") return remove;
  return bulkGet;
}

interface WorkerdPath {
  readonly namespace: string;
  /** As it stands in the path; empty for the list. */
  readonly rawKey: string;
}

/** @throws Problem `invalid-key` */
function pathOf(call: Call): WorkerdPath {
  const rest = rawRest(call, WORKERD_KV);
  const slash = rest.indexOf("/");
  const namespace = readNamespace(slash < 0 ? rest : rest.slice(0, slash));
  return { namespace, rawKey: slash < 0 ? "" : rest.slice(slash + 1) };
}

/** `/v1/workerd-kv/{namespace}` with what workerd asks for behind it. */
export function workerdKvRoutes(parts: RouteParts): Hono<StarlingEnv> {
  const { backendOf, secret: hash, guarded } = parts;
  const app = new Hono<StarlingEnv>();
  const accessOf = (call: Call): Access => {
    const { method } = call.req;
    const { namespace } = pathOf(call);
    return { role: method === "PUT" || method === "DELETE" ? "write" : "read", namespace };
  };
  const handler = guarded(accessOf, (call) => {
    const { raw: request, method } = call.req;
    const { namespace, rawKey } = pathOf(call);
    const options = readOptions("", request.headers.get("Starling-Quorum"));
    const backend = backendOf(call);
    const trace = traceOf(request);
    const store = new KvStore({ backend, hash, namespace, options, trace, holder: request });
    const query = new URLSearchParams(splitTarget(rawTargetOf(call)).query);
    const answer = answererOf(method, rawKey);
    return answer({ store, request, query, rawKey, now: backend.now() });
  });
  app.on(["GET", "PUT", "DELETE"], `${WORKERD_KV}:namespace/:key{.*}`, handler);
  app.on(["GET", "PUT", "DELETE"], `${WORKERD_KV}:namespace`, handler);
  // Nothing else is posted to.
  app.post(`${WORKERD_KV}:namespace/${BULK_GET}`, handler);
  return app;
}
