/**
 * The wires between real processes, and their clocks, in the hands of a drill: every member reaches
 * every other through a proxy of its own, so that one direction can be cut while the other works.
 * As with a network that is cut, nothing breaks: bytes wait, and go on when it is whole; a
 * connection that is begun meanwhile is made only then.
 */
import { writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ProcessCluster } from "../support/process-cluster.ts";

/** What a cluster is to be started with, to be led astray. */
export const ASTRAY_PROGRAM = fileURLToPath(new URL("astray-node.ts", import.meta.url));
export const clockFileOf = (folder: string): string => `${folder}-clock`;
export const wiresFileOf = (folder: string): string => `${folder}-wires.json`;

/** Which of a member's messages are lost: those that it sends, or those sent to it. */
export type Way = "out" | "in";

/** The bytes of one connection, one way. */
class Stream {
  readonly from: string;
  readonly to: string;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #ended: () => void;
  #isCut = false;
  #hasEnded = false;

  constructor(
    [from, to]: readonly [string, string],
    [source, sink]: readonly [Socket, Socket],
    ended: () => void,
  ) {
    this.from = from;
    this.to = to;
    this.#source = source;
    this.#sink = sink;
    this.#ended = ended;
    source.on("data", (bytes) => {
      if (!sink.write(bytes)) source.pause();
    });
    sink.on("drain", () => this.#flow());
    source.on("close", () => {
      this.#hasEnded = true;
      this.#flow();
    });
  }

  set isCut(isCut: boolean) {
    this.#isCut = isCut;
    if (isCut) this.#source.pause();
    else this.#flow();
  }

  #flow(): void {
    if (this.#isCut) return;
    if (!this.#hasEnded) return void this.#source.resume();
    this.#sink.end();
    this.#ended();
  }
}

export class Wires {
  readonly #cluster: ProcessCluster;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #streams = new Set<Stream>();
  /** `from>to`, in either direction. */
  readonly #cuts = new Set<string>();
  /** Connections to be made when the wires are whole. */
  readonly #waiting = new Set<() => void>();

  private constructor(cluster: ProcessCluster) {
    this.#cluster = cluster;
  }

  /** Puts them between the members, each of which is started anew for that. */
  static async between(cluster: ProcessCluster): Promise<Wires> {
    const wires = new Wires(cluster);
    const { ids, dir } = cluster;
    for (const from of ids) {
      const proxies: Record<string, number> = {};
      for (const to of ids) {
        if (to === from) continue;
        const { port } = new URL(cluster.urlOf(to));
        proxies[port] = await wires.#listen(from, to, Number(port));
      }
      writeFileSync(wiresFileOf(join(dir, from)), JSON.stringify(proxies));
      await cluster.stop(from);
      await cluster.start(from);
    }
    return wires;
  }

  /** Nothing that the member says arrives at others, or nothing that they say arrives there. */
  cut(id: string, way: Way): void {
    for (const other of this.#cluster.ids) {
      if (other !== id) this.#cuts.add(way === "out" ? `${id}>${other}` : `${other}>${id}`);
    }
    this.#apply();
  }

  /** All that is said by the member, and to it, arrives again. */
  mend(id: string): void {
    for (const cut of this.#cuts) if (cut.split(">").includes(id)) this.#cuts.delete(cut);
    this.#apply();
  }

  /** Its wall clock is off by so much from now on, in ms; also when it is started again. */
  setClock(id: string, offMs: number): void {
    writeFileSync(clockFileOf(join(this.#cluster.dir, id)), String(offMs));
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  #apply(): void {
    for (const stream of this.#streams) stream.isCut = this.#isCut(stream.from, stream.to);
    for (const begin of this.#waiting) begin();
  }

  async #listen(from: string, to: string, port: number): Promise<number> {
    const server = createServer((caller) => this.#accept(caller, { from, to, port }));
    this.#servers.push(server);
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(0, "127.0.0.1", resolve);
    await promise;
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("it does not listen");
    return address.port;
  }

  #accept(caller: Socket, of: { from: string; to: string; port: number }): void {
    const { from, to, port } = of;
    this.#keep(caller);
    caller.pause();
    const begin = (): void => {
      // A connection needs both ways to be made.
      if (this.#isCut(from, to) || this.#isCut(to, from)) return;
      this.#waiting.delete(begin);
      if (caller.destroyed) return;
      const callee = this.#keep(connect(port, "127.0.0.1"));
      this.#stream([from, to], [caller, callee]);
      this.#stream([to, from], [callee, caller]);
      caller.resume();
    };
    this.#waiting.add(begin);
    begin();
  }

  #stream(ends: readonly [string, string], sockets: readonly [Socket, Socket]): void {
    const stream = new Stream(ends, sockets, () => this.#streams.delete(stream));
    this.#streams.add(stream);
  }

  #keep(socket: Socket): Socket {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    return socket.once("close", () => this.#sockets.delete(socket));
  }
}
