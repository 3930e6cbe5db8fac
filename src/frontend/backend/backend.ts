/** What the HTTP face needs of whatever node it stands in front of. */
import type { ReplicaId } from "../../../core/ids.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import type { GetOperation, OtherOperation } from "../../../core/operations.ts";
import type { PurgeIndex } from "../../../core/purges.ts";
import type { ResultOf } from "../../../core/results.ts";
import type { SiteSettings } from "../../../core/site.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Traffic } from "../../../core/traffic.ts";
import type { NamespaceChange } from "../../../ring/namespace-record.ts";
import type { Ring } from "../../../ring/ring.ts";

/** A site, and how many replicas are asked for what it stores. */
export interface Site {
  readonly name: string;
  readonly settings: SiteSettings;
  readonly stored: NamespaceSettings;
}

/** What this node believes of the cluster just now: plain values, safe to read at any time. */
export interface ClusterView {
  readonly ring: Ring;
  /** The deployment's defaults, for namespaces that nobody created. */
  readonly defaults: NamespaceSettings;
  /** Only the namespaces that somebody created. */
  readonly namespaces: ReadonlyMap<string, NamespaceSettings>;
  /** By name: what the cache door answers for. Their namespaces are not among those above. */
  readonly sites: ReadonlyMap<string, Site>;
  /** What was purged; a new object as soon as that changes. */
  readonly purges: PurgeIndex;
  /** Of the namespaces whose N changes just now. */
  readonly changes: ReadonlyMap<string, NamespaceChange>;
  /** What this node's own process speaks. */
  readonly version: string;
  /**
   * By member that it and this node refuse each other for their protocols, the version it names.
   */
  readonly refusedVersions: ReadonlyMap<string, string>;
  /** Whether the replica answered lately, as far as this node has seen. */
  isReachable(replicaId: string): boolean;
  /**
   * What this node's own replica waits for before it knows that it has what it owns, in words; null
   * when it knows, and where there is none.
   */
  readonly lacks: string | null;
}

/** A response that is made anew behind a stale answer. */
export interface Refresh {
  readonly site: string;
  readonly url: string;
  readonly since: WallMillis;
}

/** What replicas ring when something was written, so that nobody has to ask again and again. */
export interface FeedBell {
  /**
   * Hangs a bell at each of the replicas. What was written before it hangs may not ring it.
   *
   * @returns `hung` when some of them had none before; `none` when not all can have one
   */
  hang(replicaIds: readonly ReplicaId[]): Promise<"hung" | "hangs" | "none">;
  /** Forgets what has rung until now: a look that is about to begin will see it. */
  silence(): void;
  /**
   * Whether it rings within that time, in ms, or has since the silence. A bell whose connection
   * broke counts as ringing.
   */
  rings(withinMs: number): Promise<boolean>;
  close(): void;
}

export interface Turns {
  /**
   * Does the work when its turn has come; the turn ends with the work.
   *
   * @param byteCount how many bytes the work goes over
   * @param waitMs how long it may wait, in ms; by default as long as any
   * @throws Problem `overloaded` when it has waited too long: it is not done then
   */
  take<Result>(work: () => Promise<Result>, byteCount: number, waitMs?: number): Promise<Result>;
}

export interface Backend {
  /** The host's wall clock. */
  now(): WallMillis;
  view(): ClusterView;
  /** The view with what the members know by now: nobody tells a frontend without a replica. */
  freshView(): Promise<ClusterView>;
  /**
   * Runs one operation. Resolves with a `failed` result for every expected failure and rejects only
   * for a bug. The traceparent (W3C) travels with the messages; empty when there is none.
   */
  execute<Asked extends OtherOperation>(
    operation: Asked,
    traceparent: string,
  ): Promise<ResultOf<Asked["kind"]>>;
  /** The same for a read. Values are read through `read-room.ts`, which counts what they hold. */
  fetchValues(operation: GetOperation, traceparent: string): Promise<ResultOf<"get">>;
  /**
   * Where work on long values waits for its turn; see `large-work.ts`. Absent: it is done at once.
   */
  readonly turns?: Turns;
  /**
   * How many bytes a read of the key is going to hold, as far as this process knows without having
   * read it; 0 when it does not. Absent where there is no store.
   */
  weigh?(key: StoreKey): number;
  /** Where requests about keys are counted for the cluster's totals; absent: nowhere. */
  readonly traffic?: Traffic;
  /**
   * Stands for the frontend where each request has a backend of its own: what is remembered from
   * one request to the next is kept under it. Absent: all requests share the backend.
   */
  readonly shared?: object;
  /** Whether the host is about to stop: endless answers must come to an end. */
  isEnding?(): boolean;
  /**
   * Calls it once that begins, where it can begin at any time. @returns a function that cancels it
   */
  onEnding?(callback: () => void): () => void;
  /** What the cache door of this process is refreshing now; absent where there is none. */
  refreshes?(): readonly Refresh[];
  /**
   * For a feed of the namespace, on hosts where a question that is held would keep replicas awake.
   * Absent where it may be held.
   */
  openBell?(namespace: string): FeedBell;
  /** Lines of Prometheus text that the host adds to the frontend's own metrics. */
  metrics(): string;
}
