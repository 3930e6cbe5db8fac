/** `GET /v1/changes/{namespace}`: what changed, as one answer or as a stream. */
import { Encoder } from "@msgpack/msgpack";
import { Hono } from "hono";
import { CHANGES_COUNT_MAX, CHANGES_WAIT_MS_MAX } from "../../../core/limits.ts";
import type { FeedForm } from "../../metrics/feed-metrics.ts";
import type { HttpMetrics } from "../../metrics/http-metrics.ts";
import type { Backend } from "../backend/backend.ts";
import {
  type Call,
  type RouteParts,
  rawRest,
  rawTargetOf,
  type StarlingEnv,
} from "../backend/call.ts";
import { qualityOf } from "../data/sibling-bodies.ts";
import type { Access } from "../http/auth.ts";
import { toBase64 } from "../http/base64.ts";
import { readNamespace, splitTarget } from "../http/key-path.ts";
import { MSGPACK, MSGPACK_TYPES } from "../http/msgpack-type.ts";
import { readOptions } from "../http/options.ts";
import { Problem } from "../http/problems.ts";
import { traceOf } from "../http/trace.ts";
import { FeedLooks, type Pauses } from "./feed-looks.ts";
import {
  type Batch,
  type FeedParts,
  FeedReader,
  type FeedRequest,
  unlessEnding,
} from "./feed-reader.ts";
import {
  CHANGES_COUNT_DEFAULT,
  looksAlone,
  openPlan,
  type StreamForm,
  streamOf,
} from "./feed-stream.ts";
import { tokenToPosition } from "./feed-token.ts";
import { isUnusedElsewhere, makeTicket, Tickets } from "./ticket.ts";

const CHANGES = "/v1/changes/";
const TICKET = ":ticket";

const NAMES: ReadonlySet<string> = new Set([
  ...["since", "prefix", "include", "limit", "wait", "ticket"],
]);
/** A ticket takes no parameters: the stream that it opens names them. */
const NO_NAMES: ReadonlySet<string> = new Set();
const INCLUDED: ReadonlySet<string> = new Set(["meta", "value", "entry"]);

/** How long a look is tried again while nobody can be asked, in ms: after a start, a moment. */
const POLL_PATIENCE_MS = 2000;
const STREAM_PATIENCE_MS = 10_000;
/**
 * A client that writes one thing after the other, a thousand in a second, is followed 13 ms behind
 * in the middle. What comes faster is followed 40 ms behind at most. That ends with the first look
 * that finds nothing: after it, the next change is told at once.
 */
const PAUSES: Pauses = { leastMs: 20, msPerChange: 0.25, mostMs: 80 };

const encoder = new Encoder();
type Form = StreamForm | "json" | "msgpack";

