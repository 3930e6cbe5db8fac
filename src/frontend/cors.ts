/**
 * Pages of other origins (Fetch Standard, CORS): those that the deployment names may read all
 * answers, those that a namespace names may read answers about it, and no others. Only tokens say
 * for whom a page speaks: cookies count for nothing here.
 */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { oncePer } from "../../core/once-per.ts";
import type { Backend, ClusterView } from "./backend/backend.ts";
import { type Call, rawPathOf, type StarlingEnv } from "./backend/call.ts";
import { mayRead } from "./http/origins.ts";

/** How long a browser need not ask again, in seconds. */
const PREFLIGHT_SECONDS = 600;
const METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"];
/** Headers that the client library and others read, beside those that every page may. */
const EXPOSED = [
  "Accept-Ranges",
  "Allow",
  "CF-Expiration",
  "CF-KV-Metadata",
  "Content-Disposition",
  "Content-Encoding",
  "Content-Range",
  "Date",
  "ETag",
  "Expiration",
  "Retry-After",
  "Server-Timing",
  "Starling-Context",
  "Starling-Metadata",
  "Starling-Quorum",
  "Starling-Siblings",
  "Starling-TTL",
  "Vary",
  "WWW-Authenticate",
].join(", ");

/** Where in a path the routes of one namespace have its name. */
const OF_NAMESPACE =
  /^\/(?:v1\/(?:kv|changes)|client\/v4\/accounts\/[^/]+\/storage\/kv\/namespaces)\/([^/?:]+)/;

/** The namespace that a request is for, by its raw path; null when it is for none, or malformed. */
function namespaceIn(path: string): string | null {
  try {
    return decodeURIComponent(OF_NAMESPACE.exec(path)?.[1] ?? "") || null;
  } catch {
    return null;
  }
}

type Origins = readonly string[];
const NOBODYS: Origins = [];

/** By namespace that names any; made once for each document, because every request asks. */
const namedIn = oncePer((namespaces: ClusterView["namespaces"]): ReadonlyMap<string, Origins> => {
  const named = new Map<string, Origins>();
  for (const [namespace, { corsOrigins = "" }] of namespaces) {
    if (corsOrigins !== "") named.set(namespace, corsOrigins.split(" "));
  }
  return named;
});

/** The origins that a namespace names beside those of the deployment; usually none. */
export function originsOf(view: ClusterView, path: string): Origins {
  const named = namedIn(view.namespaces);
  return named.size === 0 ? NOBODYS : (named.get(namespaceIn(path) ?? "") ?? NOBODYS);
}

export interface CorsParts {
  /** The origins that the deployment names. */
  readonly origins: readonly string[];
  readonly backendOf: (call: Call) => Backend;
}

/** Answers preflights, and says in each answer who may read it. */
export function corsFor({ origins, backendOf }: CorsParts): MiddlewareHandler<StarlingEnv> {
  const preflight = cors({
    origin: (origin) => origin,
    allowMethods: METHODS,
    maxAge: PREFLIGHT_SECONDS,
  });
  const own = (view: ClusterView, call: Call): readonly string[] =>
    originsOf(view, rawPathOf(call));
  return async (call, next) => {
    const origin = call.req.header("Origin");
    const { method } = call.req;
    const isAsking = method === "OPTIONS" && call.req.header("Access-Control-Request-Method");
    if (origin !== undefined && isAsking) {
      const isOfNamespace = namespaceIn(rawPathOf(call)) !== null;
      // A frontend that stores nothing may not have heard of the namespace yet.
      const isAllowed =
        mayRead(origins, origin) ||
        (isOfNamespace && mayRead(own(await backendOf(call).freshView(), call), origin));
      if (isAllowed) return preflight(call, next);
    }
    // Only after that: hono would make the answer anew, and a Worker would encode it once more.
    await next();
    const all = [...origins, ...own(backendOf(call).view(), call)];
    if (all.length === 0) return;
    const { headers } = call.res;
    headers.append("Vary", "Origin");
    if (origin === undefined || !mayRead(all, origin)) return;
    headers.set("Access-Control-Allow-Origin", origin);
    headers.set("Access-Control-Expose-Headers", EXPOSED);
  };
}
