/**
 * Long bytes as the parts that they are made of, one after the other. An entry has its values in
 * it, and a record and a message have the entry: whoever makes one of them from the other would
 * copy every value, and V8 looks through its whole heap after some 40 MB of new buffers.
 */

/** Bytes in one piece, or in several. */
export type Bytes = Uint8Array | Pieces;

/** Shorter bytes are copied: that costs less than a part of their own (bench/trials.md). */
export const LONG_BYTES = 8 * 1024;
/** How much else may lie in a buffer that is kept for the sake of some long bytes in it. */
const BESIDE_BYTES_MAX = 4096;

export class Pieces {
  readonly parts: readonly Uint8Array[];
  /** Of all parts together. */
  readonly length: number;

  /** @param parts which nobody changes any more */
  constructor(parts: readonly Uint8Array[]) {
    this.parts = parts;
    this.length = parts.reduce((sum, { length }) => sum + length, 0);
  }

  /** A copy in one piece. */
  whole(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    putBytes(bytes, this, 0);
    return bytes;
  }
}

/** Copies them to a place, which has room for all of them. */
export function putBytes(into: Uint8Array, bytes: Bytes, from: number): void {
  if (bytes instanceof Uint8Array) return into.set(bytes, from);
  let at = from;
  for (const part of bytes.parts) {
    into.set(part, at);
    at += part.length;
  }
}

/** For whoever needs them in one piece. */
export const wholeOf = (bytes: Bytes): Uint8Array =>
  bytes instanceof Pieces ? bytes.whole() : bytes;

export const partsOf = (bytes: Bytes): readonly Uint8Array[] =>
  bytes instanceof Pieces ? bytes.parts : [bytes];

/** Whether bytes are as good as all that is in their buffer: it may be kept for their sake. */
export const isAlone = ({ buffer, length }: Uint8Array): boolean =>
  buffer.byteLength - length <= BESIDE_BYTES_MAX;
