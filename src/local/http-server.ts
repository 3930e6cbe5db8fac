/**
 * The HTTP listener of the Node host. Node's own strict parser is the only one; what it refuses is
 * answered here, in the same words as everything else, and the connection is closed.
 */
import {
  createServer,
  type IncomingMessage,
  type Server as PlainServer,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { assert } from "../../core/assert.ts";
import { IdTable } from "../../core/id-table.ts";
import type { App } from "../frontend/app.ts";
import { AnswerWriter, plainRequest } from "./plain-exchange.ts";
import type { NodeTls } from "./tls.ts";

export type FetchHandler = (
  request: Request,
  env: { readonly rawPath: string },
) => Response | Promise<Response>;
type AnswerKey = App["answerKey"];

export interface HttpServerParts {
  readonly handler: FetchHandler;
  /** The short way for requests that have one; without it all go through the handler. */
  readonly answerKey?: AnswerKey;
  readonly internal: InternalCalls;
  /** With it the listener speaks https and nothing else. */
  readonly tls?: NodeTls | undefined;
  readonly limits?: Partial<HttpLimits>;
}

/** The cluster's own connections, which are upgraded on the same port. */
export interface InternalCalls {
  /** Whether this request asks for one, and may. All others are served as if there were none. */
  recognises(incoming: IncomingMessage): boolean;
  /** Takes the connection over; false, and nothing done, when it is not recognised. */
  accept(incoming: IncomingMessage, socket: Duplex, head: Buffer): boolean;
}

export interface HttpLimits {
  /** Until the headers are in, in ms. */
  readonly headersMsMax: number;
  /** Until the whole request is in, in ms. */
  readonly requestMsMax: number;
  /** Without a byte in either direction, in ms: a client that does not read its answer. */
  readonly inactiveMsMax: number;
  readonly headerBytesMax: number;
  /** Until the two sides have agreed on keys, in ms. */
  readonly tlsHandshakeMsMax: number;
  /** Open connections, those between nodes included; one more is closed at once. */
  readonly connectionCountMax: number;
  /** Requests at work at once; one more is turned away with 429. */
  readonly inFlightCountMax: number;
}

export const httpLimits: HttpLimits = {
  headersMsMax: 10_000,
  requestMsMax: 60_000,
  // The slowest answer, an exchange that an operator asks for, may take two minutes.
  inactiveMsMax: 150_000,
  headerBytesMax: 16_384,
  tlsHandshakeMsMax: 10_000,
  // At some 20 KiB each while idle, 200 MB.
  connectionCountMax: 10_000,
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
    "X-Content-Type-Options: nosniff",
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

const noSuchRoute: Refusal = {
  status: 404,
  reason: "Not Found",
  code: "no-such-route",
  detail: "There is no such route.",
};

function turnAway(response: ServerResponse): void {
  const headers = {
    "Content-Type": "application/problem+json",
    "X-Content-Type-Options": "nosniff",
    "Retry-After": "1",
  };
  response.writeHead(overloaded.status, headers).end(problemOf(overloaded));
}

/** The requests at work, and what is still to be said on their connections. */
class AtWork {
  readonly #responses = new IdTable<ServerResponse>();
  #lastId = 0;
  #isStopping = false;
  #onIdle: (() => void) | null = null;

  get count(): number {
    return this.#responses.size;
  }

  add(response: ServerResponse): void {
    if (this.#isStopping) response.setHeader("Connection", "close");
    const id = ++this.#lastId;
    this.#responses.add(id, response);
    response.on("close", () => {
      assert(this.#responses.delete(id), "a request ends once");
      if (this.#responses.size === 0) this.#onIdle?.();
    });
  }

  /**
   * Whether an error on the connection may be answered there: not into the middle of an answer, nor
   * before the answer to an earlier request, whose sender would take it for its own.
   */
  mayAnswerOn(socket: Duplex): boolean {
    for (const response of this.#responses.values()) {
      if (response.req.socket !== socket) continue;
      if (response.headersSent || response.req.complete) return false;
    }
    return true;
  }

  /** Lets every connection end with its answer; resolves when all are given or the time is up. */
  async finish(msMax: number): Promise<void> {
    this.#isStopping = true;
    for (const response of this.#responses.values()) {
      if (!response.headersSent) response.setHeader("Connection", "close");
    }
    if (this.#responses.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      setTimeout(resolve, msMax).unref();
    });
  }
}

export type Server = PlainServer | TlsServer;

export interface HttpServer {
  /** Not listening yet; the caller does that when the log is replayed. */
  readonly server: Server;
  /** Takes no new connection and resolves when no request is at work, or the time is up. */
  stop(msMax: number): Promise<void>;
}

/** Takes the short way where there is one; else false, and nothing done. */
function answerPlainly(
  { answerKey, writer }: { readonly answerKey: AnswerKey; readonly writer: AnswerWriter },
  incoming: IncomingMessage,
  response: ServerResponse,
): boolean {
  const request = plainRequest(incoming);
  const answer = request === null ? null : answerKey(request, incoming.url ?? "/");
  if (answer === null) return false;
  void answer.then((given) => writer.write(response, given));
  return true;
}

function listenerOf(
  { tls, internal }: HttpServerParts,
  limits: HttpLimits,
  onRequest: (incoming: IncomingMessage, response: ServerResponse) => void,
): Server {
  const options = {
    headersTimeout: limits.headersMsMax,
    requestTimeout: limits.requestMsMax,
    keepAliveTimeout: 30_000,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: limits.headerBytesMax,
    insecureHTTPParser: false,
    noDelay: true,
    // An upgrade to anything else is declined as RFC 9110, 7.8, has it: by a plain answer.
    shouldUpgradeCallback: (incoming: IncomingMessage) => internal.recognises(incoming),
  };
  if (tls === undefined) return createServer(options, onRequest);
  // Who shows no certificate, or a wrong one, is a client: the tokens decide about those.
  const asking = { requestCert: true, rejectUnauthorized: false };
  const handshakeTimeout = limits.tlsHandshakeMsMax;
  const server = createTlsServer(
    { ...options, ...tls.contextOptions(), ...asking, handshakeTimeout },
    onRequest,
  );
  // First of all listeners: on a connection without keys there is nothing to say and no way to.
  return server.prependListener("tlsClientError", (_, socket) => void socket.destroy());
}

export function makeHttpServer(parts: HttpServerParts): HttpServer {
  const limits = { ...httpLimits, ...parts.limits };
  const listener = getRequestListener(
    async (request, { incoming, outgoing }) => {
      const answer = await parts.handler(request, { rawPath: incoming.url ?? "/" });
      // The adapter hands on the status alone; workerd shows its users the words beside it.
      outgoing.statusMessage = answer.statusText;
      return answer;
    },
    { overrideGlobalObjects: false },
  );
  const atWork = new AtWork();
  const { answerKey } = parts;
  const plain = answerKey === undefined ? null : { answerKey, writer: new AnswerWriter() };
  const onRequest = (incoming: IncomingMessage, response: ServerResponse): void => {
    if (atWork.count >= limits.inFlightCountMax) return turnAway(response);
    atWork.add(response);
    if (plain !== null && answerPlainly(plain, incoming, response)) return;
    void listener(incoming, response);
  };
  const server = listenerOf(parts, limits, onRequest);
  server.maxConnections = limits.connectionCountMax;
  server.setTimeout(limits.inactiveMsMax);
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET" || !atWork.mayAnswerOn(socket)) return void socket.destroy();
    refuseRaw(socket, refusals[error.code ?? ""] ?? malformed);
  });
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    // Before Node 24.9 every upgrade comes here, whether it is recognised or not.
    if (!parts.internal.accept(incoming, socket, head)) refuseRaw(socket, noSuchRoute);
  });
  const stop = async (msMax: number): Promise<void> => {
    server.close();
    server.closeIdleConnections();
    await atWork.finish(msMax);
  };
  return { server, stop };
}
