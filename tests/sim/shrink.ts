/** Makes a failing plan smaller: fewer faults and fewer clients under which it fails alike. */
import type { Failure } from "./judge.ts";
import { NO_NOISE, type Plan } from "./plan.ts";
import { simulatePlan } from "./run.ts";

/** How many runs may be spent on it. */
const RUNS_MAX = 150;

/** @returns a smaller plan with which the same oracle fails */
export function shrink(plan: Plan, { oracle }: Failure): Plan {
  let best = plan;
  let runCount = 0;
  const attempt = (candidate: Plan): boolean => {
    if (runCount >= RUNS_MAX) return false;
    runCount++;
    const found = simulatePlan(candidate).failures;
    if (!found.some((failure) => failure.oracle === oracle)) return false;
    best = candidate;
    return true;
  };
  attempt({ ...plan, noise: NO_NOISE });
  dropSome(
    () => best.faults,
    (faults) => attempt({ ...best, faults }),
  );
  dropSome(
    () => best.clients,
    (clients) => clients.length > 0 && attempt({ ...best, clients }),
  );
  return best;
}

/** Leaves out a half, then quarters, … then single ones (Zeller's delta debugging, plainly). */
function dropSome<T>(now: () => readonly T[], attempt: (fewer: readonly T[]) => boolean): void {
  for (let size = Math.ceil(now().length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < now().length; ) {
      const fewer = [...now().slice(0, at), ...now().slice(at + size)];
      if (!attempt(fewer)) at += size;
    }
  }
}
