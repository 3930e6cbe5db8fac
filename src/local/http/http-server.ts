/**
 * The HTTP listener of the Node host. Usual requests take the quick lane. All else is judged by
 * Node's own strict parser; what it refuses is answered here, in the same words as everything else,
 * and the connection is closed.
 */
import {
  createServer,
  type IncomingMessage,
  type Server as PlainServer,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer, Server as TlsServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { bodyRoom } from "../../frontend/http/body-room.ts";
import type { AnswerKey } from "../../frontend/short-way.ts";
import type { NodeTls } from "../identity/tls.ts";
import { type Begin, Pipelines } from "./pipelines.ts";
import { AnswerWriter, plainRequest } from "./plain-exchange.ts";
import { type LaneParts, QuickLane, type TakeQuickly } from "./quick-lane.ts";
import {
  expectationFailed,
  malformedTarget,
  noSuchRoute,
  problemResponse,
  refusalOf,
  refuseRaw,
  unknownMethod,
} from "./refusals.ts";
import { breachOf } from "./request-rules.ts";

export type FetchHandler = (
  request: Request,
  env: { readonly rawPath: string; readonly whenSent: (done: () => void) => void },
) => Response | Promise<Response>;

export interface HttpServerParts {
  readonly handler: FetchHandler;
  /** The short way for requests that have one; without it all go through the handler. */
  readonly answerKey?: AnswerKey | null;
  /** Takes every request as Node has it, in place of the app and the short way. */
  readonly raw?: { readonly begin: Begin; readonly quick: TakeQuickly };
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
  /** Until the whole request is in, in ms; with `raw`, its bodies are the taker's to bound. */
  readonly requestMsMax: number;
  /** Between two requests of a connection, in ms. */
  readonly keepAliveMsMax: number;
  /** Without a byte in either direction, in ms: a client that does not read its answer. */
  readonly inactiveMsMax: number;
  readonly headerBytesMax: number;
  /** Until the two sides have agreed on keys, in ms. */
  readonly tlsHandshakeMsMax: number;
  /** Open connections, those between nodes included; one more is closed at once. */
  readonly connectionCountMax: number;
  /** Requests at work at once; one more is turned away with 429. */
  readonly inFlightCountMax: number;
  /** Of those, how many of one connection. */
  readonly atOnceCountMax: number;
  /** Pipelined requests that wait for their turn, on all connections together. */
  readonly waitingCountMax: number;
}

export const httpLimits: HttpLimits = {
  headersMsMax: 10_000,
  requestMsMax: 60_000,
  keepAliveMsMax: 30_000,
  // The slowest answer, an exchange that an operator asks for, may take two minutes.
  inactiveMsMax: 150_000,
  headerBytesMax: 16_384,
  tlsHandshakeMsMax: 10_000,
  // At some 20 KiB each while idle, 200 MB.
  connectionCountMax: 10_000,
  inFlightCountMax: 2048,
  atOnceCountMax: 32,
  // At some 3 KiB each, 50 MB.
  waitingCountMax: 16_384,
};

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

/**
 * A client that has sent all that it will may still want its answers. Node ends such connections at
 * once unless it is told otherwise, by a member that its types do not have.
 */
function halfOpen<Kind extends Server>(server: Kind): Kind {
  return Object.assign(server, { httpAllowHalfOpen: true });
}

function listenerOf(
  { tls, internal, raw }: HttpServerParts,
  limits: HttpLimits,
  onRequest: Begin,
): Server {
  const options = {
    headersTimeout: limits.headersMsMax,
    requestTimeout: raw === undefined ? limits.requestMsMax : 0,
    keepAliveTimeout: limits.keepAliveMsMax,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: limits.headerBytesMax,
    insecureHTTPParser: false,
    noDelay: true,
    // Checked with everything else about a request: what Node itself would answer is no problem
    // document.
    requireHostHeader: false,
    // An upgrade to anything else is declined as RFC 9110, 7.8, has it: by a plain answer.
    shouldUpgradeCallback: (incoming: IncomingMessage) => internal.recognises(incoming),
  };
  if (tls === undefined) return halfOpen(createServer(options, onRequest));
  // A peer without a certificate, or with a wrong one, is a client: the tokens decide about those.
  const asking = { requestCert: true, rejectUnauthorized: false };
  const handshakeTimeout = limits.tlsHandshakeMsMax;
  const server = createTlsServer(
    { ...options, ...tls.contextOptions(), ...asking, handshakeTimeout, allowHalfOpen: true },
    onRequest,
  );
  halfOpen(server);
  // Before all other listeners: without keys there is no way to say anything on a connection.
  return server.prependListener("tlsClientError", (_, socket) => void socket.destroy());
}

/**
 * Says 100 when the body is wanted, and not before: a request that can be refused by its headers
 * alone gets that refusal instead (RFC 9110, 10.1.1). Its client may then send the body or not, so
 * nobody knows where the next request begins: the connection ends with such an answer.
 */
function holdBack100(incoming: IncomingMessage, response: ServerResponse): void {
  const keepsAlive = response.shouldKeepAlive;
  response.shouldKeepAlive = false;
  let isWanted = false;
  const goOn = (): void => {
    if (isWanted || response.headersSent) return;
    isWanted = true;
    response.shouldKeepAlive = keepsAlive;
    response.writeContinue();
  };
  // One reader takes the body as it flows and resumes it; another iterates and needs this event.
  incoming.once("resume", goOn);
  incoming.on("newListener", (name: unknown) => {
    if (name === "readable") goOn();
  });
}

/** What the server as a whole can do (RFC 9110, 9.3.7). */
const SERVER_METHODS = "GET, HEAD, PUT, POST, DELETE, OPTIONS";

/** More of a body that nobody wanted is not read: its connection ends. */
const UNWANTED_BYTES_MAX = 64 * 1024 * 1024;

/**
 * Reads what is left of the body of a request that was answered without it: the next request stands
 * behind it. Whoever looks at a body has a stream made of it, which pauses it; the adapter reads on
 * against that, gets nowhere, and after half a second ends a connection that was to stay. How long
 * the rest may take is bounded by Node's `requestTimeout`
 * (findings/hono-node-server-2-ends-kept-connections.sh).
 */
function readAway(incoming: IncomingMessage): void {
  if (incoming.readableEnded || incoming.destroyed) return;
  let left = UNWANTED_BYTES_MAX;
  incoming.removeAllListeners("data");
  incoming.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) incoming.socket.destroySoon();
  });
  incoming.resume();
  // So that the adapter takes it for read.
  Object.defineProperty(incoming, "readableEnded", { value: true });
}

