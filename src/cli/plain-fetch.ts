/**
 * `fetch` as the command line needs it: stored values come as they are stored (the global one
 * decompresses what is marked as compressed), any port can be asked (the global one refuses those
 * of other protocols), and a host that swallows connections is given up.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import type { Fetch } from "../client/transport.ts";

const CONNECT_MS_MAX = 5000;
/** Fetch Standard, 2.2.3. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

function giveUpConnecting(request: ClientRequest): void {
  const timer = setTimeout(() => {
    const reason = { code: "ETIMEDOUT", syscall: "connect" };
    request.destroy(Object.assign(new Error("no connection"), reason));
  }, CONNECT_MS_MAX);
  const connected = (): void => clearTimeout(timer);
  request.once("close", connected);
  request.once("socket", (socket) => {
    if (!socket.connecting) return connected();
    socket.once("encrypted" in socket ? "secureConnect" : "connect", connected);
  });
}

function responseOf(incoming: IncomingMessage, method: string): Response {
  const { statusCode: status = 0, statusMessage: statusText = "", rawHeaders } = incoming;
  const headers = new Headers();
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    headers.append(rawHeaders[i] as string, rawHeaders[i + 1] as string);
  }
  const isBodiless = method === "HEAD" || BODILESS.has(status);
  if (isBodiless) incoming.resume();
  const body = isBodiless ? null : (Readable.toWeb(incoming) as ReadableStream<Uint8Array>);
  return new Response(body, { status, statusText, headers });
}

export const plainFetch: Fetch = async (url, init) => {
  const { method = "GET", signal } = init;
  const body = init.body === undefined ? null : await new Response(init.body).arrayBuffer();
  const headers = Object.fromEntries(new Headers(init.headers));
  if (body !== null) headers["content-length"] = String(body.byteLength);
  const start = url.startsWith("https:") ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const options = { method, headers, ...(signal ? { signal } : {}) };
    const request = start(url, options, (incoming) => resolve(responseOf(incoming, method)));
    request.on("error", reject);
    giveUpConnecting(request);
    request.end(body === null ? undefined : new Uint8Array(body));
  });
};
