/** What can be said of a request by its kind alone. */
import type { Request } from "../../../core/messages.ts";

/** The reply of a replica that was told to be down. */
export const DOWN = "down";

/** Whether a request is worth nothing once nobody waits for its reply. */
export const isForItsAnswer = ({ kind }: Request): boolean => !FOR_ITSELF.has(kind);
const FOR_ITSELF: ReadonlySet<Request["kind"]> = new Set([
  ...(["store", "storeAlone", "deliver", "collect", "document", "accept"] as const),
]);

/** The requests that nodes may make whatever cluster documents they have. */
export const FREE: ReadonlySet<Request["kind"]> = new Set([
  ...(["document", "status", "delays", "fault", "promise", "accept"] as const),
]);

/** Whether the callee may take its time: how long says nothing about how it is doing. */
export const isHeld = (body: Request): boolean =>
  (body.kind === "changes" && body.holdMs > 0) || body.kind === "probe";
