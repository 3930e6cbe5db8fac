/**
 * Carries out a purge. Two rounds over all members: the first asks for their clocks, so that the
 * epoch is later than whatever any of them has written so far; the second tells them of it. Done
 * when a majority has it on stable storage. A member that was away learns of it before it
 * works with anybody again: every request carries the stamp of the document with the epochs.
 *
 * The clock of the node that asks plays no part, nor does one that is far from a majority's. A
 * replica that knows of an epoch mints later times, whatever its clock shows (`Keeper.mint`).
 */
import type { Failure } from "../../../core/failure.ts";
import { PURGES_COUNT_MAX } from "../../../core/limits.ts";
import type { PurgeOperation } from "../../../core/operations.ts";
import { isSoft, purgeName, softName, withPurge, withSoftPurge } from "../../../core/purges.ts";
import { majority } from "../../../core/quorum-options.ts";
import { isSiteNamespace } from "../../../core/site.ts";
import {
  CLOCK_SKEW_MS_MAX,
  type Hlc,
  hlcFromMillis,
  type Millis,
  millisOfHlc,
} from "../../../core/time.ts";
import { purgesOf } from "../../../ring/cluster-document.ts";
import { agreeing } from "../knowledge/cluster-clock.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import { type FrontendHost, fail, type Respond } from "../peers/tasks.ts";
import { tellDocument } from "../peers/tell-document.ts";

/**
 * How far apart the hybrid clocks of members whose wall clocks are believed may be: these may be
 * off by the bound either way, and have followed a peer by the bound once more.
 */
const CLOCKS_SPAN_MS_MAX = 3 * CLOCK_SKEW_MS_MAX;

export function startPurge(
  host: FrontendHost,
  { operation, answer }: { readonly operation: PurgeOperation; readonly answer: Respond<"purge"> },
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
    if (clocks.length < majority(of)) return answer(fail(tooFewClocks(of, clocks.length)));
    const purges = purgesOf(knowledge.document);
    const hardCount = [...purges.epochs.keys()].filter((name) => !isSoft(name)).length;
    const isFull = hardCount + names.length > PURGES_COUNT_MAX;
    if (isFull && !isSiteNamespace(operation.namespace)) return answer(fail(TOO_MANY));
    const span = hlcFromMillis(CLOCKS_SPAN_MS_MAX);
    const latest = agreeing(clocks, { needed: majority(of), span }).at(-1);
    if (latest === undefined) return answer(fail(clocksApart(of)));
    const time = Math.max(latest, purges.floor + 1);
    // A site is never refused: where there is no room, all that it has becomes stale instead.
    const isSoftly = operation.soft === true || isFull;
    const ended = isFull ? namesOf({ ...operation, soft: true, what: WHOLE }) : names;
    const put = isSoftly ? withSoftPurge : withPurge;
    knowledge.learn({ ...knowledge.document, purges: put(purges, ended, time) });
    tell(time, at);
  };
  const targets = knowledge.ring.memberIds;
  askAll(host, { targets, body: { kind: "clock" }, timeoutMs, done }, now);
}

const WHOLE = { everything: true } as const;

function namesOf({ namespace, what, soft }: PurgeOperation): readonly string[] {
  const name = soft === true ? softName : purgeName;
  if ("tags" in what) return what.tags.map((tag) => name(namespace, "tag", tag));
  if ("prefix" in what) return [name(namespace, "prefix", what.prefix)];
  return [name(namespace, "everything", "")];
}

const unavailable = (detail: string, memberCount: number, achieved: number): Failure => ({
  ...{ code: "quorum-unavailable", detail, required: majority(memberCount), achieved },
});

const tooFew = (memberCount: number, achieved: number): Failure => {
  const detail =
    "Fewer than a majority of the members acknowledged the purge; it may still spread.";
  return unavailable(detail, memberCount, achieved);
};

const tooFewClocks = (memberCount: number, achieved: number): Failure => {
  const detail = "Fewer than a majority of the members could be reached: nothing was purged.";
  return { ...unavailable(detail, memberCount, achieved), isWithoutEffect: true };
};

const clocksApart = (memberCount: number): Failure => {
  const detail =
    "The clocks of no majority of the members agree: nothing was purged. Set the clocks right.";
  return { ...unavailable(detail, memberCount, 0), isWithoutEffect: true };
};

const TOO_MANY: Failure = {
  code: "overloaded",
  detail:
    `More than ${PURGES_COUNT_MAX} purges are not worked off yet: ` +
    "purge a whole namespace, or wait.",
};
