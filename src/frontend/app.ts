/**
 * The HTTP face: one hono app on Web standards, the same in a Worker and on Node. It turns requests
 * into operations of the backend and results into answers, and knows nothing of replicas.
 */
import { Hono } from "hono";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { type Auth, authenticate, type Grant, requireAccess } from "./auth.ts";
import type { Backend } from "./backend.ts";
import { splitTarget } from "./key-path.ts";
import { HttpMetrics } from "./metrics.ts";
import { internalProblem, Problem, problemResponse } from "./problems.ts";
import { findRoute, makeRoutes, type Plan, type Route } from "./routes.ts";

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
  /** `rawPath`: the request target as it stood on the request line, where the host knows it. */
  readonly Bindings: { readonly rawPath?: string };
}

const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?$/i;
/** For metrics: the request came to no route. */
const NO_PATTERN = "none";
const nobody: Grant = { role: "read", namespaces: new Set() };
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

/** DNS rebinding: a page of another site must not reach a cluster that trusts its own machine. */
function refuseStrangeHost(request: Request): void {
  const host = request.headers.get("Host") ?? new URL(request.url).host;
  if (LOOPBACK_HOST.test(host)) return;
  const detail = "This frontend serves loopback only: ask it as localhost or 127.0.0.1.";
  throw new Problem("misdirected-request", detail);
}

function refuseMethod({ methods }: Route): never {
  const allow = methods.join(", ");
  const headers = { Allow: allow };
  throw new Problem("method-not-allowed", `This route takes ${allow}.`, { headers });
}

/** The app; it throws nothing: whatever goes wrong is an answer. */
export function createApp(parts: AppParts): Hono<AppEnv> {
  const metrics = parts.metrics ?? new HttpMetrics();
  const routes = makeRoutes({ ...parts, metrics });
  const { openOnLoopback } = parts.config;

  /** @throws Problem `unauthorized` or `forbidden` */
  const admit = (request: Request, { access }: Plan): Grant => {
    if (access === null) return nobody;
    const authorization = request.headers.get("Authorization");
    const grant = authenticate(parts.auth(), authorization, openOnLoopback);
    requireAccess(grant, access);
    return grant;
  };

  const respond = async (
    request: Request,
    rawTarget: string,
  ): Promise<{ response: Response; pattern: string }> => {
    let pattern = NO_PATTERN;
    try {
      if (openOnLoopback) refuseStrangeHost(request);
      const target = splitTarget(rawTarget);
      const { route, rest } = findRoute(routes, target.path);
      pattern = route.pattern;
      if (!route.methods.includes(request.method)) refuseMethod(route);
      const plan = route.plan({ request, target, rest });
      const grant = admit(request, plan);
      return { response: await plan.answer(grant), pattern };
    } catch (error) {
      const isWrite = !SAFE_METHODS.has(request.method);
      const problem = error instanceof Problem ? error : internalProblem(error, isWrite);
      return { response: problemResponse(problem, request.method === "HEAD"), pattern };
    }
  };

  const app = new Hono<AppEnv>();
  app.all("*", async (c) => {
    const startedAt = performance.now();
    const request = c.req.raw;
    const { response, pattern } = await respond(request, c.env?.rawPath ?? request.url);
    const seconds = (performance.now() - startedAt) / 1000;
    const { status } = response;
    metrics.observe({ method: request.method, route: pattern, status, seconds });
    return response;
  });
  return app;
}
