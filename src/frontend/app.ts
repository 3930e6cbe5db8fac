/**
 * The HTTP face: one app on Web standards, the same in a Worker and on Node. It turns requests into
 * operations of the backend and results into answers, and knows nothing of replicas. A Worker makes
 * one for every request, so making one is cheap.
 */
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { type Access, type Auth, authenticate, type Grant, requireAccess } from "./auth.ts";
import type { Backend } from "./backend.ts";
import { bodyRoom } from "./body-room.ts";
import { type Answer, type PlainRequest, responseOf } from "./exchange.ts";
import { splitTarget, type Target } from "./key-path.ts";
import { kvProblemAnswer } from "./kv-envelope.ts";
import { isKvApi } from "./kv-routes.ts";
import { refuseStrangers } from "./loopback.ts";
import { HttpMetrics } from "./metrics.ts";
import { internalProblem, Problem, type ProblemCode, problemAnswer } from "./problems.ts";
import type { Found, Route } from "./route.ts";
import { findRoute, isKeyTarget, makeRoutes } from "./routes.ts";
import { type EventLog, logTraced } from "./trace.ts";
import { isWorkerdKv, workerdProblemAnswer } from "./workerd-kv.ts";

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
  /** Told of requests that name a trace. */
  readonly log?: EventLog;
}

/** For metrics: the request came to no route. */
const NO_PATTERN = "none";
const SIBLINGS = "Starling-Siblings";
const nobody: Grant = { role: "read", namespaces: new Set() };
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);

function refuseMethod({ methods }: Route): never {
  const allow = methods.join(", ");
  const headers = { Allow: allow };
  throw new Problem("method-not-allowed", `This route takes ${allow}.`, { headers });
}

export interface App {
  /** `rawPath`: the request target as it stood on the request line, where the host knows it. */
  fetch(request: Request, host?: { readonly rawPath?: string }): Promise<Response>;
  /**
   * The short way, of a host that knows the raw target: null when the target is not that of one
   * key, or the request lacks a Host; then it has to come as a `Request`.
   */
  answerKey(request: PlainRequest, rawTarget: string): Promise<Answer> | null;
}

interface Asked {
  readonly request: PlainRequest;
  readonly host: string;
  readonly rawTarget: string;
}

const showsSiblings = (answer: Answer | Response): boolean =>
  !(answer instanceof Response) && SIBLINGS in answer.headers;

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

const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i;

/** Whom the request is for: what an absolute target says goes before Host (RFC 9112, 3.2.2). */
const hostOf = (request: Request, rawTarget: string): string =>
  ABSOLUTE_FORM.exec(rawTarget)?.[1] ?? request.headers.get("Host") ?? new URL(request.url).host;

const bodiless = (answer: Answer): Answer => ({ ...answer, body: null });

/** The app; it throws nothing: whatever goes wrong is an answer. */
export function createApp(parts: AppParts): App {
  const metrics = parts.metrics ?? new HttpMetrics();
  const routes = makeRoutes({ ...parts, metrics });
  const { openOnLoopback } = parts.config;
  const admit = (request: PlainRequest, access: Access | null): Grant =>
    grantOf(parts, request, access);

  const respond = async <Out extends Answer | Response>(
    { request, host, rawTarget }: Asked,
    carryOut: (found: Found, target: Target) => Out | Promise<Out>,
  ): Promise<Out | Answer> => {
    const startedAt = performance.now();
    let pattern = NO_PATTERN;
    let refuse = problemAnswer;
    let answer: Out | Answer;
    let code: ProblemCode | null = null;
    try {
      if (openOnLoopback) refuseStrangers(request, host);
      const target = splitTarget(rawTarget);
      if (isKvApi(target.path)) refuse = kvProblemAnswer;
      if (isWorkerdKv(target.path)) refuse = workerdProblemAnswer;
      const found = findRoute(routes, target.path);
      pattern = found.route.pattern;
      if (!found.route.methods.includes(request.method)) refuseMethod(found.route);
      answer = await carryOut(found, target);
    } catch (error) {
      const isWrite = !SAFE_METHODS.has(request.method);
      const problem = error instanceof Problem ? error : internalProblem(error, isWrite);
      code = problem.code;
      answer = refuse(problem, request.method === "HEAD");
    }
    bodyRoom.release(request);
    const seconds = (performance.now() - startedAt) / 1000;
    const { method } = request;
    const hasSiblings = showsSiblings(answer);
    const answered = { method, route: pattern, status: answer.status, seconds, code, hasSiblings };
    metrics.observe(answered);
    if (parts.log !== undefined) logTraced(parts.log, request.headers, answered);
    return answer;
  };

  const answerKey: App["answerKey"] = (request, rawTarget) => {
    const host = request.headers.get("Host");
    if (host === null || !isKeyTarget(rawTarget)) return null;
    return respond({ request, host, rawTarget }, ({ rest }, target) => {
      const plan = routes.kv.oneKey.plan({ request, target, rest });
      return plan.answer(admit(request, plan.access));
    });
  };

  const fetch: App["fetch"] = async (request, { rawPath } = {}) => {
    const rawTarget = rawPath ?? request.url;
    const host = hostOf(request, rawPath ?? "");
    const answer = await respond<Answer | Response>(
      { request, host, rawTarget },
      ({ route, rest }, target) => {
        const plan = route.plan({ request, target, rest });
        return plan.answer(admit(request, plan.access));
      },
    );
    const isHead = request.method === "HEAD";
    if (!(answer instanceof Response)) return responseOf(isHead ? bodiless(answer) : answer);
    // No body is to be taken for a type that it does not say it has.
    answer.headers.set("X-Content-Type-Options", "nosniff");
    return isHead ? new Response(null, answer) : answer;
  };
  return { fetch, answerKey };
}
