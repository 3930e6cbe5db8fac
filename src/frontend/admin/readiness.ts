/**
 * `/readyz`: whether a default read could be served just now, by other members too. `/readyz?owns`:
 * whether, besides, this node's own replica knows that it has what it owns. A rolling restart waits
 * for the second: otherwise the next node would be stopped while this one still lacks something.
 */
import { storeKey } from "../../../core/keys.ts";
import type { Backend } from "../backend/backend.ts";
import { readInRoom } from "../backend/read-room.ts";
import { rulesOf } from "../backend/rules.ts";
import { Problem, problemOf } from "../http/problems.ts";

/** How long the probe may take, in ms: an orchestrator asks every few seconds. */
const PROBE_MS = 1000;
/** A meaningless key; nobody need have written it. */
const PROBE_KEY = storeKey("starling", "readyz");

/** Whether the query has the name, alone or with a value that is true. */
const asksWhatIsOwned = ({ searchParams }: URL): boolean =>
  searchParams.has("owns") && !["false", "0"].includes(searchParams.get("owns") ?? "");

/**
 * Counts first: because fallbacks stand in, a default read of any partition needs a number of
 * members, whichever these are. Then it makes one read, because a frontend that has only just
 * started suspects nobody.
 *
 * @throws Problem `quorum-unavailable` or `quorum-timeout`
 */
export async function checkReadiness(backend: Backend, url: URL): Promise<void> {
  const view = backend.view();
  const { ring, isReachable, lacks } = view;
  if (lacks !== null && asksWhatIsOwned(url)) throw new Problem("quorum-unavailable", lacks);
  const required = Math.min(rulesOf(view, view.defaults, {}).r, ring.memberIds.length);
  const achieved = ring.memberIds.filter((id) => isReachable(id)).length;
  if (achieved < required) {
    const detail = `${achieved} replicas can be reached; a default read needs ${required}.`;
    throw new Problem("quorum-unavailable", detail, { extras: { required, achieved } });
  }
  const read = { kind: "get", key: PROBE_KEY, session: null } as const;
  const reader = { backend, holder: {}, trace: "" };
  const result = await readInRoom(reader, { ...read, options: { timeoutMs: PROBE_MS } });
  if (result.kind === "failed") throw problemOf(result.failure, false);
}
