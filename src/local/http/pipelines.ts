/**
 * The requests of each connection, and all that are at work. Node's parser hands pipelined requests
 * over as fast as it reads them, and puts their answers onto the connection in order (RFC 9112,
 * 9.3.2). Here it is decided when each one begins: safe ones beside each other, an unsafe one when
 * all before it are answered. A waiting request is counted, but takes no place among those at work;
 * a client that sends on and on is not read any further. Whatever ends a connection ends all of its
 * requests.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { overloaded, type Refusal, refuse, refuseRaw } from "./refusals.ts";

export type Begin = (incoming: IncomingMessage, response: ServerResponse) => void;

export interface PipelineLimits {
  /** Requests at work at once; one more is turned away with 429. */
  readonly inFlightCountMax: number;
  /** Of those, how many of one connection. */
  readonly atOnceCountMax: number;
  /** Requests that wait for their turn, on all connections together. */
  readonly waitingCountMax: number;
}

/** While this many wait on a connection, nothing more is read from it. */
const WAITING_PAUSE_COUNT = 64;
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
const isSafe = ({ req }: ServerResponse): boolean => SAFE_METHODS.has(req.method ?? "");

export const turnAway = (response: ServerResponse): void =>
  refuse(response, overloaded, { "Retry-After": "1" });

/** What the connections share. */
interface Shared {
  readonly limits: PipelineLimits;
  readonly begin: Begin;
  readonly forget: (response: ServerResponse) => void;
  atWorkCount: number;
  waitingCount: number;
  isStopping: boolean;
  onChange(): void;
}

class Connection {
  readonly #socket: Duplex;
  readonly #shared: Shared;
  /** At work or answered, in the order of their requests, until the answer has left. */
  #open: ServerResponse[] = [];
  #waiting: ServerResponse[] = [];
  #last: ServerResponse | null = null;
  /** After these nothing more is taken from the connection. */
  #isEnding = false;
  /** What is done when all that is owed is given. */
  #ending: (() => void) | null = null;
  #isPaused = false;

  constructor(socket: Duplex, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
  }

  take(response: ServerResponse): void {
    // Behind an answer that says "close" nothing is processed any more (RFC 9112, 9.6).
    if (this.#isEnding) return;
    this.#last = response;
    if (this.#waiting.length === 0 && this.#mayBegin(response)) return this.#begin(response);
    const { waitingCount, limits } = this.#shared;
    if (waitingCount >= limits.waitingCountMax) return turnAway(response);
    this.#shared.waitingCount++;
    if (this.#waiting.push(response) < WAITING_PAUSE_COUNT || this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  /** Answers a request that is malformed as HTTP, in its turn; the connection ends with that. */
  refuseRequest(response: ServerResponse, refusal: Refusal): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#last = response;
    refuse(response, refusal, { Connection: "close" });
  }

  /**
   * Answers what could not be read as a request, after all that was: the sender would take it for
   * the answer to an earlier one. Never into the middle of an answer, nor as a second one.
   *
   * @param refusal null: nothing is wrong with it, and the connection ends without a word
   */
  refuseBytes(refusal: Refusal | null): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const last = this.#last;
    if (last !== null && !last.req.complete) {
      if (last.headersSent) return void this.#socket.destroy();
      // The refusal is the answer to this one, whose body is broken.
      this.#drop(last);
    }
    const socket = this.#socket;
    this.#ending = () => (refusal === null ? socket.end() : refuseRaw(socket, refusal));
    this.#endWhenDone();
  }

  /** Whatever has no answer by now gets none. */
  close(): void {
    this.#isEnding = true;
    // Node does not report those that waited behind another one.
    for (const response of this.#open) this.#shared.forget(response);
    this.#shared.atWorkCount -= this.#open.length;
    this.#shared.waitingCount -= this.#waiting.length;
    this.#open = [];
    this.#waiting = [];
    this.#shared.onChange();
  }

  /**
   * Lets the connection end with the last answer owed, or with the next if that one has begun
   * already.
   */
  stop(): void {
    const last = this.#open.at(-1);
    if (last?.headersSent === false) this.#endWith(last);
  }

  #endWith(response: ServerResponse): void {
    response.setHeader("Connection", "close");
    this.#isEnding = true;
    this.#shared.waitingCount -= this.#waiting.length;
    this.#waiting = [];
  }

  #mayBegin(response: ServerResponse): boolean {
    const count = this.#open.length;
    if (count === 0) return true;
    if (count >= this.#shared.limits.atOnceCountMax) return false;
    return isSafe(response) && this.#open.every(isSafe);
  }

  #begin(response: ServerResponse): void {
    const shared = this.#shared;
    if (shared.atWorkCount >= shared.limits.inFlightCountMax) return turnAway(response);
    shared.atWorkCount++;
    this.#open.push(response);
    if (shared.isStopping) this.#endWith(response);
    response.on("close", () => this.#answered(response));
    shared.begin(response.req, response);
  }

  #answered(response: ServerResponse): void {
    if (!this.#drop(response)) return;
    while (this.#waiting[0] !== undefined && this.#mayBegin(this.#waiting[0])) {
      const next = this.#waiting.shift() as ServerResponse;
      this.#shared.waitingCount--;
      this.#begin(next);
    }
    if (this.#isPaused && this.#waiting.length < WAITING_PAUSE_COUNT / 2) {
      this.#isPaused = false;
      this.#socket.resume();
    }
    this.#endWhenDone();
  }

  /** Gives its place up. Returns false when it has none. */
  #drop(response: ServerResponse): boolean {
    const waitingAt = this.#waiting.indexOf(response);
    if (waitingAt >= 0) {
      this.#waiting.splice(waitingAt, 1);
      this.#shared.waitingCount--;
      return true;
    }
    const at = this.#open.indexOf(response);
    if (at < 0) return false;
    this.#open.splice(at, 1);
    this.#shared.atWorkCount--;
    this.#shared.onChange();
    return true;
  }

  #endWhenDone(): void {
    if (this.#ending === null || this.#open.length + this.#waiting.length > 0) return;
    this.#ending();
    this.#ending = null;
  }
}

export class Pipelines {
  readonly #shared: Shared;
  readonly #bySocket = new WeakMap<Duplex, Connection>();
  readonly #connections = new Set<Connection>();
  #onIdle: (() => void) | null = null;

