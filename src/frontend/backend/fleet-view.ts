/** From what members tell of their delays to what the model is asked about. */

import { quorumNumber } from "../../../core/quorum-options.ts";
import type { StalenessResult } from "../../../core/results.ts";
import type { ForecastPlan } from "../../staleness/forecast.ts";
import { problemOf } from "../http/problems.ts";
import type { Backend, ClusterView } from "./backend.ts";

/** @throws Problem when the question fails as a whole */
export async function toldDelays(backend: Backend, trace: string): Promise<StalenessResult> {
  const result = await backend.execute({ kind: "staleness" }, trace);
  if (result.kind === "failed") throw problemOf(result.failure, false);
  if (result.kind !== "staleness") throw new Error(`a question of delays ended as ${result.kind}`);
  return result;
}

/**
 * Clients are taken to use the frontends of all members alike; where this one is no member's, as on
 * Workers, they write by this one.
 */
export function planOf(
  { ring, defaults }: ClusterView,
  { selfId, own, reports }: StalenessResult,
  { n, dw }: { readonly n: number; readonly dw: number },
): Omit<ForecastPlan, "from" | "times"> {
  const members = selfId === "" ? [] : ring.memberIds.filter((id) => reports.has(id));
  return {
    reports: selfId === "" ? new Map([["", own], ...reports]) : reports,
    partitions: Array.from({ length: ring.partitionCount }, (_, p) => ring.primariesOf(p, n)),
    writers: selfId === "" ? [""] : members,
    readers: members,
    dw,
    isMeasured: n === defaults.n && dw === quorumNumber(defaults.dw, n),
  };
}
