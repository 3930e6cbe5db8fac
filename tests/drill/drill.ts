/**
 * A drill on real processes: clients work through whatever frontend they please while nodes are
 * frozen, killed, wiped and restarted, and what they were told is compared with the promises:
 * strict registers are linearizable, conditional appends and elements of sets are never lost,
 * sessions never see an older value, a subscriber of the change feed ends up with what lives, even
 * while members join and leave, and a read with `max_stale` lacks nothing that is older. In the end
 * the primaries agree and no hint is left.
 */
import { Prng } from "../../core/prng.ts";
import { startProcesses } from "../support/process-cluster.ts";
import { Appends } from "./appends.ts";
import { Arena, type Check, sleep } from "./arena.ts";
import { Bounded } from "./bounded.ts";
import { Feed } from "./feed.ts";
import { Registers } from "./registers.ts";
import { Sessions } from "./sessions.ts";
import { Sets } from "./sets.ts";
import { type FaultCounts, Striker, type Strikes } from "./striker.ts";
import { ASTRAY_PROGRAM, Wires } from "./wires.ts";

export const CHECKS = {
  register: (arena: Arena): Check => new Registers(arena),
  appends: (arena: Arena): Check => new Appends(arena),
  sessions: (arena: Arena): Check => new Sessions(arena),
  sets: (arena: Arena): Check => new Sets(arena),
  bounded: (arena: Arena): Check => new Bounded(arena),
  feed: (arena: Arena): Check => new Feed(arena),
} as const;
export type CheckName = keyof typeof CHECKS;

export interface DrillOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly checks: readonly CheckName[];
  /** What is at stake; default: the disks. */
  readonly strikes?: Strikes;
  readonly say: (line: string) => void;
}

export interface DrillReport {
  /** One line a check. */
  readonly summaries: readonly string[];
  readonly faults: Readonly<FaultCounts>;
  /** What broke a promise, in words; empty when all was well. */
  readonly failures: readonly string[];
}

const NODE_COUNT = 5;
const CONVERGE_MS_MAX = 60_000;
const EXCHANGE_MS_MAX = 10_000;
const timing = {
  ...{ heartbeatMs: 200, suspectAfterMs: 800, handoffMs: 300, antiEntropyMs: 500 },
  ...{ requestTimeoutMs: 1500 },
};

const post = { method: "POST", body: "{}" } as const;
const inTime = (): RequestInit => ({ signal: AbortSignal.timeout(EXCHANGE_MS_MAX) });

/** null when no hint is left and an exchange finds nothing that differs; else what still does. */
async function divergence(url: string): Promise<string | null> {
  const ask = async (path: string): Promise<Record<string, number>> =>
    (await (await fetch(`${url}${path}`, { ...post, ...inTime() })).json()) as Record<
      string,
      number
    >;
  const { pending } = await ask("/v1/cluster/handoff");
  if (pending !== 0) return `${pending} hints are still held`;
  const { exchanges, partitionsDiffering } = await ask("/v1/cluster/anti-entropy");
  if (!exchanges) return "no exchange went through";
  return partitionsDiffering === 0 ? null : `${partitionsDiffering} partitions differ`;
}

async function untilConverged(arena: Arena): Promise<string | null> {
  const url = arena.cluster.urlOf(arena.cluster.ids[0] as string);
  const giveUpAt = arena.now + CONVERGE_MS_MAX;
  for (;;) {
    const problem = await divergence(url).catch((error: Error) => error.message);
    if (problem === null) return null;
    if (arena.now > giveUpAt) return `a minute after the last fault ${problem}`;
    await sleep(200);
  }
}

/** Starts five processes, runs the drill, ends them all. */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const { seed, say } = options;
  const prng = new Prng([seed >>> 0, Math.floor(seed / 2 ** 32), 0x64, 0x72]);
  const isAstray = options.strikes === "wires";
  const program = isAstray ? { programOf: () => ASTRAY_PROGRAM } : {};
  const cluster = await startProcesses(NODE_COUNT, { timing, flags: ["--faults"], ...program });
  let wires: Wires | null = null;
  try {
    wires = isAstray ? await Wires.between(cluster) : null;
    const arena = new Arena(cluster, prng, say);
    arena.losesDisks = !isAstray;
    const checks = options.checks.map((name) => CHECKS[name](arena));
    const striker = new Striker(arena, wires);
    const working = [striker.run(), ...checks.flatMap((check) => check.start())];
    await sleep(options.seconds * 1000);
    arena.isOver = true;
    await Promise.all(working);
    const diverged = await untilConverged(arena);
    const failures = [...striker.failures, ...(diverged === null ? [] : [diverged])];
    for (const check of checks) failures.push(...(await check.finish()));
    const summaries = checks.map((check) => `${check.name}: ${check.summary()}`);
    return { summaries, faults: striker.counts, failures };
  } finally {
    wires?.close();
    await cluster.close();
  }
}
