/**
 * Carries out a purge. Two rounds over all members: the first asks for their clocks, so that the
 * epoch is later than whatever any of them has written so far; the second tells them of it. Done
 * when a majority has it on stable storage. Who was away learns of it before it works with anybody
 * again, because every request carries the stamp of the document that the epochs are in.
 */
import type { Failure } from "../../core/failure.ts";
import { PURGES_COUNT_MAX } from "../../core/limits.ts";
import type { PurgeOperation } from "../../core/operations.ts";
import { majority } from "../../core/quorum-options.ts";
import {
  CLOCK_SKEW_MS_MAX,
  type Hlc,
  hlcFromMillis,
  type Millis,
  millisOfHlc,
} from "../../core/time.ts";
import { purgesOf } from "../../ring/cluster-document.ts";
import { purgeName, withPurge } from "../../ring/purges.ts";
import { askAll, type Replies } from "./fanout.ts";
import { type Answer, type FrontendHost, fail } from "./tasks.ts";
import { tellDocument } from "./tell-document.ts";

export function startPurge(
  host: FrontendHost,
  { operation, answer }: { readonly operation: PurgeOperation; readonly answer: Answer },
  now: Millis,
): void {
  const { knowledge } = host;
  const { timeoutMs } = knowledge;
  const names = namesOf(operation);
  const memberCount = (): number => knowledge.ring.memberIds.length;
  const tell = (time: Hlc, at: Millis): void => {
    const done = (told: Replies): void => {
      const learnt = [...told.values()].filter(({ kind }) => kind === "documented");
      const [learntCount, of] = [learnt.length, memberCount()];
      if (learntCount < majority(of)) return answer(fail(tooFew(of, learntCount)));
      answer({ kind: "purged", until: millisOfHlc(time), learntCount, memberCount: of });
    };
    tellDocument(host, { targets: knowledge.ring.memberIds, timeoutMs, done }, at);
  };
  const done = (replies: Replies, at: Millis): void => {
    const clocks = [...replies.values()].flatMap((r) => (r.kind === "clocked" ? [r.time] : []));
    const of = memberCount();
    if (clocks.length < majority(of)) return answer(fail(tooFew(of, clocks.length)));
    const purges = purgesOf(knowledge.document);
    if (purges.epochs.size + names.length > PURGES_COUNT_MAX) return answer(fail(TOO_MANY));
    // A clock that runs far ahead is not followed: its replica has refused its own times too.
    const wall = host.wall();
    const latest = hlcFromMillis(wall + CLOCK_SKEW_MS_MAX);
    const time = Math.min(latest, Math.max(hlcFromMillis(wall), purges.floor + 1, ...clocks));
    knowledge.learn({ ...knowledge.document, purges: withPurge(purges, names, time) });
    tell(time, at);
  };
  const targets = knowledge.ring.memberIds;
  askAll(host, { targets, body: { kind: "clock" }, timeoutMs, done }, now);
}

function namesOf({ namespace, what }: PurgeOperation): readonly string[] {
  if ("tags" in what) return what.tags.map((tag) => purgeName(namespace, "tag", tag));
  if ("prefix" in what) return [purgeName(namespace, "prefix", what.prefix)];
  return [purgeName(namespace, "everything", "")];
}

const tooFew = (memberCount: number, achieved: number): Failure => ({
  code: "quorum-unavailable",
  detail: "Fewer than a majority of the members acknowledged the purge.",
  required: majority(memberCount),
  achieved,
});

const TOO_MANY: Failure = {
  code: "overloaded",
  detail:
    `More than ${PURGES_COUNT_MAX} purges are not worked off yet: ` +
    "purge a whole namespace, or wait.",
};
