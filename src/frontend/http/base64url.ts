/**
 * Base64url without padding (RFC 4648, 5) of short bytes. Each answer carries some, so the platform
 * writes it where it can.
 */
import { present } from "../../../core/assert.ts";
import { fromBase64 } from "./base64.ts";

/** The method of engines that support it already. */
interface WithBase64 {
  toBase64?(of: { readonly alphabet: "base64url"; readonly omitPadding: true }): string;
}

/** What Node has where it lacks that. */
interface Buffers {
  from(
    bytes: ArrayBufferLike,
    at: number,
    length: number,
  ): { toString(encoding: "base64url"): string };
}

const { Buffer: buffers } = globalThis as { readonly Buffer?: Buffers };
const ALPHABET = /^[A-Za-z0-9_-]+$/;
const NATIVE = { alphabet: "base64url", omitPadding: true } as const;

export function toBase64Url(bytes: Uint8Array): string {
  const native = (bytes as WithBase64).toBase64?.(NATIVE);
  if (native !== undefined) return native;
  const { buffer, byteOffset, length } = bytes;
  return present(buffers).from(buffer, byteOffset, length).toString("base64url");
}

/** null for what is not what these bytes are written as. */
export function fromBase64Url(text: string): Uint8Array | null {
  if (!ALPHABET.test(text) || text.length % 4 === 1) return null;
  const bytes = fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
  // With unused bits set, other texts stand for the same bytes; only one of them is ours.
  return toBase64Url(bytes) === text ? bytes : null;
}
