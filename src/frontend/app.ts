/**
 * The HTTP face: a hono app on Web standards, the same in a Worker and on Node. It turns requests
 * into operations of the backend and results into answers, and knows nothing of replicas. It is
 * made once and serves all requests of a process or isolate; another hono app can mount it.
 *
 * Two things bypass hono. Keys are data, so routes are matched on the path as it stood on the
 * request line, and parameters are decoded here, once (`call.ts`). And a host that has less than a
 * `Request` may take the short way of one key (`short-way.ts`).
 */
import { Hono, type MiddlewareHandler } from "hono";
import { methodNotAllowed as refuseMethods } from "hono/method-not-allowed";
import { routePath } from "hono/route";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { HttpMetrics } from "../metrics/http-metrics.ts";
import { clusterRoutes, hostRoutes, namespaceRoutes } from "./admin/cluster-routes.ts";
import { siteRoutes } from "./admin/sites-plane.ts";
import type { Backend } from "./backend/backend.ts";
import {
  type Call,
  guardedBy,
  isRead,
  rawPathOf,
  rawTargetOf,
  type StarlingEnv,
} from "./backend/call.ts";
import { corsFor, originsOf } from "./cors.ts";
import { dataRoutes } from "./data/data-routes.ts";
import type { PurgeSite } from "./data/run-purge.ts";
import { changesRoutes } from "./feed/changes-routes.ts";
import { type Access, type Auth, authenticate, type Grant, requireAccess } from "./http/auth.ts";
import { bodyRoom } from "./http/body-room.ts";
import { type PlainRequest, responseOf } from "./http/exchange.ts";
import { splitTarget } from "./http/key-path.ts";
import { internalProblem, methodNotAllowed, Problem, problemAnswer } from "./http/problems.ts";
import type { EventLog } from "./http/trace.ts";
import { kvProblemAnswer } from "./kv/kv-envelope.ts";
import { isKvApi, kvApiRoutes } from "./kv/kv-routes.ts";
import { isWorkerdKv, workerdKvRoutes, workerdProblemAnswer } from "./kv/workerd-kv.ts";
import { Ledger, NO_PATTERN } from "./ledger.ts";
import { refuseStrangers } from "./loopback.ts";
import { type AnswerKey, shortWay } from "./short-way.ts";
import { pageRoutes } from "./ui/assets.ts";

export interface AppConfig {
  /** The frontend listens on loopback only: without tokens it is open, and Host is checked. */
  readonly openOnLoopback: boolean;
  /** Whose pages may read answers, see `cors.ts`; absent or empty: nobody's. */
  readonly corsOrigins?: readonly string[];
  /** Whether the platform sets the `Host` that origins see, so that a site cannot (Workers). */
  readonly fixesOriginHost?: boolean;
}

export interface AppParts {
  /** The store or, where each request has its own, how it is found. */
  readonly backend: Backend | ((call: Call) => Backend);
  /** For contexts, cursors and ETags. */
  readonly secret: KeyedHash;
  /** Asked anew for every request, so that tokens can be replaced at run time. */
  readonly auth: () => Auth;
  readonly config: AppConfig;
  /** What `POST /v1/purge` does to a site: `src/door/site-purge.ts`. */
  readonly purgeSite: PurgeSite;
  /** Kept by hosts that show them elsewhere too; else the app has its own. */
  readonly metrics?: HttpMetrics;
  /** Told of requests that name a trace. */
  readonly log?: EventLog;
}

const nobody: Grant = { role: "read", namespaces: new Set() };

const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i;

/** The host that the request is for: an absolute target goes before Host (RFC 9112, 3.2.2). */
const hostOf = ({ req: { raw }, env }: Call): string =>
  ABSOLUTE_FORM.exec(env?.rawPath ?? "")?.[1] ?? raw.headers.get("Host") ?? new URL(raw.url).host;

/** Hono's `:name` and `:name{…}` as docs and metrics have it. */
const patternOf = (call: Call): string => {
  const path = routePath(call);
  const isOfRoute = !path.endsWith("*");
  return isOfRoute ? path.replace(/:([a-z]+)(\{.*?\})?(?=\/|$)/g, "{$1}") : NO_PATTERN;
};

/** A problem in the shape that the clients of its path read. */
function refusal(call: Call, problem: Problem): Response {
  call.set("problem", problem);
  const path = rawPathOf(call);
  const isHead = call.req.method === "HEAD";
  if (isKvApi(path)) return responseOf(kvProblemAnswer(problem, isHead));
  if (isWorkerdKv(path)) return responseOf(workerdProblemAnswer(problem, isHead));
  return responseOf(problemAnswer(problem, isHead));
}

