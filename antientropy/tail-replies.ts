/** The replica that is followed: one page of what arrived here, from the index, without values. */
import type { ReplicaId } from "../core/ids.ts";
import type { ReplyOf } from "../core/messages.ts";
import type { Arrival, Digest, HintArrival, StoreKey } from "../core/store.ts";

/** What a page is made of. */
export interface TailedSide {
  /** The name of its order. */
  readonly run: number;
  /** No position is above this one. */
  readonly head: number;
  arrivals(after: number, countMax: number): readonly Arrival[];
  hints(after: number, countMax: number): readonly HintArrival[];
  /** Of all that it can say of the key, hints included; null when it cannot be read. */
  digest(key: StoreKey): Digest | null;
  /** Whether the follower that asks is an owner of the key. */
  concerns(key: StoreKey, partition?: number): boolean;
  /** Whether an exchange between the two brings it: it is in a tree that both compare. */
  isShared(key: StoreKey, partition: number): boolean;
  /** Whether it had something of the follower's that it cannot read any more. */
  hasLost(): boolean;
  movedSince(position: number): readonly ReplicaId[];
}

export interface PageLimits {
  /** Rows of the index that are looked at: most of them are listed. */
  readonly scanCountMax: number;
  /** The same where an exchange brings most of them. */
  readonly anchorCountMax: number;
}

/** Some two milliseconds' work, and some 60 KB. */
export const pageLimits: PageLimits = { scanCountMax: 2000, anchorCountMax: 10_000 };

/**
 * What arrived after a position, in order; with `isAnchor` only what an
 * exchange does not bring: hints, and what is not at home here. null: something cannot be read, so
 * that nobody may believe to have seen it.
 */
export function pageOf(
  side: TailedSide,
  { after, isAnchor }: { readonly after: number; readonly isAnchor: boolean },
  { scanCountMax, anchorCountMax }: PageLimits,
): ReplyOf<"arrived"> | null {
  if (side.hasLost()) return null;
  const { run, head } = side;
  const countMax = isAnchor ? anchorCountMax : scanCountMax;
  const rows = side.arrivals(after, countMax);
  const hints = side.hints(after, countMax);
  const lastOf = (list: readonly { readonly position: number }[]): number =>
    list.length < countMax ? head : (list.at(-1)?.position ?? head);
  const through = Math.min(lastOf(rows), lastOf(hints));
  const keys = new Set<StoreKey>();
  for (const { key, partition, position } of rows) {
    const isListed = position <= through && side.concerns(key, partition);
    if (isListed && !(isAnchor && side.isShared(key, partition))) keys.add(key);
  }
  for (const { key, position } of hints) {
    if (position <= through && side.concerns(key)) keys.add(key);
  }
  const list: (readonly [StoreKey, Digest])[] = [];
  for (const key of keys) {
    const digest = side.digest(key);
    if (digest === null) return null;
    // Dropped since, because everybody agreed on it or its time was over.
    if (digest !== 0) list.push([key, digest]);
  }
  const isAtEnd = through === head;
  return { kind: "arrived", run, through, isAtEnd, keys: list, moved: side.movedSince(after) };
}
