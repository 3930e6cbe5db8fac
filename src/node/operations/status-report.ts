/** What a replica's report on itself says, taken apart; `reports.ts` puts it together. */
import type { Reply } from "../../../core/messages.ts";
import type {
  ReplicaStatus,
  ScrubPass,
  ScrubStatus,
  TransferStatus,
} from "../../../core/results.ts";
import type { WallMillis } from "../../../core/time.ts";
import { trafficFromList } from "../../../core/traffic.ts";
import { isVersionText } from "../../../core/version.ts";

/**
 * `report` is `[keys, bytes, [[target, hints], …], [[peer, at], …], transfer or null,
 * [[member, at], …], dead keys, dead bytes, version, when its process began, when the oldest hint
 * was written, scrub, traffic]`: the members are those that run twice; of the last two times, 0 is
 * never.
 */
export function statusOf(reply: Reply | undefined): ReplicaStatus | null {
  if (reply?.kind !== "report") return null;
  const [keyCount, byteCount, hintsHeld, lastAntiEntropy, transfer, ...more] = reply.report;
  const [duplicates, deadKeyCount = 0, deadByteCount = 0, ...latest] = more;
  const [version, startedAt, oldestHint, scrub, traffic] = latest;
  if (typeof keyCount !== "number" || typeof byteCount !== "number") return null;
  if (typeof deadKeyCount !== "number" || typeof deadByteCount !== "number") return null;
  return {
    keyCount,
    byteCount,
    deadKeyCount,
    deadByteCount,
    hintsHeld: pairs(hintsHeld),
    lastAntiEntropy: pairs(lastAntiEntropy),
    transfer: transferOf(transfer),
    duplicates: pairs(duplicates),
    version: typeof version === "string" && isVersionText(version) ? version : null,
    startedAt: timeOf(startedAt),
    oldestHintAt: timeOf(oldestHint),
    scrub: scrubOf(scrub),
    traffic: trafficFromList(traffic),
  };
}

/** The latest time that a date of ECMAScript can show, in ms since 1970. */
const TIME_MAX = 8.64e15;

const timeOf = (value: unknown): WallMillis | null =>
  typeof value === "number" && value > 0 && value <= TIME_MAX ? value : null;

/** `[last, running]`. */
function scrubOf(list: unknown): ScrubStatus | null {
  if (!Array.isArray(list)) return null;
  const [last, running] = (list as unknown[]).map(passOf);
  return { last: last ?? null, running: running ?? null };
}

/** `[at, records, damaged, mended]`. */
function passOf(list: unknown): ScrubPass | null {
  if (!Array.isArray(list) || !list.every((item) => typeof item === "number")) return null;
  const [at, records = 0, damaged = 0, mended = 0] = list as number[];
  const time = timeOf(at);
  return time === null ? null : { at: time, records, damaged, mended };
}

/** `[partitions, of them done, keys, bytes]`. */
function transferOf(list: unknown): TransferStatus | null {
  if (!Array.isArray(list) || !list.every((item) => typeof item === "number")) return null;
  const [partitionsTotal = 0, partitionsDone = 0, keyCount = 0, byteCount = 0] = list as number[];
  return { partitionsTotal, partitionsDone, keyCount, byteCount };
}

function pairs(list: unknown): readonly (readonly [string, number])[] {
  if (!Array.isArray(list)) return [];
  return list.filter(
    (item): item is [string, number] =>
      Array.isArray(item) && typeof item[0] === "string" && typeof item[1] === "number",
  );
}
