/**
 * An entry as bytes: what a record of the log and a message between replicas hold.
 *
 * `[context, siblings, retries, tenure]`. The tenure is local to the replica that stores the
 * record: the actor under which it mints for this key, and the incarnation in which it took that
 * actor. A receiver ignores it. It may travel along, so that a stored record can be sent as it is.
 * A write goes to the others without it: for a key that is written often, a tenure is as long as a
 * small value.
 */

import { assert } from "./assert.ts";
import { CausalContext, type Dot } from "./causal-context.ts";
import { CodecError, check } from "./check.ts";
import { decode, encode, encodeBriefly, encodeToKeep } from "./codec.ts";
import {
  type CacheLife,
  type Content,
  compareDots,
  type Entry,
  type Retry,
  type Sibling,
  sameDot,
  valueBytes,
} from "./entry.ts";
import { type ActorId, isActorId } from "./ids.ts";
import { type Minting, type MintingBounds, Mintings } from "./mintings.ts";
import { type Bytes, isAlone, LONG_BYTES, Pieces, partsOf, wholeOf } from "./pieces.ts";

/**
 * A replica's right to mint for a key. It ends with the incarnation, and with the record: one that
 * has forgotten what it minted before takes a new actor (Riak's per-key epochs, kv679), because a
 * reused counter, or a claim to have seen what was forgotten, deletes other replicas' data.
 */
export interface Tenure {
  readonly actor: ActorId;
  readonly incarnation: number;
  /**
   * The latest writes that this replica minted for the key. When a frontend hears nothing and has
   * an operation minted again elsewhere, only the minter can tell which dot it first got.
   */
  readonly minted: Mintings;
}

/**
 * Whether two entries of one key are surely the same bytes. No value is looked at: a dot names one
 * content for ever, which may only have been given up meanwhile.
 */
export function encodesAlike(a: Entry, b: Entry): boolean {
  if (a === b) return true;
  if (a.siblings.length !== b.siblings.length) return false;
  if (a.retries.length > 0 || b.retries.length > 0) return false;
  const isSame = (mine: Sibling, i: number): boolean => {
    const theirs = b.siblings[i];
    if (theirs === undefined || !sameDot(mine.dot, theirs.dot)) return false;
    if (mine.op !== theirs.op || mine.time !== theirs.time) return false;
    const isGone = mine.content === null;
    return mine.expiresAt === theirs.expiresAt && isGone === (theirs.content === null);
  };
  return a.siblings.every(isSame) && a.context.equals(b.context);
}

/** MessagePack's null. */
const NULL_BYTE = 0xc0;
const NULL = Uint8Array.of(NULL_BYTE);

export interface DecodedEntry {
  readonly entry: Entry;
  readonly tenure: Tenure | null;
}

function encodeContent(content: Content | null): unknown {
  if (content === null) return null;
  const { value, contentType, contentEncoding, contentLanguage } = content;
  const { contentDisposition, metadata, tags, cacheLife } = content;
  const headers = [contentType, contentEncoding, contentLanguage, contentDisposition];
  const fields: unknown[] = [...headers, metadata, tags, value];
  // After the others, and only where there is one: older records do not have it.
  if (cacheLife !== undefined) fields.push(cacheLife.maxAge, cacheLife.sharedMaxAge);
  return fields;
}

/** A sibling as a list of plain values, for entries and for messages. */
export const siblingToList = ({
  dot,
  time,
  op,
  expiresAt,
  content,
}: Sibling): readonly unknown[] => [
  dot.actor,
  dot.counter,
  time,
  op,
  expiresAt,
  encodeContent(content),
];

const tenureToList = ({ actor, incarnation, minted }: Tenure): readonly unknown[] => [
  actor,
  incarnation,
  minted.bytes,
];

const entryToList = (entry: Entry, tenure: Tenure | null): readonly unknown[] => [
  entry.context.encode(),
  entry.siblings.map(siblingToList),
  entry.retries.map(({ op, dot }) => [op, dot.actor, dot.counter]),
  tenure === null ? null : tenureToList(tenure),
];

export const encodeEntry = (entry: Entry, tenure: Tenure | null): Uint8Array =>
  encode(entryToList(entry, tenure));

/**
 * The same for a record, or for a message: a long value is a part of it, and is not copied. What
 * comes in pieces is remembered decoded, for as long as the pieces are there.
 */
export function encodeEntryToKeep(entry: Entry, tenure: Tenure | null): Bytes {
  const own = withValuesToKeep(entry);
  const bytes = encodeToKeep(entryToList(own, tenure));
  return remembered(bytes, own, tenure);
}

/**
 * What is remembered with pieces has its values in them, or in buffers of their own: one that lies
 * among others, in the buffer of a body, a message or a record, would keep all of that.
 */
function withValuesToKeep(entry: Entry): Entry {
  const isLong = ({ content }: Sibling): boolean => (content?.value.length ?? 0) >= LONG_BYTES;
  if (!entry.siblings.some(isLong)) return entry;
  return { ...entry, siblings: entry.siblings.map(withValueToKeep) };
}

