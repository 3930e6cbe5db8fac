/**
 * Pages of other origins (Fetch Standard, CORS): those that the deployment names may read answers,
 * no others. Who they speak for is said by tokens alone: no cookie counts for anything here.
 */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { StarlingEnv } from "./backend/call.ts";

/** How long a browser need not ask again, in seconds. */
const PREFLIGHT_SECONDS = 600;
const METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"];
/** What the client library and others read of an answer, beside what every page may. */
const EXPOSED = [
  "Content-Encoding",
  "Content-Range",
  "Date",
  "ETag",
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
const ANY = "*";

/**
 * Origins from a text, between commas or blanks; `*` stands for any.
 *
 * @returns the origins, or one sentence that says what to mend
 */
export function parseCorsOrigins(text: string): readonly string[] | string {
  const parts = text.split(/[\s,]+/).filter((part) => part !== "");
  const bad = parts.find((part) => part !== ANY && !isOrigin(part));
  if (bad === undefined) return parts.map((part) => part.toLowerCase());
  return `"${bad}" is no origin: write https://HOST or http://HOST:PORT, without a path.`;
}

function isOrigin(text: string): boolean {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return false;
  return new URL(text).origin === text.toLowerCase();
}

/** Whether pages of that origin are named; `*` names nobody on an open frontend. */
export function isNamed(origins: readonly string[], origin: string | null | undefined): boolean {
  return typeof origin === "string" && origins.includes(origin.toLowerCase());
}

/** Answers preflights, and says in each answer who may read it. */
export function corsFor(origins: readonly string[]): MiddlewareHandler<StarlingEnv> {
  const isAny = origins.includes(ANY);
  const mayRead = (origin: string): boolean => isAny || isNamed(origins, origin);
  const preflight = cors({
    origin: (origin) => origin,
    allowMethods: METHODS,
    maxAge: PREFLIGHT_SECONDS,
  });
  return async (call, next) => {
    const origin = call.req.header("Origin");
    const isAllowed = origin !== undefined && mayRead(origin);
    const { method } = call.req;
    const isAsking = method === "OPTIONS" && call.req.header("Access-Control-Request-Method");
    if (isAllowed && isAsking) return preflight(call, next);
    // Not before: hono would make the answer anew, and a Worker would encode it once more.
    await next();
    const { headers } = call.res;
    headers.append("Vary", "Origin");
    if (!isAllowed) return;
    headers.set("Access-Control-Allow-Origin", origin);
    headers.set("Access-Control-Expose-Headers", EXPOSED);
  };
}
