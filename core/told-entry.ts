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

  /** @param entry which nobody changes any more */
  static of(entry: Entry): ToldEntry {
    return new ToldEntry({ entry, bytes: null, byteCount: bytesAtMost(entry) });
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
    this.#bytes ??= encodeEntry(this.decoded, null);
    return this.#bytes;
  }
}

/** Without going through its texts: what is said of a version is short. */
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
  const { value, contentType, contentEncoding, contentLanguage } = content;
  const { contentDisposition, metadata, tags } = content;
  let charCount = contentType.length;
  for (const text of [contentEncoding, contentLanguage, contentDisposition, metadata]) {
    charCount += text?.length ?? 0;
  }
  for (const tag of tags) charCount += tag.length + NUMBER_BYTES;
  return SIBLING_BYTES + value.length + UNIT_BYTES_MAX * charCount;
}
