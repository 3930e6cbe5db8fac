/**
 * The working tree against another commit of it: a three-node cluster of each, both up at once, and
 * the same requests to both in turn, so that whatever else the machine does falls on both alike.
 * Processor time is of all processes of a cluster, and of the node that is asked alone; what goes
 * on for a moment after the last answer counts too.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ALLOCATION_FLAGS, Allocations } from "../lib/allocations.ts";
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
const PUT = "PUT w=2 dw=2";
/** Larger values, of which there are fewer. */
const SIZES = [
  { size: "16 KiB", kib: 16, keyCount: 1000 },
  { size: "128 KiB", kib: 128, keyCount: 200 },
] as const;
/** Copies to the slower replicas, and repairs, are under way when the last answer is out. */
const SETTLE_MS = 200;

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

interface Row {
  readonly name: string;
  readonly load: Omit<Load, "url" | "seconds">;
  /** How much of the other tree's processor time it may take, and at the asked node. */
  readonly target?: { readonly all: number; readonly asked?: number };
  /** The first reads after writes decode records anew: not to be laid at the next row's door. */
  readonly isHidden?: true;
}

const ofSize = ({ size, kib, keyCount }: (typeof SIZES)[number]): readonly Row[] => {
  const path = `/v1/kv/bench/of-${kib}-%d`;
  const target = { all: 0.5 };
  return [
    {
      name: `PUT of ${size}`,
      load: { ...put, keyCount, path, body: "v".repeat(kib * 1024) },
      target,
    },
    { name: `reads after writes of ${size}`, load: { ...get, keyCount, path }, isHidden: true },
    { name: `GET r=2 of ${size}`, load: { ...get, keyCount, path }, target },
  ];
};

const ROWS: readonly Row[] = [
  { name: PUT, load: { ...put, path: KEY }, target: { all: 0.5, asked: 0.5 } },
  { name: "PUT w=1 dw=0", load: { ...put, path: `${KEY}?w=1&dw=0` }, target: { all: 0.5 } },
  { name: "reads after writes", load: { ...get, path: KEY }, isHidden: true },
  { name: "GET r=1", load: { ...get, path: `${KEY}?r=1` } },
  { name: "GET r=2", load: { ...get, path: KEY }, target: { all: 0.75 } },
  ...SIZES.flatMap(ofSize),
];

interface Sample {
  readonly rate: number;
  /** Processor time a request, in µs. */
  readonly allMicros: number;
  readonly askedMicros: number;
  /** On the heap of the asked node, a request. */
  readonly askedBytes: number;
}

function contendersOf(
  side: string,
  { urls, servers }: RunningCluster,
  seconds: number,
): readonly Contender<Sample>[] {
  const asked = servers.slice(0, 1);
  const allocations = asked.map((server) => new Allocations(server));
  const bytes = (): number => allocations.reduce((sum, { byteCount }) => sum + byteCount, 0);
  return ROWS.map(({ name, load }) => ({
    name: `${name} ${side}`,
    sample: async () => {
      const [all, one, allocated] = [cpuMs(servers), cpuMs(asked), bytes()];
      const { rate, requestCount } = await closedLoop({ ...load, url: urls[0] ?? "", seconds });
      await sleep(SETTLE_MS);
      return {
        rate,
        allMicros: ((cpuMs(servers) - all) * 1000) / requestCount,
        askedMicros: ((cpuMs(asked) - one) * 1000) / requestCount,
        askedBytes: (bytes() - allocated) / requestCount,
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
  { name: row, target }: Row,
  [ours, theirs]: readonly [readonly Sample[], readonly Sample[]],
  commit: string,
): readonly Figure[] {
  interface Of {
    readonly of: keyof Sample;
    readonly unit: string;
    readonly target?: number | undefined;
  }
  const figure = (name: string, { of, unit, target: goal }: Of): Figure => {
    const [a, b] = [ours.map((sample) => sample[of]), theirs.map((sample) => sample[of])];
    return {
      name: `${row}: ${name} by ${commit}`,
      value: medianRatio(a, b),
      unit: "ratio",
      better: of === "rate" ? "higher" : "lower",
      ...(goal === undefined ? {} : { target: goal }),
      note: `${median(a).toFixed(0)}${unit} against ${median(b).toFixed(0)}${unit}`,
    };
  };
  const asked = { of: "askedMicros", unit: " µs", target: target?.asked } as const;
  return [
    figure("rate", { of: "rate", unit: "/s" }),
    figure("processor time", { of: "allMicros", unit: " µs", target: target?.all }),
    figure("processor time at the node that is asked", asked),
  ];
}

function allocated(ours: readonly Sample[], theirs: readonly Sample[]): Figure {
  const bytes = (samples: readonly Sample[]): number =>
    median(samples.map(({ askedBytes }) => askedBytes));
  return {
    name: `${PUT}: bytes allocated at the node that is asked`,
    ...{ value: bytes(ours), unit: "bytes", better: "lower", target: 16 * 1024 },
    note: `on its heap; there ${bytes(theirs).toFixed(0)}`,
  };
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
    const nodeFlags = ALLOCATION_FLAGS;
    const ours = await startCluster(3, { nodeFlags });
    running.push(ours);
    const theirs = await startCluster(3, { nodeFlags, root: other.root });
    running.push(theirs);
    const fills = ROWS.filter(({ load }) => load.method === "PUT" && !load.path.includes("?"));
    for (const { urls } of running)
      for (const { load } of fills) await fillKeys({ ...load, url: urls[0] ?? "", seconds });
    const after = `after ${warmRounds} that warm up`;
    say(`# against ${other.commit}: ${rounds} rounds of ${seconds} s a row and side, ${after}`);
    const sides = [contendersOf("here", ours, seconds), contendersOf("there", theirs, seconds)];
    const samples = await inTurn(sides, options);
    const of = (row: string, side: string): readonly Sample[] =>
      samples.get(`${row} ${side}`) ?? [];
    const figures = ROWS.filter(({ isHidden }) => isHidden !== true).flatMap((row) =>
      figuresOf(row, [of(row.name, "here"), of(row.name, "there")], other.commit),
    );
    return [...figures, allocated(of(PUT, "here"), of(PUT, "there"))];
  } finally {
    for (const signal of SIGNALS) process.removeListener(signal, breakOff);
    await end();
  }
}
