/**
 * Whether this node knows of every purge that was acknowledged before now. Such a one is known to a
 * majority of the members, on stable storage; so whoever hears of a majority, by requests that went
 * out since, knows of it too: a member with another cluster document answers with that.
 */
import type { ReplicaId } from "../../core/ids.ts";
import type { Reply } from "../../core/messages.ts";
import { majority } from "../../core/quorum-options.ts";
import type { Millis } from "../../core/time.ts";
import { askAll } from "./fanout.ts";
import type { FrontendHost } from "./tasks.ts";

/**
 * Asks every other member whether its document is this node's. `done` is called once, as soon as a
 * majority has said so, or when it is certain that none will; with how many there were.
 */
export function askForVouchers(
  host: FrontendHost,
  { timeoutMs, done }: { readonly timeoutMs: number; done(count: number): void },
  now: Millis,
): void {
  const { knowledge, selfId } = host;
  const { memberIds } = knowledge.ring;
  const targets = memberIds.filter((id) => id !== selfId);
  const needed = majority(memberIds.length);
  let count = memberIds.length - targets.length;
  let isDone = false;
  const tell = (): void => {
    if (isDone) return;
    isDone = true;
    done(count);
  };
  const heard = (_: ReplicaId, { kind }: Reply): void => {
    if (kind === "pong" && ++count >= needed) tell();
  };
  if (count >= needed) return tell();
  askAll(host, { targets, body: { kind: "ping" }, timeoutMs, heard, done: tell }, now);
}
