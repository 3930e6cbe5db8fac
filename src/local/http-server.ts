/**
 * The HTTP listener of the Node host. Node's own strict parser is the only one; what it refuses is
 * answered here, in the same words as everything else, and the connection is closed.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import type { Log } from "./logger.ts";

export type FetchHandler = (
  request: Request,
  env: { readonly rawPath: string },
) => Response | Promise<Response>;

export interface HttpServerParts {
  readonly handler: FetchHandler;
  /** Takes an upgrade that is the cluster's own; false: it is not. */
  readonly acceptInternal: (incoming: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
  readonly log: Log;
  readonly limits?: Partial<HttpLimits>;
}

export interface HttpLimits {
  /** Until the headers are in, in ms. */
  readonly headersMsMax: number;
  /** Until the whole request is in, in ms. */
  readonly requestMsMax: number;
  readonly headerBytesMax: number;
  /** Requests at work at once; one more is turned away with 429. */
  readonly inFlightCountMax: number;
}

export const httpLimits: HttpLimits = {
  headersMsMax: 10_000,
  requestMsMax: 60_000,
  headerBytesMax: 16_384,
  inFlightCountMax: 2048,
};

interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly code: string;
  readonly detail: string;
}

const malformed: Refusal = {
  status: 400,
  reason: "Bad Request",
  code: "malformed-request",
  detail: "The request is not well-formed HTTP/1.1. The connection is closed.",
};

const incompleteBody: Refusal = {
  status: 400,
  reason: "Bad Request",
  code: "incomplete-body",
  detail: "The body ended before its announced length. Nothing was stored.",
};

const refusals: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    reason: "Request Timeout",
    code: "request-timeout",
    detail: "The headers or the body did not arrive in time. The connection is closed.",
  },
  HPE_HEADER_OVERFLOW: {
    status: 431,
    reason: "Request Header Fields Too Large",
    code: "headers-too-large",
    detail: "The headers are larger than this server takes.",
  },
  HPE_INVALID_EOF_STATE: incompleteBody,
};

function problemOf({ status, reason, code, detail }: Refusal): string {
  const type = `https://starling.dev/problems/${code}`;
  return JSON.stringify({ type, title: reason, status, detail, code });
}

function refuseRaw(socket: Duplex, refusal: Refusal): void {
  if (!socket.writable) return void socket.destroy();
  const body = problemOf(refusal);
  const lines = [
    `HTTP/1.1 ${refusal.status} ${refusal.reason}`,
    "Content-Type: application/problem+json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Connection: close",
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

const overloaded: Refusal = {
  status: 429,
  reason: "Too Many Requests",
  code: "overloaded",
  detail: "The node has as many requests at work as it takes. Try again shortly.",
};

function turnAway(response: ServerResponse): void {
  const headers = { "Content-Type": "application/problem+json", "Retry-After": "1" };
  response.writeHead(overloaded.status, headers).end(problemOf(overloaded));
}

export interface HttpServer {
  /** Not listening yet; the caller does that when the log is replayed. */
  readonly server: Server;
  /** Takes no new connection and resolves when no request is at work, or the time is up. */
  stop(msMax: number): Promise<void>;
}

export function makeHttpServer(parts: HttpServerParts): HttpServer {
  const limits = { ...httpLimits, ...parts.limits };
  const listener = getRequestListener(
    (request, env) => parts.handler(request, { rawPath: env.incoming.url ?? "/" }),
    { overrideGlobalObjects: false },
  );
  let inFlight = 0;
  let onIdle: (() => void) | null = null;
  const server = createServer(
    {
      headersTimeout: limits.headersMsMax,
      requestTimeout: limits.requestMsMax,
      keepAliveTimeout: 30_000,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: limits.headerBytesMax,
      insecureHTTPParser: false,
      noDelay: true,
    },
    (incoming, response) => {
      if (inFlight >= limits.inFlightCountMax) return turnAway(response);
      inFlight++;
      response.on("close", () => {
        inFlight--;
        if (inFlight === 0) onIdle?.();
      });
      void listener(incoming, response);
    },
  );
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET") return void socket.destroy();
    refuseRaw(socket, refusals[error.code ?? ""] ?? malformed);
  });
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    if (parts.acceptInternal(incoming, socket, head)) return;
    refuseRaw(socket, {
      status: 404,
      reason: "Not Found",
      code: "no-such-route",
      detail: "There is no such route.",
    });
  });
  const stop = async (msMax: number): Promise<void> => {
    server.close();
    server.closeIdleConnections();
    if (inFlight === 0) return;
    await new Promise<void>((resolve) => {
      onIdle = resolve;
      setTimeout(resolve, msMax).unref();
    });
  };
  return { server, stop };
}
