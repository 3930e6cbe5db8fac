/** `POST /v1/cluster/scrub`: every record is read now, and what is damaged fetched from peers. */
import type { ScrubPass, ScrubStatus } from "../../../core/results.ts";
import type { Backend } from "../backend/backend.ts";
import { run } from "../backend/run.ts";
import { readFields } from "../http/json-body.ts";
import { Problem } from "../http/problems.ts";

interface ShownPass {
  readonly records: number;
  readonly damaged: number;
  readonly mended: number;
}

/** As `GET /v1/cluster` has it. */
export interface ShownScrub {
  readonly last: (ShownPass & { readonly finishedAt: string }) | null;
  readonly running: (ShownPass & { readonly startedAt: string }) | null;
}

const isoOf = ({ at }: ScrubPass): string => new Date(at).toISOString();
const shownPass = ({ records, damaged, mended }: ScrubPass): ShownPass => ({
  ...{ records, damaged, mended },
});

/** As a member of `GET /v1/cluster` shows it; null where the platform checks its own storage. */
export function shownScrub(status: ScrubStatus | null | undefined): ShownScrub | null {
  if (status === null || status === undefined) return null;
  const { last, running } = status;
  return {
    last: last && { finishedAt: isoOf(last), ...shownPass(last) },
    running: running && { startedAt: isoOf(running), ...shownPass(running) },
  };
}

/**
 * Answers when it is over, or after two minutes, naming what is still `running`.
 *
 * @throws Problem
 */
export async function scrubNow(backend: Backend, request: Request): Promise<Response> {
  const { replica = null } = await readFields(request, ["replica"]);
  const { memberIds } = backend.view().ring;
  if (replica !== null && !memberIds.some((id) => id === replica)) {
    throw new Problem("invalid-request", `"replica" must be one of ${memberIds.join(", ")}.`);
  }
  const startedAt = performance.now();
  const operation = { kind: "scrub", replica: replica as string | null } as const;
  const result = await run(backend, operation);
  const replicas = result.replicas.map(({ id, state, pass }) => {
    const { records = null, damaged = null, mended = null } = pass ?? {};
    return { id, state, records, damaged, mended };
  });
  return Response.json({ replicas, ms: Math.round(performance.now() - startedAt) });
}
