/** From the delays that members tell of to the deployment that the model is asked about. */

import { quorumNumber } from "../../../core/quorum-options.ts";
import type { StalenessResult } from "../../../core/results.ts";
import type { ForecastPlan } from "../../staleness/forecast.ts";
import type { Backend, ClusterView } from "./backend.ts";
import { run } from "./run.ts";

/** @throws Problem when the question fails as a whole */
export const toldDelays = (backend: Backend, trace: string): Promise<StalenessResult> =>
  run(backend, { kind: "staleness" }, trace);

/** What members tell and, where it is not one of them, this frontend. */
export const reportsOf = ({ selfId, own, reports }: StalenessResult): ForecastPlan["reports"] =>
  selfId === null ? new Map([["", own], ...reports]) : reports;

/**
 * Clients are assumed to use the frontends of all members alike. Where this one is not a member's,
 * as on Workers, they are assumed to write through it.
 */
export function planOf(
  { ring, defaults }: ClusterView,
  told: StalenessResult,
  { n, dw }: { readonly n: number; readonly dw: number },
): Omit<ForecastPlan, "from" | "times"> {
  const { selfId, reports } = told;
  const members = selfId === null ? [] : ring.memberIds.filter((id) => reports.has(id));
  return {
    reports: reportsOf(told),
    partitions: Array.from({ length: ring.partitionCount }, (_, p) => ring.primariesOf(p, n)),
    writers: selfId === null ? [""] : members,
    readers: members,
    dw,
    canaryDw: n === defaults.n ? quorumNumber(defaults.dw, n) : null,
  };
}
