/**
 * Requests and answers: one attempt after the other, until there is an answer or a reason to stop.
 *
 * What may be repeated. A read always may. A write that was refused with a 4xx was applied nowhere;
 * if the refusal is a passing one (429), it may be sent again. After a 5xx, or no answer at all, a
 * write is in doubt, and to send it again is to write twice:
 *
 * - A DELETE with a context covers what that context names, once or twice, and leaves nothing that
 *   shows. It is repeated.
 * - A PUT with a context can never cover more than it did the first time, so a second one loses
 *   nobody's write. But it is a version of its own: beside the first it shows as a second sibling,
 *   and if somebody has overwritten or deleted the first, it brings the value back. It is not
 *   repeated.
 * - A PUT or a DELETE without a context replaces what its coordinator holds at that moment: a
 *   second one would also replace what somebody wrote over the first. It is not repeated.
 * - A request whose connection was refused was not sent: it goes to the next frontend at once,
 *   whatever it is.
 * - With `If-Match` or `If-None-Match` the second attempt is refused because of the first. It is
 *   not repeated.
 *
 * Where twice is as good as once (to fill a cache, say) the caller says so: `repeatable: true`.
 */
import { errorFrom, StarlingError } from "./error.ts";
import { Frontends } from "./frontends.ts";
import { codeOf, refusedBy } from "./refused.ts";

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export type Body =
  | string
  | Uint8Array<ArrayBuffer>
  | ArrayBuffer
  | Blob
  | ReadableStream<Uint8Array>;

export interface TransportRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE" | "POST";
  /** Path and query. */
  readonly target: string;
  readonly headers: Headers;
  readonly body?: Body;
  readonly isWrite: boolean;
  /** Whether it may be sent again when its outcome is in doubt. */
  readonly isRepeatable: boolean;
  readonly signal: AbortSignal | undefined;
  /** Attempts after the first, where the transport's own number is not the right one. */
  readonly retries?: number;
  /** Whether the response is one that Starling gives when all is well. */
  isExpected(response: Response): boolean;
}

