/** Whether what a read found is enough for the session whose context it carries. */
import type { CausalContext } from "../core/causal-context.ts";
import { type Entry, isLive } from "../core/entry.ts";
import type { Failure } from "../core/failure.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { GetPlan } from "./get-plan.ts";

export const NOT_REACHED: Failure = {
  code: "context-not-reached",
  detail: "No replica that can be reached holds what the context names. Try again shortly.",
};

type Session = Pick<GetPlan, "session" | "sessionEndsAt" | "wall">;
type Asked = Pick<GetPlan, "isEveryone" | "candidates">;

/** Whether it would show a value that the session has seen replaced: that would hide a loss. */
function showsReplaced({ wall }: Session, session: CausalContext, found: Entry): boolean {
  const now = wall();
  return found.siblings.some((sibling) => isLive(sibling, now) && session.covers(sibling.dot));
}

export function reachesSession(plan: Session, found: Entry): boolean {
  const { session, sessionEndsAt = 0, wall } = plan;
  if (session === null || found.context.includes(session)) return true;
  // What has ended was forgotten, and nobody need have it.
  return sessionEndsAt > 0 && sessionEndsAt <= wall() && !showsReplaced(plan, session, found);
}

/**
 * Whether what the session names was collected: every member answered and none has it. What is
 * there instead may be shown if the session has not seen it: a value that the session's writes
 * replaced would be covered by its context, and to show one would hide a loss.
 */
export function isSessionForgotten(
  plan: Session & Asked,
  hasAnswered: (id: ReplicaId) => boolean,
  found: Entry,
): boolean {
  const { session, isEveryone, candidates } = plan;
  if (session === null || !isEveryone || !candidates.every(({ id }) => hasAnswered(id))) {
    return false;
  }
  return !showsReplaced(plan, session, found);
}
