/** The parts that a host makes a node of. */
import type { LeafSums } from "../../antientropy/merkle-tree.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { Prng } from "../../core/prng.ts";
import type { Store } from "../../core/store.ts";
import type { Intervals } from "./jobs/replica-jobs.ts";
import type { Knowledge } from "./knowledge/knowledge.ts";

export interface ReplicaParts extends Intervals {
  readonly id: ReplicaId;
  readonly store: Store;
  /**
   * Stays the same while the store stays where it is, and differs for a copy of it; absent where no
   * copy can be made. See store-owner.ts.
   */
  readonly place?: string;
  /** Sums that survive a restart; else they are counted anew from the index. */
  readonly leafSums?: LeafSums;
  /** How much of a walk over all keys is one step; see tree-migration.ts. */
  readonly recordsPerRun?: number;
  /** How many bytes of values beside a write have it go to the others alone; default: 64 KiB. */
  readonly aloneFrom?: number;
  /** Whether it can be told to have faults. */
  readonly takesFaults?: boolean;
}

export interface NodeParts {
  readonly knowledge: Knowledge;
  readonly prng: Prng;
  /** null on a frontend that stores nothing. */
  readonly replica: ReplicaParts | null;
}
