/** The door's listener on Node: requests with their raw fields, answers as they stream. */
import { ServerResponse } from "node:http";
import { BlockList, isIP, type Socket } from "node:net";
import { oncePer } from "../../../core/once-per.ts";
import { type Fields, fieldOf, fieldsOf, has } from "../../cache/fields.ts";
import type { Door } from "../../door/door.ts";
import type { DoorMetrics } from "../../door/door-metrics.ts";
import type { Bytes, DoorAnswer, DoorRequest } from "../../door/ports.ts";
import { SMALL_BYTES } from "../../frontend/http/body-room.ts";
import { EndOfTurn } from "../http/end-of-turn.ts";
import { httpLimits } from "../http/http-server.ts";
import { type Begin, turnAway } from "../http/pipelines.ts";
import type { Recipient } from "../http/plain-exchange.ts";
import type { TakeQuickly } from "../http/quick-lane.ts";
import type { RawHeaders } from "../http/raw-headers.ts";
import { refuse, timedOut } from "../http/refusals.ts";
import { plainAddress } from "./own-addresses.ts";
import { bytesOf } from "./reading.ts";

const listOf = oncePer((cidrs: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = "", bits] = cidr.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    if (isIP(address) === 0) continue;
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
});

const addressOf = oncePer(({ remoteAddress = "" }: Socket): string => plainAddress(remoteAddress));

export interface DoorListenerOptions {
  readonly scheme: DoorRequest["scheme"];
  /** How long a client's next bytes may take, in ms. A whole upload may take any time. */
  readonly bodyIdleMsMax: number;
  /** Requests that are carried out at once; one more is turned away with 429. */
  readonly atWorkCountMax?: number;
}

const AT_WORK_COUNT_MAX = httpLimits.inFlightCountMax;

/** A client's body. A client that falls silent is told so, and its connection ends. */
async function* uploaded(response: ServerResponse, idleMs: number): Bytes {
  const incoming = response.req;
  const late = (): Error => {
    if (response.headersSent) incoming.destroy();
    else refuse(response, timedOut, { Connection: "close" });
    return new Error(`no byte of the request came for ${idleMs} ms`);
  };
  try {
    yield* bytesOf(incoming, idleMs, late);
  } finally {
    // An answer does not wait for the rest of the body, which the next request comes after.
    if (!incoming.readableEnded) incoming.resume();
  }
}

type Source = Pick<DoorRequest, "method" | "target" | "scheme" | "fields" | "body" | "isLasting">;

/** A request as the host has it: what is seldom needed is put together on demand. */
class HostRequest implements DoorRequest {
  readonly method: string;
  readonly target: string;
  readonly scheme: DoorRequest["scheme"];
  readonly fields: Fields;
  readonly body: Bytes | null;
  readonly isLasting: boolean;
  readonly #to: Recipient;

  constructor({ method, target, scheme, fields, body, isLasting }: Source, to: Recipient) {
    this.method = method;
    this.target = target;
    this.scheme = scheme;
    this.fields = fields;
    this.body = body;
    this.isLasting = isLasting === true;
    this.#to = to;
  }

  get #socket(): Socket {
    return this.#to instanceof ServerResponse ? this.#to.req.socket : this.#to.socket;
  }

  get address(): string {
    return addressOf(this.#socket);
  }

  get port(): number | null {
    return this.#socket.localPort ?? null;
  }

  isFrom(cidrs: readonly string[]): boolean {
    const { address } = this;
    if (isIP(address) === 0) return false;
    return listOf(cidrs).check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  }

  get onInterim(): NonNullable<DoorRequest["onInterim"]> {
    return (status, fields) => passInterim(responseOf(this.#to), status, fields);
  }
}

const responseOf = (to: Recipient): ServerResponse =>
  to instanceof ServerResponse ? to : to.response;

/** A request that Node has read. */
function nodeRequest(response: ServerResponse, options: DoorListenerOptions): DoorRequest {
  const { scheme, bodyIdleMsMax } = options;
  const { method = "GET", url: target = "/", rawHeaders } = response.req;
  const fields = fieldsOf(rawHeaders);
  const announced = Number(fieldOf(fields, "content-length") ?? 0);
  const hasBody = announced > 0 || has(fields, "transfer-encoding");
  const body = hasBody ? uploaded(response, bodyIdleMsMax) : null;
  return new HostRequest({ method, target, scheme, fields, body }, response);
}

/** The fields of a client that sends the same ones again and again. */
const fieldsIn = oncePer(({ raw }: RawHeaders): Fields => fieldsOf(raw));

/** 102 and 103 are what Node can send (RFC 9110, 15.2; RFC 8297). */
function passInterim(response: ServerResponse, status: number, fields: Fields): void {
  if (response.headersSent || response.destroyed) return;
  // An HTTP/1.0 client would take it for the answer (RFC 9110, 15.2).
  if (response.req.httpVersion === "1.0") return;
  if (status === 102) response.writeProcessing();
  if (status !== 103) return;
  const hints: Record<string, string | string[]> = {};
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    // What follows has no body (RFC 9110, 8.6).
    if (lower === "content-length") continue;
    if (lower === "link") hints["link"] = [...(hints["link"] ?? []), value];
    else hints[lower] = value;
  }
  if (hints["link"] === undefined) return;
  try {
    response.writeEarlyHints(hints);
  } catch {
    // A link that Node would not write is one hint less, and the answer is sound without it.
  }
}

/** Resolves when there is room for more, or nobody to take it. */
const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const go = (): void => {
      response.off("drain", go).off("close", go);
      resolve();
    };
    response.on("drain", go).on("close", go);
  });

