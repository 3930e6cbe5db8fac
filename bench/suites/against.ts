/**
 * The working tree against another commit of it: a three-node cluster of each, both up at once, and
 * the same requests to both in turn, so that whatever else the machine does falls on both alike.
 * Processor time is of all processes of a cluster, and of the node that is asked alone; what goes
 * on for a moment after the last answer counts too.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { closedLoop, fillKeys, type Load } from "../lib/closed-loop.ts";
import { type Contender, type Figure, median, medianRatio } from "../lib/figures.ts";
import { cpuMs, type RunningCluster, startCluster } from "../lib/processes.ts";
import { checkOut } from "../lib/worktree.ts";

export interface AgainstOptions {
  /** Any name of a commit. */
  readonly ref: string;
  /** How many rounds count. */
  readonly rounds: number;
  /** How many come before and are thrown away: V8 compiles for tens of thousands of requests. */
  readonly warmRounds: number;
  /** How long one row takes in one round, in s. */
  readonly seconds: number;
  readonly say: (line: string) => void;
}

const KEY = "/v1/kv/bench/key%d";
const base = { keyCount: 10_000, connectionCount: 48, headers: { "Content-Type": "text/plain" } };
const get = { ...base, method: "GET", body: "" } as const;
const put = { ...base, method: "PUT", body: "v".repeat(1024) } as const;
/** Copies to the slower replicas, and repairs, are under way when the last answer is out. */
const SETTLE_MS = 200;

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

type Row = Omit<Load, "url" | "seconds">;

const ROWS: readonly (readonly [name: string, row: Row])[] = [
  ["PUT w=2 dw=2", { ...put, path: KEY }],
  ["PUT w=1 dw=0", { ...put, path: `${KEY}?w=1&dw=0` }],
  // The first reads after writes decode records anew: not to be laid at the next row's door.
  ["reads after writes", { ...get, path: KEY }],
  ["GET r=1", { ...get, path: `${KEY}?r=1` }],
  ["GET r=2", { ...get, path: KEY }],
];

interface Sample {
  readonly rate: number;
  /** Processor time a request, in µs. */
  readonly allMicros: number;
  readonly askedMicros: number;
}

function contendersOf(
  side: string,
  { urls, servers }: RunningCluster,
  seconds: number,
): readonly Contender<Sample>[] {
  const asked = servers.slice(0, 1);
  return ROWS.map(([row, load]) => ({
    name: `${row} ${side}`,
    sample: async () => {
      const [all, one] = [cpuMs(servers), cpuMs(asked)];
      const { rate, requestCount } = await closedLoop({ ...load, url: urls[0] ?? "", seconds });
      await sleep(SETTLE_MS);
      return {
        rate,
        allMicros: ((cpuMs(servers) - all) * 1000) / requestCount,
        askedMicros: ((cpuMs(asked) - one) * 1000) / requestCount,
      };
    },
  }));
}

/**
 * Each row of both sides right after the other, and each round the other side first: who comes
 * second finds a warmer machine. The first rounds are thrown away.
 */
async function inTurn(
  sides: readonly (readonly Contender<Sample>[])[],
  { rounds, warmRounds }: Pick<AgainstOptions, "rounds" | "warmRounds">,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < warmRounds + rounds; round++) {
    const order = round % 2 === 0 ? sides : sides.toReversed();
    for (const i of ROWS.keys()) {
      for (const { name, sample } of order.flatMap((side) => side[i] ?? [])) {
        const taken = await sample();
        if (round >= warmRounds) samples.set(name, [...(samples.get(name) ?? []), taken]);
      }
    }
  }
  return samples;
}

/** One row: rate, and processor time of all and of the one that is asked, each by the other's. */
function figuresOf(
  row: string,
  [ours, theirs]: readonly [readonly Sample[], readonly Sample[]],
  commit: string,
): readonly Figure[] {
  const figure = (name: string, of: keyof Sample, unit: string): Figure => {
    const [a, b] = [ours.map((sample) => sample[of]), theirs.map((sample) => sample[of])];
    return {
      name: `${row}: ${name} by ${commit}`,
      value: medianRatio(a, b),
      unit: "ratio",
      better: of === "rate" ? "higher" : "lower",
      note: `${median(a).toFixed(0)}${unit} against ${median(b).toFixed(0)}${unit}`,
    };
  };
  return [
    figure("rate", "rate", "/s"),
    figure("processor time", "allMicros", " µs"),
    figure("processor time at the node that is asked", "askedMicros", " µs"),
  ];
}

/** @throws NoSuchCommit in one line */
export async function runAgainst(options: AgainstOptions): Promise<readonly Figure[]> {
  const { ref, rounds, warmRounds, seconds, say } = options;
  const other = checkOut(ref);
  const running: RunningCluster[] = [];
  const end = async (): Promise<void> => {
    await Promise.all(running.splice(0).map((cluster) => cluster.stop()));
    other.remove();
  };
  // A run of minutes is broken off now and then: it leaves neither processes nor a worktree.
  const breakOff = (): void => void end().finally(() => process.exit(1));
  for (const signal of SIGNALS) process.once(signal, breakOff);
  try {
    const ours = await startCluster(3);
    running.push(ours);
    const theirs = await startCluster(3, other.root);
    running.push(theirs);
    for (const { urls } of running)
      await fillKeys({ ...put, path: KEY, url: urls[0] ?? "", seconds });
    const after = `after ${warmRounds} that warm up`;
    say(`# against ${other.commit}: ${rounds} rounds of ${seconds} s a row and side, ${after}`);
    const sides = [contendersOf("here", ours, seconds), contendersOf("there", theirs, seconds)];
    const samples = await inTurn(sides, options);
    const of = (row: string, side: string): readonly Sample[] =>
      samples.get(`${row} ${side}`) ?? [];
    return ROWS.filter(([row]) => row !== "reads after writes").flatMap(([row]) =>
      figuresOf(row, [of(row, "here"), of(row, "there")], other.commit),
    );
  } finally {
    for (const signal of SIGNALS) process.removeListener(signal, breakOff);
    await end();
  }
}
