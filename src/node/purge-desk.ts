/**
 * Carries out a purge. Two rounds over all members: the first asks for their clocks, so that the
 * epoch is later than whatever any of them has written so far; the second tells them of it. Done
 * when a majority has it on stable storage. Who was away learns of it before it works with anybody
 * again, because every request carries the stamp of the document that the epochs are in.
 */
import type { Failure } from "../../core/failure.ts";
import { PURGES_COUNT_MAX } from "../../core/limits.ts";
import type { Request } from "../../core/messages.ts";
import type { PurgeOperation } from "../../core/operations.ts";
import { majority } from "../../core/quorum-options.ts";
import { CLOCK_SKEW_MS_MAX, hlcFromMillis, type Millis, millisOfHlc } from "../../core/time.ts";
import { encodeDocument, purgesOf } from "../../ring/cluster-document.ts";
import { purgeName, withPurge } from "../../ring/purges.ts";
import { Fanout, type Replies } from "./fanout.ts";
import { type Answer, type FrontendHost, fail } from "./tasks.ts";

export function startPurge(
  host: FrontendHost,
  { operation, answer }: { readonly operation: PurgeOperation; readonly answer: Answer },
  now: Millis,
): void {
  const { knowledge } = host;
  const names = namesOf(operation);
  askAll(host, { kind: "clock" }, now, (replies, at) => {
    const clocks = [...replies.values()].flatMap((r) => (r.kind === "clocked" ? [r.time] : []));
    const memberCount = knowledge.ring.memberIds.length;
    if (clocks.length < majority(memberCount)) return answer(fail(tooFew(memberCount, clocks)));
    const purges = purgesOf(knowledge.document);
    if (purges.epochs.size + names.length > PURGES_COUNT_MAX) return answer(fail(TOO_MANY));
    // A clock that runs far ahead is not followed: its replica has refused its own times too.
    const latest = hlcFromMillis(at + CLOCK_SKEW_MS_MAX);
    const time = Math.min(latest, Math.max(hlcFromMillis(at), purges.floor + 1, ...clocks));
    knowledge.learn({ ...knowledge.document, purges: withPurge(purges, names, time) });
    const document = encodeDocument(knowledge.document);
    askAll(host, { kind: "document", document }, at, (told) => {
      const learnt = [...told.values()].filter(({ kind }) => kind === "documented");
      if (learnt.length < majority(memberCount)) return answer(fail(tooFew(memberCount, learnt)));
      const learntCount = learnt.length;
      answer({ kind: "purged", until: millisOfHlc(time), learntCount, memberCount });
    });
  });
}

function namesOf({ namespace, what }: PurgeOperation): readonly string[] {
  if ("tags" in what) return what.tags.map((tag) => purgeName(namespace, "tag", tag));
  if ("prefix" in what) return [purgeName(namespace, "prefix", what.prefix)];
  return [purgeName(namespace, "everything", "")];
}

function askAll(
  { knowledge, run }: FrontendHost,
  body: Request,
  now: Millis,
  done: (replies: Replies, now: Millis) => void,
): void {
  const { timeoutMs } = knowledge;
  const targets = knowledge.ring.memberIds;
  const make = (out: ConstructorParameters<typeof Fanout>[1]): Fanout =>
    new Fanout({ targets, body, timeoutMs }, out);
  run<Replies>({ timeoutMs, make, finish: done, again: null }, now);
}

const tooFew = (memberCount: number, heard: readonly unknown[]): Failure => ({
  code: "quorum-unavailable",
  detail: "Fewer than a majority of the members acknowledged the purge.",
  required: majority(memberCount),
  achieved: heard.length,
});

const TOO_MANY: Failure = {
  code: "overloaded",
  detail:
    `More than ${PURGES_COUNT_MAX} purges are not worked off yet: ` +
    "purge a whole namespace, or wait.",
};
