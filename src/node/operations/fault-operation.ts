/** Operations on faults: tells one replica to have one, or asks all which they have. */
import type { Fault } from "../../../core/fault.ts";
import type { Reply, RequestOf } from "../../../core/messages.ts";
import type { FaultOperation } from "../../../core/operations.ts";
import type { Millis } from "../../../core/time.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import { type FrontendHost, fail, type Respond } from "../peers/tasks.ts";

export function startFaultOperation(
  host: FrontendHost,
  { operation, answer }: { readonly operation: FaultOperation; readonly answer: Respond<"fault"> },
  now: Millis,
): void {
  const { replica, change } = operation;
  const { knowledge } = host;
  const { timeoutMs } = knowledge;
  const targets = replica === null ? knowledge.ring.memberIds : [replica];
  const isChange = change !== undefined;
  const body: RequestOf<"fault"> = { kind: "fault", isChange, fault: change ?? null };
  const done = (replies: Replies): void => {
    if (replies.size === 0) return answer(fail(noAnswer(targets.length)));
    const refusal = [...replies.values()].some(({ kind }) => kind === "refused");
    if (refusal) return answer(fail({ code: "faults-off", detail: HOW_TO_TURN_ON }));
    const faults = targets.map((id) => [id, faultIn(replies.get(id))] as const);
    answer({ kind: "faulted", faults });
  };
  askAll(host, { targets, body, timeoutMs, done }, now);
}

const HOW_TO_TURN_ON =
  "This deployment does not take faults. Start its nodes with --faults, or set STARLING_FAULTS.";

const noAnswer = (count: number) =>
  ({
    code: "quorum-unavailable",
    detail: "The replica did not answer.",
    required: count,
    achieved: 0,
  }) as const;

const faultIn = (reply: Reply | undefined): Fault | null =>
  reply?.kind === "faulted" ? reply.fault : null;
