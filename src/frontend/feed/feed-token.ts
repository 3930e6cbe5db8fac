/**
 * How far a feed has come, as its client carries it: sealed for its namespace and prefix. A member
 * takes four bytes in it, the name of an order four, and numbers as many as they need, so that a
 * token of fifty members is below 2 KiB.
 */
import { CodecError, check } from "../../../core/check.ts";
import { decode, encode } from "../../../core/codec.ts";
import type { FeedPosition, MemberPlace, SourcePosition } from "../../../core/feed.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { FEED_TOKEN_CHARS_MAX } from "../../../core/limits.ts";
import { Problem } from "../http/problems.ts";
import { seal, unseal } from "../http/sealed-token.ts";
import { PackedReader, PackedWriter } from "./packed-numbers.ts";

/**
 * Release 0.2.0 wrote a list of six numbers for each source. Now there is a list of one, with bytes
 * first. A node of that release takes it for a source that is no member, and so begins anew and
 * says so.
 */
const VERSION = 1;

/** What a row says of its member. */
const IS_SOURCE = 1;
const HAS_PROVEN = 2;
const IS_LEFT = 4;
const IS_RESYNC = 8;
const HAS_TAKEN_OVER = 16;
const IS_BEGINNING = 32;

/** What a token belongs to. */
export interface FeedName {
  readonly namespace: string;
  readonly prefix: string;
}

const purposeOf = ({ namespace, prefix }: FeedName): string => `changes ${namespace}\0${prefix}`;

const markOf = (hash: KeyedHash, id: string): number => hash.digest(`source ${id}`) % 2 ** 32;

/** All that a position says of one member. */
interface Row {
  readonly id: string;
  readonly source?: SourcePosition | undefined;
  readonly proven?: MemberPlace | undefined;
  readonly left?: MemberPlace | undefined;
}

function rowsOf({ sources, proven, left }: FeedPosition): readonly Row[] {
  const rows = new Map<string, Row>();
  for (const source of sources) rows.set(source.id, { id: source.id, source });
  for (const place of proven)
    rows.set(place.id, { ...rows.get(place.id), ...named(place), proven: place });
  for (const place of left)
    rows.set(place.id, { ...rows.get(place.id), ...named(place), left: place });
  return [...rows.values()];
}

const named = ({ id }: MemberPlace): { readonly id: string } => ({ id });

function flagsOf({ source, proven, left }: Row): number {
  return (
    (source === undefined ? 0 : IS_SOURCE) |
    (proven === undefined ? 0 : HAS_PROVEN) |
    (left === undefined ? 0 : IS_LEFT) |
    (source?.isResync === true ? IS_RESYNC : 0) |
    (source?.ended === null ? HAS_TAKEN_OVER : 0) |
    ((source?.until ?? 0) > 0 ? IS_BEGINNING : 0)
  );
}

function writeRow(out: PackedWriter, row: Row, mark: number): void {
  const { source, proven, left } = row;
  out.word(mark);
  out.number(flagsOf(row));
  if (source !== undefined) {
    out.word(source.run);
    out.number(source.after);
    if (source.ended !== null) out.number(source.ended);
    if (source.until > 0) out.number(source.until);
  }
  // What is proven of a source is in the same order, and mostly close behind the place of reading.
  if (proven !== undefined && source !== undefined) out.number(source.after - proven.through);
  else if (proven !== undefined) {
    out.word(proven.run);
    out.number(proven.through);
  }
  if (left !== undefined) {
    out.word(left.run);
    out.number(left.through);
  }
}

