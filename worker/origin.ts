/**
 * Origins on Workers, by the platform's `fetch`: past its own cache, no redirect followed, bytes as
 * they come. The platform resolves names and connects; it sets `Host` by the URL, and an origin
 * that it cannot reach is a status of its own or an exception.
 */
import {
  type Bytes,
  type Origin,
  OriginError,
  type OriginFault,
  type OriginRequest,
  type OriginResponse,
} from "../src/door/ports.ts";
import { streamOf } from "./streams.ts";

/** What Cloudflare answers in the place of an origin; stale-if-error is for these too. */
const EDGE_FAULTS: ReadonlyMap<number, OriginFault> = new Map([
  [520, "origin-invalid"],
  [521, "origin-unreachable"],
  [522, "origin-unreachable"],
  [523, "origin-unreachable"],
  [524, "origin-timeout"],
  [525, "origin-unreachable"],
  [526, "origin-unreachable"],
  [530, "origin-unreachable"],
]);

const silent = (ms: number): OriginError =>
  new OriginError("origin-timeout", `No byte came for ${ms} ms.`);

const faultOf = (error: unknown): OriginError =>
  error instanceof OriginError
    ? error
    : new OriginError("origin-unreachable", "The origin cannot be reached, or broke off.");

/** Rejects when the promise takes longer. */
async function within<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(silent(ms)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The body; a wait for its next bytes is bounded, the wait for its reader is not. */
async function* bodyOf(response: Response, timeoutMs: number): Bytes {
  if (response.body === null) return;
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  let isWhole = false;
  try {
    for (;;) {
      const { done, value } = await within(reader.read(), timeoutMs);
      if (done) break;
      yield value;
    }
    isWhole = true;
  } catch (error) {
    throw faultOf(error);
  } finally {
    if (!isWhole) await reader.cancel().catch(() => undefined);
  }
}

/** All of it is said to `fetch` itself: a `Request` does not keep `encodeResponseBody`. */
function initOf({ method, fields, body }: OriginRequest, signal: AbortSignal): RequestInit {
  const headers = new Headers();
  for (const [name, value] of fields) headers.append(name, value);
  const sent = body instanceof ReadableStream || body === null ? body : streamOf(body);
  const asIs = { redirect: "manual", encodeResponseBody: "manual" } as const;
  return { method, headers, body: sent, cache: "no-store", signal, ...asIs };
}

export class WorkerOrigin implements Origin {
  async fetch(asked: OriginRequest): Promise<OriginResponse> {
    const { originTimeoutMs } = asked.site;
    const controller = new AbortController();
    const url = `${asked.site.origin}${asked.target}`;
    let response: Response;
    try {
      const answered = fetch(url, initOf(asked, controller.signal));
      response = await within(answered, originTimeoutMs);
    } catch (error) {
      controller.abort();
      throw faultOf(error);
    }
    const fault = EDGE_FAULTS.get(response.status);
    if (fault === undefined && response.status >= 200 && response.status <= 599) {
      const { status } = response;
      return { status, fields: [...response.headers], body: bodyOf(response, originTimeoutMs) };
    }
    controller.abort();
    throw new OriginError(fault ?? "origin-invalid", `The status was ${response.status}.`);
  }
}
