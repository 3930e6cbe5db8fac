/**
 * Origins on Node: requests by Node's own client, which passes bytes on as they are, follows no
 * redirect and tells of interim responses. Connections are kept and used again.
 */
import {
  type ClientRequest,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
  type RequestOptions,
} from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as tlsConnect } from "node:tls";
import { fieldsOf } from "../../cache/fields.ts";
import {
  type Bytes,
  type Origin,
  OriginError,
  type OriginRequest,
  type OriginResponse,
} from "../../door/ports.ts";
import { addressesOf, isOurs, type Ours } from "./own-addresses.ts";
import { Patience, silentFor } from "./patience.ts";
import { bytesOf } from "./reading.ts";

/** Idle connections that are kept to one origin. */
const IDLE_COUNT_MAX = 64;
const IDLE_MS = 15_000;
/** For the head of an answer, and as much again for all interim ones before it. */
const HEADER_BYTES_MAX = 65_536;
/** The size of an interim answer without fields, such as `HTTP/1.1 102 Processing`. */
const INTERIM_BYTES = 27;

type Made = (error: Error | null, socket?: Duplex) => void;
type Options = RequestOptions & { host: string; port: number; servername?: string };

/**
 * Where to connect: an address that the name resolves to now, unless it is our own. @throws
 * OriginError
 */
async function targetOf(options: Options, ours: Ours): Promise<string> {
  const addresses = await addressesOf(options.host);
  for (const address of addresses) {
    if (!(await isOurs(address, Number(options.port), ours))) return address;
  }
  throw new OriginError(
    "origin-unreachable",
    "The origin is a member of this cluster, or this process itself.",
  );
}

const makeAgents = (ours: Ours): { http: PlainAgent; https: TlsAgent } => {
  const settings = { keepAlive: true, maxFreeSockets: IDLE_COUNT_MAX, timeout: IDLE_MS };
  const http = new PlainAgent(settings);
  const https = new TlsAgent(settings);
  const through =
    (open: (options: Options, address: string) => Socket) =>
    (options: Options, made: Made): undefined => {
      targetOf(options, ours).then(
        (address) => made(null, open(options, address)),
        (error: Error) => made(error),
      );
      return undefined;
    };
  const plain = through(({ port }, host) => connect({ host, port, noDelay: true }));
  const secure = through((options, host) => {
    const { port, host: name } = options;
    const servername = options.servername ?? name;
    return tlsConnect({ host, port: Number(port), servername, ALPNProtocols: ["http/1.1"] });
  });
  Object.assign(http, { createConnection: plain });
  Object.assign(https, { createConnection: secure });
  return { http, https };
};

/** Codes of Node's parser: what came is not HTTP. */
const isMalformed = ({ code = "" }: NodeJS.ErrnoException): boolean => code.startsWith("HPE_");

function faultOf(error: Error): OriginError {
  if (error instanceof OriginError) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (isMalformed(error)) return new OriginError("origin-invalid", `It is not HTTP (${code}).`);
  return new OriginError(
    "origin-unreachable",
    `The origin cannot be reached (${code ?? "closed"}).`,
  );
}

/**
 * When a body that nobody wants is ended before it was begun, a generator does nothing. A body that
 * has come whole by then, as the empty one of a 304, leaves the connection to the next request.
 */
