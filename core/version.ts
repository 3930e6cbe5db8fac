/**
 * Versions, and which of them live together.
 *
 * The protocol version covers all that nodes say to each other: the hello, the messages, the
 * cluster document, entries. It grows by one with a version of the program that adds to any of
 * them, so that an upgrade goes node by node. A node's hello names the highest and the lowest
 * protocol that it speaks. Two nodes speak the highest that both do, and refuse each other when
 * there is none. How to add:
 *
 * - a field of a message: behind, with `later`; older nodes skip it
 * - a kind of message: behind, with its protocol in `SINCE` (messages.ts); older nodes never see it
 * - a member of the cluster document: nodes that do not know it carry it on (cluster-document.ts)
 * - anything within a ring or an entry, which are read strictly: one version reads it, and writes
 *   as before; the next one writes it
 */

/** As package.json has it; a test keeps the two equal. */
export const PROGRAM_VERSION = "0.3.0-dev";

/** The first that there was. Programs from before it say none. */
export const PROTOCOL_FIRST = 1;
/** Grows by one; see above. */
export const PROTOCOL_VERSION = 2;
/** The oldest that is still spoken: that of the release before this one, at the least. */
export const PROTOCOL_LEAST = 1;

/** What a node speaks. */
export interface Speech {
  /** The newest. */
  readonly protocol: number;
  /** The oldest. */
  readonly least: number;
  /** The program's version, as it is shown. */
  readonly version: string;
}

export const ownSpeech: Speech = {
  protocol: PROTOCOL_VERSION,
  least: PROTOCOL_LEAST,
  version: PROGRAM_VERSION,
};

/** What is said of a peer that names no version. */
export const unnamedSpeech: Speech = { protocol: 0, least: 0, version: "unknown" };

const VERSION_TEXT = /^[0-9A-Za-z.+-]{1,64}$/;

/** Whether a peer's version may be shown and logged as it came. */
export const isVersionText = (text: string): boolean => VERSION_TEXT.test(text);

/** The protocol that two nodes speak with each other, or null when they have none in common. */
export function spokenBy(a: Speech, b: Speech): number | null {
  const newest = Math.min(a.protocol, b.protocol);
  return newest >= Math.max(a.least, b.least, PROTOCOL_FIRST) ? newest : null;
}
