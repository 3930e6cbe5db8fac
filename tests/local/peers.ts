/** Transports on real listeners, for tests: each says what it heard and whom it could not reach. */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Message, RequestMessage } from "../../core/messages.ts";
import type { Speech } from "../../core/version.ts";
import { type HttpServer, makeHttpServer } from "../../src/local/http/http-server.ts";
import { clusterKeys } from "../../src/local/identity/secrets.ts";
import { Transport, type TransportLimits } from "../../src/local/peers/transport.ts";

export const keyOf = (secret: string): Uint8Array =>
  clusterKeys(Buffer.from(secret), "c").transport;
export const KEY = keyOf("the secret of the tests");
export const CLUSTER = "test";

export interface Heard {
  readonly from: string;
  readonly message: Message;
}

export interface Peer {
  readonly id: string;
  readonly url: string;
  readonly transport: Transport;
  readonly heard: Heard[];
  readonly unreachable: number[];
  /** Those of which nothing was sent. */
  readonly unsent: number[];
  readonly logged: string[];
  /** Peers that were refused for their versions, or are not any more. */
  readonly refused: [string, string | null][];
  close(): Promise<void>;
}

export interface PeerOptions {
  readonly keys?: readonly Uint8Array[];
  readonly cluster?: string;
  readonly limits?: Partial<TransportLimits>;
  readonly speech?: Speech;
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return `http://127.0.0.1:${port}`;
}

/** Peers, proxies and listeners of one test, all closed with it. */
export class Net {
  /** Where each believes the others to be; a test may send them elsewhere. */
  readonly urls = new Map<string, string>();
  readonly #closing: (() => Promise<void>)[] = [];

  async peer(id: string, options: PeerOptions = {}): Promise<Peer> {
    const heard: Heard[] = [];
    const unreachable: number[] = [];
    const unsent: number[] = [];
    const logged: string[] = [];
    const refused: [string, string | null][] = [];
    const transport = new Transport({
      self: id,
      cluster: options.cluster ?? CLUSTER,
      keys: () => options.keys ?? [KEY],
      limits: options.limits ?? {},
      speech: options.speech,
      onRefusedVersion: (peer, speech) => void refused.push([peer, speech?.version ?? null]),
      urlOf: (peer) => this.urls.get(peer),
      onMessages: (from, messages) => heard.push(...messages.map((message) => ({ from, message }))),
      onUnreachable: (_, call, isUnsent) => {
        unreachable.push(call);
        if (isUnsent) unsent.push(call);
      },
      log: (event, fields) => void logged.push(`${event} ${JSON.stringify(fields)}`),
    });
    const http: HttpServer = makeHttpServer({
      handler: () => new Response("no such route", { status: 404 }),
      internal: transport,
    });
    const url = await listen(http.server);
    this.urls.set(id, url);
    const close = async (): Promise<void> => {
      transport.close();
      http.server.closeAllConnections();
      await new Promise((resolve) => http.server.close(resolve));
    };
    this.#closing.push(close);
    return { id, url, transport, heard, unreachable, unsent, logged, refused, close };
  }

  /** A listener that does with a connection what it likes. */
  async listener(onSocket: (socket: Socket) => void): Promise<string> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      onSocket(socket);
    });
    this.#closing.push(async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
    return listen(server);
  }

  /**
   * A cable between a caller and a url, that can be tapped and cut without either end hearing. A
   * connection that would carry more than so many bytes stands still.
   */
  async cable(
    to: string,
  ): Promise<{ url: string; tapped: Buffer[]; isCut: boolean; connectionBytesMax: number }> {
    const cable = { url: "", tapped: [] as Buffer[], isCut: false, connectionBytesMax: Infinity };
    cable.url = await this.listener((near) => {
      const far = connect(Number(new URL(to).port), "127.0.0.1");
      far.on("error", () => near.destroy());
      far.on("data", (bytes) => !cable.isCut && near.write(bytes));
      let byteCount = 0;
      near.on("data", (bytes) => {
        cable.tapped.push(Buffer.from(bytes));
        byteCount += bytes.length;
        if (byteCount > cable.connectionBytesMax) near.pause();
        else if (!cable.isCut) far.write(bytes);
      });
      near.on("close", () => far.destroy());
      far.on("close", () => near.destroy());
    });
    return cable;
  }

  async close(): Promise<void> {
    await Promise.all(this.#closing.map((close) => close()));
  }
}

export const ping = (call: number): RequestMessage => ({
  type: "request",
  call,
  stamp: 1,
  budgetMs: 1000,
  trace: "",
  body: { kind: "ping" },
});

/** A request of at least so many bytes. */
export const bulky = (call: number, byteCount: number): RequestMessage => ({
  ...ping(call),
  body: {
    kind: "store",
    key: "n\0k",
    entry: new Uint8Array(byteCount),
    hintFor: null,
    ack: "durable",
    tells: false,
  },
});

export const pong = (call: number): Message => ({ type: "reply", call, body: { kind: "pong" } });

/** Answers every request that the peer has heard and not answered yet. */
export function answerAll(peer: Peer): void {
  for (const { from, message } of peer.heard.splice(0)) {
    peer.transport.send(from, pong(message.call));
  }
}

/** What came as a reply, by its call. */
export const repliesTo = (peer: Peer): number[] =>
  peer.heard.filter(({ message }) => message.type === "reply").map(({ message }) => message.call);
