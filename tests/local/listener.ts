/** The Node host's listener in front of an app that keeps everything in a Map. */
import { type AddressInfo, connect, type Socket } from "node:net";
import { type HttpLimits, makeHttpServer } from "../../src/local/http/http-server.ts";
import { makeApp, type TestApp, type TestAppOptions } from "../frontend/support.ts";

export interface Listener extends TestApp {
  readonly url: string;
  readonly port: number;
  /** Requests that Node's own parser has read. */
  readonly longWayCount: () => number;
  /** Ends it as a node that stops does: resolves when all that is owed was given. */
  readonly finish: (msMax: number) => Promise<void>;
  stop(): void;
}

const nobody = { recognises: () => false, accept: () => false };

export async function listenWithApp(
  options: TestAppOptions & { readonly limits?: Partial<HttpLimits> } = {},
): Promise<Listener> {
  const made = await makeApp(options);
  const { app, answerKey } = made;
  const { server, stop: finish } = makeHttpServer({
    handler: (request, env) => app.fetch(request, env),
    answerKey,
    internal: nobody,
    limits: options.limits ?? {},
  });
  let longWayCount = 0;
  server.on("request", () => longWayCount++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const stop = (): void => {
    server.close();
    server.closeAllConnections();
  };
  const counted = { longWayCount: () => longWayCount };
  return { ...made, ...counted, url: `http://127.0.0.1:${port}`, port, finish, stop };
}

/** A backend whose operations end when they are told to. */
export function heldBack({ backend }: Listener): {
  readonly begun: () => number;
  readonly release: () => void;
} {
  const { promise, resolve } = Promise.withResolvers<void>();
  const execute = backend.execute.bind(backend);
  let begun = 0;
  backend.execute = async (...of) => {
    begun++;
    await promise;
    return execute(...of);
  };
  return { begun: () => begun, release: resolve };
}

export interface Talk {
  readonly socket: Socket;
  /** What has come so far. */
  received(): string;
  /** Resolves with all that came when the other side has closed. */
  readonly closed: Promise<string>;
}

/** A connection on which bytes are written as they are. */
export function talk(port: number, text: string): Talk {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let received = "";
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    received += chunk;
  });
  socket.on("error", () => {});
  socket.on("end", () => socket.end());
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(received)));
  socket.write(text, "latin1");
  return { socket, received: () => received, closed };
}

/** The statuses in what came on a connection, interim ones included. */
export const statusesIn = (text: string): readonly number[] =>
  [...text.matchAll(/HTTP\/1\.1 ([0-9]{3}) /g)].map(([, status]) => Number(status));
