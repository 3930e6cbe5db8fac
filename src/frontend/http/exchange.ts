/**
 * A request and its answer as the data plane sees them. A `Request` of the Web is one as it stands.
 * A host that has something lighter hands that in and takes the answer as plain values: a small
 * read costs less than the `Request`, `Headers`, `Response` and streams that would carry it.
 */

/** Names in any case; values as `Headers` has them: one char a byte, repeats joined by ", ". */
export interface RequestHeaders {
  get(name: string): string | null;
}

/** A body that its host gathers. */
export interface WholeBody {
  /** Whether the host ends a request whose body does not come to its end. */
  readonly isTimed: boolean;
  /**
   * @returns null when it is longer; the rest of it is then read and dropped
   * @throws when the body is cut off
   */
  gather(byteCountMax: number): Promise<Uint8Array | null>;
  /** Reads what the client is still sending and drops it, so that the answer reaches it. */
  discard(): Promise<void>;
}

/** Whether the client holds its body back until it is told to go on (RFC 9110, 10.1.1). */
export const isContinueExpected = (headers: RequestHeaders): boolean =>
  headers.get("Expect")?.trim().toLowerCase() === "100-continue";

export interface PlainRequest {
  readonly method: string;
  readonly headers: RequestHeaders;
  readonly body: ReadableStream<Uint8Array> | WholeBody | null;
}

/** Plain, because hosts turn a plain record into a response several times faster than `Headers`. */
export type HeaderFields = Record<string, string>;

export interface Answer {
  readonly status: number;
  /** The reason phrase, where somebody reads it; else what the status is called. */
  readonly statusText?: string;
  readonly headers: HeaderFields;
  readonly body: Uint8Array | string | null;
}

/**
 * The answer as a response, with its bytes as they are stored: workerd would otherwise compress a
 * body whose headers say that it is compressed. Other hosts do not know that member and ignore it.
 */
export function responseOf({ status, statusText, headers, body }: Answer): Response {
  const reason = statusText === undefined ? {} : { statusText };
  const asIs = { status, ...reason, headers, encodeBody: "manual" };
  return new Response(body as string | Uint8Array<ArrayBuffer> | null, asIs);
}

/** Longer ones are counted while they stream in. */
const WHOLE_BYTES_MAX = 65_536;

/** A small body of announced length is taken whole, not through a stream and its promises. */
class SmallBody implements WholeBody {
  readonly isTimed = false;
  readonly #request: Request;

  constructor(request: Request) {
    this.#request = request;
  }

  async gather(byteCountMax: number): Promise<Uint8Array | null> {
    const bytes = new Uint8Array(await this.#request.arrayBuffer());
    return bytes.length > byteCountMax ? null : bytes;
  }

  async discard(): Promise<void> {
    await this.gather(0);
  }
}

function bodyOf(request: Request): PlainRequest["body"] {
  const announced = request.headers.get("Content-Length");
  const isSmall = announced !== null && Number(announced) <= WHOLE_BYTES_MAX;
  return isSmall && request.body !== null ? new SmallBody(request) : request.body;
}

/**
 * A `Request` as the data plane takes it. What is needed again and again is read once: on workerd
 * each look at a `Request` is a call out of JavaScript.
 */
export function plainRequestOf(request: Request): PlainRequest {
  const { method, headers } = request;
  const isRead = method === "GET" || method === "HEAD";
  // The bodies of reads are left where they are: nothing asks for them.
  return { method, headers, body: isRead ? null : bodyOf(request) };
}
