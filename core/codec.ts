/**
 * The only place that knows MessagePack. Everything that leaves a node's memory (a record, a
 * message) passes here, and everything that comes back is bounded before it is believed.
 */
import { CodecError } from "./check.ts";
import { MESSAGE_DEPTH_MAX } from "./limits.ts";
import { MalformedValue, readValue } from "./msgpack-reader.ts";
import {
  isLasting,
  writeBriefly,
  writeOwned,
  writeOwnedInPieces,
  writePieces,
} from "./msgpack-writer.ts";

/**
 * Values in one message, lists included. The most that is ever sent are the roots of an exchange:
 * four values for each of 65,536 partitions, for up to five sizes N: 1.3 million.
 */
const MESSAGE_NODES_MAX = 2 ** 21;

const limits = { depthMax: MESSAGE_DEPTH_MAX, nodesMax: MESSAGE_NODES_MAX };

/** Encodes numbers, strings, booleans, null, bytes and arrays of these. */
export const encode = writeOwned;

/**
 * The same into the encoder's own bytes, which are valid until it is next used: for what is copied
 * at once. To allocate a buffer costs more than to encode a small message into it.
 */
export const encodeBriefly = writeBriefly;

/**
 * The same in pieces. Long bytes in the value become pieces as they are, without a copy: a long
 * entry that goes to two peers is not copied twice. They must not be changed afterwards.
 */
export const encodeInPieces = writePieces;

/** The same for what is kept: nothing in it is the encoder's own. */
export const encodeToKeep = writeOwnedInPieces;

/** Whether bytes from the encoder stay valid for good, and not only until it is next used. */
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