export interface TransportOptions {
  /** Frontends of one cluster: any may take any request. */
  readonly urls: readonly string[];
  readonly token: string | undefined;
  readonly fetch: Fetch;
  /** Attempts after the first. */
  readonly retries: number;
  /** Silence after which an attempt is given up, until its headers are there. */
  readonly attemptTimeoutMs: number;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
  readonly wait: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/**
 * The answer to a read-your-writes or a strict read must never come from a cache on the way. Some
 * hosts (older Workers) refuse this option.
 */
function noStore(): { readonly cache?: "no-store" } {
  try {
    new Request("http://localhost/", { cache: "no-store" });
    return { cache: "no-store" };
  } catch {
    return {};
  }
}

/** The first pause; each later one is twice as long. */
const PAUSE_MS = 100;
/** A server that asks for a longer pause than this is not waited for: its answer goes out. */
const PAUSE_MS_MAX = 10_000;
/** 502 is what a proxy answers for a frontend that is away. */
const PASSING: ReadonlySet<number> = new Set([0, 429, 502, 503, 504]);

/** Resolves after that time, or rejects with the reason of the signal. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Whether the same may go well later by itself. A refusal stays one. */
export const mayPass = ({ code, status }: StarlingError): boolean =>
  code === "no-answer" || status === 429 || status >= 500;

function mayRepeat(call: TransportRequest, error: StarlingError): boolean {
  if (!PASSING.has(error.status)) return false;
  return !call.isWrite || error.outcome === "no" || call.isRepeatable;
}

/**
 * @param refusing frontends that refused a connection since one last accepted it; kept up to date
 */
function noAnswer(
  url: string,
  cause: unknown,
  { isWrite, refusing }: { readonly isWrite: boolean; readonly refusing: Set<string> },
): StarlingError {
  const refused = refusedBy(cause);
  if (refused === null) refusing.clear();
  else refusing.add(url);
  const code = codeOf(cause);
  const broken = `the connection to ${url} failed or broke${code === null ? "" : ` (${code})`}`;
  const who = refusing.size > 1 ? `none of ${[...refusing].join(", ")} can` : `${url} cannot`;
  const detail = refused === null ? broken : `${who} be reached (${refused})`;
  const outcome = isWrite && refused === null ? "unknown" : "no";
  return new StarlingError({ code: "no-answer", detail, status: 0, outcome, cause });
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #frontends: Frontends;
  readonly #caching = noStore();

  constructor(options: TransportOptions) {
    this.#options = options;
    const now = (): number => performance.now();
    this.#frontends = new Frontends(options.urls, options.random(), now);
  }

  /**
   * @returns an expected response, its body unread
   * @throws StarlingError, or the reason of the signal. A write that was aborted is in doubt.
   */
  async send(call: TransportRequest): Promise<Response> {
    const { retries = this.#options.retries } = call;
    let isInDoubt = false;
    const tried = new Set<string>();
    const refusing = new Set<string>();
    for (let attempt = 1; ; attempt++) {
      call.signal?.throwIfAborted();
      const url = this.#frontends.pick(tried);
      tried.add(url);
      const answer = await this.#attempt(call, url, refusing);
      if (!(answer instanceof StarlingError)) return answer;
      if (refusedBy(answer.cause) !== null && tried.size < this.#frontends.count) {
        // It was not sent: that was no attempt.
        attempt--;
        continue;
      }
      if (tried.size === this.#frontends.count) tried.clear();
      const isRepeated = attempt <= retries && mayRepeat(call, answer);
      isInDoubt ||= answer.outcome === "unknown";
      const pauseMs = this.#pauseAfter(attempt, answer.retryAfterMs);
      if (!isRepeated || pauseMs > PAUSE_MS_MAX) throw isInDoubt ? answer.inDoubt() : answer;
      await this.#options.wait(pauseMs, call.signal);
    }
  }

  /** Between rounds of a caller's own, as between attempts. */
  pauseBeforeRound(round: number, signal: AbortSignal | undefined): Promise<void> {
    return this.#options.wait(Math.min(PAUSE_MS_MAX, this.#pauseAfter(round, 0)), signal);
  }

  /** At least what the server asks for, and else half to all of a pause that doubles. */
  #pauseAfter(attempt: number, retryAfterMs: number): number {
    const whole = PAUSE_MS * 2 ** (attempt - 1);
    const jittered = whole * (0.5 + this.#options.random() / 2);
    return retryAfterMs > 0 ? retryAfterMs + jittered - whole / 2 : jittered;
  }

  async #attempt(
    call: TransportRequest,
    url: string,
    refusing: Set<string>,
  ): Promise<Response | StarlingError> {
    const { token, fetch, attemptTimeoutMs } = this.#options;
    const { method, target, headers, body, signal, isWrite } = call;
    if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), attemptTimeoutMs);
    const signals = signal === undefined ? [silence.signal] : [silence.signal, signal];
    const init = {
      ...this.#caching,
      method,
      headers,
      signal: AbortSignal.any(signals),
      redirect: "manual",
      ...(body === undefined ? {} : { body }),
    } as RequestInit;
    try {
      const response = await fetch(`${url}${target}`, init);
      if (call.isExpected(response)) {
        this.#frontends.answered(url);
        return response;
      }
      const error = await errorFrom(response, isWrite);
      if (error.status === 429) this.#frontends.leave(url, error.retryAfterMs);
      if (error.status === 502) this.#frontends.leave(url);
      return error;
    } catch (cause) {
      signal?.throwIfAborted();
      this.#frontends.leave(url);
      if (!silence.signal.aborted) return noAnswer(url, cause, { isWrite, refusing });
      const detail = `${url} gave no answer within ${attemptTimeoutMs} ms`;
      const outcome = isWrite ? "unknown" : "no";
      return new StarlingError({ code: "no-answer", detail, status: 0, outcome, cause });
    } finally {
      clearTimeout(timer);
    }
  }
}
