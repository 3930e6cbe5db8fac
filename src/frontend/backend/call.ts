/**
 * What a handler knows of the request that it answers, beside hono's own context: the raw path
 * under the place where the app is mounted, what the caller may do, and the store behind it.
 */
import type { Context, Handler } from "hono";
import { basePath } from "hono/route";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import type { Access, Grant } from "../http/auth.ts";
import { type Answer, type PlainRequest, responseOf } from "../http/exchange.ts";
import { splitTarget } from "../http/key-path.ts";
import type { Problem } from "../http/problems.ts";
import type { Backend } from "./backend.ts";

export interface StarlingEnv {
  Bindings: {
    /** The request target as it stood on the request line, where the host knows it. */
    readonly rawPath?: string;
    /**
     * Calls back once the answer is out, or its reader gone: until then it is in memory. Absent on
     * hosts that do not know.
     */
    readonly whenSent?: (done: () => void) => void;
    /** The store behind this very request, on hosts where each request has its own. */
    readonly backend?: Backend;
  };
  Variables: {
    readonly grant: Grant;
    /** The request as the data plane took it: the memory of its body is counted by it. */
    readonly plain: PlainRequest;
    /** The problem that the answer tells of, if it does. */
    readonly problem: Problem;
  };
}

export type Call = Context<StarlingEnv>;

/** What routes are made of. */
export interface RouteParts {
  /** For contexts, cursors and ETags. */
  readonly secret: KeyedHash;
  readonly backendOf: (call: Call) => Backend;
  readonly guarded: Guarded;
}

/**
 * A handler behind its rights: they are checked before anything of the request is carried out.
 * `accessOf` may throw a Problem, when the path is malformed; null is for everybody.
 */
export type Guarded = (
  accessOf: (call: Call) => Access | null,
  answer: (call: Call) => Answer | Response | Promise<Answer | Response>,
) => Handler<StarlingEnv>;

/** @param grantOf throws a Problem when the caller lacks the right */
export const guardedBy =
  (grantOf: (request: PlainRequest, access: Access | null) => Grant): Guarded =>
  (accessOf, answer) =>
  async (call) => {
    call.set("grant", grantOf(call.req.raw, accessOf(call)));
    const given = await answer(call);
    return given instanceof Response ? given : responseOf(given);
  };

/**
 * The raw path after the place where the app is mounted: a path holds data, and its handler decodes
 * it once.
 */
export function rawPathOf(call: Call): string {
  const mount = basePath(call);
  return mount === "/" ? call.req.path : call.req.path.slice(mount.length);
}

/** A path of the app's, from wherever it is mounted: for a `Location`. */
export const pathIn = (call: Call, path: string): string =>
  basePath(call).replace(/\/$/, "") + path;

/** The raw path after the beginning of the route's pattern. */
export const rawRest = (call: Call, prefix: string): string => rawPathOf(call).slice(prefix.length);

/** The target of the request line, or as much of it as the host knows. */
export const rawTargetOf = ({ env, req }: Call): string => env?.rawPath ?? req.raw.url;

/** The query of the target, raw; empty when there is none. @throws Problem `invalid-key` */
export const queryOf = (call: Call): string => splitTarget(rawTargetOf(call)).query;

export const isRead = (method: string): boolean => method === "GET" || method === "HEAD";
