/**
 * A request of the platform as the data plane takes it: what it asks for again and again is read
 * once, because each look at a `Request` is a call out of JavaScript, and a small body that says
 * how long it is comes whole, not through a stream and its promises.
 */
import type { PlainRequest, WholeBody } from "../src/frontend/exchange.ts";

/** Longer ones are counted while they stream in. */
const WHOLE_BYTES_MAX = 65_536;

class AnnouncedBody implements WholeBody {
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
  return isSmall && request.body !== null ? new AnnouncedBody(request) : request.body;
}

/** The bodies of reads are left where they are: nothing asks for them. */
export function plainRequest(request: Request): PlainRequest {
  const { method, headers } = request;
  const isRead = method === "GET" || method === "HEAD";
  return { method, headers, body: isRead ? null : bodyOf(request) };
}

/** The target as it stood on the request line, as far as the platform has left it so. */
export function targetOf(url: string): string {
  const slash = url.indexOf("/", url.indexOf("//") + 2);
  return slash < 0 ? "/" : url.slice(slash);
}
