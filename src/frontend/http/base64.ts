/**
 * Base64 (RFC 4648, 4) of large values. It is by far the longest work of such an answer, so the
 * platform does it where it can, and it goes in pieces where others would wait for it.
 */

/** The methods of engines that support it already. */
interface WithBase64 {
  toBase64?(): string;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const PAD = 0x3d;
const CODES = Uint8Array.from(ALPHABET, (char) => char.charCodeAt(0));
const ascii = new TextDecoder();
const encoder = new TextEncoder();

export const base64Length = (byteCount: number): number => Math.ceil(byteCount / 3) * 4;

/** Writes the base64 of the bytes, whose number is a multiple of 3 unless they are the last. */
function encodeInto(bytes: Uint8Array, out: Uint8Array, from: number): number {
  const native = (bytes as WithBase64).toBase64?.();
  if (native !== undefined) return from + encoder.encodeInto(native, out.subarray(from)).written;
  let at = from;
  const whole = bytes.length - (bytes.length % 3);
  for (let i = 0; i < whole; i += 3) {
    const [a, b, c] = [bytes[i] as number, bytes[i + 1] as number, bytes[i + 2] as number];
    out[at] = CODES[a >> 2] as number;
    out[at + 1] = CODES[((a & 3) << 4) | (b >> 4)] as number;
    out[at + 2] = CODES[((b & 15) << 2) | (c >> 6)] as number;
    out[at + 3] = CODES[c & 63] as number;
    at += 4;
  }
  if (whole === bytes.length) return at;
  const [a, b = 0] = [bytes[whole] as number, bytes[whole + 1]];
  out[at] = CODES[a >> 2] as number;
  out[at + 1] = CODES[((a & 3) << 4) | (b >> 4)] as number;
  out[at + 2] = whole + 1 < bytes.length ? (CODES[(b & 15) << 2] as number) : PAD;
  out[at + 3] = PAD;
  return at + 4;
}

export function toBase64(bytes: Uint8Array): string {
  const native = (bytes as WithBase64).toBase64?.();
  if (native !== undefined) return native;
  const out = new Uint8Array(base64Length(bytes.length));
  encodeInto(bytes, out, 0);
  return ascii.decode(out);
}

/** @throws when the text is no base64 */
export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** Lets everything else that is due have its turn. */
export const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** A multiple of 3, so that the pieces of a value join; some 2 ms of work each. */
const PIECE_BYTES = 3 * 256 * 1024;

/** Texts as they are, and bytes as base64, one after the other; others have their turn between. */
export async function joinAsBase64(parts: readonly (string | Uint8Array)[]): Promise<Uint8Array> {
  const encoded = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part));
  const lengths = encoded.map(({ length }, i) =>
    typeof parts[i] === "string" ? length : base64Length(length),
  );
  const out = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const [i, bytes] of encoded.entries()) {
    if (typeof parts[i] === "string") {
      out.set(bytes, at);
      at += bytes.length;
      continue;
    }
    for (let from = 0; from < bytes.length; from += PIECE_BYTES) {
      if (from > 0) await pause();
      at = encodeInto(bytes.subarray(from, from + PIECE_BYTES), out, at);
    }
    if (bytes.length > PIECE_BYTES / 4) await pause();
  }
  return out;
}