function bodyOf(incoming: IncomingMessage, timeoutMs: number): Bytes {
  const bytes = partsOf(incoming, timeoutMs);
  const iterator: AsyncIterableIterator<Uint8Array> = {
    next: () => bytes.next(),
    return: () => {
      if (incoming.complete) incoming.resume();
      else incoming.destroy();
      return bytes.return(undefined);
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}

async function* partsOf(incoming: IncomingMessage, timeoutMs: number): AsyncGenerator<Uint8Array> {
  let isWhole = false;
  try {
    yield* bytesOf(incoming, timeoutMs, () => silentFor(timeoutMs));
    isWhole = incoming.complete;
    if (!isWhole) throw new OriginError("origin-invalid", "The body broke off.");
  } catch (error) {
    throw error instanceof Error ? faultOf(error) : error;
  } finally {
    // A body that is not read to its end leaves the connection unusable.
    if (!isWhole) incoming.destroy();
  }
}

/** Writes the client's body as it comes. */
async function send(request: ClientRequest, body: Bytes | null, patience: Patience): Promise<void> {
  if (body !== null) {
    patience.waitForClient(true);
    for await (const bytes of body) {
      if (request.destroyed) return;
      patience.waitForClient(false);
      if (!request.write(bytes)) await drained(request);
      patience.waitForClient(true);
    }
    patience.waitForClient(false);
  }
  request.end();
}

const drained = (request: ClientRequest): Promise<void> =>
  new Promise((resolve) => {
    const go = (): void => {
      request.off("drain", go).off("close", go);
      resolve();
    };
    request.on("drain", go).on("close", go);
  });

/** Framing is made anew (RFC 9112, 6): by the length that the client announced, or in chunks. */
function framed(asked: OriginRequest): string[][] {
  const { method, body, bodyLength, fields, host } = asked;
  const headers = [["Host", host], ...fields.map(([name, value]) => [name, value])];
  if (body !== null) {
    headers.push(
      bodyLength === null ? ["Transfer-Encoding", "chunked"] : ["Content-Length", bodyLength],
    );
  } else if (method === "POST" || method === "PUT" || method === "PATCH") {
    headers.push(["Content-Length", "0"]);
  }
  return headers;
}

export class NodeOrigin implements Origin {
  readonly #agents: ReturnType<typeof makeAgents>;

  constructor(ours: Ours) {
    this.#agents = makeAgents(ours);
  }

  async fetch(asked: OriginRequest): Promise<OriginResponse> {
    for (let attempt = 0; ; attempt++) {
      const request = this.#open(asked);
      try {
        return await this.#respond(request, asked);
      } catch (error) {
        request.destroy();
        // A kept connection may have ended before the request came; then nobody saw the request.
        const isStale = request.reusedSocket && attempt === 0 && isRepeatable(asked);
        const { code } = error as NodeJS.ErrnoException;
        if (isStale && (code === "ECONNRESET" || code === "EPIPE")) continue;
        throw error instanceof Error ? faultOf(error) : error;
      }
    }
  }

  close(): void {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  #open(asked: OriginRequest): ClientRequest {
    const base = new URL(asked.site.origin);
    const isTls = base.protocol === "https:";
    const path = base.pathname === "/" ? asked.target : `${base.pathname}${asked.target}`;
    const options = {
      host: base.hostname.replace(/^\[|\]$/g, ""),
      port: base.port === "" ? (isTls ? 443 : 80) : Number(base.port),
      method: asked.method,
      path,
      headers: framed(asked) as unknown as RequestOptions["headers"],
      setHost: false,
      maxHeaderSize: HEADER_BYTES_MAX,
      agent: isTls ? this.#agents.https : this.#agents.http,
    };
    return isTls ? tlsRequest(options) : plainRequest(options);
  }

  #respond(request: ClientRequest, asked: OriginRequest): Promise<OriginResponse> {
    return new Promise((resolve, reject) => {
      const patience = new Patience(asked.site, (error) => void request.destroy(error));
      request.on("socket", (socket) => {
        if (!socket.connecting) return patience.connected();
        const isTls = asked.site.origin.startsWith("https");
        socket.once(isTls ? "secureConnect" : "connect", () => patience.connected());
      });
      request.on("error", (error) => {
        patience.end();
        reject(error);
      });
      const refuse = (detail: string): void => {
        patience.end();
        reject(new OriginError("origin-invalid", detail));
      };
      // Node lets go of the socket then, so nobody would handle an error that it is ended with.
      request.on("upgrade", (_, socket) => {
        socket.destroy();
        refuse("It upgrades, unasked.");
      });
      let interimByteCount = 0;
      request.on("information", ({ statusCode, rawHeaders }) => {
        if (request.destroyed) return;
        interimByteCount += rawHeaders.reduce((sum, text) => sum + text.length, INTERIM_BYTES);
        if (interimByteCount > HEADER_BYTES_MAX) {
          const detail = "Its interim answers are longer than a head may be.";
          return void request.destroy(new OriginError("origin-invalid", detail));
        }
        patience.heard();
        asked.onInterim?.(statusCode, fieldsOf(rawHeaders));
      });
      request.on("response", (incoming) => {
        patience.end();
        // Errors of the body are its reader's.
        incoming.on("error", () => undefined);
        const { statusCode: status = 0 } = incoming;
        if (status < 200) return refuse(`Its status is ${status}, and no final one.`);
        const { "transfer-encoding": coding = "chunked" } = incoming.headers;
        // Node undoes only chunks, and any other transfer coding ends at this hop.
        if (!/^chunked$/i.test(coding)) return refuse(`Its transfer coding is ${coding}.`);
        // Its framing counts as faulty: HTTP/1.0 has no transfer codings (RFC 9112, 6.1).
        const isOld = incoming.httpVersion === "1.0";
        if (isOld && "transfer-encoding" in incoming.headers) {
          return refuse("It has a transfer coding, and is of HTTP/1.0.");
        }
        const fields = fieldsOf(incoming.rawHeaders);
        const body = bodyOf(incoming, asked.site.originTimeoutMs);
        resolve({ status, fields, body });
      });
      send(request, asked.body, patience).catch((error: Error) => request.destroy(error));
    });
  }
}

const isRepeatable = ({ method, body }: OriginRequest): boolean =>
  body === null && (method === "GET" || method === "HEAD" || method === "OPTIONS");
