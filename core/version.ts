/**
 * Versions, and which of them live together.
 *
 * The protocol's is that of all that nodes say to each other: the hello, the messages, the cluster
 * document. It grows by one with a version of the program that adds to any of them, so that an
 * upgrade goes node by node. Neighbours speak as the older one does: what was added is left out
 * towards it, or has a default, and goes into the cluster document only when every member knows it.
 * Anything further apart may misread the other, so these refuse each other in the hello.
 */

/** As package.json has it; a test keeps the two equal. */
export const PROGRAM_VERSION = "0.2.0";

/** Grows by one; see above. Programs from before there was one say none. */
export const PROTOCOL_VERSION = 1;

/** What a node speaks. */
export interface Speech {
  readonly protocol: number;
  /** The program's version, as it is shown. */
  readonly version: string;
}

export const ownSpeech: Speech = { protocol: PROTOCOL_VERSION, version: PROGRAM_VERSION };

/** What is said of a peer that names no version. */
export const unnamedSpeech: Speech = { protocol: 0, version: "unknown" };

const VERSION_TEXT = /^[0-9A-Za-z.+-]{1,64}$/;

/** Whether a peer's version may be shown and logged as it came. */
export const isVersionText = (text: string): boolean => VERSION_TEXT.test(text);

/** Whether two nodes may work together: equal, or neighbours. 0 is nobody's neighbour. */
export const speakTogether = (a: Speech, b: Speech): boolean =>
  a.protocol > 0 && b.protocol > 0 && Math.abs(a.protocol - b.protocol) <= 1;
