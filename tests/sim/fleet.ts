/**
 * Runs many seeds on all cores, and hands the reports out in the order of the seeds, so that what
 * is printed depends on nothing but them.
 */
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import type { SimReport } from "./run.ts";

export interface Seeds {
  readonly from: number;
  /** 1 or more. */
  readonly count: number;
}

export interface FleetParts {
  readonly seeds: Seeds;
  /** A mistake to build into the product first; empty for none. */
  readonly sabotage: string;
  readonly threadCount: number;
  /** Called seed by seed; true when that was enough. */
  readonly take: (report: SimReport) => boolean;
  /** Ends the run where it is; reports that are done are still handed out. */
  readonly stop?: AbortSignal;
}

/** The seeds that a thread has: the one that it runs, and the next, which it need not wait for. */
const SEEDS_AHEAD = 2;
/** A run makes much garbage at once: with little room for it, it is moved about again and again. */
const resourceLimits = { maxYoungGenerationSizeMb: 384 };

/** @returns when all seeds were run, one was enough, or it was stopped */
export function runSeeds(parts: FleetParts): Promise<void> {
  // Each core has a run of its own: helpers of the garbage collector would only wait for one.
  setFlagsFromString("--no-parallel-scavenge");
  const { seeds, sabotage, threadCount, take, stop } = parts;
  const { from, count } = seeds;
  const reports = new Map<number, SimReport>();
  // Counted, because a double may not tell the number after the last seed from that seed.
  let givenCount = 0;
  let takenCount = 0;
  const isOver = (): boolean => takenCount >= count;
  return new Promise((resolve, reject) => {
    const url = new URL("./fleet-worker.ts", import.meta.url);
    const workers = Array.from(
      { length: Math.min(threadCount, count) },
      () => new Worker(url, { workerData: { sabotage }, resourceLimits }),
    );
    const end = (finish: () => void): void => {
      void Promise.all(workers.map((worker) => worker.terminate())).then(finish);
    };
    const give = (worker: Worker): void => {
      if (givenCount < count) worker.postMessage(from + givenCount++);
    };
    const collect = (): void => {
      while (!isOver()) {
        const report = reports.get(from + takenCount);
        if (report === undefined) return;
        reports.delete(from + takenCount++);
        if (take(report)) takenCount = count;
      }
    };
    stop?.addEventListener("abort", () => {
      if (isOver()) return;
      takenCount = count;
      for (const seed of [...reports.keys()].sort((a, b) => a - b)) {
        take(reports.get(seed) as SimReport);
      }
      end(resolve);
    });
    for (const worker of workers) {
      for (let i = 0; i < SEEDS_AHEAD; i++) give(worker);
      worker.on("error", (error) => end(() => reject(error)));
      worker.on("message", (report: SimReport) => {
        if (isOver()) return;
        reports.set(report.seed, report);
        collect();
        if (isOver()) end(resolve);
        else give(worker);
      });
    }
  });
}
