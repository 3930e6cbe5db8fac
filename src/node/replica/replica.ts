/** A node's own replica, as what serves requests and what works in the background share it. */
import type { ExchangeSide } from "../../../antientropy/exchange.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Encounters } from "../../../replica/encounters.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { TreeMigration } from "./tree-migration.ts";

export interface Replica {
  readonly id: ReplicaId;
  /** Its records and the rules of a key. */
  readonly keeper: Keeper;
  /** What writes met that came to it. */
  readonly encounters: Encounters;
  /** In which trees its keys are. */
  readonly migration: TreeMigration;
  /** What exchanges work on, for both ends of one. */
  readonly side: ExchangeSide;
}
