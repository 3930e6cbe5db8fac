/** A fault that a replica was told to have, for tests and drills. */
import type { WallMillis } from "./time.ts";

/**
 * `down`: refuses at once, as a process that is gone. `silent`: hears nothing, as behind a black
 * hole or stopped. `slow`: takes longer. `lossy`: loses a share of the requests and of the replies.
 */
export const FAULT_KINDS = ["down", "silent", "slow", "lossy"] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** How much longer a slow one takes, in ms; 0 for the others. */
  readonly delayMs: number;
  /** What a lossy one loses, in thousandths; 0 for the others. */
  readonly sharePerMille: number;
  /** When it ends by itself, in ms since 1970. */
  readonly until: WallMillis;
}
