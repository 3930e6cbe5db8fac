/** `GET /v1/changes/{namespace}`: what changed, as one answer or as a stream. */
import { Encoder } from "@msgpack/msgpack";
import { Hono } from "hono";
import type { FeedPosition } from "../../core/feed.ts";
import { CHANGES_COUNT_MAX, CHANGES_WAIT_MS_MAX } from "../../core/limits.ts";
import type { Access } from "./auth.ts";
import { toBase64 } from "./base64.ts";
import { type Call, type RouteParts, rawRest, rawTargetOf, type StarlingEnv } from "./call.ts";
import { type Batch, FeedReader, type FeedRequest } from "./feed-reader.ts";
import { type StreamForm, streamOf } from "./feed-stream.ts";
import { tokenToPosition } from "./feed-token.ts";
import { readNamespace, splitTarget } from "./key-path.ts";
import { readOptions } from "./options.ts";
import { Problem } from "./problems.ts";
import { qualityOf } from "./sibling-bodies.ts";
import { makeTicket, Tickets } from "./ticket.ts";
import { traceOf } from "./trace.ts";

const CHANGES = "/v1/changes/";
const TICKET = ":ticket";
const MSGPACK = "application/msgpack";
const CHANGES_COUNT_DEFAULT = 1000;

const NAMES: ReadonlySet<string> = new Set([
  ...["since", "prefix", "include", "limit", "wait", "ticket"],
]);
const INCLUDED: ReadonlySet<string> = new Set(["meta", "value", "entry"]);

const encoder = new Encoder();
type Form = StreamForm | "json" | "msgpack";

/** By what the client likes most; JSON where it says nothing. */
function formOf(accept: string | null): Form {
  const forms: readonly (readonly [Form, string])[] = [
    ["json", "application/json"],
    ["ndjson", "application/x-ndjson"],
    ["sse", "text/event-stream"],
    ["msgpack", MSGPACK],
  ];
  let best: readonly [Form, number] = ["json", 0];
  for (const [form, type] of forms) {
    const quality = qualityOf(accept, type);
    if (quality > best[1]) best = [form, quality];
  }
  return best[0];
}

function invalid(option: string, detail: string): Problem {
  return new Problem("invalid-option", detail, { extras: { option } });
}

function readCount(
  values: ReadonlyMap<string, string>,
  name: string,
  of: { readonly min: number; readonly max: number; readonly usual: number },
): number {
  const text = values.get(name);
  if (text === undefined) return of.usual;
  const count = Number(text);
  if (/^[0-9]{1,6}$/.test(text) && count >= of.min && count <= of.max) return count;
  throw invalid(name, `${name} must be ${of.min} to ${of.max}.`);
}

interface Asked {
  readonly namespace: string;
  readonly prefix: string;
  readonly include: string;
  readonly since: string;
  readonly limit: number;
  readonly waitMs: number;
}

/** @throws Problem `invalid-option` */
function readAsked(call: Call, namespace: string): Asked {
  const { query } = splitTarget(rawTargetOf(call));
  const values = readOptions(query, null, NAMES).others;
  const unknown = [...values.keys()].find((name) => !NAMES.has(name));
  if (unknown !== undefined) throw invalid(unknown, `${unknown} means nothing to a feed.`);
  const include = values.get("include") ?? "meta";
  if (!INCLUDED.has(include)) throw invalid("include", "include must be meta or value.");
  const last = call.req.header("Last-Event-ID") ?? "";
  return {
    namespace,
    prefix: values.get("prefix") ?? "",
    include,
    since: last === "" ? (values.get("since") ?? "now") : last,
    limit: readCount(values, "limit", {
      ...{ min: 1, max: CHANGES_COUNT_MAX, usual: CHANGES_COUNT_DEFAULT },
    }),
    waitMs: readCount(values, "wait", { min: 0, max: CHANGES_WAIT_MS_MAX, usual: 0 }),
  };
}

const isWord = (since: string): since is "now" | "beginning" =>
  since === "now" || since === "beginning";

const headers = { "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store" };

function answerOf({ changes, token, isCaughtUp }: Batch, form: Form): Response {
  const body = { changes, next: token, caught_up: isCaughtUp };
  if (form !== "msgpack") return Response.json(body, { headers });
  return new Response(encoder.encode(body), { headers: { ...headers, "Content-Type": MSGPACK } });
}

/** Looks until there is something, or the time is up. */
async function poll(reader: FeedReader, waitMs: number): Promise<Batch> {
  const until = performance.now() + waitMs;
  let batch = await reader.look(0);
  for (;;) {
    const leftMs = until - performance.now();
    if (batch.changes.length > 0 || leftMs <= 0) return batch;
    batch = await reader.look(leftMs);
  }
}

export function changesRoutes({ secret, backendOf, guarded }: RouteParts): Hono<StarlingEnv> {
  const app = new Hono<StarlingEnv>();
  const tickets = new Tickets();
  const namespaceOf = (call: Call): string => readNamespace(rawRest(call, CHANGES));
  const accessOf = (call: Call): Access | null => {
    const namespace = namespaceOf(call);
    const { ticket, include } = call.req.query();
    if (ticket !== undefined) {
      const now = backendOf(call).now();
      if (tickets.use(secret, namespace, { ticket, now })) return null;
      throw new Problem("unauthorized", "The ticket is over, was used, or is for something else.");
    }
    return { role: include === "entry" ? "admin" : "read", namespace };
  };
  const changes = guarded(accessOf, async (call) => {
    const asked = readAsked(call, namespaceOf(call));
    const backend = backendOf(call);
    const { memberIds } = backend.view().ring;
    const { since, namespace, prefix, include, limit } = asked;
    const from: FeedPosition | "now" | "beginning" = isWord(since)
      ? since
      : tokenToPosition(secret, { namespace, prefix }, { token: since, memberIds });
    const form = formOf(call.req.header("Accept") ?? null);
    const isTicketed = call.req.query("ticket") !== undefined;
    if (include === "entry" && isTicketed) throw invalid("include", "A ticket opens no entries.");
    const request: FeedRequest = {
      ...{ namespace, prefix, from, limit, trace: traceOf(call.req.raw) },
      values: include === "value",
      entries: include === "entry",
      bytes: (value) => (form === "msgpack" ? value : toBase64(value)),
    };
    const reader = new FeedReader(backend, secret, request);
    if (form === "json" || form === "msgpack")
      return answerOf(await poll(reader, asked.waitMs), form);
    const first = await reader.look(0);
    const type = form === "sse" ? "text/event-stream" : "application/x-ndjson";
    const isEnding = (): boolean => backend.isEnding?.() === true;
    const body = streamOf(reader, first, { form, since: isWord(since) ? "" : since, isEnding });
    return new Response(body, { headers: { ...headers, "Content-Type": type } });
  });
  const ticket = guarded(
    (call) => ({ role: "read", namespace: ticketNamespaceOf(call) }),
    (call) => {
      const made = makeTicket(secret, ticketNamespaceOf(call), backendOf(call).now());
      return Response.json({ ticket: made }, { headers });
    },
  );
  app.post(`${CHANGES}:namespace{[^/]*:ticket}`, ticket);
  app.get(`${CHANGES}:namespace{(?!.*:ticket$)[^/]+}`, changes);
  return app;
}

const ticketNamespaceOf = (call: Call): string =>
  readNamespace(rawRest(call, CHANGES).slice(0, -TICKET.length));
