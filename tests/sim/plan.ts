/**
 * What a seed decides before anything runs: the cluster, the keys, the clients, and a list of
 * faults with their times. A plan is data, so that a failing one can be shrunk: each fault and each
 * client draws from a generator of its own, and leaving one out shifts nobody else's dice.
 */
import { N_MAX } from "../../core/limits.ts";
import type { Prng } from "../../core/prng.ts";
import type { RingMember } from "../../ring/members.ts";
import type { RingDocument } from "../../ring/ring.ts";
import type { PlannedBounds } from "./bounds.ts";
import type { PlannedDoors } from "./doors.ts";
import type { PlannedLessees } from "./lessees.ts";
import type { ChangeKind } from "./operator.ts";
import type { PlannedStream } from "./stream.ts";

/**
 * How each fault is named in plans, traces and totals. Those of the second group destroy durable
 * data: in a run they all strike the same replica, the victim, so that a write which two replicas
 * had on stable storage must survive them. A new kind is a name here and a line in strikes.ts.
 */
export const FAULT_KINDS = [
  "kill",
  "power-cut",
  "power-cut-all",
  "power-cut-at-ack",
  "stop",
  "pause",
  "slow-node",
  "cut-one-way",
  "cut-two-way",
  "disk-full",
  "disk-write-fails",
  "disk-sync-fails",
  "disk-slow",
  "clock-jump",
  "wrong-folder",
] as const;
export const DESTRUCTIVE_KINDS = ["bit-flip", "read-fails", "disk-lost"] as const;
export type FaultKind =
  | (typeof FAULT_KINDS)[number]
  | (typeof DESTRUCTIVE_KINDS)[number]
  | "wipe-among-stale"
  | "rot-at-ack"
  | "rot-among-stale"
  | ChangeKind
  | "resize"
  | "purge";

/** Whether it loses durable data, of the victim alone. */
export const isDestructive = (kind: FaultKind): boolean =>
  kind === "wipe-among-stale" ||
  kind === "rot-at-ack" ||
  kind === "rot-among-stale" ||
  DESTRUCTIVE_KINDS.some((other) => other === kind);

export interface PlannedFault {
  readonly index: number;
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly prng: readonly [number, number, number, number];
}

export interface PlannedClient {
  readonly index: number;
  readonly prng: readonly [number, number, number, number];
}

/** Chances in 1,000 for each message. */
export interface Noise {
  readonly lossPerMille: number;
  readonly repeatPerMille: number;
  readonly delayPerMille: number;
}

export const NO_NOISE: Noise = { lossPerMille: 0, repeatPerMille: 0, delayPerMille: 0 };

/**
 * - `causal`: every write carries a context, maybe an empty one; some have a TTL.
 * - `blind`: some writes carry none, and replace what their coordinator holds.
 * - `strict`: reads and writes count primaries alone, r + w > n.
 */
export type KeyKind = "causal" | "blind" | "strict";

export interface PlannedKey {
  readonly name: string;
  readonly kind: KeyKind;
  /**
   * From this time on it is only read, so that nothing that a mistake brought back is overwritten.
   */
  readonly quietAtMs: number;
}

export interface Timing {
  readonly handoffMs: number;
  readonly antiEntropyMs: number;
  readonly tombstoneGraceMs: number;
  readonly expiryGraceMs: number;
  readonly collectMs: number;
  readonly heartbeatMs: number;
  readonly suspectAfterMs: number;
  /** Between two canaries of a member; 0 in most runs: they are writes as any other. */
  readonly canaryMs: number;
}

export interface Plan {
  readonly seed: number;
  readonly ring: RingDocument;
  /** Machines that may join: none in a run in which members do not change. */
  readonly spares: readonly RingMember[];
  readonly timing: Timing;
  /** How far each member's clock is off from the start, in ms; those of spares are right. */
  readonly skewsMs: readonly number[];
  readonly segmentByteCountMax: number;
  /** What a log keeps of records that it read lately, in bytes; 0 for none. */
  readonly recentBytesMax: number;
  /** How many bytes of values beside a write have it go to the others alone; Infinity: it never does. */
  readonly aloneFrom: number;
  /** Whether messages go through their codec. */
  readonly sendsBytes: boolean;
  /** Of the keys' namespace; null when nothing is evicted. */
  readonly maxBytes: number | null;
  /** Of the keys' namespace, at first. */
  readonly n: number;
  /** Whether it changes. */
  readonly isResized: boolean;
  readonly keys: readonly PlannedKey[];
  readonly clients: readonly PlannedClient[];
  /** How long clients work and faults strike, in ms. */
  readonly stormMs: number;
  /** Mean rest of a client between two operations, in ms. */
  readonly restMs: number;
  readonly noise: Noise;
  readonly faults: readonly PlannedFault[];
  /** The id of the one replica that may lose durable data. */
  readonly victim: string;
  /** The stream of values with short TTLs; null in most runs. */
  readonly stream: PlannedStream | null;
  /** The frontends that ask for leases; null in most runs. */
  readonly lessees: PlannedLessees | null;
  /** The writer with one acknowledgement and the readers with a bound; null in most runs. */
  readonly bounds: PlannedBounds | null;
  /** The site behind cache doors; null in most runs. */
  readonly doors: PlannedDoors | null;
  /** Whether all keys are deleted at the end, and must be gone from every disk. */
  readonly isCleared: boolean;
}

/** N never goes below this: a write on two disks when acknowledged would be lost with one. */
export const N_MIN = 2;

/** Repeated where one should be likelier: quorums by the fewest and by the most need not meet. */
export const SIZES: readonly number[] = [N_MIN, N_MIN, N_MAX, N_MAX, 3, 4];

/** A state for the generator of a fault, or of a client, of its own. */
export const words = (prng: Prng): readonly [number, number, number, number] => [
  prng.u32(),
  prng.u32(),
  prng.u32(),
  prng.u32(),
];
