/**
 * The quick lane of a listener. Node's own parser, and the streams that it makes of each request
 * and each answer, take more time than all the rest of a small read. So a connection begins here,
 * and stays for as long as each of its requests is a usual one (quick-request.ts) that somebody
 * takes. With the first that is not, the connection goes over to Node's parser for good, together
 * with that request.
 *
 * There is one request at a time. What comes before its answer is left unread: a client that
 * pipelines goes over with what it has sent. A short body that comes after its head, as it does
 * from some clients and over most networks, is waited for until the next look at all connections. A
 * small answer is written in one piece; any other goes through a `ServerResponse` of Node's.
 */
import { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { piecesOfAnswer, type WholeAnswer } from "./quick-answer.ts";
import { QuickReader, type QuickRequest } from "./quick-request.ts";
import { incompleteBody, type Refusal, refuseRaw, timedOut } from "./refusals.ts";

/** A request whose answer is owed. It is given one, in one of two ways; later calls do nothing. */
export interface Turn {
  readonly socket: Socket;
  /** A whole answer, and a short one. @returns false, and nothing done, if it must go the other. */
  send(answer: WholeAnswer): boolean;
  /** For any other answer: made when it is asked for. */
  readonly response: ServerResponse;
}

/** @returns false, and nothing done, when the request has to come the long way */
export type TakeQuickly = (asked: QuickRequest, turn: Turn) => boolean;

/** Where requests at work are counted. */
export interface Places {
  /** @returns false when there are as many as the listener takes */
  enter(): boolean;
  leave(): void;
  /** Whether connections end with the answers that they are owed. */
  readonly isStopping: boolean;
}

export interface LaneLimits {
  /** Until the first request of a connection has come, in ms. */
  readonly headersMsMax: number;
  /** Between two requests, in ms. */
  readonly keepAliveMsMax: number;
  /** Without a byte in either direction while an answer is owed, in ms. */
  readonly inactiveMsMax: number;
}

export interface LaneParts {
  readonly take: TakeQuickly;
  /** Gives a connection to Node's parser, as if it had just been made. */
  readonly handOver: (socket: Socket) => void;
  readonly places: Places;
  readonly limits: LaneLimits;
}

const CHECK_MS = 1000;

interface Lane extends LaneParts {
  readonly connections: Set<Connection>;
  /** What an answer says of a connection that stays. */
  readonly staying: string;
}

/** One request and its answer. Once that is given, or its client gone, nothing comes of it. */
class RequestTurn implements Turn {
  readonly asked: QuickRequest;
  readonly #connection: Connection;

  constructor(asked: QuickRequest, connection: Connection) {
    this.asked = asked;
    this.#connection = connection;
  }

  get socket(): Socket {
    return this.#connection.socket;
  }

  send(answer: WholeAnswer): boolean {
    return this.#connection.send(this, answer);
  }

  get response(): ServerResponse {
    return this.#connection.responseTo(this);
  }
}

/** @returns whether the socket takes more at once */
function writeTogether(socket: Socket, pieces: readonly Uint8Array[]): boolean {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return socket.write(only);
  socket.cork();
  for (const piece of pieces) socket.write(piece);
  const takesMore = !socket.writableNeedDrain;
  socket.uncork();
  return takesMore;
}

class Connection {
  readonly socket: Socket;
  readonly #lane: Lane;
  readonly #reader = new QuickReader();
  /** Of the request that is at work. */
  #turn: RequestTurn | null = null;
  /** A request without the end of its body. */
  #short: Buffer | null = null;
  #response: ServerResponse | null = null;
  #hasServed = false;
  /** Its client has sent all that it will. */
  #hasEnded = false;
  /** Nothing more is taken from it (RFC 9112, 9.6). */
  #isOver = false;
  /** Bytes that moved when it was last looked at, and since when there were no more. */
  #movedByteCount = 0;
  #movedAt = performance.now();

  constructor(socket: Socket, lane: Lane) {
    this.socket = socket;
    this.#lane = lane;
    lane.connections.add(this);
    socket.on("data", this.#read).on("end", this.#ended);
    socket.on("error", this.#broken).on("close", this.#closed);
  }

  send(turn: RequestTurn, answer: WholeAnswer): boolean {
    if (turn !== this.#turn) return true;
    // What the client was told so far went through that one.
    if (this.#response !== null) return false;
    const isLast = this.#isLast;
    const pieces = piecesOfAnswer(answer, isLast ? "Connection: close\r\n" : this.#lane.staying);
    if (pieces === null) return false;
    if (writeTogether(this.socket, pieces)) this.#answered(isLast);
    // A client that does not read its answers is asked for no more requests.
    else this.socket.once("drain", () => this.#answered(isLast));
    return true;
  }

  responseTo(turn: RequestTurn): ServerResponse {
    const isOver = turn !== this.#turn;
    if (!isOver && this.#response !== null) return this.#response;
    const { socket } = this;
    const { request, target } = turn.asked;
    const incoming = new IncomingMessage(socket);
    Object.assign(incoming, { method: request.method, url: target, complete: true });
    Object.assign(incoming, { httpVersion: "1.1", httpVersionMajor: 1, httpVersionMinor: 1 });
    const response = new ServerResponse(incoming);
    if (isOver) return response.destroy();
    this.#response = response;
    response.shouldKeepAlive = !this.#isLast;
    response.assignSocket(socket);
    socket.on("drain", this.#drained);
    response.once("finish", () => {
      socket.off("drain", this.#drained);
      response.detachSocket(socket);
      this.#response = null;
      response.emit("close");
      this.#answered(!response.shouldKeepAlive || this.#isLast);
    });
    return response;
  }

  /**
   * Ends it between two requests. One that was just made is about to send its first, and one that
   * has begun a request goes over to Node's parser, which counts it among those at work.
   */
  endIfIdle(): void {
    if (this.#short !== null) return this.#handOver(this.#short);
    const isIdle = this.#hasServed && this.#turn === null;
    if (isIdle && this.socket.writableLength === 0) this.socket.destroy();
  }

  /** Ends it when nothing has moved for too long. Node's parser times those that are slow. */
  check(now: number): void {
    if (this.#short !== null) return this.#handOver(this.#short);
    const { bytesRead, bytesWritten, writableLength } = this.socket;
    // To send more is no sign that an answer is read.
    const readByteCount = writableLength > 0 ? 0 : bytesRead;
    const movedByteCount = readByteCount + bytesWritten - writableLength;
    if (movedByteCount !== this.#movedByteCount) {
      this.#movedByteCount = movedByteCount;
      this.#movedAt = now;
      return;
    }
    const { headersMsMax, inactiveMsMax, keepAliveMsMax } = this.#lane.limits;
    const restedMs = now - this.#movedAt;
    if (this.#turn !== null || writableLength > 0) {
      if (restedMs >= inactiveMsMax) this.socket.destroy();
    } else if (this.#hasServed || this.#isOver) {
      if (restedMs >= keepAliveMsMax) this.socket.destroy();
    } else if (restedMs >= headersMsMax) this.#refuse(timedOut);
  }

  #refuse(refusal: Refusal): void {
    this.#isOver = true;
    refuseRaw(this.socket, refusal);
  }

  get #isLast(): boolean {
    return this.#lane.places.isStopping || this.#hasEnded;
  }

  readonly #read = (bytes: Buffer): void => {
    const { socket } = this;
    if (this.#isOver) return;
    if (this.#turn !== null) {
      socket.pause();
      socket.unshift(bytes);
      return;
    }
    const all = this.#short === null ? bytes : Buffer.concat([this.#short, bytes]);
    const asked = this.#reader.read(all);
    this.#short = asked === "short" ? all : null;
    if (asked === "short") return;
    const { places, take } = this.#lane;
    if (asked === "other" || !places.enter()) return this.#handOver(all);
    this.#turn = new RequestTurn(asked, this);
    if (take(asked, this.#turn)) return;
    this.#turn = null;
    places.leave();
    this.#handOver(all);
  };

  #handOver(bytes: Buffer): void {
    const { socket } = this;
    const { connections, handOver } = this.#lane;
    connections.delete(this);
    socket.off("data", this.#read).off("end", this.#ended);
    socket.off("error", this.#broken).off("close", this.#closed);
    socket.pause();
    handOver(socket);
    socket.unshift(bytes);
    // Not before all of it is set up: the parser then takes these bytes as the first.
    process.nextTick(() => socket.resume());
  }

  #answered(isLast: boolean): void {
    // The client may have gone before the end of its answer.
    if (this.#turn === null) return;
    const { socket } = this;
    this.#turn = null;
    this.#hasServed = true;
    this.#lane.places.leave();
    this.#isOver = isLast;
    if (isLast) socket.end();
    if (socket.isPaused()) socket.resume();
  }

  readonly #ended = (): void => {
    this.#hasEnded = true;
    if (this.#short !== null) {
      this.#short = null;
      return this.#refuse(incompleteBody);
    }
    if (this.#turn === null) this.socket.end();
  };

  readonly #drained = (): void => void this.#response?.emit("drain");

  readonly #broken = (): void => void this.socket.destroy();

  readonly #closed = (): void => {
    this.#lane.connections.delete(this);
    if (this.#turn === null) return;
    this.#turn = null;
    this.#lane.places.leave();
  };
}

export class QuickLane {
  readonly #lane: Lane;
  #timer: ReturnType<typeof setInterval> | null = null;

  constructor(parts: LaneParts) {
    const seconds = Math.floor(parts.limits.keepAliveMsMax / 1000);
    const staying = `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n`;
    this.#lane = { ...parts, connections: new Set(), staying };
  }

  /** A connection that was just made. */
  take(socket: Socket): void {
    new Connection(socket, this.#lane);
    this.#timer ??= setInterval(() => this.#check(), CHECK_MS).unref();
  }

  /** Ends the connections that are between two requests. */
  endIdle(): void {
    for (const connection of this.#lane.connections) connection.endIfIdle();
  }

  endAll(): void {
    for (const { socket } of this.#lane.connections) socket.destroy();
  }

  #check(): void {
    const { connections } = this.#lane;
    const now = performance.now();
    for (const connection of connections) connection.check(now);
    if (connections.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}
