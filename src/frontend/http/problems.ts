/**
 * Everything that can go wrong on the way of a request, as `application/problem+json` (RFC 9457).
 * There is one catalogue: the code decides status and title; the place where it happens writes the
 * detail.
 */
import type { Failure } from "../../../core/failure.ts";
import { utf8Length } from "../../../core/keys.ts";
import type { Answer } from "./exchange.ts";

const CATALOGUE = {
  "invalid-key": [400, "The namespace or key is malformed"],
  "key-too-long": [414, "The key is too long"],
  "invalid-option": [400, "An option is not valid"],
  "invalid-context": [400, "The context is not valid"],
  "invalid-metadata": [400, "The metadata is not valid"],
  "invalid-tag": [400, "A cache tag is not valid"],
  "invalid-request": [400, "The request is not valid"],
  "incomplete-body": [400, "The body is incomplete"],
  "invalid-cursor": [400, "The cursor is not valid"],
  "invalid-token": [400, "The token is not valid"],
  "invalid-settings": [400, "The settings are not valid"],
  unauthorized: [401, "A token is required"],
  forbidden: [403, "The token does not allow this"],
  "cross-site": [403, "Pages of other origins are not served"],
  "faults-off": [403, "Fault injection is off"],
  "not-found": [404, "Nothing is stored under this key"],
  "no-such-route": [404, "There is no such route"],
  "method-not-allowed": [405, "The method is not allowed here"],
  "request-timeout": [408, "The request took too long"],
  "too-many-siblings": [409, "The key has too many siblings"],
  "namespace-exists": [409, "The namespace exists already"],
  "ring-conflict": [409, "Another change of members is going on"],
  "precondition-failed": [412, "The precondition does not hold"],
  "value-too-large": [413, "The value is too large"],
  "range-not-satisfiable": [416, "The range is not satisfiable"],
  "misdirected-request": [421, "The host is not served here"],
  "no-such-site": [421, "No site answers for this host"],
  overloaded: [429, "The node is overloaded"],
  "internal-error": [500, "An internal error"],
  "not-implemented": [501, "This is not done here"],
  "coding-not-implemented": [501, "The transfer coding is not taken"],
  "origin-unreachable": [502, "The origin cannot be reached"],
  "origin-invalid": [502, "The origin's answer is not HTTP"],
  "quorum-unavailable": [503, "Too few replicas can be reached"],
  "staleness-unproven": [503, "No reachable replica can prove how stale it is"],
  "context-not-reached": [503, "No reachable replica has what the context names"],
  "not-configured": [503, "The deployment is not configured"],
  "quorum-timeout": [504, "Too few replicas answered in time"],
  "origin-timeout": [504, "The origin did not answer in time"],
  "only-if-cached": [504, "Nothing that may be used is stored"],
  "insufficient-storage": [507, "The replica's storage is full or failing"],
  "loop-detected": [508, "The request has been here before"],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof CATALOGUE;

export interface ProblemExtras {
  readonly required?: number;
  readonly achieved?: number;
  readonly option?: string;
  readonly limit?: number;
}

/** A request that ends in a problem. Thrown within the frontend, answered by the app. */
export class Problem extends Error {
  override readonly name = "Problem";
  readonly code: ProblemCode;
  readonly extras: ProblemExtras;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    more: { extras?: ProblemExtras; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.code = code;
    this.extras = more.extras ?? {};
    this.headers = more.headers ?? {};
  }

  get status(): number {
    return CATALOGUE[this.code][0];
  }
}

/** @param methods what the route takes */
export function methodNotAllowed(methods: readonly string[]): Problem {
  const allow = methods.join(", ");
  const headers = { Allow: allow };
  return new Problem("method-not-allowed", `This route takes ${allow}.`, { headers });
}

const UNKNOWN_OUTCOME = "The outcome is unknown: the write may surface later.";

/**
 * The problem that a client sees for a failed operation; a write that may yet surface always says
 * so.
 */
export function problemOf(
  failure: Failure,
  isWrite: boolean,
  headers: Readonly<Record<string, string>> = {},
): Problem {
  const { code, detail, required, achieved, option, limit } = failure;
  const isUnknown = isWrite && CATALOGUE[code][0] >= 500 && failure.isWithoutEffect !== true;
  const extras: ProblemExtras = {
    ...(required === undefined ? {} : { required }),
    ...(achieved === undefined ? {} : { achieved }),
    ...(option === undefined ? {} : { option }),
    ...(limit === undefined ? {} : { limit }),
  };
  const words = isUnknown ? `${detail} ${UNKNOWN_OUTCOME}` : detail;
  return new Problem(code, words, { extras, headers });
}

/**
 * A bug of ours. Its stack goes to the operator and not to the client; texts of errors are our own
 * and hold no value, no key and no token.
 */
export function internalProblem(error: unknown, isWrite: boolean): Problem {
  console.error(error instanceof Error ? error.stack : String(error));
  const detail = "Something went wrong on our side. It was logged.";
  return new Problem("internal-error", isWrite ? `${detail} ${UNKNOWN_OUTCOME}` : detail);
}

/** Of any answer that tells of a problem, whatever form its body has. */
export function problemHeaders(problem: Problem, contentType: string): Record<string, string> {
  const headers: Record<string, string> = {
    ...problem.headers,
    "Content-Type": contentType,
    "X-Content-Type-Options": "nosniff",
    // A 404 for a key carries a context, and itself says what caches may do.
    "Cache-Control": problem.headers["Cache-Control"] ?? "no-store",
  };
  if (problem.code === "unauthorized") headers["WWW-Authenticate"] = "Bearer";
  if (problem.status === 429 || problem.status === 503) headers["Retry-After"] = "1";
  return headers;
}

/** The problem as an answer; without a body for HEAD. */
export function problemAnswer(problem: Problem, isHead: boolean): Answer {
  const { code, status, message, extras } = problem;
  const type = `https://starling.dev/problems/${code}`;
  const title = CATALOGUE[code][1];
  const body = JSON.stringify({ type, title, status, detail: message, code, ...extras });
  const headers = problemHeaders(problem, "application/problem+json");
  headers["Content-Length"] = String(utf8Length(body));
  return { status, headers, body: isHead ? null : body };
}
