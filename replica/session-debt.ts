/** Whether what a read found is enough for the session whose context it carries. */
import type { CausalContext } from "../core/causal-context.ts";
import { type Entry, isLive } from "../core/entry.ts";
import type { GetPlan } from "./get-plan.ts";

type Session = Pick<GetPlan, "session" | "sessionEndsAt" | "wall">;

/** Whether there is a value to show that the session has seen replaced: that hides a loss. */
export function showsReplaced({ wall }: Session, session: CausalContext, found: Entry): boolean {
  const now = wall();
  return found.siblings.some((sibling) => isLive(sibling, now) && session.covers(sibling.dot));
}

export function reachesSession(plan: Session, found: Entry): boolean {
  const { session, sessionEndsAt = 0, wall } = plan;
  if (session === null || found.context.includes(session)) return true;
  // What has ended was forgotten, and nobody need have it.
  return sessionEndsAt > 0 && sessionEndsAt <= wall() && !showsReplaced(plan, session, found);
}
