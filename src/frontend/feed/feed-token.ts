/**
 * How far a feed has come, as its client carries it: sealed for its namespace and prefix. A replica
 * stands in it as four bytes, so that a token of fifty members is below 2 KiB.
 */
import { CodecError, check } from "../../../core/check.ts";
import { decode, encode } from "../../../core/codec.ts";
import type { FeedPosition, SourcePosition } from "../../../core/feed.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { FEED_TOKEN_CHARS_MAX } from "../../../core/limits.ts";
import { Problem } from "../http/problems.ts";
import { seal, unseal } from "../http/sealed-token.ts";

const VERSION = 1;

/** What a token belongs to. */
export interface FeedName {
  readonly namespace: string;
  readonly prefix: string;
}

const purposeOf = ({ namespace, prefix }: FeedName): string => `changes ${namespace}\0${prefix}`;

const markOf = (hash: KeyedHash, id: string): number => hash.digest(`source ${id}`) % 2 ** 32;

export function positionToToken(hash: KeyedHash, name: FeedName, position: FeedPosition): string {
  const { layout, purgedThrough, sources } = position;
  const rows = sources.map(({ id, run, after, ended, until, isResync }) => [
    ...[markOf(hash, id), run, after, ended, until, isResync ? 1 : 0],
  ]);
  return seal(hash, purposeOf(name), encode([VERSION, layout, purgedThrough, rows.flat()]));
}

const invalid = (detail: string): Problem => new Problem("invalid-token", detail);

/**
 * @param memberIds whom a token may name; one that is none any more has no name in the result
 * @throws Problem `invalid-token`
 */
export function tokenToPosition(
  hash: KeyedHash,
  name: FeedName,
  { token, memberIds }: { readonly token: string; readonly memberIds: readonly string[] },
): FeedPosition {
  const payload = token.length > FEED_TOKEN_CHARS_MAX ? null : unseal(hash, purposeOf(name), token);
  if (payload === null) {
    throw invalid("The token was not given for this namespace and prefix, or not sent as given.");
  }
  const ids = new Map(memberIds.map((id) => [markOf(hash, id), id]));
  try {
    const list = decode(payload);
    check(Array.isArray(list) && list.length === 4, "a token has four parts");
    const [version, layout, purgedThrough, rows] = list as unknown[];
    check(version === VERSION && Array.isArray(rows), "a version that is known");
    const sources: SourcePosition[] = [];
    for (let i = 0; i < rows.length; i += 6) {
      const [mark, run, after, ended, until, flag] = rows.slice(i, i + 6) as number[];
      const id = ids.get(mark ?? 0) ?? "";
      const place = { run: run ?? 0, after: after ?? 0, ended: ended ?? 0, until: until ?? 0 };
      sources.push({ id, ...place, isResync: flag === 1 });
    }
    return { layout: Number(layout), purgedThrough: Number(purgedThrough), sources };
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw invalid("The token is of a version that this node does not know.");
  }
}