function readRow(from: PackedReader, idOf: (mark: number) => string): Row {
  const id = idOf(from.word());
  const flags = from.number();
  const has = (flag: number): boolean => (flags & flag) !== 0;
  let source: SourcePosition | undefined;
  if (has(IS_SOURCE)) {
    const [run, after] = [from.word(), from.number()];
    const ended = has(HAS_TAKEN_OVER) ? null : from.number();
    const until = has(IS_BEGINNING) ? from.number() : 0;
    source = { id, run, after, ended, until, isResync: has(IS_RESYNC) };
  }
  let proven: MemberPlace | undefined;
  if (has(HAS_PROVEN) && source !== undefined) {
    proven = { id, run: source.run, through: source.after - from.number() };
  } else if (has(HAS_PROVEN)) proven = { id, run: from.word(), through: from.number() };
  const left = has(IS_LEFT) ? { id, run: from.word(), through: from.number() } : undefined;
  return { id, source, proven, left };
}

const isThere = <T>(value: T | undefined): value is T => value !== undefined;

export function positionToToken(hash: KeyedHash, name: FeedName, position: FeedPosition): string {
  const token = tokenOf(hash, name, position);
  // With very many members: without proofs a feed begins anew where it could have gone on.
  const isShort = token.length <= FEED_TOKEN_CHARS_MAX;
  return isShort ? token : tokenOf(hash, name, { ...position, proven: [] });
}

function tokenOf(hash: KeyedHash, name: FeedName, position: FeedPosition): string {
  const { layout, purgedThrough, dueThrough } = position;
  const out = new PackedWriter();
  for (const row of rowsOf(position)) writeRow(out, row, markOf(hash, row.id));
  const rows = [out.bytes, dueThrough, 0, 0, 0, 0];
  return seal(hash, purposeOf(name), encode([VERSION, layout, purgedThrough, rows]));
}

const invalid = (detail: string): Problem => new Problem("invalid-token", detail);

/**
 * @param memberIds the members that a token may name; one that has left is nameless in the result
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
  const idOf = (mark: number): string => ids.get(mark) ?? "";
  try {
    const list = decode(payload);
    check(Array.isArray(list) && list.length === 4, "a token has four parts");
    const [version, layout, purgedThrough, rows] = list as unknown[];
    check(version === VERSION && Array.isArray(rows), "a version that is known");
    const head = { layout: Number(layout), purgedThrough: Number(purgedThrough) };
    const [bytes, dueThrough] = rows as unknown[];
    if (!(bytes instanceof Uint8Array)) return resumed({ ...head, ...placesOfFirst(rows, idOf) });
    return resumed({ ...head, ...placesOf(bytes, idOf), dueThrough: Number(dueThrough) });
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw invalid("The token is of a version that this node does not know.");
  }
}

/**
 * A reader that comes with a token may have been told more than it says, when its connection broke
 * between a change and the token after it. A source that had not begun by the token begins anew
 * then. What has ended meanwhile is not told at a beginning, so the reader is to forget what it
 * has.
 */
function resumed(position: FeedPosition): FeedPosition {
  const sources = position.sources.map((source) =>
    source.run === 0 ? { ...source, isResync: true } : source,
  );
  return { ...position, sources };
}

type Places = Pick<FeedPosition, "sources" | "proven" | "left">;

function placesOf(bytes: Uint8Array, idOf: (mark: number) => string): Places {
  const rows: Row[] = [];
  for (const from = new PackedReader(bytes); !from.isAtEnd; ) rows.push(readRow(from, idOf));
  return {
    sources: rows.map(({ source }) => source).filter(isThere),
    proven: rows.map(({ proven }) => proven).filter(isThere),
    left: rows.map(({ left }) => left).filter(isThere),
  };
}

function placesOfFirst(
  rows: readonly unknown[],
  idOf: (mark: number) => string,
): Omit<FeedPosition, "layout" | "purgedThrough"> {
  const sources: SourcePosition[] = [];
  for (let i = 0; i < rows.length; i += 6) {
    const [mark = 0, run = 0, after = 0, ended = 0, until = 0, flag] = rows.slice(
      i,
      i + 6,
    ) as number[];
    sources.push({ id: idOf(mark), run, after, ended, until, isResync: flag === 1 });
  }
  return { sources, proven: [], left: [], dueThrough: 0 };
}
