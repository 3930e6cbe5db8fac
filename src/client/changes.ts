/** Following a namespace: the change feed as an endless loop (docs/changes.md). */
import { checkNamespace, checkOptions } from "./arguments.ts";
import { StarlingError } from "./error.ts";
import { mayPass, type Transport } from "./transport.ts";
import { fromBase64 } from "./version.ts";

export interface ChangesOptions {
  /** `now` (default), `beginning`, or the token of an earlier change. */
  readonly since?: string;
  /** Only keys with this prefix. A token is valid for the same prefix only. */
  readonly prefix?: string;
  /** Whether values come along (default false). */
  readonly values?: boolean;
  readonly signal?: AbortSignal;
}

/** What every change has. */
interface Told {
  /** For `since`, after a restart of the program: nothing is missed from here on. */
  readonly token: string;
}

export interface KeyChange extends Told {
  readonly type: "put" | "delete" | "expire" | "purged" | "conflict";
  readonly key: string;
  /** null where a key was forgotten because its time was over. */
  readonly etag: string | null;
  readonly context: string | null;
  readonly lastModified: Date | null;
  /** Seconds that are left of the value; null for ever, and where there is none. */
  readonly ttl: number | null;
  /** How many values live. */
  readonly siblings: number;
  readonly run: string;
  readonly partition: number;
  readonly contentType?: string;
  /** The newest one, where values were asked for. */
  readonly value?: Uint8Array<ArrayBuffer>;
  readonly reason?: string;
}

/** A purge as a whole; each of its keys follows as it is swept. */
export interface PurgeChange extends Told {
  readonly type: "purged";
  readonly key?: undefined;
  readonly rule: Readonly<Record<string, unknown>>;
}

/** What stands between `resync` and `resync-end` is all that lives in those partitions. */
export interface FeedMark extends Told {
  readonly type: "switch" | "resync" | "resync-end";
  readonly key?: undefined;
  readonly run: string;
  readonly partitions: readonly number[];
}

export type FeedChange = KeyChange | PurgeChange | FeedMark;

interface Page {
  readonly changes: readonly Readonly<Record<string, unknown>>[];
  readonly next: string;
}

/** How long one poll is held, in ms: below the silence after which an attempt is given up. */
const WAIT_MS = 10_000;

function changeOf(told: Readonly<Record<string, unknown>>, token: string): FeedChange {
  const { lastModified, value } = told;
  const change: Record<string, unknown> = { ...told, token };
  if (typeof lastModified === "string") change["lastModified"] = new Date(lastModified);
  if (typeof value === "string") change["value"] = fromBase64(value);
  return change as unknown as FeedChange;
}

export interface Followed {
  readonly transport: Transport;
  readonly namespace: string;
}

const isJson = ({ ok, headers }: Response): boolean =>
  ok && headers.get("Content-Type")?.startsWith("application/json") === true;

/**
 * The changes of a namespace, for as long as somebody takes them. It goes on from where it was,
 * through whatever frontend answers, and ends by the signal's reason or when it is refused.
 *
 * @throws StarlingError for what does not pass by itself: `invalid-token`, `forbidden` …
 */
export async function* follow(
  { transport, namespace }: Followed,
  options: ChangesOptions,
): AsyncGenerator<FeedChange, never, undefined> {
  const { prefix = "", values = false, signal } = options;
  let since = options.since ?? "now";
  let waitMs = 0;
  let failures = 0;
  for (;;) {
    const query = new URLSearchParams({ since, wait: String(waitMs) });
    if (prefix !== "") query.set("prefix", prefix);
    if (values) query.set("include", "value");
    const target = `/v1/changes/${encodeURIComponent(checkNamespace(namespace))}?${query}`;
    const call = { method: "GET", target, isWrite: false, isRepeatable: true, signal } as const;
    try {
      const headers = new Headers({ Accept: "application/json" });
      const response = await transport.send({ ...call, headers, isExpected: isJson });
      const { changes, next } = (await response.json()) as Page;
      for (const [i, told] of changes.entries()) {
        // For all but the last change, the place to go on from is where the page began.
        yield changeOf(told, i === changes.length - 1 ? next : since);
      }
      since = next;
      waitMs = WAIT_MS;
      failures = 0;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof StarlingError && !mayPass(error)) throw error;
      await transport.pauseBeforeRound(++failures, signal);
    }
  }
}

/** As `changes` of a client takes them: with a namespace before the options, or without. */
export function followed(
  parts: Followed,
  first: string | ChangesOptions,
  second: ChangesOptions,
): AsyncGenerator<FeedChange, never, undefined> {
  const options = typeof first === "string" ? second : first;
  checkOptions("changes", options);
  const namespace = typeof first === "string" ? checkNamespace(first) : parts.namespace;
  return follow({ transport: parts.transport, namespace }, options);
}

/** The lines of a stream, as they become whole. */
async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } finally {
    // A reader that stops wants no more: the other end lets go of what it holds for the stream.
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * The changes of a stream of lines: what `env.CACHE.changes()` of a service binding gives, or the
 * body of an answer as `application/x-ndjson`. It ends when the stream does; then `since` with the
 * token of the last change goes on. To leave the loop cancels the stream.
 *
 * @param since where the stream begins: the token of changes before the first that it brings
 */
export async function* changesIn(
  stream: ReadableStream<Uint8Array>,
  since = "now",
): AsyncGenerator<FeedChange, void> {
  let token = since;
  /** Held until it is known whether it is the last of its batch: only after that can one go on. */
  let told: Readonly<Record<string, unknown>> | null = null;
  for await (const line of linesOf(stream)) {
    const next = JSON.parse(line) as Readonly<Record<string, unknown>>;
    const isToken = typeof next["token"] === "string" && next["type"] === undefined;
    if (isToken) token = next["token"] as string;
    if (told !== null) yield changeOf(told, token);
    told = isToken ? null : next;
  }
}