/** @throws Problem `unauthorized` or `forbidden` */
function grantOf(
  { auth, config }: AppParts,
  { headers }: PlainRequest,
  access: Access | null,
): Grant {
  if (access === null) return nobody;
  const grant = authenticate(auth(), headers.get("Authorization"), config.openOnLoopback);
  requireAccess(grant, access);
  return grant;
}

const noting =
  (ledger: Ledger): MiddlewareHandler<StarlingEnv> =>
  async (call, next) => {
    const startedAt = performance.now();
    await next();
    const { headers, status, body } = call.res;
    // Hono answers HEAD as GET and drops the body: of a stream nobody would know that it is over.
    if (call.req.raw.method === "HEAD") await body?.cancel();
    // No body must be taken for a type that it does not declare.
    if (!headers.has("X-Content-Type-Options")) headers.set("X-Content-Type-Options", "nosniff");
    if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
    const problem = call.get("problem") ?? null;
    const hasSiblings = headers.has("Starling-Siblings");
    const entry = { startedAt, route: patternOf(call), status, problem, hasSiblings };
    const request = call.get("plain") ?? call.req.raw;
    const whenSent = call.env?.whenSent;
    if (whenSent === undefined) return ledger.close(request, entry);
    ledger.note(request, entry);
    whenSent(() => bodyRoom.release(request));
  };

/** Raw, so that the router compares what stood on the request line; malformed ones are refused. */
function pathToMatch(request: Request, options?: { env?: StarlingEnv["Bindings"] }): string {
  const raw = options?.env?.rawPath ?? request.url;
  try {
    return splitTarget(raw).path;
  } catch {
    return "/";
  }
}

const noRoute = (call: Call): Response =>
  refusal(
    call,
    new Problem("no-such-route", "There is no such route. docs/http.md lists those that exist."),
  );

function honoApp(parts: AppParts, ledger: Ledger, metrics: HttpMetrics): Hono<StarlingEnv> {
  const { backend, secret, config, purgeSite } = parts;
  const { corsOrigins = [] } = config;
  const backendOf = typeof backend === "function" ? backend : (): Backend => backend;
  const guarded = guardedBy((request, access) => grantOf(parts, request, access));
  const routes = { secret, backendOf, guarded, metrics };
  const app = new Hono<StarlingEnv>({ getPath: pathToMatch });
  app.onError((error, call) => {
    const isWrite = !isRead(call.req.method);
    return refusal(call, error instanceof Problem ? error : internalProblem(error, isWrite));
  });
  app.use(noting(ledger));
  app.use(async (call, next) => {
    splitTarget(rawTargetOf(call));
    if (config.openOnLoopback) {
      const welcome = [...corsOrigins, ...originsOf(backendOf(call).view(), rawPathOf(call))];
      refuseStrangers(call.req.raw, hostOf(call), welcome);
    }
    await next();
  });
  app.use(corsFor({ origins: corsOrigins, backendOf }));
  app.use(
    refuseMethods({
      app,
      onMethodNotAllowed: (call, methods) => refusal(call as Call, methodNotAllowed(methods)),
    }),
  );
  app.route("/", dataRoutes({ ...routes, purgeSite }));
  app.route("/", changesRoutes({ ...routes, isShared: typeof backend !== "function" }));
  app.route("/", namespaceRoutes(routes));
  app.route("/", clusterRoutes(routes));
  app.route("/", siteRoutes({ ...routes, fixesOriginHost: config.fixesOriginHost === true }));
  app.route("/", kvApiRoutes(routes));
  app.route("/", workerdKvRoutes(routes));
  app.route("/", hostRoutes(routes));
  app.route("/", pageRoutes());
  app.all("*", noRoute);
  return app;
}

/** The app, and in front of it the short way, on hosts whose requests share one store. */
export interface Starling {
  readonly app: Hono<StarlingEnv>;
  readonly answerKey: AnswerKey | null;
}

/** The app; it throws nothing: whatever goes wrong is an answer. */
export function createApp(parts: AppParts): Starling {
  const { backend, secret, config } = parts;
  const traffic = typeof backend === "function" ? undefined : backend.traffic;
  const metrics = parts.metrics ?? new HttpMetrics(traffic);
  const ledger = new Ledger(metrics, parts.log);
  const app = honoApp(parts, ledger, metrics);
  // Hono's middleware says whether a page may read an answer.
  const hasReaders = (config.corsOrigins ?? []).length > 0;
  if (typeof backend === "function" || hasReaders) return { app, answerKey: null };
  const answerKey = shortWay({
    backend,
    secret,
    ledger,
    admit: (request, host) => {
      if (config.openOnLoopback) refuseStrangers(request, host);
    },
    grantOf: (request, access) => grantOf(parts, request, access),
  });
  // Nor for a namespace that names readers.
  const isForReaders = (target: string): boolean => originsOf(backend.view(), target).length > 0;
  return { app, answerKey: (of, target) => (isForReaders(target) ? null : answerKey(of, target)) };
}
