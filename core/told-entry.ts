/**
 * An entry as a source of the change feed tells it, and as a frontend takes it. Where both are one
 * process it is handed over as it is: nothing is encoded that is not sent, and nothing decoded that
 * was not. A message makes bytes of it, once for all who ask.
 */
import type { Content, Entry, Sibling } from "./entry.ts";
import { decodeEntry, encodeEntry } from "./entry-codec.ts";

/** Numbers and heads of lists, at their longest. */
const ENTRY_BYTES = 16;
const SIBLING_BYTES = 64;
const NUMBER_BYTES = 9;
/** An actor in a context, with the heads of its name and of its list. */
const ACTOR_BYTES = 16;
/** A value that is not told, and no longer than all else that stands beside it, may stay. */
const VALUE_BYTES_KEPT = 1024;
/** Of a UTF-16 unit in UTF-8, at most. */
const UNIT_BYTES_MAX = 3;

export class ToldEntry {
  #entry: Entry | null;
  #bytes: Uint8Array | null;
  /** How many bytes it takes up encoded; an upper bound for one that was told without bytes. */
  readonly byteCount: number;

  private constructor(of: {
    readonly entry: Entry | null;
    readonly bytes: Uint8Array | null;
    readonly byteCount: number;
  }) {
    this.#entry = of.entry;
    this.#bytes = of.bytes;
    this.byteCount = of.byteCount;
  }

  /**
   * Its values are not told. Short ones stay where they are as long as nobody encodes them: to take
   * them out would be most of the work. A long one would be kept until it is told.
   *
   * @param entry which nobody changes any more
   */
  static withoutValues(entry: Entry): ToldEntry {
    const light = entry.siblings.some(isLong) ? withoutValues(entry) : entry;
    return new ToldEntry({ entry: light, bytes: null, byteCount: bytesAtMost(entry) });
  }

  /** @param bytes as a message has them: what they are is looked at when somebody asks for it */
  static fromBytes(bytes: Uint8Array): ToldEntry {
    return new ToldEntry({ entry: null, bytes, byteCount: bytes.length });
  }

  /** @throws CodecError when it came as bytes that are no entry */
  get decoded(): Entry {
    // Only an entry told without bytes is kept decoded: one that came as bytes is decoded once.
    return this.#entry ?? decodeEntry(this.bytes).entry;
  }

  /** Without a tenure. */
  get bytes(): Uint8Array {
    this.#bytes ??= encodeEntry(withoutValues(this.decoded), null);
    return this.#bytes;
  }
}

const NO_VALUE = new Uint8Array(0);
export const withoutValue = (of: Sibling): Sibling =>
  of.content === null ? of : { ...of, content: { ...of.content, value: NO_VALUE } };

const isLong = ({ content }: Sibling): boolean => (content?.value.length ?? 0) > VALUE_BYTES_KEPT;

export const withoutValues = (entry: Entry): Entry => ({
  ...entry,
  siblings: entry.siblings.map(withoutValue),
});

/** Values left out, and without going through texts: what is said of a version is short. */
function bytesAtMost({ context, siblings, retries }: Entry): number {
  let byteCount = ENTRY_BYTES;
  for (const part of context.encode()) {
    byteCount += typeof part === "string" ? ACTOR_BYTES : NUMBER_BYTES * part.length;
  }
  for (const sibling of siblings) byteCount += siblingBytesAtMost(sibling);
  for (const { op } of retries) byteCount += SIBLING_BYTES + UNIT_BYTES_MAX * op.length;
  return byteCount;
}

const siblingBytesAtMost = ({ op, content }: Sibling): number =>
  SIBLING_BYTES + UNIT_BYTES_MAX * op.length + (content === null ? 0 : contentBytesAtMost(content));

function contentBytesAtMost(content: Content): number {
  const { contentType, contentEncoding, contentLanguage } = content;
  const { contentDisposition, metadata, tags } = content;
  let charCount = contentType.length;
  for (const text of [contentEncoding, contentLanguage, contentDisposition, metadata]) {
    charCount += text?.length ?? 0;
  }
  for (const tag of tags) charCount += tag.length + NUMBER_BYTES;
  return SIBLING_BYTES + UNIT_BYTES_MAX * charCount;
}
