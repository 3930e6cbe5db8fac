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
interface NodeBytes extends Uint8Array {
  toString(encoding?: "base64url", from?: number, end?: number): string;
}

interface Buffers {
  from(bytes: ArrayBufferLike, at: number, length: number): NodeBytes;
  isBuffer(bytes: Uint8Array): bytes is NodeBytes;
}

const { Buffer: buffers } = globalThis as { readonly Buffer?: Buffers };
const ALPHABET = /^[A-Za-z0-9_-]+$/;
const IS_NATIVE = "toBase64" in Uint8Array.prototype;
const NATIVE = { alphabet: "base64url", omitPadding: true } as const;

/** Bytes of zero that this host writes as base64url without another view of them. */
export function scratchBytes(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  return IS_NATIVE ? bytes : asNode(bytes);
}

const asNode = (bytes: Uint8Array): NodeBytes => {
  const nodes = present(buffers);
  const { buffer, byteOffset, length } = bytes;
  return nodes.isBuffer(bytes) ? bytes : nodes.from(buffer, byteOffset, length);
};

export function toBase64Url(bytes: Uint8Array, from = 0, end = bytes.length): string {
  if (!IS_NATIVE) return asNode(bytes).toString("base64url", from, end);
  return present((bytes.subarray(from, end) as WithBase64).toBase64?.(NATIVE));
}

/** null for what is not what these bytes are written as. */
export function fromBase64Url(text: string): Uint8Array | null {
  if (!ALPHABET.test(text) || text.length % 4 === 1) return null;
  const bytes = fromBase64(text.replaceAll("-", "+").replaceAll("_", "/"));
  // With unused bits set, other texts stand for the same bytes; only one of them is ours.
  return toBase64Url(bytes) === text ? bytes : null;
}
