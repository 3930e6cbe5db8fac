/** 200 clients over five frontends on one cold key, also with the lease's holder killed. */
import { createServer, type Server as HttpServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { startDoors, timedGet } from "../lib/door.ts";
import type { Figure } from "../lib/figures.ts";

const NODE_COUNT = 5;
const CLIENTS_PER_DOOR = 40;
const FETCH_MS = 500;
/** Of the site; a lease is 3 s unless it says otherwise. */
const LEASE_MS = 3000;

interface Origin {
  readonly url: string;
  /** By the port of the door that asked, in order. */
  readonly asked: number[];
  answer: (response: ServerResponse) => void;
  readonly server: HttpServer;
}

async function startSlowOrigin(): Promise<Origin> {
  const asked: number[] = [];
  const server = createServer(({ url = "", headers }, response) => {
    response.setHeader("Cache-Control", "max-age=600");
    if (url.startsWith("/object/")) return void response.end("ready");
    asked.push(Number(String(headers["x-forwarded-host"]).split(":")[1]));
    origin.answer(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const answer = (response: ServerResponse): void => {
    setTimeout(() => response.end("slow"), FETCH_MS);
  };
  const origin: Origin = { url, asked, answer, server };
  return origin;
}

/** How long each client waited, in ms; null: its connection broke. */
const askAll = (doors: readonly string[], path: string): Promise<readonly (number | null)[]> => {
  const ask = (door: string): Promise<number | null> =>
    timedGet(door + path).then(
      ({ wholeMs, status }) => (status === 200 ? wholeMs : Number.POSITIVE_INFINITY),
      () => null,
    );
  const clients = doors.flatMap((door) => Array.from({ length: CLIENTS_PER_DOOR }, () => door));
  return Promise.all(clients.map(ask));
};

const longest = (waits: readonly (number | null)[]): number =>
  Math.max(...waits.filter((wait) => wait !== null));

export async function collapseFigures(): Promise<readonly Figure[]> {
  const origin = await startSlowOrigin();
  const cluster = await startDoors(NODE_COUNT, { origin: origin.url, leaseMs: LEASE_MS });
  try {
    const { doors, servers } = cluster;
    const calm = await askAll(doors, "/cold");
    const once = origin.asked.length;
    origin.asked.length = 0;
    const answered = origin.answer;
    const isAsked = new Promise<void>((resolve) => {
      // The first one has no answer: its door dies meanwhile.
      origin.answer = (response) => {
        if (origin.asked.length > 1) answered(response);
        else resolve();
      };
    });
    const waiting = askAll(doors, "/killed");
    await isAsked;
    const holder = doors.findIndex((door) => Number(new URL(door).port) === origin.asked[0]);
    servers[holder]?.signal("SIGKILL");
    const waits = await waiting;
    const broken = waits.filter((wait) => wait === null).length;
    const least = { unit: "messages", better: "lower", isContext: true } as const;
    return [
      {
        name: "door: requests at the origin for 200 clients on a cold key",
        ...{ ...least, value: once, target: 1 },
        note: `the last answer after ${longest(calm).toFixed(0)} ms, of a fetch of ${FETCH_MS} ms`,
      },
      {
        name: "door: the same, with the lease's holder killed in the middle",
        ...{ ...least, value: origin.asked.length, target: 2 },
        note: `${broken} clients lost their door`,
      },
      {
        name: "door: the longest wait then, beyond a lease and a fetch",
        ...{ value: longest(waits) - LEASE_MS - FETCH_MS, unit: "ms", better: "lower" },
        ...{ target: 0, isContext: true },
        note: `${longest(waits).toFixed(0)} ms`,
      },
    ];
  } finally {
    await cluster.stop();
    origin.server.close();
    origin.server.closeAllConnections();
  }
}
