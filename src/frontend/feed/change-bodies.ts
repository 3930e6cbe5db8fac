/** One change of a feed in the words of its client. */
import {
  contextShowing,
  type Entry,
  etagOf,
  liveSiblings,
  newestFirst,
  type Sibling,
  standingIn,
} from "../../../core/entry.ts";
import { EVICTED, endOf } from "../../../core/expiry.ts";
import type { FeedChange, KeyChange } from "../../../core/feed.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { keyOf } from "../../../core/keys.ts";
import type { PurgeIndex } from "../../../core/purges.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";
import { modifiedMs } from "../data/answers.ts";
import { contextToToken } from "../http/context-token.ts";
import { httpDate } from "../http/http-date.ts";

export type Described = Readonly<Record<string, unknown>>;

export interface ChangeSetting {
  readonly hash: KeyedHash;
  readonly now: WallMillis;
  readonly purges: PurgeIndex;
  readonly values: boolean;
  /** Whether the whole entry goes along, for a copy of the namespace. */
  readonly entries: boolean;
  /** Told of each version's time of writing, where the version is what changed. */
  readonly written: (at: WallMillis) => void;
  /** Bytes as they stand in the answer's form. */
  readonly bytes: (value: Uint8Array) => unknown;
}

const runText = (run: number): string => run.toString(16).padStart(8, "0");

/** Changes that nobody wrote at that moment. */
const ENDINGS: ReadonlySet<string> = new Set(["expire", "purged"]);

interface Ending {
  readonly type: string;
  readonly reason?: string;
}

/** Why nothing of a key lives any more, as far as its remains tell. */
function endingOf(
  { key, newest }: { readonly key: StoreKey; readonly newest: Sibling | undefined },
  { now, purges }: ChangeSetting,
): Ending {
  if (newest === undefined || purges.mayHavePurged(key, newest)) return { type: "purged" };
  const { content, expiresAt } = newest;
  if (content === null && expiresAt === EVICTED) return { type: "delete", reason: "evicted" };
  const hasEnded = expiresAt > EVICTED && expiresAt <= now;
  return { type: hasEnded ? "expire" : "delete" };
}

function described(change: KeyChange, entry: Entry, setting: ChangeSetting): Described {
  const { hash, now } = setting;
  const { key, run, partition } = change;
  const seen = setting.purges.apply(key, entry);
  const live = liveSiblings(seen, now);
  const [newest = standingIn(seen).toSorted(newestFirst)[0]] = live;
  const isLive = live.length > 0;
  const type: Ending = isLive
    ? { type: live.length > 1 ? "conflict" : "put" }
    : endingOf({ key, newest }, setting);
  if (newest !== undefined && !ENDINGS.has(type.type)) setting.written(modifiedMs(newest));
  const shown = isLive ? live : newest === undefined ? [] : [newest];
  const { content = null, expiresAt = 0 } = newest ?? {};
  // Spreads in the midst of it would take as long as all the rest.
  const told: Record<string, unknown> = {
    key: keyOf(key),
    type: type.type,
    etag: etagOf(shown, hash),
    context: contextToToken({ hash, key }, contextShowing(seen, live, now), endOf(live)),
    lastModified: newest === undefined ? null : httpDate(modifiedMs(newest)),
    ttl: isLive && expiresAt > 0 ? Math.max(0, (expiresAt - now) / 1000) : null,
    siblings: live.length,
    run: runText(run),
    partition,
  };
  if (type.reason !== undefined) told["reason"] = type.reason;
  if (isLive && setting.values && content !== null) {
    told["contentType"] = content.contentType;
    told["value"] = setting.bytes(content.value);
  }
  return told;
}

/** What is left to say of a key that was forgotten when its time was over. */
const forgotten = ({ key, run, partition }: KeyChange): Described => ({
  ...{ key: keyOf(key), type: "expire", etag: null, context: null, lastModified: null },
  ...{ ttl: null, siblings: 0, run: runText(run), partition },
});

export function describe(change: FeedChange, setting: ChangeSetting): Described {
  if (change.what === "purge") {
    const until = httpDate(Math.floor(change.until / 1024));
    return { type: "purged", rule: change.rule, until };
  }
  if (change.what !== "key") {
    const { what, run, partitions } = change;
    return { type: what, run: runText(run), partitions };
  }
  if (change.entry === null) return forgotten(change);
  const told = described(change, change.entry.decoded, setting);
  return setting.entries ? { ...told, entry: setting.bytes(change.entry.bytes) } : told;
}
