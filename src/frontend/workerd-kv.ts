/**
 * What workerd says to the service behind a KV namespace of its configuration, so that a real
 * `env.KV` can keep its keys here. It is no public protocol, but small and old: a key is a path of
 * one segment, metadata a header, a list the root. workerd sends it to the root of a host of its
 * own; who forwards it puts the namespace in front (docs/kv.md).
 *
 * See https://github.com/cloudflare/workerd/blob/main/src/workerd/api/kv.c%2B%2B.
 */
import { LIST_KEYS_MAX } from "../../core/limits.ts";
import { checkMetadata, headerText, readBody } from "./body.ts";
import { type HeaderFields, responseOf } from "./exchange.ts";
import { readKey, readNamespace } from "./key-path.ts";
import { readBulk } from "./kv-bulk.ts";
import type { KvApiParts } from "./kv-routes.ts";
import { KvStore, secondsOf } from "./kv-store.ts";
import { contentOf, readExpiry } from "./kv-values.ts";
import { readOptions } from "./options.ts";
import { Problem } from "./problems.ts";
import type { Call, Plan, Route } from "./route.ts";
import { traceOf } from "./trace.ts";

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
}

/** 404 is how workerd is told of a key that is not there. */
async function get({ store, rawKey }: KvCall): Promise<Response> {
  const found = await store.get(readKey(rawKey));
  if (found === null) return new Response(null, { status: 404, headers: noSniff });
  const { value, metadata } = found.content;
  const headers: HeaderFields = { ...noSniff, "Content-Type": "application/octet-stream" };
  if (metadata !== null) headers[METADATA] = metadata;
  if (found.expiresAt !== 0) headers[EXPIRATION] = String(secondsOf(found.expiresAt));
  return responseOf({ status: 200, headers, body: value });
}

async function put({ store, request, query, rawKey }: KvCall): Promise<Response> {
  const header = request.headers.get(METADATA);
  const metadata = header === null ? null : checkMetadata(headerText(header));
  const ttlMs = store.ttlMsOf(readExpiry(query));
  const value = await readBody(request, store.settings.maxValueBytes);
  await store.put(readKey(rawKey), contentOf(value, metadata), ttlMs);
  return new Response(null, { headers: noSniff });
}

async function remove({ store, rawKey }: KvCall): Promise<Response> {
  await store.delete(readKey(rawKey));
  return new Response(null, { headers: noSniff });
}

async function list({ store, query }: KvCall): Promise<Response> {
  const page = await store.list({
    prefix: query.get("prefix") ?? "",
    limit: Number(query.get("key_count_limit") ?? LIST_KEYS_MAX),
    cursor: query.get("cursor") ?? "",
  });
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
  return Response.json(await readBulk(store, request), { headers: noSniff });
}

function answererOf(method: string, rawKey: string): (call: KvCall) => Promise<Response> {
  if (method === "GET") return rawKey === "" ? list : get;
  if (method === "PUT") return put;
  if (method === "DELETE") return remove;
  if (rawKey === BULK_GET) return bulkGet;
  throw new Problem("no-such-route", "Only bulk/get is posted to.");
}

/** `/v1/workerd-kv/{namespace}` with what workerd asks for behind it. */
export function workerdKvRoute({ backend, secret: hash }: KvApiParts): Route {
  const plan = ({ request, target, rest }: Call): Plan => {
    const slash = rest.indexOf("/");
    const namespace = readNamespace(slash < 0 ? rest : rest.slice(0, slash));
    const rawKey = slash < 0 ? "" : rest.slice(slash + 1);
    const { method } = request;
    const answer = answererOf(method, rawKey);
    return {
      access: { role: method === "PUT" || method === "DELETE" ? "write" : "read", namespace },
      answer: () => {
        const options = readOptions("", request.headers.get("Starling-Quorum"));
        const trace = traceOf(request);
        const store = new KvStore({ backend, hash, namespace, options, trace });
        return answer({ store, request, query: new URLSearchParams(target.query), rawKey });
      },
    };
  };
  return {
    pattern: `${WORKERD_KV}{namespace}/{key}`,
    methods: ["GET", "PUT", "DELETE", "POST"],
    plan,
  };
}
