/**
 * The only place that knows MessagePack. Everything that leaves a node's memory (a record, a
 * message) passes here, and everything that comes back is bounded before it is believed.
 */
import { Decoder, Encoder } from "@msgpack/msgpack";
import { MESSAGE_BYTES_MAX, MESSAGE_DEPTH_MAX } from "./limits.ts";

/** Bytes that are not what they claim to be. Normal input: a peer or a disk may send anything. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}

const encoder = new Encoder({ ignoreUndefined: false, forceIntegerToFloat: false });
const decoder = new Decoder({
  maxStrLength: MESSAGE_BYTES_MAX,
  maxBinLength: MESSAGE_BYTES_MAX,
  maxArrayLength: 1_048_576,
  maxMapLength: 0,
  maxExtLength: 0,
});

/** How deep the arrays nest, judged from the bytes' structure alone while decoding shallowly. */
function assertShallow(value: unknown, depth: number): void {
  if (!Array.isArray(value)) return;
  if (depth === 0) throw new CodecError("nested too deeply");
  for (const item of value) if (typeof item === "object") assertShallow(item, depth - 1);
}

/** Encodes numbers, strings, booleans, null, bytes and arrays of these. */
export function encode(value: unknown): Uint8Array {
  return encoder.encode(value);
}

/**
 * Decodes one value with nothing after it. Bytes in it are views of the input, not copies.
 *
 * @throws CodecError
 */
export function decode(bytes: Uint8Array): unknown {
  let value: unknown;
  try {
    value = decoder.decode(bytes);
  } catch (error) {
    throw new CodecError(error instanceof Error ? error.message : "malformed MessagePack");
  }
  assertShallow(value, MESSAGE_DEPTH_MAX);
  return value;
}
