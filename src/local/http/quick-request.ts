/**
 * The usual request, read at a glance: written as nearly all clients write, its head in one piece
 * of what came on its connection, its body there or short. What is not plainly that is left to
 * Node's parser, which alone decides what is well-formed: here nothing is ever found to be wrong.
 *
 * The rules are narrower than those of RFC 9112, so that nobody on the way can have read the same
 * bytes as another request: lines end with CRLF, names are tokens, values are printable ASCII, one
 * Host, no transfer coding, a body only with a length.
 */
import { SMALL_BYTES } from "../../frontend/http/body-room.ts";
import type { PlainRequest, WholeBody } from "../../frontend/http/exchange.ts";
import { RawHeaders } from "./raw-headers.ts";
import { isHost } from "./request-rules.ts";

const METHODS = ["GET", "PUT", "DELETE"] as const;

const HEAD_END = Buffer.from("\r\n\r\n");
const VERSION = " HTTP/1.1";
const TARGET = /^\/[!-~]*$/;
const FIELDS = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~]*\r\n)+\r\n$/;
/** Below every bound of Node's parser: what is longer is left to it. */
const HEAD_BYTES_MAX = 8192;
/** Longer ones are not kept: ten thousand connections may be idle. */
const KEPT_CHARS_MAX = 2048;
const LENGTH = /^[0-9]{1,7}$/;
/** These change how the request is read, or what becomes of the connection. */
const UNUSUAL: ReadonlySet<string> = new Set([
  ...["transfer-encoding", "expect", "upgrade", "trailer", "te", "http2-settings"],
  ...["proxy-connection", "keep-alive"],
]);

export interface QuickRequest {
  readonly request: PlainRequest & { readonly headers: RawHeaders };
  readonly target: string;
}

interface Fields {
  readonly headers: RawHeaders;
  /** null: no length is given. */
  readonly bodyByteCount: number | null;
}

/** The fields that a head's lines name; null for what is not usual. */
function fieldsOf(text: string): Fields | null {
  if (!FIELDS.test(text)) return null;
  const raw: string[] = [];
  let hostCount = 0;
  let bodyByteCount: number | null = null;
  for (const line of text.slice(0, -4).split("\r\n")) {
    const colon = line.indexOf(":");
    const [name, value] = [line.slice(0, colon), line.slice(colon + 1).trim()];
    const lower = name.toLowerCase();
    if (UNUSUAL.has(lower)) return null;
    if (lower === "connection" && value.toLowerCase() !== "keep-alive") return null;
    if (lower === "host") {
      if (!isHost(value)) return null;
      hostCount++;
    } else if (lower === "content-length") {
      if (bodyByteCount !== null || !LENGTH.test(value)) return null;
      bodyByteCount = Number(value);
    }
    raw.push(name, value);
  }
  return hostCount === 1 ? { headers: new RawHeaders(raw), bodyByteCount } : null;
}

/** A body that came with its head. */
class PresentBody implements WholeBody {
  readonly isTimed = true;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  gather(byteCountMax: number): Promise<Uint8Array | null> {
    return Promise.resolve(this.#bytes.length > byteCountMax ? null : this.#bytes);
  }

  discard(): Promise<void> {
    return Promise.resolve();
  }
}

/** Reads the requests of one connection, which mostly differ in their targets alone. */
export class QuickReader {
  #lastText = "";
  #last: Fields | null = null;

  /**
   * @param bytes all that came since the last request
   * @returns what they are: one usual request and nothing else, `short` of the end of its short
   *   body, or anything `other`
   */
  read(bytes: Buffer): QuickRequest | "short" | "other" {
    const end = bytes.indexOf(HEAD_END);
    if (end < 0 || end > HEAD_BYTES_MAX) return "other";
    const bodyAt = end + HEAD_END.length;
    const head = bytes.toString("latin1", 0, bodyAt);
    const lineEnd = head.indexOf("\r\n");
    const method = METHODS.find((name) => head.startsWith(name) && head[name.length] === " ");
    if (method === undefined || !head.startsWith(VERSION, lineEnd - VERSION.length)) return "other";
    const target = head.slice(method.length + 1, lineEnd - VERSION.length);
    if (!TARGET.test(target)) return "other";
    const fields = this.#fieldsOf(head.slice(lineEnd + 2));
    if (fields === null) return "other";
    const { headers, bodyByteCount } = fields;
    if (bodyByteCount !== null && method !== "PUT") return "other";
    const lackingCount = (bodyByteCount ?? 0) - (bytes.length - bodyAt);
    if (lackingCount > 0 && (bodyByteCount ?? 0) <= SMALL_BYTES) return "short";
    if (lackingCount !== 0) return "other";
    const body = bodyByteCount ? new PresentBody(bytes.subarray(bodyAt)) : null;
    return { request: { method, headers, body }, target };
  }

  #fieldsOf(text: string): Fields | null {
    if (text === this.#lastText) return this.#last;
    const fields = fieldsOf(text);
    if (text.length > KEPT_CHARS_MAX) return fields;
    this.#lastText = text;
    this.#last = fields;
    return fields;
  }
}
