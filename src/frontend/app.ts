/**
 * The HTTP face: one hono app on Web standards, the same in a Worker and on Node. It turns requests
 * into operations of the backend and results into answers, and knows nothing of replicas.
 */
import { Hono } from "hono";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { type Access, type Auth, type Role, requireAccess } from "./auth.ts";
import type { Backend } from "./backend.ts";
import { answerBatch } from "./batch.ts";
import { ClusterPlane } from "./cluster-plane.ts";
import { checkRanges, DATA_METHODS, DataPlane, settingsOf } from "./data-plane.ts";
import { checkNamespace, decodePart, readKeyPath, splitTarget, type Target } from "./key-path.ts";
import { answerList } from "./listing.ts";
import { HttpMetrics } from "./metrics.ts";
import { readOptions } from "./options.ts";
import { Problem, problemResponse } from "./problems.ts";

export interface AppConfig {
  /** The frontend listens on loopback only: without tokens it is open, and Host is checked. */
  readonly openOnLoopback: boolean;
}

export interface AppParts {
  readonly backend: Backend;
  /** For contexts, cursors and ETags. */
  readonly secret: KeyedHash;
  /** Asked anew for every request, so that tokens can be replaced at run time. */
  readonly auth: () => Auth;
  readonly config: AppConfig;
  /** Kept by hosts that make an app anew; else the app has its own. */
  readonly metrics?: HttpMetrics;
}

export interface AppEnv {
  readonly Bindings: { readonly rawPath?: string };
}

interface Call {
  readonly request: Request;
  readonly target: Target;
  /** The path after the route's prefix. */
  readonly rest: string;
}

interface Route {
  /** Matches a path that is this, or begins with it when it ends with a slash. */
  readonly prefix: string;
  /** For metrics and for nothing else. */
  readonly pattern: string;
  readonly methods: readonly string[];
  access(call: Call): Access | null;
  answer(call: Call): Response | Promise<Response>;
}

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?$/i;
const BATCH = ":batch";

const roleFor = (method: string): Role =>
  method === "GET" || method === "HEAD" ? "read" : "write";
const admin = (): Access => ({ role: "admin", namespace: null });

/** Cuts `{namespace}/{key}` after a prefix. */
function keyPathOf(rest: string): { namespace: string; key: string } {
  const { namespace, key } = readKeyPath(rest);
  if (key === null) throw new Problem("invalid-key", "The path has no key after the namespace.");
  return { namespace, key };
}

function makeRoutes(parts: AppParts, metrics: HttpMetrics): readonly Route[] {
  const { backend, secret } = parts;
  const data = new DataPlane(backend, secret);
  const cluster = new ClusterPlane(backend, secret);
  const oneKey: Route = {
    prefix: "/v1/kv/",
    pattern: "/v1/kv/{namespace}/{key}",
    methods: DATA_METHODS,
    access: ({ request, rest }) => ({
      role: roleFor(request.method),
      namespace: readKeyPath(rest).namespace,
    }),
    answer: ({ request, target, rest }) =>
      data.handle({ request, query: target.query, ...keyPathOf(rest) }),
  };
  const list: Route = {
    ...oneKey,
    pattern: "/v1/kv/{namespace}",
    methods: ["GET", "HEAD"],
    answer: ({ target, rest }) => {
      const { namespace } = readKeyPath(rest);
      return answerList(backend, secret, { namespace, query: target.query });
    },
  };
  const batch: Route = {
    ...oneKey,
    pattern: "/v1/kv/{namespace}:batch",
    methods: ["POST"],
    access: ({ rest }) => ({ role: "write", namespace: batchNamespace(rest) }),
    answer: ({ request, target, rest }) => {
      const namespace = batchNamespace(rest);
      const view = backend.view();
      const settings = settingsOf(view, namespace);
      const options = readOptions(target.query, request.headers.get("Starling-Quorum"));
      checkRanges(view, settings, options);
      return answerBatch(request, { backend, hash: secret, namespace, settings, options });
    },
  };
  const get = ["GET", "HEAD"];
  const post = ["POST"];
  const route = (prefix: string, methods: readonly string[], answer: Route["answer"]): Route => ({
    prefix,
    pattern: prefix,
    methods,
    access: admin,
    answer,
  });
  return [
    { ...batch, prefix: "/v1/kv/*:batch" },
    { ...list, prefix: "/v1/kv/*" },
    oneKey,
    route("/v1/namespaces", get, () => cluster.namespaces()),
    route("/v1/namespaces/", ["GET", "HEAD", "PUT"], ({ request, rest }) => {
      const name = checkNamespace(decodePart(rest, "namespace"));
      return request.method === "PUT" ? cluster.configure(name, request) : cluster.namespace(name);
    }),
    route("/v1/cluster", get, () => cluster.cluster()),
    route("/v1/cluster/ring", get, () => cluster.ring()),
    route("/v1/cluster/explain/", get, ({ rest }) => {
      const { namespace, key } = keyPathOf(rest);
      return cluster.explain(namespace, key);
    }),
    route("/v1/cluster/plan", post, ({ request }) => cluster.plan(request)),
    route("/v1/cluster/anti-entropy", post, ({ request }) => cluster.antiEntropy(request)),
    route("/v1/cluster/handoff", post, () => cluster.handoff()),
    route("/metrics", get, () => answerText(metrics.text() + backend.metrics())),
    { ...route("/healthz", get, () => answerText("ok\n")), access: () => null },
    { ...route("/readyz", get, () => answerReady(backend)), access: () => null },
  ];
}

