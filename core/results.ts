/** What a node tells the client of an operation. */

import type { CausalContext } from "./causal-context.ts";
import type { DelayReport } from "./delay-report.ts";
import type { Entry, Sibling } from "./entry.ts";
import type { Failure } from "./failure.ts";
import type { Fault } from "./fault.ts";
import type { ChangesResult } from "./feed.ts";
import type { ReplicaId } from "./ids.ts";
import type { Tally } from "./tally.ts";
import type { Hlc, WallMillis } from "./time.ts";
import type { TrafficTotals } from "./traffic.ts";

export interface LeaseResult {
  readonly kind: "leased";
  /** `again`: granted, but another holder has just given it back: look first. */
  readonly state: "granted" | "again" | "wait" | "unshared";
  /** The primary's hybrid time. */
  readonly time: Hlc;
}

export interface GetResult {
  readonly kind: "got";
  /** The join of what the replicas answered, tombstones and expired values included. */
  readonly entry: Entry;
  readonly tally: Tally;
  /**
   * Of a read with `maxStaleMs`: it lacks nothing that `staleW` replicas had acknowledged this long
   * ago.
   */
  readonly staleBoundMs?: number;
  readonly staleW?: number;
  /** Of a read whose r was chosen: the chance, 0 … 1, that it sees what was asked for. */
  readonly predictedP?: number;
}

export interface WriteResult {
  readonly kind: "written";
  /** The coordinator held no live value for the key. */
  readonly created: boolean;
  /** What was minted; its content is there only when the body was asked for. */
  readonly sibling: Sibling;
  /** What the client may claim to have seen now. */
  readonly context: CausalContext;
  readonly siblingCount: number;
  readonly tally: Tally;
}

export interface ReplicaReport {
  readonly id: string;
  readonly role: "primary" | "fallback";
  readonly reachable: boolean;
  /** What it holds as an owner, or else as a hint; null: nothing. */
  readonly entry: Entry | null;
  /** The replica that the copy is kept for, when it is a hint. */
  readonly hintFor: string | null;
  readonly byteCount: number;
}

export interface ExplainResult {
  readonly kind: "explained";
  readonly partition: number;
  readonly preferenceList: readonly string[];
  readonly n: number;
  readonly replicas: readonly ReplicaReport[];
}

/** What a replica says of itself. */
export interface ReplicaStatus {
  readonly keyCount: number;
  readonly byteCount: number;
  /** Of these, what has no body: tombstones, and what is left of expired values. */
  readonly deadKeyCount: number;
  readonly deadByteCount: number;
  readonly hintsHeld: readonly (readonly [target: string, count: number])[];
  readonly lastAntiEntropy: readonly (readonly [peer: string, at: WallMillis])[];
  /** null: no members change, or it has not heard of it. */
  readonly transfer: TransferStatus | null;
  /** Members whose id it lately noticed two processes to run under, and when last. */
  readonly duplicates: readonly (readonly [member: string, at: WallMillis])[];
  /** The program's version; null where that version does not tell. */
  readonly version: string | null;
  /** When its process began, by its own clock. */
  readonly startedAt: WallMillis | null;
  /** When the write of the oldest hint that it holds was made; null without hints. */
  readonly oldestHintAt: WallMillis | null;
  /** null where the platform checks its own storage. */
  readonly scrub: ScrubStatus | null;
  /** What its process answered to clients; null where its version does not tell. */
  readonly traffic: TrafficTotals | null;
}

/** One read of all records: how many there were, and how many failed their checksum. */
export interface ScrubPass {
  /** When it ended, or began where it is not over yet. */
  readonly at: WallMillis;
  readonly records: number;
  readonly damaged: number;
  /** How many of the bad ones the peers have replaced. */
  readonly mended: number;
}

export interface ScrubStatus {
  /** null: none has ended yet. */
  readonly last: ScrubPass | null;
  readonly running: ScrubPass | null;
}

/** How far a replica is with what it is to get by a change of members. */
export interface TransferStatus {
  readonly partitionsTotal: number;
  readonly partitionsDone: number;
  readonly keyCount: number;
  /** Of entries, both ways. */
  readonly byteCount: number;
}

export interface StatusResult {
  readonly kind: "status";
  /** null: the member did not answer. */
  readonly members: readonly (readonly [id: string, status: ReplicaStatus | null])[];
  /** Since when members do not answer, as far as this node has seen. */
  readonly awaySince?: ReadonlyMap<string, WallMillis>;
}

export interface StalenessResult {
  readonly kind: "staleness";
  /** The member that was asked; null for a frontend without a replica. */
  readonly selfId: ReplicaId | null;
  /** What this very frontend has seen of its peers; without canaries. */
  readonly own: DelayReport;
  /** Of every member that answered. */
  readonly reports: ReadonlyMap<string, DelayReport>;
}

