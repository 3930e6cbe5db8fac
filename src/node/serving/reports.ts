/** What a replica says of itself and of what it holds, for operators and for listings. */
import { present } from "../../../core/assert.ts";
import { CodecError } from "../../../core/check.ts";
import { encodeEntry } from "../../../core/entry-codec.ts";
import { CANARY_NAMESPACE, compareUtf8, isAnyNamespace, isNamespace } from "../../../core/keys.ts";
import { LIST_KEYS_MAX, LIST_NAMESPACES_MAX } from "../../../core/limits.ts";
import type { ExchangeTotals } from "../../../core/message-values.ts";
import type { ReplyOf, RequestOf } from "../../../core/messages.ts";
import { wholeOf } from "../../../core/pieces.ts";
import { hintIfReadable, type StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import { withoutValues } from "../../../core/told-entry.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import { readableHintAt } from "../knowledge/hint-age.ts";
import type { Knowledge } from "../knowledge/knowledge.ts";
import type { Jobs } from "./job-ports.ts";

/** Its own record of a key, and each hint of it. */
export function inspected(keeper: Keeper, key: StoreKey): ReplyOf<"inspected"> {
  const { store } = keeper;
  const hints = store
    .hintTargets(key)
    .map((target) => [target, hintIfReadable(store, target, key) ?? null] as const);
  const { bytes } = keeper.own(key);
  return { kind: "inspected", entry: bytes && wholeOf(bytes), hints };
}

/**
 * How many keys it holds as an owner, as people count them: without its canaries.
 */
export const countedKeys = ({ store }: Pick<Keeper, "store">): number =>
  store.stats().keyCount - (store.usage().get(CANARY_NAMESPACE)?.keyCount ?? 0);

/** What it says of itself. */
export function reported(
  { keeper, jobs }: { readonly keeper: Keeper; readonly jobs: Jobs },
  { about, traffic, counters }: Knowledge,
  now: Millis,
): ReplyOf<"report"> {
  const { store } = keeper;
  const { byteCount, deadKeyCount, deadByteCount } = store.stats();
  const status = {
    keyCount: countedKeys(keeper),
    byteCount,
    deadKeyCount,
    deadByteCount,
    hintsHeld: [...store.hintCounts()],
    lastAntiEntropy: [...jobs.exchanges.lastAt],
    transfer: jobs.transfer.progress,
    duplicates: jobs.lives.duplicates(now),
    version: about.version,
    startedAt: about.startedAt ?? null,
    oldestHintAt: readableHintAt(store),
    scrub: jobs.scrub.status,
    traffic: traffic.totals(counters.readRepairs),
  };
  return { kind: "report", status };
}

/** Stops waiting for members that it cannot reach, and tells for which it had waited. */
export function acceptedLoss(jobs: Jobs, now: Millis): ReplyOf<"accepted"> {
  const ofAll = jobs.absence?.past.accept(now) ?? { partitionCount: 0, waitedFor: [] };
  const ofRecords = jobs.refill.accept();
  const partitionCount = Math.max(ofAll.partitionCount, ofRecords.partitionCount);
  const waitedFor = [...new Set([...ofAll.waitedFor, ...ofRecords.waitedFor])].sort();
  return { kind: "accepted", partitionCount, waitedFor };
}

/** Tries to deliver all hints, and tells when that is over. */
export function handedOff(
  { keeper, jobs }: { readonly keeper: Keeper; readonly jobs: Jobs },
  respond: (reply: ReplyOf<"handedOff">) => void,
  now: Millis,
): void {
  const pending = (): number =>
    [...keeper.store.hintCounts().values()].reduce((sum, count) => sum + count, 0);
  const done = (delivered: number): void =>
    respond({ kind: "handedOff", delivered, pending: pending() });
  jobs.handoff.start(now, done);
}

/** Compares with every peer, and tells when that is over. */
export function exchanged(
  jobs: Jobs,
  respond: (reply: ReplyOf<"exchanged">) => void,
  now: Millis,
): void {
  const done = (totals: ExchangeTotals): void => respond({ kind: "exchanged", totals });
  jobs.exchanges.withAll(now, done);
}

/** How long its peers took, and what its canaries have found. */
export function delayed({ jobs }: { readonly jobs: Jobs }, now: Millis): ReplyOf<"delayed"> {
  const lagsMs = new Map([...(jobs.tails?.lagMs() ?? [])].filter(([, ms]) => Number.isFinite(ms)));
  const report = { ...jobs.canaries.report(now), lagsMs };
  return { kind: "delayed", report };
}

/** Reads all records, and tells when that is over. */
export function scrubbed(
  jobs: Jobs,
  respond: (reply: ReplyOf<"scrubbed">) => void,
  now: Millis,
): void {
  const none = { kind: "scrubbed", checks: false, records: 0, damaged: 0, mended: 0 } as const;
  if (!jobs.scrub.checks) return respond(none);
  jobs.scrub.start(now, ({ records, damaged, mended }) =>
    respond({ kind: "scrubbed", checks: true, records, damaged, mended }),
  );
}

/**
 * The namespaces of which it holds a value, live or not swept yet; those of clients alone.
 *
 * @throws CodecError for what is no page
 */
export function named(keeper: Keeper, body: RequestOf<"namespaces">): ReplyOf<"named"> {
  const { after, limit } = body;
  if (limit < 1 || limit > LIST_NAMESPACES_MAX) throw new CodecError("a page has room");
  const isNext = (name: string): boolean => isNamespace(name) && compareUtf8(name, after) > 0;
  const usages = keeper.store.usage();
  const all = [...usages.keys()].filter(isNext).sort(compareUtf8);
  const names = all.slice(0, limit);
  const byteCounts = names.map((name) => present(usages.get(name)).byteCount);
  return { kind: "named", names, complete: all.length <= limit, byteCounts };
}

/**
 * One page of keys with what decides their state, values left out.
 *
 * @throws CodecError for what is no page
 */
export function listed(keeper: Keeper, body: RequestOf<"keys">): ReplyOf<"listed"> {
  const { namespace, prefix, after, limit } = body;
  const isPage = isAnyNamespace(namespace) && limit >= 1 && limit <= LIST_KEYS_MAX + 1;
  if (!isPage) throw new CodecError("a page is of a namespace, and has room");
  const from = `${namespace}\0`;
  const page = keeper.keysAfter(from + prefix, from + after, limit);
  const entries = page.map((key) => {
    const { entry } = keeper.hold(key);
    return [key.slice(from.length), encodeEntry(withoutValues(entry), null)] as const;
  });
  return { kind: "listed", entries, complete: page.length < limit };
}
