/** Requests as bytes on a socket, for what no HTTP client would send. */
import { connect } from "node:net";

export interface RawAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export interface RawOptions {
  /** Half-closes after the last byte. */
  readonly end?: boolean;
}

/** Sends the text as it stands and reads until the server has answered or closed. */
export function rawRequest(
  url: string,
  text: string,
  options: RawOptions = {},
): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let received = "";
    const done = (): void => {
      const [head = "", ...rest] = received.split("\r\n\r\n");
      socket.destroy();
      resolve({ status: Number(head.split(" ")[1] ?? 0), head, body: rest.join("\r\n\r\n") });
    };
    socket.setEncoding("latin1");
    socket.on("connect", () => {
      if (options.end === true) socket.end(text);
      else socket.write(text);
    });
    socket.on("data", (chunk: string) => {
      received += chunk;
      if (isComplete(received)) done();
    });
    socket.on("close", done);
    socket.on("error", (error) => (received === "" ? reject(error) : done()));
  });
}

function isComplete(received: string): boolean {
  const at = received.indexOf("\r\n\r\n");
  if (at < 0) return false;
  // These have no body, and no length to say so.
  if (/^HTTP\/1\.1 (204|304) /.test(received)) return true;
  const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, at))?.[1];
  if (length !== undefined) return received.length >= at + 4 + Number(length);
  return /\r\ntransfer-encoding: *chunked/i.test(received.slice(0, at))
    ? received.endsWith("0\r\n\r\n")
    : false;
}
