/**
 * Messages between Node processes: one persistent connection from each node to each other, dialled
 * when first needed, many calls at a time on each. Requests go out on the own connection, replies
 * back on the one that brought the request.
 *
 * The node above learns one bit: a reply, or none. A refused or broken connection says so at once
 * for every call that was on it; a black hole is left to the callers' own time-outs, but for the
 * dialling itself, which is given up after a second.
 */
import { type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import { CodecError } from "../../core/codec.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { MESSAGE_BYTES_MAX } from "../../core/limits.ts";
import { decodeMessage, encodeMessage, type Message } from "../../core/messages.ts";
import { FrameError, FrameReader, FrameWriter } from "./frames.ts";
import { type Ends, helloHeaders, isProof, newNonce, proof, readHello } from "./handshake.ts";
import type { Log } from "./logger.ts";

export interface TransportParts {
  readonly self: ReplicaId;
  readonly cluster: string;
  readonly key: Uint8Array;
  /** The member's URL by the current ring; undefined when it is no member. */
  urlOf(id: ReplicaId): string | undefined;
  onMessage(from: ReplicaId, message: Message): void;
  onUnreachable(to: ReplicaId, call: number): void;
  readonly log: Log;
}

const DIAL_MS_MAX = 1000;
/** After a failed dial the next one waits this long; calls meanwhile fail at once. */
const REDIAL_MS = 50;
/** Bytes that may wait for one peer: some 200 messages of 1 MiB. Beyond, calls fail at once. */
const BACKLOG_BYTES_MAX = MESSAGE_BYTES_MAX;
const PROOF_BYTES = 32;

interface Link {
  readonly peer: ReplicaId;
  /** Calls that were sent, or wait for the connection, and how many replies each still gets. */
  readonly open: Map<number, number>;
  writer: FrameWriter | null;
  waiting: Uint8Array[];
  isDialling: boolean;
  failedAt: number;
}

export class Transport {
  readonly #parts: TransportParts;
  readonly #links = new Map<ReplicaId, Link>();
  readonly #accepted = new Map<ReplicaId, FrameWriter>();
  readonly #sockets = new Set<Duplex>();
  #isClosed = false;
  malformedCount = 0;

  constructor(parts: TransportParts) {
    this.#parts = parts;
  }

  send(to: ReplicaId, message: Message): void {
    const bytes = encodeMessage(message);
    if (message.type === "reply") {
      // Without a connection from the peer there is nobody waiting any more.
      this.#accepted.get(to)?.write(bytes);
      return;
    }
    const link = this.#linkTo(to);
    const isRecent = performance.now() - link.failedAt < REDIAL_MS;
    const backlog = link.writer?.bufferedByteCount ?? 0;
    if (this.#isClosed || isRecent || backlog > BACKLOG_BYTES_MAX) {
      setImmediate(() => this.#parts.onUnreachable(to, message.call));
      return;
    }
    const expectsTwo = message.body.kind === "store" && message.body.ack === 2;
    link.open.set(message.call, expectsTwo ? 2 : 1);
    forgetOldest(link.open);
    if (link.writer !== null) return link.writer.write(bytes);
    link.waiting.push(bytes);
    if (!link.isDialling) this.#dial(link);
  }

  /** An upgrade request on the HTTP listener; false when it is none of ours. */
  accept(incoming: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const hello = readHello(incoming.headers);
    if (hello === null || incoming.url !== "/internal") return false;
    const { ends, nonce } = hello;
    const isKnown =
      ends.cluster === this.#parts.cluster &&
      ends.to === this.#parts.self &&
      ends.from !== this.#parts.self &&
      this.#parts.urlOf(ends.from) !== undefined;
    if (!isKnown) return false;
    const nonces = { client: nonce, server: newNonce() };
    const mine = proof(this.#parts.key, "server", { ends, nonces }).toString("base64url");
    const lines = [
      "HTTP/1.1 101 Switching Protocols",
      "Connection: Upgrade",
      "Upgrade: starling-internal/1",
      `Starling-Nonce: ${nonces.server}`,
      `Starling-Proof: ${mine}`,
    ];
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    const expected = proof(this.#parts.key, "client", { ends, nonces });
    this.#serve(socket, head, { peer: ends.from, expected });
    return true;
  }

  close(): void {
    this.#isClosed = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #linkTo(peer: ReplicaId): Link {
    let link = this.#links.get(peer);
    if (link === undefined) {
      const closed = { writer: null, isDialling: false, failedAt: Number.NEGATIVE_INFINITY };
      link = { peer, open: new Map(), waiting: [], ...closed };
      this.#links.set(peer, link);
    }
    return link;
  }

  #serve(socket: Duplex, head: Buffer, of: { peer: ReplicaId; expected: Buffer }): void {
    const { peer, expected } = of;
    const writer = new FrameWriter(socket);
    let isProven = false;
    const onFrame = (frame: Uint8Array): void => {
      if (isProven) return this.#parts.onMessage(peer, decodeMessage(frame));
      if (!isProof(frame, expected)) throw new FrameError("the proof is wrong");
      isProven = true;
      this.#accepted.set(peer, writer);
    };
    const boundOf = (): number => (isProven ? MESSAGE_BYTES_MAX : PROOF_BYTES);
    this.#read(socket, head, { peer, onFrame, boundOf });
    socket.on("close", () => {
      if (this.#accepted.get(peer) === writer) this.#accepted.delete(peer);
    });
  }

  #dial(link: Link): void {
    const url = this.#parts.urlOf(link.peer);
    if (url === undefined) return this.#fail(link);
    link.isDialling = true;
    const ends: Ends = {
      cluster: this.#parts.cluster,
      from: this.#parts.self,
      to: link.peer,
    };
    const nonce = newNonce();
    const dialling = request(`${url}/internal`, {
      headers: helloHeaders(ends, nonce),
      agent: false,
      timeout: DIAL_MS_MAX,
    });
    const giveUp = (reason: string): void => {
      dialling.destroy();
      if (!link.isDialling) return;
      link.isDialling = false;
      // Said once for each time that a peer goes away, not for each attempt to reach it.
      const isNews = link.failedAt === Number.NEGATIVE_INFINITY;
      if (isNews) this.#parts.log("peer-unreachable", { peer: link.peer, reason });
      this.#fail(link);
    };
    dialling.on("timeout", () => giveUp("no answer in time"));
    dialling.on("error", (error: NodeJS.ErrnoException) => giveUp(error.code ?? error.message));
    dialling.on("response", (response) => giveUp(`refused with status ${response.statusCode}`));
    dialling.on("upgrade", (response, socket, head) => {
      const server = String(response.headers["starling-nonce"] ?? "");
      const given = Buffer.from(String(response.headers["starling-proof"] ?? ""), "base64url");
      const about = { ends, nonces: { client: nonce, server } };
      if (!isProof(given, proof(this.#parts.key, "server", about))) {
        socket.destroy();
        return giveUp("it does not know the cluster's secret");
      }
      dialling.setTimeout(0);
      this.#open(link, { socket, head, first: proof(this.#parts.key, "client", about) });
    });
    dialling.end();
  }

  #open(link: Link, on: { socket: Duplex; head: Buffer; first: Buffer }): void {
    const { socket, head, first } = on;
    link.isDialling = false;
    link.failedAt = Number.NEGATIVE_INFINITY;
    link.writer = new FrameWriter(socket);
    link.writer.write(first);
    for (const bytes of link.waiting) link.writer.write(bytes);
    link.waiting = [];
    const onFrame = (frame: Uint8Array): void => {
      const message = decodeMessage(frame);
      if (message.type !== "reply") throw new FrameError("a request on the wrong connection");
      const left = (link.open.get(message.call) ?? 1) - 1;
      if (left > 0) link.open.set(message.call, left);
      else link.open.delete(message.call);
      this.#parts.onMessage(link.peer, message);
    };
    const boundOf = (): number => MESSAGE_BYTES_MAX;
    this.#read(socket, head, { peer: link.peer, onFrame, boundOf });
    socket.on("close", () => {
      link.writer = null;
      this.#fail(link);
    });
  }

  #read(
    socket: Duplex,
    head: Buffer,
    of: { peer: ReplicaId; onFrame: (frame: Uint8Array) => void; boundOf: () => number },
  ): void {
    this.#sockets.add(socket);
    if ("setNoDelay" in socket && typeof socket.setNoDelay === "function") socket.setNoDelay(true);
    if ("setTimeout" in socket && typeof socket.setTimeout === "function") socket.setTimeout(0);
    const reader = new FrameReader(of.boundOf, of.onFrame);
    const take = (chunk: Buffer): void => {
      try {
        reader.push(chunk);
      } catch (error) {
        if (!(error instanceof FrameError) && !(error instanceof CodecError)) throw error;
        this.malformedCount++;
        this.#parts.log("malformed-frame", { peer: of.peer, reason: error.message });
        socket.destroy();
      }
    };
    socket.on("data", take);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
    if (head.length > 0) take(head);
  }

  #fail(link: Link): void {
    link.failedAt = performance.now();
    link.waiting = [];
    const calls = [...link.open.keys()];
    link.open.clear();
    for (const call of calls) this.#parts.onUnreachable(link.peer, call);
  }
}

/** Calls that a peer never answered are forgotten in the end; their callers gave up long before. */
const OPEN_CALLS_MAX = 65_536;

function forgetOldest(open: Map<number, number>): void {
  if (open.size <= OPEN_CALLS_MAX) return;
  const oldest = open.keys().next();
  if (oldest.done !== true) open.delete(oldest.value);
}
