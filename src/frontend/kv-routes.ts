/**
 * Workers KV as Cloudflare's REST API v4 has it, so that what was written for that works unchanged:
 * `wrangler kv`, the `cloudflare` SDK, unstorage's and keyv's drivers. Any account will do, and the
 * id of a namespace is the namespace. Query names that are unknown are ignored here; the options of
 * the contract come in the `Starling-Quorum` header.
 *
 * See https://developers.cloudflare.com/api/resources/kv/ for the shapes.
 */
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { type Access, OWN_NAMESPACES, type Role } from "./auth.ts";
import type { Backend } from "./backend.ts";
import { readKey, readNamespace } from "./key-path.ts";
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
import { readOptions } from "./options.ts";
import { Problem } from "./problems.ts";
import type { Call, Found, Plan, Route } from "./route.ts";
import { traceOf } from "./trace.ts";

export interface KvApiParts {
  readonly backend: Backend;
  readonly secret: KeyedHash;
}

const API = "/client/v4/";
const BASE = `${API}accounts/{account}/storage/kv/namespaces`;
/** Behind the account: namespace, then `values` or `metadata` with a key, or one of the rest. */
const REST = /^(?:\/([^/]+)(?:\/(values|metadata)\/(.*)|\/(keys|bulk|bulk\/get|bulk\/delete))?)?$/;
const ACCOUNT = /^\/client\/v4\/accounts\/[^/]+\/storage\/kv\/namespaces(?=\/|$)/;

/** Whether problems of this path are told in Cloudflare's shape. */
export const isKvApi = (path: string): boolean => path.startsWith(API);

/** One call within a namespace, its key still as it stood in the path. */
interface NamespaceCall extends Call {
  readonly backend: Backend;
  readonly namespace: string;
  readonly query: URLSearchParams;
  readonly rawKey: string;
  /** @throws Problem when the options cannot be met */
  store(): KvStore;
}

interface Method {
  readonly role: Role;
  answer(call: NamespaceCall): Response | Promise<Response>;
}

const read = (answer: Method["answer"]): Method => ({ role: "read", answer });
const write = (answer: Method["answer"]): Method => ({ role: "write", answer });
const admin = (answer: Method["answer"]): Method => ({ role: "admin", answer });

const removeMany = write(({ store, request }) => bulkDelete(store(), request));

/** What can be done within a namespace, by the path after it and the method. */
const METHODS: Readonly<Record<string, Readonly<Record<string, Method>>>> = {
  "": {
    GET: read(({ namespace }) => showNamespace(namespace)),
    PUT: admin(({ namespace, request }) => renameNamespace(namespace, request)),
    DELETE: admin(({ backend, namespace }) => deleteNamespace(backend, namespace)),
  },
  "/values/{key}": {
    GET: read(({ store, rawKey }) => getValue(store(), readKey(rawKey))),
    PUT: write(({ store, rawKey, request, query }) =>
      putValue(store(), { request, key: readKey(rawKey), query }),
    ),
    DELETE: write(({ store, rawKey }) => deleteValue(store(), readKey(rawKey))),
  },
  "/metadata/{key}": { GET: read(({ store, rawKey }) => getMetadata(store(), readKey(rawKey))) },
  "/keys": { GET: read(({ store, query }) => answerKeys(store(), query)) },
  "/bulk": { PUT: write(({ store, request }) => bulkPut(store(), request)), DELETE: removeMany },
  "/bulk/get": { POST: read(({ store, request }) => bulkGet(store(), request)) },
  "/bulk/delete": { POST: removeMany },
};

const queryOf = ({ target }: Call): URLSearchParams => new URLSearchParams(target.query);

function planWithin(parts: KvApiParts, path: RegExpExecArray, call: Call): Plan {
  const { backend, secret: hash } = parts;
  const [, part = "", , rawKey = ""] = path;
  const { request } = call;
  const namespace = readNamespace(part);
  const method = METHODS[suffixOf(path)]?.[request.method] as Method;
  const store = (): KvStore => {
    const options = readOptions("", request.headers.get("Starling-Quorum"));
    return new KvStore({ backend, hash, namespace, options, trace: traceOf(request) });
  };
  const within = { ...call, backend, namespace, query: queryOf(call), rawKey, store };
  return { access: { role: method.role, namespace }, answer: () => method.answer(within) };
}

/** The path after the namespace, as `METHODS` spells it. */
function suffixOf([, , kind, , rest]: RegExpExecArray): string {
  if (kind !== undefined) return `/${kind}/{key}`;
  return rest === undefined ? "" : `/${rest}`;
}

function namespacesRoute({ backend }: KvApiParts): Route {
  const plan = (call: Call): Plan => {
    const { request } = call;
    const isCreating = request.method === "POST";
    const access: Access = { role: isCreating ? "admin" : "read", namespace: OWN_NAMESPACES };
    return {
      access,
      answer: (grant) =>
        isCreating
          ? createNamespace(backend, request, grant)
          : listNamespaces(backend, queryOf(call), grant),
    };
  };
  return { pattern: BASE, methods: ["GET", "POST"], plan };
}

/** @throws Problem `no-such-route` */
export function findKvApiRoute(parts: KvApiParts, path: string): Found {
  const account = ACCOUNT.exec(path)?.[0];
  const found = account === undefined ? null : REST.exec(path.slice(account.length));
  if (found === null) {
    throw new Problem("no-such-route", "Of Cloudflare's API only storage/kv/namespaces is here.");
  }
  if (found[1] === undefined) return { route: namespacesRoute(parts), rest: "" };
  const suffix = suffixOf(found);
  const route: Route = {
    pattern: `${BASE}/{namespace}${suffix}`,
    methods: Object.keys(METHODS[suffix] ?? {}),
    plan: (call) => planWithin(parts, found, call),
  };
  return { route, rest: found[3] ?? "" };
}
