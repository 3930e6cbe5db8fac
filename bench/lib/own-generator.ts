/**
 * The closed loop without wrk: bytes over plain sockets, in a process of its own.
 * `node own-generator.ts '{"url":…}'` prints a LoadResult.
 */
import { connect, type Socket } from "node:net";
import type { Load, LoadResult } from "./closed-loop.ts";

const HEAD_END = Buffer.from("\r\n\r\n");

/** Where the first answer in the buffer ends; -1 while it is not whole. */
function answerEnd(buffer: Buffer): number {
  const headEnd = buffer.indexOf(HEAD_END);
  if (headEnd < 0) return -1;
  const head = buffer.toString("latin1", 0, headEnd);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  const end = headEnd + HEAD_END.length + length;
  return end <= buffer.length ? end : -1;
}

function requestsOf(load: Load): readonly Buffer[] {
  const { method, path, body, headers = {}, keyCount, url } = load;
  return Array.from({ length: keyCount }, (_, i) => {
    const key = String(i + 1).padStart(6, "0");
    const content = body.replace("%d", key);
    const lines = [`${method} ${path.replace("%d", key)} HTTP/1.1`, `Host: ${new URL(url).host}`];
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    if (content !== "") lines.push(`Content-Length: ${Buffer.byteLength(content)}`);
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n${content}`);
  });
}

class Client {
  readonly #socket: Socket;
  readonly #next: () => Buffer | null;
  #buffer: Buffer = Buffer.alloc(0);
  answerCount = 0;

  constructor(socket: Socket, next: () => Buffer | null) {
    this.#socket = socket;
    this.#next = next;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => this.#take(chunk));
    socket.on("connect", () => this.#ask());
  }

  #ask(): void {
    const request = this.#next();
    if (request === null) this.#socket.end();
    else this.#socket.write(request);
  }

  #take(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    const end = answerEnd(this.#buffer);
    if (end < 0) return;
    if (this.#buffer.toString("latin1", 9, 10) !== "2") {
      throw new Error(this.#buffer.toString("latin1", 0, 200));
    }
    this.answerCount++;
    this.#buffer = this.#buffer.subarray(end);
    this.#ask();
  }
}

async function generate(load: Load): Promise<LoadResult> {
  const requests = requestsOf(load);
  const { hostname, port } = new URL(load.url);
  const startedAt = performance.now();
  const next = (): Buffer | null => {
    if (performance.now() - startedAt > load.seconds * 1000) return null;
    return requests[Math.floor(Math.random() * requests.length)] ?? null;
  };
  const clients: Client[] = [];
  await Promise.all(
    Array.from({ length: load.connectionCount }, () => {
      const socket = connect(Number(port), hostname);
      clients.push(new Client(socket, next));
      return new Promise((resolve) => socket.once("close", resolve));
    }),
  );
  const requestCount = clients.reduce((sum, client) => sum + client.answerCount, 0);
  return { requestCount, rate: (requestCount / (performance.now() - startedAt)) * 1000 };
}

console.log(JSON.stringify(await generate(JSON.parse(process.argv[2] ?? "{}") as Load)));