function withValueToKeep(sibling: Sibling): Sibling {
  const { content } = sibling;
  if (content === null || isAlone(content.value)) return sibling;
  return { ...sibling, content: { ...content, value: new Uint8Array(content.value) } };
}

/** A tenure's mintings lie at the end of its record. */
function remembered(bytes: Bytes, entry: Entry, tenure: Tenure | null): Bytes {
  if (!(bytes instanceof Pieces)) return bytes;
  const own = tenure === null ? null : atEndOf(bytes, tenure);
  return new DecodedPieces(bytes.parts, { entry, tenure: own });
}

function atEndOf(bytes: Bytes, { actor, incarnation, minted }: Tenure): Tenure {
  const last = partsOf(bytes).at(-1);
  assert(last !== undefined, "a record has an end");
  return { actor, incarnation, minted: minted.atEndOf(last) };
}

/**
 * Adds a tenure to an encoded entry without one. In MessagePack a list is its values one after the
 * other, so the tenure's bytes take the place of the last one, which stands for null.
 *
 * @param bare not to be changed from now on, if it is long
 */
export function withTenure(bare: Bytes, tenure: Tenure): Bytes {
  const mine = encodeBriefly(tenureToList(tenure));
  const isShort = bare instanceof Uint8Array && bare.length < LONG_BYTES;
  if (isShort) return withEnding(bare, mine);
  const parts = [...partsOf(bare)];
  const last = parts.pop();
  assert(last !== undefined, "an entry has an end");
  if (last.length < LONG_BYTES) parts.push(withEnding(last, mine));
  else parts.push(last.subarray(0, -1), mine.slice());
  return remembered(new Pieces(parts), decodeEntry(bare).entry, tenure);
}

function withEnding(bare: Uint8Array, ending: Uint8Array): Uint8Array {
  assert(bare.at(-1) === NULL_BYTE, "an entry without a tenure ends with null");
  const bytes = new Uint8Array(bare.length - 1 + ending.length);
  bytes.set(bare.subarray(0, -1));
  bytes.set(ending, bare.length - 1);
  return bytes;
}

/** What is minted, as bytes: for the record, and for the other owners. */
export interface EncodedMinting {
  /** With the tenure. */
  readonly bytes: Bytes;
  /** Without it. Of a short entry they are those of the record, but for the ending. */
  readonly sharedBytes: Bytes;
  /** It has the minting too. */
  readonly tenure: Tenure;
}

/**
 * An entry with a tenure that has one more minting. Mintings are longer than most values, so those
 * of a written record lie in the record and nowhere else.
 */
