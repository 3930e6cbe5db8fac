/** What a client asks of a node: the boundary between HTTP and the machines. */
import type { CausalContext } from "./causal-context.ts";
import type { Content } from "./entry.ts";
import type { Fault } from "./fault.ts";
import type { ChangesOperation } from "./feed.ts";
import type { NamespaceSettings } from "./namespace-settings.ts";
import type { QuorumOptions } from "./quorum-options.ts";
import type { StoreKey } from "./store.ts";
import type { WallMillis } from "./time.ts";

export interface GetOperation {
  readonly kind: "get";
  readonly key: StoreKey;
  readonly options: QuorumOptions;
  /** A session read: the answer must include all that this names. */
  readonly session: CausalContext | null;
  /** When all that was shown with it has ended, and need not exist anywhere; 0 for never. */
  readonly sessionEndsAt?: WallMillis;
}

/** What a write depends on (RFC 9110, 13.1). */
export interface Precondition {
  /** Entity tags with their quotes, or `*`. */
  readonly ifMatch: readonly string[];
  readonly ifNoneMatch: readonly string[];
  /** `If-Unmodified-Since`, above 0 and of whole seconds; absent: no such condition. */
  readonly unmodifiedSince?: WallMillis;
}

export interface WriteOperation {
  readonly kind: "write";
  readonly key: StoreKey;
  readonly options: QuorumOptions;
  /** null: a delete. */
  readonly content: Content | null;
  /** How long the value lives, from the coordinator's clock; 0 for ever. */
  readonly ttlMs: number;
  /** What it replaces; null: what the coordinator holds. */
  readonly context: CausalContext | null;
  readonly precondition: Precondition | null;
}

/** What each replica of the key's preference list itself holds, asked one by one. */
export interface ExplainOperation {
  readonly kind: "explain";
  readonly key: StoreKey;
}

/** What every member of the ring says of itself. */
export interface StatusOperation {
  readonly kind: "status";
}

/** Creates, changes or deletes a namespace on a majority of the members. */
export interface ConfigureOperation {
  readonly kind: "configure";
  readonly namespace: string;
  /** null: it has the deployment's settings again, and no longer counts as created. */
  readonly settings: NamespaceSettings | null;
}

/** Starts a change of members, or calls one off. */
export interface CommitOperation {
  readonly kind: "commit";
  /** As the operator gave it: `{"add":[…],"remove":[…],"reweight":{…}}` or `{"abort":true}`. */
  readonly change: Readonly<Record<string, unknown>>;
  /** The version of the ring that it is for; absent: whichever there is when it is asked for. */
  readonly from?: number;
  /** How long its caller waits for the answer; absent: as long as any client is assumed to. */
  readonly timeoutMs?: number;
}

/** One page of a namespace's live keys, by a covering read of the partitions. */
export interface ListOperation {
  readonly kind: "list";
  readonly namespace: string;
  readonly prefix: string;
  /** Exclusive; empty from the start. */
  readonly after: string;
  readonly limit: number;
  /** Also the keys that have no value to serve, but a version that is remembered. */
  readonly withDead?: boolean;
}

/** Joins an entry into what the owners of its key hold, as anti-entropy would. */
export interface MergeOperation {
  readonly kind: "merge";
  readonly key: StoreKey;
  readonly options: QuorumOptions;
  /** Encoded, without a tenure (see core/entry-codec.ts). */
  readonly entry: Uint8Array;
}

/** The namespaces that have a value, whether or not somebody created them, in order. */
export interface NamespacesOperation {
  readonly kind: "namespaces";
  /** Exclusive; empty from the start. */
  readonly after: string;
  readonly limit: number;
}

/** An exchange of one replica with all its peers, or of every replica, now. */
export interface AntiEntropyOperation {
  readonly kind: "anti-entropy";
  /** null: every member. */
  readonly replica: string | null;
}

/** Every member tries to deliver all hints that it holds, now. */
export interface HandoffOperation {
  readonly kind: "handoff";
}

/**
 * A replica that lost what it had stops waiting for the members that it cannot reach: what only
 * those could tell it is given up.
 */
export interface AcceptLossOperation {
  readonly kind: "accept-loss";
  readonly replica: string;
}

/** Reads all records of one replica, or of every one, now. */
export interface ScrubOperation {
  readonly kind: "scrub";
  /** null: every member. */
  readonly replica: string | null;
}

/** How long every member's peers took lately, and what canaries have found. */
export interface StalenessOperation {
  readonly kind: "staleness";
}

/** Asks a member for the cluster document: for frontends that nobody sends it to. */
export interface RefreshOperation {
  readonly kind: "refresh";
  /**
   * Asks until a majority of the ring's members has answered: that includes all that they had
   * agreed on before. Fails when too few answer. Absent: the nearest that answers will do.
   */
  readonly ofMajority?: true;
}

/** Tells a replica to have a fault, or to end it; without `change` it asks which there are. */
export interface FaultOperation {
  readonly kind: "fault";
  /** null: every member. */
  readonly replica: string | null;
  readonly change?: Fault | null;
}

/** From now on, of what the purge is about, nothing that was written before is served. */
export interface PurgeOperation {
  readonly kind: "purge";
  readonly namespace: string;
  /** What a site stored becomes stale, and is not gone. */
  readonly soft?: true;
  readonly what:
    | { readonly tags: readonly string[] }
    | { readonly prefix: string }
    | { readonly everything: true };
}

/** Asks for, renews or gives back the right to fetch a key from its origin. */
export interface LeaseOperation {
  readonly kind: "lease";
  readonly key: StoreKey;
  /** How many primaries the key has. */
  readonly n: number;
  /** Names who asks, and who renews. */
  readonly holder: string;
  /** After so long without a renewal somebody else gets it. */
  readonly leaseMs: number;
  /** `unshare`: the answer was for one client alone, and for a while nobody waits for another's. */
  readonly act: "ask" | "release" | "unshare";
}

export type Operation =
  | GetOperation
  | LeaseOperation
  | WriteOperation
  | ExplainOperation
  | StatusOperation
  | StalenessOperation
  | ConfigureOperation
  | ListOperation
  | NamespacesOperation
  | MergeOperation
  | AntiEntropyOperation
  | HandoffOperation
  | ScrubOperation
  | AcceptLossOperation
  | CommitOperation
  | RefreshOperation
  | ChangesOperation
  | FaultOperation
  | PurgeOperation;

/** All but reads: those bring values into memory (src/frontend/backend/read-room.ts). */
export type OtherOperation = Exclude<Operation, GetOperation>;
