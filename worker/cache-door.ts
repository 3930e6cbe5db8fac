/**
 * The cache door on Workers. Each request has a door of its own: the platform binds promises
 * to the request that made them. Requests of an isolate share what is only values, and find each
 * other by leases, as frontends on different machines do.
 */

import { WorkerEntrypoint } from "cloudflare:workers";
import { isWithin } from "../core/cidr.ts";
import { normalHost } from "../src/cache/cache-key.ts";
import { isLoop } from "../src/cache/forwarding.ts";
import { clusterIdOf } from "../src/door/call.ts";
import { Door } from "../src/door/door.ts";
import type { Bytes, DoorAnswer, DoorRequest } from "../src/door/ports.ts";
import { refuse } from "../src/door/problems.ts";
import { purgeRight } from "../src/door/purge-right.ts";
import { siteFor } from "../src/door/sites.ts";
import type { Backend } from "../src/frontend/backend/backend.ts";
import { responseOf } from "../src/frontend/http/exchange.ts";
import { Problem, problemAnswer } from "../src/frontend/http/problems.ts";
import type { Env } from "./config.ts";
import { backendFor, type Isolate, isolateOf } from "./isolate.ts";
import { logEvent } from "./log.ts";
import { WorkerOrigin } from "./origin.ts";
import { ofLength, streamOf } from "./streams.ts";

type Context = Pick<ExecutionContext, "waitUntil">;

const origin = new WorkerOrigin();
/** Statuses whose answers have no body (Fetch, "null body status"). */
const BODILESS = new Set([204, 205, 304]);
/** Members are asked this often for a host that no site is known to answer for, in ms. */
const ASK_MS = 1000;

const isOpen = (env: Env): boolean => env.STARLING_OPEN_ON_LOOPBACK === "true";

function doorRequest(request: Request, env: Env): DoorRequest {
  const { method, url, headers } = request;
  const { protocol, host, pathname, search } = new URL(url);
  // The platform says who the client is; `starling dev` is reached from this machine alone.
  const address = isOpen(env) ? "127.0.0.1" : (headers.get("CF-Connecting-IP") ?? "");
  const fields = [...headers].filter(([name]) => name !== "host");
  return {
    method,
    target: `${pathname}${search}`,
    scheme: protocol === "https:" ? "https" : "http",
    fields: [["Host", host], ...fields],
    body: request.body as Bytes | null,
    address,
    port: null,
    isFrom: (cidrs) => isWithin(address, cidrs),
  };
}

function responseFor(answer: DoorAnswer, isolate: Isolate, ctx: Context): Response {
  const { status, fields, body, length } = answer;
  const sent = (byteCount: number): void => isolate.cache.metrics.sent(answer, byteCount);
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, value);
  const asIs = { status, headers, encodeBody: "manual" } as const;
  if (body instanceof Uint8Array) {
    sent(body.length);
    return new Response(BODILESS.has(status) ? null : body, asIs);
  }
  if (body === null || BODILESS.has(status)) {
    if (body !== null) ctx.waitUntil(streamOf(body).cancel());
    return new Response(null, asIs);
  }
  const stream = streamOf(body, sent);
  return new Response(length === null ? stream : ofLength(stream, length, ctx), asIs);
}

/** Nobody tells an isolate of a site that was made elsewhere: it asks, and not too often. */
async function learnSites(backend: Backend, { cache }: Isolate, request: Request): Promise<void> {
  const { protocol, host } = new URL(request.url);
  const scheme = protocol === "https:" ? "https" : "http";
  if (siteFor(backend.view().sites, normalHost(host, scheme)) !== null) return;
  if (backend.now() < cache.askAgainAt) return;
  cache.askAgainAt = backend.now() + ASK_MS;
  await backend.freshView();
}

/** One request for a site, to its answer. It throws nothing. */
export async function answerAtDoor(
  isolate: Isolate,
  request: Request,
  { env, ctx }: { readonly env: Env; readonly ctx: ExecutionContext },
): Promise<Response> {
  const backend = backendFor(isolate, env, ctx);
  const { auth, cache, knowledge } = isolate;
  if ((request.method === "GET" || request.method === "HEAD") && request.body !== null) {
    const detail = "On Workers a GET or HEAD with a body cannot be passed on.";
    return responseFor(refuse("not-implemented", detail), isolate, ctx);
  }
  await learnSites(backend, isolate, request);
  const door = new Door({
    ...{ backend, secret: knowledge.hash, origin, metrics: cache.metrics, memory: cache.memory },
    purgeRefusal: purgeRight(() => auth, isOpen(env)),
    host: {
      now: () => backend.now(),
      uniqueName: () => crypto.randomUUID(),
      wait: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      background: (work) => ctx.waitUntil(work.catch(noteFailure)),
    },
  });
  return responseFor(await door.handle(doorRequest(request, env)), isolate, ctx);
}

const noteFailure = (error: unknown): void => {
  const reason = error instanceof Error ? error.message : "unknown";
  logEvent("cache-door-error", { reason });
};

/**
 * Whether a request for the API came through a site of this very cluster. The platform does not say
 * what a name resolves to, so an origin that is this deployment is known by what the door sends.
 */
export function isOwnFetch({ headers }: Request, { knowledge }: Isolate): boolean {
  const loop = headers.get("CDN-Loop");
  if (loop === null) return false;
  const { hash, ring } = knowledge;
  return isLoop([["CDN-Loop", loop]], clusterIdOf(hash, ring.document.name));
}

/** The host that is the API's; null: there is no door. @throws Problem `not-configured` */
export function apiHostOf({ STARLING_API_HOST: host }: Env): string | null {
  if (host === undefined || host === "") return null;
  const isHost = URL.canParse(`https://${host}`) && new URL(`https://${host}`).host === host;
  if (isHost) return host;
  const mend = "name a host in lower case, as api.example.com, without scheme and path";
  throw new Problem("not-configured", `STARLING_API_HOST: ${mend}.`);
}

/** The door by itself, whatever the host: for a binding of another Worker, and `starling dev`. */
export class CacheDoor extends WorkerEntrypoint<Env> {
  override async fetch(request: Request): Promise<Response> {
    const { env, ctx } = this;
    try {
      const isolate = await isolateOf(env, { place: undefined, ctx });
      return await answerAtDoor(isolate, request, { env, ctx });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return responseOf(problemAnswer(error, request.method === "HEAD"));
    }
  }
}
