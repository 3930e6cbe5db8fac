/**
 * The short way of a request for one key through the Node host: what the data plane needs of
 * Node's own request, without a `Request` around it, and its answer put straight onto the
 * connection. All else goes through @hono/node-server.
 */
import { type IncomingMessage, ServerResponse } from "node:http";
import { bodyRoom, SMALL_BYTES } from "../../frontend/http/body-room.ts";
import {
  type Answer,
  isContinueExpected,
  type PlainRequest,
  type WholeBody,
} from "../../frontend/http/exchange.ts";
import { EndOfTurn } from "./end-of-turn.ts";
import type { WholeAnswer } from "./quick-answer.ts";
import type { Turn } from "./quick-lane.ts";
import { RawHeaders } from "./raw-headers.ts";
import { readPace } from "./read-pace.ts";
import { refuse, unsendable } from "./refusals.ts";

/** Longer bodies take the other way, on which they can be refused while they stream in. */
const BODY_BYTES_MAX = 1024 * 1024;

/** A body whose length was announced, and is not too much to wait for. */
class AnnouncedBody implements WholeBody {
  /** Timed by Node's `requestTimeout`. */
  readonly isTimed = true;
  readonly #incoming: IncomingMessage;
  readonly #isHeldBack: boolean;

  /** @param isHeldBack whether the client sends it only when it is read */
  constructor(incoming: IncomingMessage, isHeldBack: boolean) {
    this.#incoming = incoming;
    this.#isHeldBack = isHeldBack;
  }

  async discard(): Promise<void> {
    if (!this.#isHeldBack) await this.gather(0);
  }

  gather(byteCountMax: number): Promise<Uint8Array | null> {
    return new Promise((resolve, reject) => {
      const incoming = this.#incoming;
      const chunks: Buffer[] = [];
      let byteCount = 0;
      incoming.on("data", (chunk: Buffer) => {
        byteCount += chunk.length;
        if (byteCount <= byteCountMax) chunks.push(chunk);
        readPace.took(incoming, chunk.length, byteCount);
      });
      incoming.on("end", () => {
        const [only] = chunks;
        if (byteCount > byteCountMax) resolve(null);
        else resolve(chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks));
      });
      // Both events may come after the end as well, and an error is expensive to make.
      const cutOff = (): void => {
        if (!incoming.readableEnded) reject(new Error("the body was cut off"));
      };
      incoming.on("error", cutOff);
      incoming.on("close", cutOff);
      // While it waited for its turn, its client may have gone.
      if (incoming.destroyed) cutOff();
    });
  }
}

/** The request in its plain form; null when it has a body that should be read as it streams in. */
export function plainRequest(incoming: IncomingMessage): PlainRequest | null {
  const { method = "", rawHeaders } = incoming;
  const headers = new RawHeaders(rawHeaders);
  if (headers.get("Transfer-Encoding") !== null) return null;
  const announced = headers.get("Content-Length");
  if (announced === null || method === "GET" || method === "HEAD") {
    return announced === null ? { method, headers, body: null } : null;
  }
  if (!/^[0-9]{1,7}$/.test(announced) || Number(announced) > BODY_BYTES_MAX) return null;
  const isHeldBack = isContinueExpected(headers);
  const body = announced === "0" ? null : new AnnouncedBody(incoming, isHeldBack);
  return { method, headers, body };
}

/** To whom an answer is owed: a request that Node has read, or one of the quick lane. */
export type Recipient = ServerResponse | Turn;

interface Unwritten {
  readonly to: Recipient;
  readonly answer: Answer;
}

/** Writes answers at the end of the turn of the event loop, together. */
export class AnswerWriter {
  readonly #whole = new EndOfTurn<Unwritten>(({ to, answer }) => writeAnswer(to, answer));

  write(to: Recipient, answer: Answer): void {
    // It is in memory until its reader has it.
    if (to instanceof ServerResponse) holdUntilSent(answer, to);
    this.#whole.add({ to, answer });
  }
}

const isLarge = ({ body }: Answer): boolean => body !== null && body.length > SMALL_BYTES;

function holdUntilSent(answer: Answer, response: ServerResponse): void {
  const { body } = answer;
  if (body === null || !isLarge(answer) || response.destroyed) return;
  if (typeof body === "string") bodyRoom.add(response, body.length);
  else bodyRoom.hold(response, body);
  response.once("close", () => bodyRoom.release(response));
}

/** Puts an answer onto the connection, if there still is one. */
function writeAnswer(to: Recipient, answer: Answer): void {
  const { status, headers, body } = answer;
  const fields: string[] = [];
  for (const name in headers) fields.push(name, headers[name] as string);
  if (to instanceof ServerResponse) return writeTo(to, { status, fields, body });
  if (!isLarge(answer) && to.send({ status, fields, body })) return;
  const { response } = to;
  holdUntilSent(answer, response);
  writeTo(response, { status, fields, body });
}

/** One that waits behind answers to earlier requests is kept by Node until its turn has come. */
function writeTo(response: ServerResponse, { status, fields, body }: WholeAnswer): void {
  if (response.destroyed || response.req.socket.writable === false) return;
  try {
    response.writeHead(status, [...fields]);
  } catch {
    // Stored headers came from elsewhere: one that cannot be sent costs only its own answer.
    return refuse(response, unsendable);
  }
  if (body === null) response.end();
  else if (typeof body === "string" || body.length <= SLICE_BYTES) response.end(body);
  else sendInSlices(response, body);
}

/**
 * The most that one answer gives to its connection in one turn of the event loop. The kernel takes
 * megabytes at once and copies them. With less, a value of the usual most, 1 MiB, would wait for
 * all that is read and written between its slices.
 */
const SLICE_BYTES = 1024 * 1024;

/** Goes on when the connection has taken what it was given, and other work has had its turn. */
function sendInSlices(response: ServerResponse, body: Uint8Array, from = 0): void {
  if (response.destroyed) return;
  const to = from + SLICE_BYTES;
  if (to >= body.length) return void response.end(body.subarray(from));
  const goOn = (): void => void setImmediate(sendInSlices, response, body, to);
  if (response.write(body.subarray(from, to))) goOn();
  else response.once("drain", goOn);
}