/** The form that the client likes most; JSON where it says nothing. */
function formOf(accept: string | null): Form {
  const forms: readonly (readonly [Form, string])[] = [
    ["json", "application/json"],
    ["ndjson", "application/x-ndjson"],
    ["sse", "text/event-stream"],
    ...MSGPACK_TYPES.map((type) => ["msgpack", type] as const),
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

/** The query, of these names alone. @throws Problem `invalid-option` */
function readNamed(call: Call, names: ReadonlySet<string>): ReadonlyMap<string, string> {
  const { query } = splitTarget(rawTargetOf(call));
  const values = readOptions(query, null, names).others;
  const unknown = [...values.keys()].find((name) => !names.has(name));
  if (unknown !== undefined) throw invalid(unknown, `${unknown} means nothing here.`);
  return values;
}

/** @throws Problem `invalid-option` */
function readAsked(call: Call, namespace: string): Asked {
  const values = readNamed(call, NAMES);
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

function answerOf({ changes, token, isCaughtUp }: Batch, form: FeedForm): Response {
  const body = { changes, next: token, caught_up: isCaughtUp };
  if (form !== "msgpack") return Response.json(body, { headers });
  return new Response(encoder.encode(body), { headers: { ...headers, "Content-Type": MSGPACK } });
}

/** Looks until there is something, or the time is up. */
async function poll(reader: FeedReader, waitMs: number, backend: Backend): Promise<Batch> {
  const until = performance.now() + waitMs;
  let batch = await reader.lookPatiently(Math.max(waitMs, POLL_PATIENCE_MS));
  for (;;) {
    const leftMs = until - performance.now();
    if (batch.isNews || leftMs <= 0 || backend.isEnding?.() === true) return batch;
    batch = (await unlessEnding(backend, () => reader.look(leftMs))) ?? batch;
  }
}

/**
 * The first look of a stream; null: none was made yet. A reader that names a place needs none, and
 * browsers give up an event stream for good when its answer is not a stream: for these two the
 * stream is opened without one.
 */
async function firstOf(reader: FeedReader, form: StreamForm, since: string): Promise<Batch | null> {
  const isOpened = form === "sse" || !isWord(since);
  try {
    return await reader.lookPatiently(isOpened ? 0 : STREAM_PATIENCE_MS);
  } catch (error) {
    if (isOpened && error instanceof Problem && error.status >= 500) return null;
    throw error;
  }
}

export interface ChangesParts extends RouteParts {
  readonly metrics: HttpMetrics;
  /** Whether requests can share promises: on Workers each has its own. */
  readonly isShared: boolean;
}

interface Asking {
  readonly asked: Asked;
  readonly request: FeedRequest;
  readonly parts: FeedParts;
  readonly looks: FeedLooks<Batch>;
}

async function answerAsPoll({ asked, request, parts }: Asking): Promise<Response> {
  const { waitMs } = asked;
  const closed = parts.metrics.opened(request.form);
  const reader = new FeedReader(parts, request);
  try {
    return answerOf(await poll(reader, waitMs, parts.backend), request.form);
  } finally {
    reader.close();
    closed();
  }
}

async function answerAsStream(
  { asked, request, parts, looks }: Asking,
  form: StreamForm,
): Promise<Response> {
  const { since } = asked;
  const reader = new FeedReader(parts, request);
  const first = await firstOf(reader, form, since);
  const type = form === "sse" ? "text/event-stream" : "application/x-ndjson";
  const place = since === "now" ? "" : since;
  const body = streamOf(reader, first, openPlan(parts, { form, looks, since: place }));
  return new Response(body, { headers: { ...headers, "Content-Type": type } });
}

/** @throws Problem `invalid-option` or `invalid-token` */
function requestOf(
  { secret }: RouteParts,
  call: Call,
  { asked, backend }: { readonly asked: Asked; readonly backend: Backend },
): FeedRequest {
  const { memberIds } = backend.view().ring;
  const { since, namespace, prefix, include, limit } = asked;
  const isTicketed = call.req.query("ticket") !== undefined;
  if (include === "entry" && isTicketed) throw invalid("include", "A ticket opens no entries.");
  const form = formOf(call.req.header("Accept") ?? null);
  return {
    ...{ namespace, prefix, limit, form, trace: traceOf(call.req.raw) },
    from: isWord(since)
      ? since
      : tokenToPosition(secret, { namespace, prefix }, { token: since, memberIds }),
    values: include === "value",
    entries: include === "entry",
    bytes: (value) => (form === "msgpack" ? value : toBase64(value)),
  };
}

const badTicket = (): Problem =>
  new Problem("unauthorized", "The ticket is over, was used, or is for something else.");

export function changesRoutes(of: ChangesParts): Hono<StarlingEnv> {
  const { secret, backendOf, guarded } = of;
  const app = new Hono<StarlingEnv>();
  const tickets = new Tickets();
  const shared = new FeedLooks<Batch>(PAUSES);
  const namespaceOf = (call: Call): string => readNamespace(rawRest(call, CHANGES));
  const accessOf = (call: Call): Access | null => {
    const namespace = namespaceOf(call);
    const { ticket, include } = call.req.query();
    if (ticket !== undefined) {
      const now = backendOf(call).now();
      if (tickets.use(secret, namespace, { ticket, now })) return null;
      throw badTicket();
    }
    return { role: include === "entry" ? "admin" : "read", namespace };
  };
  const changes = guarded(accessOf, async (call) => {
    const asked = readAsked(call, namespaceOf(call));
    const backend = backendOf(call);
    const { ticket } = call.req.query();
    const isFirst = ticket === undefined || isUnusedElsewhere(backend, asked.namespace, ticket);
    if (!(await isFirst)) throw badTicket();
    const request = requestOf(of, call, { asked, backend });
    const parts: FeedParts = { backend, hash: secret, metrics: of.metrics.feeds };
    const asking = { asked, request, parts, looks: of.isShared ? shared : looksAlone() };
    const { form } = request;
    return form === "ndjson" || form === "sse"
      ? answerAsStream(asking, form)
      : answerAsPoll(asking);
  });
  const ticket = guarded(
    (call) => ({ role: "read", namespace: ticketNamespaceOf(call) }),
    (call) => {
      readNamed(call, NO_NAMES);
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