/** How a request is carried out once its turn has come. */
function beginner(parts: HttpServerParts, writer: AnswerWriter): Begin {
  const listener = getRequestListener(
    async (request, { incoming, outgoing }) => {
      const answer = await parts.handler(request, {
        rawPath: incoming.url ?? "/",
        whenSent: (done) => (outgoing.destroyed ? done() : outgoing.once("close", done)),
      });
      // The adapter hands on only the status; workerd shows its users the words beside it.
      outgoing.statusMessage = answer.statusText;
      return answer;
    },
    { overrideGlobalObjects: false, hostname: HOST_OF_NOBODY, errorHandler: refuseUnreadable },
  );
  const { answerKey } = parts;
  const plain = answerKey == null ? null : { answerKey, writer };
  return (incoming, response) => {
    if (incoming.url === "*") return void response.writeHead(204, { Allow: SERVER_METHODS }).end();
    if (parts.raw !== undefined) return parts.raw.begin(incoming, response);
    if (plain !== null && answerPlainly(plain, incoming, response)) return;
    response.once("finish", () => readAway(incoming));
    void listener(incoming, response);
  };
}

/** How a request of the quick lane is carried out; null: there is no such lane. */
function quickTaker({ raw, answerKey }: HttpServerParts, writer: AnswerWriter): TakeQuickly | null {
  if (raw !== undefined) return raw.quick;
  if (answerKey == null) return null;
  return ({ request, target }, turn) => {
    const answer = answerKey(request, target);
    if (answer === null) return false;
    void answer.then((given) => writer.write(turn, given));
    return true;
  };
}

