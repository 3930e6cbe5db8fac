/**
 * The only place that knows MessagePack. Everything that leaves a node's memory (a record, a
 * message) passes here, and everything that comes back is bounded before it is believed.
 */
import { Decoder, Encoder } from "@msgpack/msgpack";
import { MESSAGE_BYTES_MAX, MESSAGE_DEPTH_MAX } from "./limits.ts";
import { scanFault } from "./msgpack-scan.ts";

/** Bytes that are not what they claim to be. Normal input: a peer or a disk may send anything. */
export class CodecError extends Error {
  override readonly name = "CodecError";
}

/**
 * Values in one message, lists included. The most that is ever sent are the roots of an exchange:
 * four values for each of 65,536 partitions, for up to five sizes N: 1.3 million.
 */
const MESSAGE_NODES_MAX = 2 ** 21;

const encoder = new Encoder({ ignoreUndefined: false, forceIntegerToFloat: false });
const decoder = new Decoder({
  maxStrLength: MESSAGE_BYTES_MAX,
  maxBinLength: MESSAGE_BYTES_MAX,
  maxArrayLength: MESSAGE_NODES_MAX,
  maxMapLength: 0,
  maxExtLength: 0,
});

const scanLimits = { depthMax: MESSAGE_DEPTH_MAX, nodesMax: MESSAGE_NODES_MAX };

/** Encodes numbers, strings, booleans, null, bytes and arrays of these. */
export function encode(value: unknown): Uint8Array {
  return encoder.encode(value);
}

/**
 * The same into bytes that are the encoder's own and hold until it is next used: for what is copied
 * at once. A buffer of its own costs more than encoding a small message into it.
 */
export function encodeBriefly(value: unknown): Uint8Array {
  return encoder.encodeSharedRef(value);
}

/**
 * Decodes one value with nothing after it. Bytes in it are views of the input, not copies.
 *
 * @throws CodecError
 */
export function decode(bytes: Uint8Array): unknown {
  const fault = scanFault(bytes, scanLimits);
  if (fault !== null) throw new CodecError(`malformed MessagePack: ${fault}`);
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new CodecError(error instanceof Error ? error.message : "malformed MessagePack");
  }
}
