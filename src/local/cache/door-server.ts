/** The door's listener on Node: requests with their raw fields, answers as they stream. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { BlockList, isIP } from "node:net";
import { oncePer } from "../../../core/once-per.ts";
import type { Field, Fields } from "../../cache/fields.ts";
import type { Door } from "../../door/door.ts";
import type { DoorMetrics } from "../../door/door-metrics.ts";
import type { Bytes, DoorAnswer, DoorRequest } from "../../door/ports.ts";
import { plainAddress } from "./own-addresses.ts";

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

function fieldsOf(raw: readonly string[]): Fields {
  const fields: Field[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) fields.push([raw[i] ?? "", raw[i + 1] ?? ""]);
  return fields;
}

function doorRequest(
  incoming: IncomingMessage,
  response: ServerResponse,
  scheme: DoorRequest["scheme"],
): DoorRequest {
  const { headers } = incoming;
  const announced = headers["content-length"];
  const hasBody = headers["transfer-encoding"] !== undefined || Number(announced ?? 0) > 0;
  const address = plainAddress(incoming.socket.remoteAddress ?? "");
  return {
    method: incoming.method ?? "GET",
    target: incoming.url ?? "/",
    scheme,
    fields: fieldsOf(incoming.rawHeaders),
    body: hasBody ? (incoming as Bytes) : null,
    address,
    port: incoming.socket.localPort ?? null,
    isFrom: (cidrs) =>
      isIP(address) !== 0 && listOf(cidrs).check(address, isIP(address) === 6 ? "ipv6" : "ipv4"),
    onInterim: (status, fields) => passInterim(response, status, fields),
  };
}

/** 102 and 103 are what Node can send (RFC 9110, 15.2; RFC 8297). */
function passInterim(response: ServerResponse, status: number, fields: Fields): void {
  if (response.headersSent || response.destroyed) return;
  if (status === 102) response.writeProcessing();
  if (status !== 103) return;
  const hints: Record<string, string | string[]> = {};
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    if (lower === "link") hints["link"] = [...(hints["link"] ?? []), value];
    else hints[lower] = value;
  }
  if (hints["link"] === undefined) return;
  try {
    response.writeEarlyHints(hints);
  } catch {
    // A link that Node would not write is a hint less, and no fault of the answer.
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
  try {
    for await (const bytes of body) {
      if (response.destroyed) return;
      sent(bytes.length);
      if (!response.write(bytes)) await drained(response);
    }
    response.end();
  } catch {
    // The answer has begun: only a connection that breaks says that it is not whole.
    response.destroy();
  }
}

/** @returns false when the answer is over: there is nobody, or a field that cannot be sent */
function writeHead(response: ServerResponse, { status, fields, body, length }: DoorAnswer) {
  if (response.destroyed) return false;
  const flat = fields.flat();
  if (length !== null && body !== null) flat.push("Content-Length", String(length));
  response.sendDate = !fields.some(([name]) => name.toLowerCase() === "date");
  try {
    response.writeHead(status, flat);
    return true;
  } catch {
    // A field that cannot be sent costs its own answer alone.
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
  // Headers go out with the first bytes; where these take long, before them.
  response.flushHeaders();
  await stream(response, body, sent);
}

/**
 * Answers that are whole go out at the end of the turn of the event loop, together: AnswerWriter of
 * ../http/plain-exchange.ts does so for the data plane, and says why.
 */
class WholeAnswers {
  #unwritten: (() => void)[] = [];

  add(write: () => void): void {
    if (this.#unwritten.push(write) === 1) setImmediate(this.#writeAll);
  }

  readonly #writeAll = (): void => {
    const all = this.#unwritten;
    this.#unwritten = [];
    for (const write of all) write();
  };
}

const end = async (body: Bytes): Promise<void> => {
  await body[Symbol.asyncIterator]().return?.();
};

export function doorListener(door: Door, metrics: DoorMetrics, scheme: DoorRequest["scheme"]) {
  const whole = new WholeAnswers();
  const write = async (response: ServerResponse, answer: DoorAnswer): Promise<void> => {
    const sent = (byteCount: number): void => metrics.sent(answer, byteCount);
    const { body } = answer;
    if (body !== null && !(body instanceof Uint8Array)) {
      return writeStream(response, { answer, body }, sent);
    }
    whole.add(() => {
      if (!writeHead(response, answer)) return;
      if (body === null) return void response.end();
      sent(body.length);
      response.end(body);
    });
  };
  return (incoming: IncomingMessage, response: ServerResponse): void => {
    const answered = door.handle(doorRequest(incoming, response, scheme));
    answered.then((answer) => write(response, answer)).catch(() => response.destroy());
  };
}