/** Has connections begin in the quick lane: Node does not count them before they come to it. */
function openQuickLane(server: Server, parts: Omit<LaneParts, "handOver">): void {
  const event = server instanceof TlsServer ? "secureConnection" : "connection";
  const [listen] = server.listeners(event) as ((socket: Socket) => void)[];
  if (listen === undefined) return;
  const lane = new QuickLane({ ...parts, handOver: (socket) => listen.call(server, socket) });
  server.off(event, listen);
  server.on(event, (socket: Socket) => lane.take(socket));
  const closeIdle = server.closeIdleConnections.bind(server);
  const closeAll = server.closeAllConnections.bind(server);
  Object.assign(server, {
    closeIdleConnections() {
      closeIdle();
      lane.endIdle();
    },
    closeAllConnections() {
      closeAll();
      lane.endAll();
    },
  });
}

/** A client that speaks HTTP/1.0 without a Host cannot be a browser that was lured here. */
const HOST_OF_NOBODY = "localhost";

/** For a request that is well-formed as HTTP but makes no URL. The app itself throws nothing. */
const refuseUnreadable = (): Response => problemResponse(malformedTarget);

export function makeHttpServer(parts: HttpServerParts): HttpServer {
  const limits = { ...httpLimits, ...parts.limits };
  const writer = new AnswerWriter();
  const pipelines = new Pipelines(limits, {
    begin: beginner(parts, writer),
    forget: (response) => bodyRoom.release(response),
  });
  const onRequest: Begin = (incoming, response) => {
    const breach = breachOf(incoming);
    if (breach === null) pipelines.take(incoming, response);
    else pipelines.refuseRequest(incoming, response, breach);
  };
  const server = listenerOf(parts, limits, onRequest);
  const take = quickTaker(parts, writer);
  if (take !== null) openQuickLane(server, { take, places: pipelines, limits });
  server.maxConnections = limits.connectionCountMax;
  // Peers come in by the same door: clients that only keep their connections make room for them.
  server.on("drop", () => server.closeIdleConnections());
  server.setTimeout(limits.inactiveMsMax);
  server.on("checkContinue", (incoming: IncomingMessage, response: ServerResponse) => {
    holdBack100(incoming, response);
    onRequest(incoming, response);
  });
  server.on("checkExpectation", (incoming: IncomingMessage, response: ServerResponse) =>
    pipelines.refuseRequest(incoming, response, expectationFailed),
  );
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET") return void socket.destroy();
    // Nothing is wrong with what came: Node 24 reads on over TLS while it lets a pipeline wait, and
    // then gives up (findings/node-24-https-gives-up-on-pipelines.sh). A client sends such requests
    // again that were not answered (RFC 9112, 9.3.2).
    if (error.code === "HPE_PAUSED") return pipelines.refuseBytes(socket, null);
    pipelines.refuseBytes(socket, refusalOf(error));
  });
  // Node hands the bare connection over: this is no proxy (RFC 9110, 9.3.6).
  server.on("connect", (_, socket: Duplex) => {
    socket.on("error", () => socket.destroy());
    // Until its turn has come, nobody would learn that the client is gone.
    socket.resume();
    pipelines.refuseBytes(socket, unknownMethod);
  });
  server.on("upgrade", (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    // Before Node 24.9 every upgrade comes here, whether it is recognised or not.
    if (!parts.internal.accept(incoming, socket, head)) refuseRaw(socket, noSuchRoute);
  });
  const stop = async (msMax: number): Promise<void> => {
    server.close();
    server.closeIdleConnections();
    await pipelines.finish(msMax);
  };
  return { server, stop };
}