  /**
   * @param work `begin` begins a request whose turn it is; `forget` is told of the answers that
   *   were owed when a connection broke
   */
  constructor(limits: PipelineLimits, work: Pick<Shared, "begin" | "forget">) {
    const onChange = (): void => {
      if (this.#shared.atWorkCount === 0) this.#onIdle?.();
    };
    const counts = { atWorkCount: 0, waitingCount: 0, isStopping: false };
    this.#shared = { limits, ...work, ...counts, onChange };
  }

  get atWorkCount(): number {
    return this.#shared.atWorkCount;
  }

  get isStopping(): boolean {
    return this.#shared.isStopping;
  }

  /** Counts a request that is led elsewhere. @returns false when there are as many as it takes */
  enter(): boolean {
    const shared = this.#shared;
    if (shared.atWorkCount >= shared.limits.inFlightCountMax) return false;
    shared.atWorkCount++;
    return true;
  }

  leave(): void {
    this.#shared.atWorkCount--;
    this.#shared.onChange();
  }

  take(incoming: IncomingMessage, response: ServerResponse): void {
    this.#of(incoming.socket).take(response);
  }

  refuseRequest(incoming: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
    this.#of(incoming.socket).refuseRequest(response, refusal);
  }

  refuseBytes(socket: Duplex, refusal: Refusal | null): void {
    this.#of(socket).refuseBytes(refusal);
  }

  /** Lets every connection end with its answer; resolves when all are given or the time is up. */
  async finish(msMax: number): Promise<void> {
    this.#shared.isStopping = true;
    for (const connection of this.#connections) connection.stop();
    // By then requests that had begun in the quick lane have come to Node's parser.
    await new Promise(setImmediate);
    if (this.#shared.atWorkCount === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      setTimeout(resolve, msMax).unref();
    });
  }

  #of(socket: Duplex): Connection {
    const known = this.#bySocket.get(socket);
    if (known !== undefined) return known;
    const connection = new Connection(socket, this.#shared);
    this.#bySocket.set(socket, connection);
    this.#connections.add(connection);
    socket.once("close", () => {
      this.#connections.delete(connection);
      connection.close();
    });
    return connection;
  }
}
