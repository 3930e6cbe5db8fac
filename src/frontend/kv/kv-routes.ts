/**
 * Workers KV as in Cloudflare's REST API v4, so that software written for that works unchanged:
 * `wrangler kv`, the `cloudflare` SDK, unstorage's and keyv's drivers. Any account will do, and the
 * id of a namespace is the namespace. Query names that are unknown are ignored here; the options of
 * the contract come in the `Starling-Quorum` header.
 *
 * See https://developers.cloudflare.com/api/resources/kv/ for the shapes.
 */
import { type Handler, Hono } from "hono";
import type { Backend } from "../backend/backend.ts";
import {
  type Call,
  isRead,
  type RouteParts,
  rawPathOf,
  rawTargetOf,
  type StarlingEnv,
} from "../backend/call.ts";
import { OWN_NAMESPACES, type Role } from "../http/auth.ts";
import { readKey, readNamespace, splitTarget } from "../http/key-path.ts";
import { readOptions } from "../http/options.ts";
import { traceOf } from "../http/trace.ts";
import { answerKeys, bulkDelete, bulkGet, bulkPut } from "./kv-bulk.ts";
import {
  createNamespace,
  deleteNamespace,
  listNamespaces,
  renameNamespace,
  showNamespace,
} from "./kv-namespaces.ts";
import { KvStore } from "./kv-store.ts";
import { deleteValue, getMetadata, getValue, putValue } from "./kv-values.ts";

const API = "/client/v4/";
const BASE = `${API}accounts/:account/storage/kv/namespaces`;
const ACCOUNT = /^\/client\/v4\/accounts\/[^/]+\/storage\/kv\/namespaces\//;
/** After the account: a raw namespace, then a word, then, after some words, a raw key. */
const REST = /^([^/]+)(?:\/[a-z]+(?:\/(.*))?)?$/;

/** Whether problems of this path are told in Cloudflare's shape. */
export const isKvApi = (path: string): boolean => path.startsWith(API);

/** One call within a namespace, its key still as it stood in the path. */
interface NamespaceCall {
  readonly request: Request;
  readonly backend: Backend;
  readonly namespace: string;
  readonly query: URLSearchParams;
  readonly rawKey: string;
  /** @throws Problem when the options cannot be met */
  store(): KvStore;
}

type Answerer = (call: NamespaceCall) => Response | Promise<Response>;

const queryOf = (call: Call): URLSearchParams =>
  new URLSearchParams(splitTarget(rawTargetOf(call)).query);

const restOf = (call: Call): RegExpExecArray | null =>
  REST.exec(rawPathOf(call).replace(ACCOUNT, ""));

/** @throws Problem `invalid-key` */
const namespaceOf = (call: Call): string => readNamespace(restOf(call)?.[1] ?? "");

/** Turns work within a namespace into handlers. */
const within =
  ({ secret: hash, backendOf, guarded }: RouteParts) =>
  (role: Role, answer: Answerer): Handler<StarlingEnv> =>
    guarded(
      (call) => ({ role, namespace: namespaceOf(call) }),
      (call) => {
        const { raw: request } = call.req;
        const namespace = namespaceOf(call);
        const backend = backendOf(call);
        const rawKey = restOf(call)?.[2] ?? "";
        const store = (): KvStore => {
          const options = readOptions("", request.headers.get("Starling-Quorum"));
          const trace = traceOf(request);
          return new KvStore({ backend, hash, namespace, options, trace, holder: request });
        };
        return answer({ request, backend, namespace, query: queryOf(call), rawKey, store });
      },
    );

const removeMany: Answerer = ({ store, request }) => bulkDelete(store(), request);

export function kvApiRoutes(parts: RouteParts): Hono<StarlingEnv> {
  const { backendOf, guarded } = parts;
  const can = within(parts);
  const app = new Hono<StarlingEnv>();
  const all = guarded(
    (call) => ({ role: isRead(call.req.method) ? "read" : "admin", namespace: OWN_NAMESPACES }),
    (call) => {
      const backend = backendOf(call);
      const grant = call.get("grant");
      if (isRead(call.req.method)) return listNamespaces(backend, queryOf(call), grant);
      return createNamespace(backend, call.req.raw, grant);
    },
  );
  app.on(["GET", "POST"], BASE, all);
  const one = `${BASE}/:namespace`;
  app.get(
    one,
    can("read", ({ backend, namespace }) => showNamespace(backend, namespace)),
  );
  app.put(
    one,
    can("admin", ({ backend, namespace, request }) => renameNamespace(backend, namespace, request)),
  );
  app.delete(
    one,
    can("admin", ({ backend, namespace }) => deleteNamespace(backend, namespace)),
  );
  app.route("/", valueRoutes(parts));
  return app;
}

/** Of the keys of one namespace. */
function valueRoutes(parts: RouteParts): Hono<StarlingEnv> {
  const can = within(parts);
  const app = new Hono<StarlingEnv>();
  const one = `${BASE}/:namespace`;
  const value = `${one}/values/:key{.*}`;
  app.get(
    value,
    can("read", ({ store, rawKey }) => getValue(store(), readKey(rawKey))),
  );
  app.put(
    value,
    can("write", ({ store, rawKey, request, query }) =>
      putValue(store(), { request, key: readKey(rawKey), query }),
    ),
  );
  app.delete(
    value,
    can("write", ({ store, rawKey }) => deleteValue(store(), readKey(rawKey))),
  );
  app.get(
    `${one}/metadata/:key{.*}`,
    can("read", ({ store, rawKey }) => getMetadata(store(), readKey(rawKey))),
  );
  app.get(
    `${one}/keys`,
    can("read", ({ store, query }) => answerKeys(store(), query)),
  );
  app.put(
    `${one}/bulk`,
    can("write", ({ store, request }) => bulkPut(store(), request)),
  );
  // Both forms of a delete are in use.
  app.delete(`${one}/bulk`, can("write", removeMany));
  app.post(`${one}/bulk/delete`, can("write", removeMany));
  app.post(
    `${one}/bulk/get`,
    can("read", ({ store, request }) => bulkGet(store(), request)),
  );
  return app;
}
