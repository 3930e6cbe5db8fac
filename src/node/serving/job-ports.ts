import type { TreeName } from "../../../antientropy/merkle-tree.ts";
import type { DelayReport } from "../../../core/delay-report.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Ages, ExchangeTotals } from "../../../core/message-values.ts";
import type { Reply, ReplyOf, RequestOf } from "../../../core/messages.ts";
import type { ScrubPass, ScrubStatus, TransferStatus } from "../../../core/results.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Hlc, LifeMillis, Millis, Now, WallMillis } from "../../../core/time.ts";

/** What runs in the background, as far as others may ask for it or about it. */
export interface Jobs {
  readonly handoff: {
    start(now: Millis, done: ((deliveredCount: number) => void) | null): void;
    toward(target: ReplicaId, now: Millis): number;
  };
  readonly exchanges: {
    readonly lastAt: ReadonlyMap<ReplicaId, WallMillis>;
    readonly completeCount: number;
    readonly keysSent: number;
    readonly keysReceived: number;
    readonly byteCount: number;
    withAll(now: Millis, done: (totals: ExchangeTotals) => void): void;
  };
  readonly refill: {
    noticed(key: StoreKey): void;
    run(now: Millis): void;
    accept(): { readonly partitionCount: number; readonly waitedFor: readonly ReplicaId[] };
  };
  readonly transfer: {
    readonly isPending: boolean;
    readonly progress: TransferStatus | null;
    run(now: Millis): void;
  };
  readonly cleanUp: { readonly isPending: boolean; notice(): void };
  readonly resize: { readonly isPending: boolean; run(now: Millis): void };
  readonly collector: {
    readonly settledAt: Millis;
    /** Keys that are gone, and values that gave up their body, since the start. */
    readonly collectedCount: number;
    readonly expiredCount: number;
  };
  readonly scrub: {
    /** false where the platform checks its own storage. */
    readonly checks: boolean;
    readonly status: ScrubStatus | null;
    /** Since this process began. */
    readonly totals: Omit<ScrubPass, "at">;
    start(now: Millis, done: (pass: ScrubPass) => void): void;
  };
  readonly agreement: { readonly isPending: boolean };
  readonly sweep: {
    readonly isPending: boolean;
    readonly reclaimedCount: number;
    hasSwept(through: Hlc): boolean;
  };
  readonly canaries: {
    readonly probeCount: number;
    report(now: Millis): Omit<DelayReport, "lagsMs">;
    probe(body: RequestOf<"probe">, respond: (reply: Reply) => void): void;
  };
  readonly evictor: {
    readonly isPending: boolean;
    read(key: StoreKey): void;
    wrote(key: StoreKey, holdsValue: boolean): void;
    takeTouched(keys: readonly StoreKey[]): readonly StoreKey[];
  };
  readonly lives: {
    duplicates(now: Millis): readonly (readonly [ReplicaId, WallMillis])[];
    readonly time: { readonly now: LifeMillis; notice(now: Now): void };
    greet(
      greeting: RequestOf<"greet">,
      now: Millis,
    ): Omit<ReplyOf<"greeted">, "wall" | "arrived" | "life">;
  };
  /** null where a replica sleeps: it follows nobody. */
  readonly tails: {
    readonly keysReceived: number;
    readonly byteCount: number;
    notice(now: Now): void;
    /** By peer, how old this replica's knowledge of it is, in ms; Infinity: it has none. */
    lagMs(): ReadonlyMap<ReplicaId, number>;
    /**
     * Up to which place, in an order of which name, it has what arrived at a peer; null: unknown.
     */
    markOf(peer: ReplicaId): { readonly run: number; readonly through: number } | null;
    /** See `held` in core/messages.ts. */
    agesFor(key: StoreKey): Ages;
  } | null;
  /** null where a replica is never away without knowing, and loses nothing. */
  readonly absence: {
    readonly isBehind: boolean;
    readonly reason: string | null;
    readonly past: {
      readonly isPending: boolean;
      lacksTree(tree: TreeName): boolean;
      run(now: Millis): void;
      heard(id: ReplicaId, now: Millis): void;
      accept(now: Millis): {
        readonly partitionCount: number;
        readonly waitedFor: readonly ReplicaId[];
      };
    };
    mayLack(key: StoreKey): boolean;
    whenInformed(work: () => void): void;
    notice(now: Now): void;
  } | null;
}
