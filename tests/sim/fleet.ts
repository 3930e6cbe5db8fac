/**
 * Runs many seeds on all cores, and hands the reports out in the order of the seeds, so that what
 * is printed depends on nothing but them.
 */
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
}

/** Enough that the messages cost nothing, few enough that all threads end together. */
const SEEDS_PER_TURN = 4;
/** A run makes much that is over at once: with little room for it, it is moved about again and again. */
const resourceLimits = { maxYoungGenerationSizeMb: 192 };

/** @returns when all seeds were run, or one was enough */
export function runSeeds({ seeds, sabotage, threadCount, take }: FleetParts): Promise<void> {
  const { from, count } = seeds;
  const reports = new Map<number, SimReport>();
  // Counted, for the number after the last seed may be one that cannot be told from it.
  let givenCount = 0;
  let takenCount = 0;
  const isOver = (): boolean => takenCount >= count;
  return new Promise((resolve, reject) => {
    const url = new URL("./fleet-worker.ts", import.meta.url);
    const turns = Math.ceil(count / SEEDS_PER_TURN);
    const workers = Array.from(
      { length: Math.min(threadCount, turns) },
      () => new Worker(url, { workerData: { sabotage }, resourceLimits }),
    );
    const end = (finish: () => void): void => {
      void Promise.all(workers.map((worker) => worker.terminate())).then(finish);
    };
    const give = (worker: Worker): void => {
      const turn = {
        from: from + givenCount,
        count: Math.min(SEEDS_PER_TURN, count - givenCount),
      };
      givenCount += turn.count;
      if (turn.count > 0) worker.postMessage(turn);
    };
    const collect = (): void => {
      while (!isOver()) {
        const report = reports.get(from + takenCount);
        if (report === undefined) return;
        reports.delete(from + takenCount++);
        if (take(report)) takenCount = count;
      }
    };
    for (const worker of workers) {
      give(worker);
      worker.on("error", (error) => end(() => reject(error)));
      worker.on("message", (done: readonly SimReport[]) => {
        if (isOver()) return;
        for (const report of done) reports.set(report.seed, report);
        collect();
        if (isOver()) end(resolve);
        else give(worker);
      });
    }
  });
}
