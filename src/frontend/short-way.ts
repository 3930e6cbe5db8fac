/**
 * The short way of a request for one key, in front of hono: no `Request`, no context of hono's, no
 * `Response` and no streams around a small value. It takes what the Node host has of a request and
 * gives a plain answer; the route, its rights and its words are those of `data-routes.ts`.
 */
import type { KeyedHash } from "../../core/keyed-hash.ts";
import type { Backend } from "./backend/backend.ts";
import { isRead } from "./backend/call.ts";
import { DATA_METHODS, DataPlane } from "./data/data-plane.ts";
import { KV, keyAccess, splitKeyPath } from "./data/data-routes.ts";
import type { Access, Grant } from "./http/auth.ts";
import type { Answer, PlainRequest } from "./http/exchange.ts";
import { splitTarget } from "./http/key-path.ts";
import { internalProblem, methodNotAllowed, Problem, problemAnswer } from "./http/problems.ts";
import type { Ledger } from "./ledger.ts";

export interface ShortWayParts {
  readonly backend: Backend;
  readonly secret: KeyedHash;
  readonly ledger: Ledger;
  /** Admits a request to this host, or throws a Problem. */
  readonly admit: (request: PlainRequest, host: string) => void;
  /** @throws Problem `unauthorized` or `forbidden` */
  readonly grantOf: (request: PlainRequest, access: Access) => Grant;
}

/**
 * @returns null when the target is not that of one key, or the request lacks a Host; then it has to
 *   come as a `Request`. The promise never rejects: whatever goes wrong is an answer.
 */
export type AnswerKey = (request: PlainRequest, rawTarget: string) => Promise<Answer> | null;

export const KEY_ROUTE = "/v1/kv/{namespace}/{key}";
const SIBLINGS = "Starling-Siblings";

/** Whether a raw target leads to the route of one key, whatever else is wrong with it. */
export function isKeyTarget(rawTarget: string): boolean {
  if (!rawTarget.startsWith(KV) || rawTarget.includes("#")) return false;
  const slash = rawTarget.indexOf("/", KV.length);
  const mark = rawTarget.indexOf("?");
  return slash > KV.length && (mark < 0 || slash < mark);
}

export function shortWay({ backend, secret, ledger, admit, grantOf }: ShortWayParts): AnswerKey {
  const plane = new DataPlane(backend, secret);
  const carryOut = (request: PlainRequest, host: string, rawTarget: string): Promise<Answer> => {
    admit(request, host);
    const { path, query } = splitTarget(rawTarget);
    if (!DATA_METHODS.some((method) => method === request.method)) {
      throw methodNotAllowed(DATA_METHODS);
    }
    const { namespace, key } = splitKeyPath(path.slice(KV.length));
    grantOf(request, keyAccess(request.method, namespace));
    return plane.handle({ request, namespace, key: key(), query });
  };
  const respond = async (
    request: PlainRequest,
    host: string,
    rawTarget: string,
  ): Promise<Answer> => {
    const startedAt = performance.now();
    let answer: Answer;
    let problem: Problem | null = null;
    try {
      answer = await carryOut(request, host, rawTarget);
    } catch (error) {
      const { method } = request;
      problem = error instanceof Problem ? error : internalProblem(error, !isRead(method));
      answer = problemAnswer(problem, method === "HEAD");
    }
    const hasSiblings = SIBLINGS in answer.headers;
    const { status } = answer;
    ledger.close(request, { startedAt, route: KEY_ROUTE, status, problem, hasSiblings });
    return answer;
  };
  return (request, rawTarget) => {
    const host = request.headers.get("Host");
    return host === null || !isKeyTarget(rawTarget) ? null : respond(request, host, rawTarget);
  };
}
