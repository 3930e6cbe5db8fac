/**
 * A mix of reads and writes on Zipf-distributed keys (YCSB's core workloads), in a process of its
 * own. `node open-generator.ts '{…Mix}'` prints a MixResult.
 *
 * With a rate, requests are due at fixed instants whatever became of those before them, and each is
 * timed from the instant at which it was due: a server that stalls is charged for everybody who
 * would have come meanwhile (no coordinated omission). Without one, each connection asks again as
 * soon as it is answered.
 */
import { Agent, request } from "node:http";
import { build } from "hdr-histogram-js";
import type { Mix, MixResult, Percentiles } from "./mix.ts";

const mix = JSON.parse(process.argv[2] ?? "{}") as Mix;
const agent = new Agent({ keepAlive: true, maxSockets: mix.connectionCount, scheduling: "fifo" });
const { hostname, port } = new URL(mix.url);
const body = Buffer.alloc(mix.valueBytes, 118);

/** Gray et al., "Quickly generating billion-record synthetic databases", 1994, as YCSB has it. */
class Zipf {
  readonly #count: number;
  readonly #theta = 0.99;
  readonly #zeta: number;
  readonly #eta: number;

  constructor(count: number) {
    this.#count = count;
    let zeta = 0;
    for (let i = 1; i <= count; i++) zeta += 1 / i ** this.#theta;
    this.#zeta = zeta;
    this.#eta = (1 - (2 / count) ** (1 - this.#theta)) / (1 - (1 + 0.5 ** this.#theta) / zeta);
  }

  /** 0 the most often. */
  next(): number {
    const u = Math.random();
    const scaled = u * this.#zeta;
    if (scaled < 1) return 0;
    if (scaled < 1 + 0.5 ** this.#theta) return 1;
    return Math.floor(this.#count * (this.#eta * u - this.#eta + 1) ** (1 / (1 - this.#theta)));
  }
}

const zipf = new Zipf(mix.keyCount);
let insertedCount = mix.keyCount;
/** The popular keys lie all over the key space; with `latest` they are those inserted last. */
const popular = (): number =>
  mix.isLatest ? insertedCount - zipf.next() : ((zipf.next() * 7919) % mix.keyCount) + 1;
const pathOf = (i: number): string => `${mix.path}${String(i).padStart(6, "0")}`;

interface Asked {
  readonly status: number;
  readonly context: string | undefined;
}

type Fields = Readonly<Record<string, string>>;

function send(method: string, path: string, headers: Fields, sent?: Uint8Array): Promise<Asked> {
  const length: Fields = sent === undefined ? {} : { "Content-Length": String(sent.length) };
  const options = { agent, hostname, port, method, path, headers: { ...headers, ...length } };
  return new Promise((resolve) => {
    const asked = request(options, (response) => {
      const token = response.headers["starling-context"];
      response.resume();
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          context: typeof token === "string" ? token : undefined,
        }),
      );
    });
    asked.on("error", () => resolve({ status: 0, context: undefined }));
    asked.end(sent);
  });
}

function ask(method: string, path: string, context?: string): Promise<Asked> {
  const seen: Fields = context === undefined ? {} : { "Starling-Context": context };
  const headers = { "Content-Type": "text/plain", ...seen };
  return send(method, path, headers, method === "PUT" ? body : undefined);
}

const isFine = ({ status }: Asked): boolean => (status >= 200 && status < 300) || status === 404;

function post({ path, body: text }: NonNullable<Mix["post"]>): Promise<Asked> {
  const sent = Buffer.from(text.replaceAll("%d", String(popular()).padStart(6, "0")));
  return send("POST", path, { "Content-Type": "application/json" }, sent);
}

/** One operation; resolves to whether it went well. */
async function operate(isRead: boolean): Promise<boolean> {
  if (mix.post !== undefined) return isFine(await post(mix.post));
  if (isRead) return isFine(await ask("GET", pathOf(popular())));
  if (mix.write === "insert") return isFine(await ask("PUT", pathOf(++insertedCount)));
  const path = pathOf(popular());
  if (mix.write === "update") return isFine(await ask("PUT", path));
  const read = await ask("GET", path);
  return isFine(read) && isFine(await ask("PUT", path, read.context));
}

// In microseconds.
const histogram = () =>
  build({ highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 });
const times = { read: histogram(), write: histogram() };
let doneCount = 0;
let errorCount = 0;

async function timedOperation(dueAt: number): Promise<void> {
  const isRead = Math.random() < mix.readShare;
  const isGood = await operate(isRead);
  const micros = Math.round((performance.now() - dueAt) * 1000);
  (isRead ? times.read : times.write).recordValue(Math.max(1, micros));
  doneCount++;
  if (!isGood) errorCount++;
}

async function atFixedRate(rate: number): Promise<void> {
  const startedAt = performance.now();
  const all: Promise<void>[] = [];
  const total = Math.floor(rate * mix.seconds);
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) * rate) / 1000) + 1);
    for (; sent < due; sent++) all.push(timedOperation(startedAt + (sent * 1000) / rate));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(all);
}

async function closedLoop(): Promise<void> {
  const endAt = performance.now() + mix.seconds * 1000;
  const loop = async (): Promise<void> => {
    while (performance.now() < endAt) await timedOperation(performance.now());
  };
  await Promise.all(Array.from({ length: mix.connectionCount }, loop));
}

function percentiles(of: ReturnType<typeof histogram>): Percentiles {
  const ms = (percentile: number): number => of.getValueAtPercentile(percentile) / 1000;
  return { p50: ms(50), p99: ms(99), p999: ms(99.9), count: of.totalCount };
}

const startedAt = performance.now();
await (mix.rate > 0 ? atFixedRate(mix.rate) : closedLoop());
const seconds = (performance.now() - startedAt) / 1000;
const result: MixResult = {
  ...{ rate: doneCount / seconds, errorCount },
  ...{ read: percentiles(times.read), write: percentiles(times.write) },
};
console.log(JSON.stringify(result));
agent.destroy();
