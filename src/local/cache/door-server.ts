/** The door's listener on Node: requests with their raw fields, answers as they stream. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { BlockList, isIP, type Socket } from "node:net";
import { oncePer } from "../../../core/once-per.ts";
import { type Fields, fieldOf, fieldsOf, has } from "../../cache/fields.ts";
import type { Door } from "../../door/door.ts";
import type { DoorMetrics } from "../../door/door-metrics.ts";
import type { Bytes, DoorAnswer, DoorRequest } from "../../door/ports.ts";
import { EndOfTurn } from "../http/end-of-turn.ts";
import { httpLimits } from "../http/http-server.ts";
import { turnAway } from "../http/pipelines.ts";
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

/** A request as Node has it: what is seldom needed is put together on demand. */
class NodeRequest implements DoorRequest {
  readonly method: string;
  readonly target: string;
  readonly scheme: DoorRequest["scheme"];
  readonly fields: Fields;
  readonly body: Bytes | null;
  readonly #response: ServerResponse;

  constructor(response: ServerResponse, { scheme, bodyIdleMsMax }: DoorListenerOptions) {
    const incoming = response.req;
    this.#response = response;
    this.method = incoming.method ?? "GET";
    this.target = incoming.url ?? "/";
    this.scheme = scheme;
    this.fields = fieldsOf(incoming.rawHeaders);
    const announced = Number(fieldOf(this.fields, "content-length") ?? 0);
    const hasBody = announced > 0 || has(this.fields, "transfer-encoding");
    this.body = hasBody ? uploaded(response, bodyIdleMsMax) : null;
  }

  get address(): string {
    return addressOf(this.#response.req.socket);
  }

  get port(): number | null {
    return this.#response.req.socket.localPort ?? null;
  }

  isFrom(cidrs: readonly string[]): boolean {
    const { address } = this;
    if (isIP(address) === 0) return false;
    return listOf(cidrs).check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
  }

  get onInterim(): NonNullable<DoorRequest["onInterim"]> {
    return (status, fields) => passInterim(this.#response, status, fields);
  }
}

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

/** @returns false when the answer is over: nobody is there, or a field cannot be sent */
function writeHead(response: ServerResponse, { status, fields, body, length }: DoorAnswer) {
  if (response.destroyed || response.headersSent) return false;
  const flat: string[] = [];
  let isDated = false;
  for (const [name, value] of fields) {
    isDated ||= name.length === 4 && name.toLowerCase() === "date";
    flat.push(name, value);
  }
  if (length !== null && body !== null) flat.push("Content-Length", String(length));
  response.sendDate = !isDated;
  try {
    response.writeHead(status, flat);
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
  if (!writeHead(response, answer)) return end(body);
  // Headers go out with the first bytes; where these take long, before them. Node's `flushHeaders`
  // would send what is not ASCII in them as UTF-8: not the bytes that came.
  response.write("", "latin1");
  await stream(response, body, sent);
}

const end = async (body: Bytes): Promise<void> => {
  await body[Symbol.asyncIterator]().return?.();
};

interface Whole {
  readonly response: ServerResponse;
  readonly answer: DoorAnswer;
  readonly body: Uint8Array | null;
}

export function doorListener(door: Door, metrics: DoorMetrics, options: DoorListenerOptions) {
  const { atWorkCountMax = AT_WORK_COUNT_MAX } = options;
  /** Requests without an answer yet, even if their clients have gone: each may hold an origin. */
  let atWorkCount = 0;
  const whole = new EndOfTurn<Whole>(({ response, answer, body }) => {
    if (!writeHead(response, answer)) return;
    if (body === null) return void response.end();
    metrics.sent(answer, body.length);
    response.end(body);
  });
  return (_: IncomingMessage, response: ServerResponse): void => {
    const write = (answer: DoorAnswer): void => {
      const { body } = answer;
      if (body === null || body instanceof Uint8Array) return whole.add({ response, answer, body });
      const sent = (byteCount: number): void => metrics.sent(answer, byteCount);
      writeStream(response, { answer, body }, sent).catch(() => response.destroy());
    };
    if (atWorkCount >= atWorkCountMax) return turnAway(response);
    atWorkCount++;
    door.handle(new NodeRequest(response, options)).then(
      (answer) => {
        atWorkCount--;
        write(answer);
      },
      () => {
        atWorkCount--;
        response.destroy();
      },
    );
  };
}