export function encodeMinted(
  entry: Entry,
  { actor, incarnation, minted }: Tenure,
  by: { readonly minting: Minting; readonly bounds: MintingBounds },
): EncodedMinting {
  const mine = { actor, incarnation, minted: minted.withBriefly(by.minting, by.bounds) };
  if (valueBytes(entry.siblings) >= LONG_BYTES) {
    const sharedBytes = encodeEntryToKeep(entry, null);
    const bytes = withTenure(sharedBytes, mine);
    return { bytes, sharedBytes, tenure: atEndOf(bytes, mine) };
  }
  const { length } = encodeBriefly(tenureToList(mine));
  const bytes = encode(entryToList(entry, mine));
  const sharedBytes = new Pieces([bytes.subarray(0, -length), NULL]);
  return { bytes, sharedBytes, tenure: atEndOf(bytes, mine) };
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
const isTextOrNull = (value: unknown): value is string | null =>
  value === null || typeof value === "string";

function decodeDot(actor: unknown, counter: unknown): Dot {
  check(typeof actor === "string" && isActorId(actor), "a dot has an actor");
  check(isCount(counter) && counter >= 1, "a dot has a counter");
  return { actor, counter };
}

function decodeContent(encoded: unknown): Content | null {
  if (encoded === null) return null;
  check(Array.isArray(encoded), "content is a list");
  check(encoded.length === 7 || encoded.length === 9, "content has seven fields, or nine");
  const fields = encoded as unknown[];
  const [contentType, contentEncoding, contentLanguage, contentDisposition] = fields;
  const [, , , , metadata, tags, value] = fields;
  check(typeof contentType === "string", "content has a type");
  check(isTextOrNull(contentEncoding) && isTextOrNull(contentLanguage), "a header is a text");
  check(isTextOrNull(contentDisposition) && isTextOrNull(metadata), "a header is a text");
  check(Array.isArray(tags) && tags.every((tag) => typeof tag === "string"), "tags are texts");
  check(value instanceof Uint8Array, "a value is bytes");
  const headers = { contentType, contentEncoding, contentLanguage, contentDisposition };
  const life = cacheLifeFrom(fields, 7);
  check(life !== null, "a cache's life is two counts");
  return { ...headers, metadata, tags: tags as string[], value, ...life };
}

/** A content's fields from this one on, to be spread into it; null when they are malformed. */
export function cacheLifeFrom(
  fields: readonly unknown[],
  from: number,
): { readonly cacheLife?: CacheLife } | null {
  if (fields.length === from) return {};
  const maxAge = fields[from];
  const sharedMaxAge = fields[from + 1];
  if (fields.length !== from + 2 || !isCount(maxAge) || !isCount(sharedMaxAge)) return null;
  return { cacheLife: { maxAge, sharedMaxAge } };
}

/** @throws CodecError for anything other than `siblingToList` gives */
export function siblingFrom(encoded: unknown): Sibling {
  check(Array.isArray(encoded) && encoded.length === 6, "a sibling has six fields");
  const [actor, counter, time, op, expiresAt, content] = encoded as unknown[];
  check(isCount(time) && isCount(expiresAt), "times are counts");
  check(typeof op === "string", "a sibling names its operation");
  const dot = decodeDot(actor, counter);
  return { dot, time, op, expiresAt, content: decodeContent(content) };
}

function decodeRetry(encoded: unknown): Retry {
  check(Array.isArray(encoded) && encoded.length === 3, "a retry has three fields");
  const [op, actor, counter] = encoded as unknown[];
  check(typeof op === "string", "a retry names its operation");
  return { op, dot: decodeDot(actor, counter) };
}

function decodeMinting(encoded: unknown): Minting {
  check(Array.isArray(encoded) && encoded.length === 4, "a minting has four fields");
  const time: unknown = encoded[3];
  check(isCount(time), "a minting has a time");
  return { ...decodeRetry(encoded.slice(0, 3)), time };
}

function decodeMintings(encoded: unknown): Mintings {
  if (encoded instanceof Uint8Array) return Mintings.fromBytes(encoded);
  // As records were written before: a list of them.
  check(Array.isArray(encoded), "a tenure tells what was minted");
  return Mintings.of(encoded.map(decodeMinting));
}

function decodeTenure(encoded: unknown): Tenure | null {
  if (encoded === null) return null;
  check(Array.isArray(encoded) && encoded.length === 3, "a tenure has three fields");
  const [actor, incarnation, minted] = encoded as unknown[];
  check(typeof actor === "string" && isActorId(actor), "a tenure names its actor");
  check(isCount(incarnation), "a tenure names its incarnation");
  return { actor, incarnation, minted: decodeMintings(minted) };
}

/**
 * Long values are in both, and in a `WeakMap` they would outlive the young collections that free
 * them (findings/node-24-weakmap-outlives-young-collections.sh).
 */
class DecodedPieces extends Pieces {
  readonly decoded: DecodedEntry;

  constructor(parts: readonly Uint8Array[], decoded: DecodedEntry) {
    super(parts);
    this.decoded = decoded;
  }
}

/** What a replica's own records decoded to, for as long as a store keeps their bytes. */
const kept = new WeakMap<Bytes, DecodedEntry>();

const keptOf = (bytes: Bytes): DecodedEntry | undefined =>
  bytes instanceof DecodedPieces ? bytes.decoded : kept.get(bytes);

/**
 * The same for bytes that are kept and read again and again, as they are, by a replica's store.
 *
 * @throws CodecError when the bytes are not an entry
 */
export function decodeKept(bytes: Bytes): DecodedEntry {
  const known = keptOf(bytes);
  if (known !== undefined) return known;
  const decoded = decodeFresh(bytes);
  kept.set(bytes, decoded);
  return decoded;
}

/**
 * Values in the result are views of `bytes`.
 *
 * @throws CodecError when the bytes are not an entry
 */
export const decodeEntry = (bytes: Bytes): DecodedEntry => keptOf(bytes) ?? decodeFresh(bytes);

/** Merges take the order for granted: a dot listed twice would stay so, on every replica. */
function checkAscending(list: readonly { readonly dot: Dot }[], message: string): void {
  for (let i = 1; i < list.length; i++) {
    const [before, after] = [list[i - 1], list[i]];
    assert(before !== undefined && after !== undefined, "within the list");
    check(compareDots(before.dot, after.dot) < 0, message);
  }
}

function decodeFresh(bytes: Bytes): DecodedEntry {
  const encoded = decode(wholeOf(bytes));
  try {
    check(Array.isArray(encoded) && encoded.length === 4, "an entry has four fields");
    const [context, siblings, retries, tenure] = encoded as unknown[];
    check(Array.isArray(siblings) && Array.isArray(retries), "an entry has lists");
    const entry: Entry = {
      context: CausalContext.decode(context),
      siblings: siblings.map(siblingFrom),
      retries: retries.map(decodeRetry),
    };
    for (const { dot } of entry.siblings) {
      check(entry.context.covers(dot), "an entry has seen its own siblings");
    }
    checkAscending(entry.siblings, "siblings ascend by their dots");
    checkAscending(entry.retries, "retries ascend by their dots");
    return { entry, tenure: decodeTenure(tenure) };
  } catch (error) {
    if (!(error instanceof CodecError)) throw error;
    throw new CodecError(`not an entry: ${error.message}`);
  }
}

/** What a peer sends may be anything; null when it is no entry. */
export function decodedOrNull(bytes: Bytes): Entry | null {
  try {
    return decodeEntry(bytes).entry;
  } catch (error) {
    if (error instanceof CodecError) return null;
    throw error;
  }
}