export interface ConfigureResult {
  readonly kind: "configured";
  readonly created: boolean;
}

export interface ListedKey {
  readonly name: string;
  /** 0: never. */
  readonly expiresAt: WallMillis;
  readonly metadata: string | null;
}

export interface ListResult {
  readonly kind: "listed";
  readonly keys: readonly ListedKey[];
  readonly complete: boolean;
  /** The last key that was looked at: where the next page goes on. */
  readonly cursor: string;
}

export interface MergeResult {
  readonly kind: "merged";
  /** Whether the replica that took it in held anything of the key before. */
  readonly wasKnown: boolean;
}

export interface NamespacesResult {
  readonly kind: "named";
  readonly names: readonly string[];
  /** What the values of each take up, in bytes: all copies, at the members that tell it. */
  readonly byteCounts: ReadonlyMap<string, number>;
  /** Whether there are none after them. */
  readonly complete: boolean;
}

export interface AntiEntropyResult {
  readonly kind: "compared";
  readonly exchanges: number;
  readonly partitionsCompared: number;
  readonly partitionsDiffering: number;
  readonly keysSent: number;
  readonly keysReceived: number;
  /** Of entries, both ways. */
  readonly bytes: number;
}

export interface HandoffResult {
  readonly kind: "handed-off";
  readonly delivered: number;
  /** Hints that are still held somewhere. */
  readonly pending: number;
}

export interface ScrubResult {
  readonly kind: "scrubbed";
  readonly replicas: readonly {
    readonly id: string;
    /** `platform`: nothing is read, it checks its own storage. */
    readonly state: "done" | "no answer" | "platform";
    readonly pass: Omit<ScrubPass, "at"> | null;
  }[];
}

export interface AcceptLossResult {
  readonly kind: "accepted";
  /** In how many partitions it was still to learn what it had; 0: it waited for nobody. */
  readonly partitionCount: number;
  /** The members that are not waited for any longer. */
  readonly waitedFor: readonly string[];
}

export interface RefreshResult {
  readonly kind: "refreshed";
}

/** A copy that a member gets. */
export interface Move {
  readonly partition: number;
  /** Who gives the copy up; `null` where the partition gets one copy more than it had. */
  readonly from: string | null;
  readonly to: string;
}

/** What a change of members would do, in the words of `POST /v1/cluster/plan`. */
export interface RingPlan {
  /** Ring versions: the one that was planned on, and the one that a commit leads to. */
  readonly from: number;
  readonly to: number;
  readonly moves: readonly Move[];
  readonly movedPartitions: number;
  readonly minimumPossible: number;
}

export interface CommitResult {
  readonly kind: "committed";
  readonly plan: RingPlan;
}

export interface FaultResult {
  readonly kind: "faulted";
  /** null: none, or the member did not answer. */
  readonly faults: readonly (readonly [id: string, fault: Fault | null])[];
}

export interface PurgeResult {
  readonly kind: "purged";
  /** What was written up to this instant is not served any more. */
  readonly until: WallMillis;
  /** Members that have it on stable storage; the others learn of it before they serve again. */
  readonly learntCount: number;
  readonly memberCount: number;
}

/** The operation did not do what was asked; a write may yet surface unless the code is a 4xx. */
export interface FailedResult {
  readonly kind: "failed";
  readonly failure: Failure;
  /** With `too-many-siblings`: what to resolve them with. */
  readonly context: CausalContext | null;
}

/** By the kind of an operation: what it ends with when it does what was asked. */
interface DoneByKind {
  readonly get: GetResult;
  readonly lease: LeaseResult;
  readonly write: WriteResult;
  readonly explain: ExplainResult;
  readonly status: StatusResult;
  readonly staleness: StalenessResult;
  readonly configure: ConfigureResult;
  readonly list: ListResult;
  readonly namespaces: NamespacesResult;
  readonly merge: MergeResult;
  readonly "anti-entropy": AntiEntropyResult;
  readonly handoff: HandoffResult;
  readonly scrub: ScrubResult;
  readonly "accept-loss": AcceptLossResult;
  readonly commit: CommitResult;
  readonly refresh: RefreshResult;
  readonly changes: ChangesResult;
  readonly fault: FaultResult;
  readonly purge: PurgeResult;
}

/** What an operation of that kind ends with when it does what was asked. */
export type DoneOf<Kind extends keyof DoneByKind> = DoneByKind[Kind];

/** What an operation of that kind ends with. */
export type ResultOf<Kind extends keyof DoneByKind> = DoneOf<Kind> | FailedResult;

export type Result = ResultOf<keyof DoneByKind>;
