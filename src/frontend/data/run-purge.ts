/** What purges of namespaces and of sites have in common, and what is handed in for sites. */
import type { PurgeOperation } from "../../../core/operations.ts";
import type { Result } from "../../../core/results.ts";
import type { Backend } from "../backend/backend.ts";
import { run } from "../backend/run.ts";
import type { Grant } from "../http/auth.ts";

export interface SitePurge {
  readonly backend: Backend;
  readonly grant: Grant;
  readonly trace: string;
  /** Reads what a purge of a namespace is about. @throws Problem */
  readonly whatOf: (body: Record<string, unknown>) => PurgeOperation["what"];
}

/**
 * Purges what a site stored. How a site stores it is the cache door's own matter, and the door
 * stands above the frontend: the host hands this in.
 *
 * @throws Problem; `forbidden` when the token may not write to the site
 */
export type PurgeSite = (parts: SitePurge, body: Record<string, unknown>) => Promise<Response>;

export type Purged = Extract<Result, { kind: "purged" }>;

/** @throws Problem */
export const runPurge = (
  { backend, trace }: Pick<SitePurge, "backend" | "trace">,
  operation: Omit<PurgeOperation, "kind">,
): Promise<Purged> => run(backend, { kind: "purge", ...operation }, trace);

export const purgedAnswer = (
  { until, learntCount, memberCount }: Purged,
  more: Record<string, unknown> = {},
): Response =>
  Response.json({
    until: new Date(until).toISOString(),
    replicas: { learnt: learntCount, of: memberCount },
    ...more,
  });