async function stream(response: ServerResponse, body: Bytes, sent: (n: number) => void) {
  const parts = body[Symbol.asyncIterator]();
  // The body's source may be silent for long, and must learn that nobody listens any more.
  response.once("close", () => void parts.return?.().catch(() => undefined));
  try {
    for await (const bytes of { [Symbol.asyncIterator]: () => parts }) {
      if (response.destroyed) return;
      sent(bytes.length);
      if (!response.write(bytes)) await drained(response);
    }
    response.end();
  } catch {
    // The answer has begun: only by breaking the connection can it be shown to be incomplete.
    response.destroy();
  }
}

interface Head {
  readonly status: number;
  readonly fields: readonly string[];
  readonly isDated: boolean;
}

function headOf({ status, fields, body, length }: DoorAnswer): Head {
  const flat: string[] = [];
  let isDated = false;
  for (const [name, value] of fields) {
    isDated ||= name.length === 4 && name.toLowerCase() === "date";
    flat.push(name, value);
  }
  if (length !== null && body !== null) flat.push("Content-Length", String(length));
  return { status, fields: flat, isDated };
}

/** @returns false when the answer is over: nobody is there, or a field cannot be sent */
function writeHead(response: ServerResponse, { status, fields, isDated }: Head): boolean {
  if (response.destroyed || response.headersSent) return false;
  response.sendDate = !isDated;
  try {
    response.writeHead(status, [...fields]);
    return true;
  } catch {
    // A field that cannot be sent costs only its own answer.
    response.writeHead(502, { "Content-Length": "0" }).end();
    return false;
  }
}

/** An answer whose body streams. */
async function writeStream(
  response: ServerResponse,
  { answer, body }: { readonly answer: DoorAnswer; readonly body: Bytes },
  sent: (byteCount: number) => void,
): Promise<void> {
  if (!writeHead(response, headOf(answer))) return end(body);
  // Headers go out with the first bytes; where these take long, before them. Node's `flushHeaders`
  // would send what is not ASCII in them as UTF-8: not the bytes that came.
  response.write("", "latin1");
  await stream(response, body, sent);
}

const end = async (body: Bytes): Promise<void> => {
  await body[Symbol.asyncIterator]().return?.();
};

interface Whole {
  readonly to: Recipient;
  readonly answer: DoorAnswer;
  readonly body: Uint8Array | null;
}

function writeWhole({ to, answer, body }: Whole, sent: (byteCount: number) => void): void {
  const head = headOf(answer);
  const isShort = body === null || body.length <= SMALL_BYTES;
  if (to instanceof ServerResponse || !isShort || !to.send({ ...head, body })) {
    const response = responseOf(to);
    if (!writeHead(response, head)) return;
    if (body === null) return void response.end();
    response.end(body);
  }
  if (body !== null) sent(body.length);
}

export function doorListener(door: Door, metrics: DoorMetrics, options: DoorListenerOptions) {
  const { atWorkCountMax = AT_WORK_COUNT_MAX, scheme } = options;
  /** Requests without an answer yet, even if their clients have gone: each may hold an origin. */
  let atWorkCount = 0;
  const sentOf =
    (answer: DoorAnswer) =>
    (byteCount: number): void =>
      metrics.sent(answer, byteCount);
  const whole = new EndOfTurn<Whole>((one) => writeWhole(one, sentOf(one.answer)));
  const write = (to: Recipient, answer: DoorAnswer): void => {
    const { body } = answer;
    if (body === null || body instanceof Uint8Array) return whole.add({ to, answer, body });
    const response = responseOf(to);
    writeStream(response, { answer, body }, sentOf(answer)).catch(() => response.destroy());
  };
  const carryOut = (request: DoorRequest, to: Recipient): void => {
    atWorkCount++;
    door.handle(request).then(
      (answer) => {
        atWorkCount--;
        write(to, answer);
      },
      () => {
        atWorkCount--;
        responseOf(to).destroy();
      },
    );
  };
  const begin: Begin = (_, response) => {
    if (atWorkCount >= atWorkCountMax) return turnAway(response);
    carryOut(nodeRequest(response, options), response);
  };
  const quick: TakeQuickly = ({ request, target }, turn) => {
    const { method, headers } = request;
    if (method !== "GET" || atWorkCount >= atWorkCountMax) return false;
    const source = { method, target, scheme, fields: fieldsIn(headers), body: null };
    carryOut(new HostRequest({ ...source, isLasting: true }, turn), turn);
    return true;
  };
  return { begin, quick };
}
