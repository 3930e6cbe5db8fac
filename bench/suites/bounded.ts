/** What it costs to be told how stale an answer is at most, and how often one replica says it. */
import { closedLoop, fillKeys, type Load } from "../lib/closed-loop.ts";
import {
  type BenchOptions,
  type Figure,
  interleave,
  medianRatio,
  type Suite,
} from "../lib/figures.ts";
import { cpuMs, type RunningCluster, startCluster } from "../lib/processes.ts";

const NAMESPACE = "bench";
const KEYS = 5000;
const VALUE_BYTES = 100;
/** What was sent by a life before may be under way for so long: then all may claim something. */
const SETTLE_MS = 8000;
const WRITERS = 8;
const READERS = 8;
const BOUND = "max_stale=5";
const pathOf = (query: string): string => `/v1/kv/${NAMESPACE}/k%d?${query}`;

interface Sample {
  readonly rate: number;
  /** Of all nodes, in ms a read. */
  readonly cpu: number;
}

async function sampleOf({ servers }: RunningCluster, load: Load): Promise<Sample> {
  const before = cpuMs(servers);
  const { rate, requestCount } = await closedLoop(load);
  return { rate, cpu: (cpuMs(servers) - before) / requestCount };
}

async function costs(
  cluster: RunningCluster,
  { load, quick }: { readonly load: Load; readonly quick: boolean },
): Promise<readonly Figure[]> {
  const contenders = ["r=1", `r=1&${BOUND}`].map((query) => ({
    name: query,
    sample: () => sampleOf(cluster, { ...load, method: "GET", path: pathOf(query), body: "" }),
  }));
  // V8 goes on compiling reads for some rounds after it is done with the writes.
  const samples = await (quick ? interleave(contenders, 3) : interleave(contenders, 25, 6));
  const [plain = [], bounded = []] = contenders.map(({ name }) => samples.get(name));
  const rates = medianRatio(
    bounded.map(({ rate }) => rate),
    plain.map(({ rate }) => rate),
  );
  // Work that a processor does in a second: a ratio of rates that another program hardly moves.
  const work = medianRatio(
    plain.map(({ cpu }) => cpu),
    bounded.map(({ cpu }) => cpu),
  );
  const name = `GET r=1 ${BOUND} by GET r=1`;
  return [
    { name, value: rates, unit: "ratio", better: "higher", target: 0.97 },
    {
      name: `${name}: reads a second of processor time`,
      ...{ value: work, unit: "ratio", better: "higher", target: 0.97 },
    },
  ];
}

/** How many of the bounded reads at all nodes say that they are from one replica. */
class Share {
  #oneCount = 0;
  #count = 0;

  async read(url: string, untilMs: number): Promise<void> {
    while (performance.now() < untilMs) {
      const key = String(1 + (this.#count % KEYS)).padStart(6, "0");
      this.#count++;
      const answer = await fetch(`${url}${pathOf(`r=1&${BOUND}`).replace("%d", key)}`);
      await answer.arrayBuffer();
      const quorum = answer.headers.get("starling-quorum") ?? "";
      if (answer.ok && quorum.includes("answered=1,")) this.#oneCount++;
    }
  }

  get value(): number {
    return this.#oneCount / this.#count;
  }

  get note(): string {
    return `${this.#oneCount} of ${this.#count} reads at all nodes`;
  }
}

async function shareUnderWrites(
  { urls }: RunningCluster,
  { load, quick }: { readonly load: Load; readonly quick: boolean },
): Promise<Figure> {
  const seconds = quick ? 3 : 15;
  const share = new Share();
  const untilMs = performance.now() + 1000 * seconds;
  const readers = Array.from({ length: READERS }, (_, i) =>
    share.read(urls[i % urls.length] ?? "", untilMs),
  );
  const [{ rate }] = await Promise.all([
    closedLoop({ ...load, connectionCount: WRITERS, seconds }),
    ...readers,
  ]);
  return {
    name: `GET r=1 ${BOUND} beside writes: answered by one replica`,
    ...{ value: share.value, unit: "ratio", better: "higher", target: 0.95 },
    note: `${share.note}, ${rate.toFixed(0)} writes a second`,
  };
}

async function run({ quick }: BenchOptions): Promise<readonly Figure[]> {
  const cluster = await startCluster(3);
  const load: Load = {
    ...{ url: cluster.urls[0] ?? "", method: "PUT", path: pathOf("w=2") },
    ...{ keyCount: KEYS, body: "v".repeat(VALUE_BYTES), connectionCount: 32 },
    seconds: 1,
  };
  try {
    await fillKeys(load);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const share = await shareUnderWrites(cluster, { load, quick });
    return [share, ...(await costs(cluster, { load, quick }))];
  } finally {
    await cluster.stop();
  }
}

export const boundedSuite: Suite = { name: "bounded", about: "bounded reads", run };