const batchNamespace = (rest: string): string =>
  checkNamespace(decodePart(rest.slice(0, -BATCH.length), "namespace"));

function answerText(text: string): Response {
  return new Response(text, { headers: { "Content-Type": "text/plain; version=0.0.4" } });
}

/** Ready when a default read could find its replies for every partition. */
function answerReady(backend: Backend): Response {
  const { ring, defaults, isReachable } = backend.view();
  const needed = Math.floor(defaults.n / 2) + 1;
  const reachable = ring.memberIds.filter((id) => isReachable(id)).length;
  if (reachable >= Math.min(needed, ring.memberIds.length)) return answerText("ready\n");
  const extras = { required: needed, achieved: reachable };
  const detail = `${reachable} replicas can be reached; a default read needs ${needed}.`;
  throw new Problem("quorum-unavailable", detail, { extras });
}

function matches(prefix: string, path: string): string | null {
  if (prefix === "/v1/kv/*" || prefix === "/v1/kv/*:batch") {
    const rest = path.startsWith("/v1/kv/") ? path.slice("/v1/kv/".length) : "";
    if (rest === "" || rest.includes("/")) return null;
    return rest.endsWith(BATCH) === prefix.endsWith(BATCH) ? rest : null;
  }
  if (!prefix.endsWith("/")) return path === prefix ? "" : null;
  return path.startsWith(prefix) ? path.slice(prefix.length) : null;
}

function findRoute(routes: readonly Route[], path: string): { route: Route; rest: string } {
  for (const route of routes) {
    const rest = matches(route.prefix, path);
    if (rest !== null) return { route, rest };
  }
  throw new Problem("no-such-route", "There is no such route. See docs/ for those that exist.");
}

function refuseMethod(route: Route): never {
  const allow = route.methods.join(", ");
  throw new Problem("method-not-allowed", `This route takes ${allow}.`, {
    headers: { Allow: allow },
  });
}

/** The app; `rawPath` in its bindings is the request target as it stood on the request line. */
export function createApp(parts: AppParts): Hono<AppEnv> {
  const metrics = parts.metrics ?? new HttpMetrics();
  const routes = makeRoutes(parts, metrics);
  const { openOnLoopback } = parts.config;

  const respond = async (request: Request, target: Target): Promise<[Response, string]> => {
    let pattern = "none";
    try {
      if (openOnLoopback) refuseStrangeHost(request);
      const { route, rest } = findRoute(routes, target.path);
      pattern = route.pattern;
      if (!route.methods.includes(request.method)) refuseMethod(route);
      const call = { request, target, rest };
      const access = route.access(call);
      if (access !== null) {
        const authorization = request.headers.get("Authorization");
        requireAccess(parts.auth(), { authorization, isOpen: openOnLoopback }, access);
      }
      return [await route.answer(call), pattern];
    } catch (error) {
      const problem = error instanceof Problem ? error : internalError(error);
      return [problemResponse(problem, request.method === "HEAD"), pattern];
    }
  };

  const app = new Hono<AppEnv>();
  app.all("*", async (c) => {
    const startedAt = performance.now();
    const request = c.req.raw;
    const [response, route] = await respond(request, splitTarget(c.env?.rawPath ?? request.url));
    const seconds = (performance.now() - startedAt) / 1000;
    metrics.observe({ method: request.method, route, status: response.status, seconds });
    return response;
  });
  return app;
}

/** DNS rebinding: a page of another site must not reach a cluster that trusts its own machine. */
function refuseStrangeHost(request: Request): void {
  const host = request.headers.get("Host") ?? new URL(request.url).host;
  if (LOOPBACK_HOST.test(host)) return;
  const detail = "This frontend serves loopback only: ask it as localhost or 127.0.0.1.";
  throw new Problem("misdirected-request", detail);
}

function internalError(error: unknown): Problem {
  // The stack goes to the operator, not to the client; it holds no value and no token.
  console.error(error instanceof Error ? error.stack : String(error));
  return new Problem("internal-error", "Something went wrong on our side. It was logged.");
}
