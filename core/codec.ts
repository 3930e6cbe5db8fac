/**
 * The only place that knows MessagePack. Everything that leaves a node's memory (a record, a
 * message) passes here, and everything that comes back is bounded before it is believed.
 */
import { CodecError } from "./check.ts";
import { MESSAGE_DEPTH_MAX } from "./limits.ts";
import { MalformedValue, readValue } from "./msgpack-reader.ts";
import { isLasting, writeBriefly, writeOwned, writePieces } from "./msgpack-writer.ts";

/**
 * Values in one message, lists included. The most that is ever sent are the roots of an exchange:
 * four values for each of 65,536 partitions, for up to five sizes N: 1.3 million.
 */
const MESSAGE_NODES_MAX = 2 ** 21;

const limits = { depthMax: MESSAGE_DEPTH_MAX, nodesMax: MESSAGE_NODES_MAX };

/** Encodes numbers, strings, booleans, null, bytes and arrays of these. */
export const encode = writeOwned;

/**
 * The same into bytes that are the encoder's own and hold until it is next used: for what is copied
 * at once. A buffer of its own costs more than encoding a small message into it.
 */
export const encodeBriefly = writeBriefly;

/**
 * The same in pieces, of which long bytes in the value are some, as they are: a message with a long
 * entry for each of two peers is not two more copies of that. They may not be changed afterwards.
 */
export const encodeInPieces = writePieces;

/** Whether bytes of the encoder hold for good, and not only until it is next used. */
export { isLasting };

/**
 * Decodes one value with nothing after it. Bytes in it are views of the input, not copies.
 *
 * @throws CodecError
 */
export function decode(bytes: Uint8Array): unknown {
  try {
    return readValue(bytes, limits);
  } catch (error) {
    if (!(error instanceof MalformedValue)) throw error;
    throw new CodecError(`malformed MessagePack: ${error.message}`);
  }
}
