/** The envelope around every answer of the Workers KV façade except values. */
import { utf8Length } from "../../../core/keys.ts";
import type { Answer } from "../http/exchange.ts";
import { type Problem, type ProblemCode, problemHeaders } from "../http/problems.ts";

/** Numbers that clients of Cloudflare's API know; any other problem shows its status. */
const CODES: Readonly<Partial<Record<ProblemCode, number>>> = {
  "not-found": 10009,
  unauthorized: 10000,
  forbidden: 10000,
  "namespace-exists": 10014,
  "no-such-route": 7003,
};

const noSniff = { "X-Content-Type-Options": "nosniff" } as const;

/** @param info what a list's page says about itself */
export function envelope(result: unknown, info?: Readonly<Record<string, unknown>>): Response {
  const more = info === undefined ? {} : { result_info: info };
  const body = { success: true, errors: [], messages: [], result, ...more };
  return Response.json(body, { headers: noSniff });
}

/**
 * The problem in the shape that Cloudflare's clients read; its message ends with our own code.
 *
 * @param result what was done all the same
 */
export function kvProblemAnswer(problem: Problem, isHead: boolean, result?: unknown): Answer {
  const { status, code } = problem;
  const message = `${problem.message} (${code})`;
  const errors = [{ code: CODES[code] ?? status, message }];
  const body = JSON.stringify({ success: false, errors, messages: [], result: result ?? null });
  const headers = problemHeaders(problem, "application/json");
  headers["Content-Length"] = String(utf8Length(body));
  return { status, headers, body: isHead ? null : body };
}
