/** A node's own replica, as the serving of requests and the background jobs share it. */
import type { ExchangeSide } from "../../../antientropy/exchange.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Encounters } from "../../../replica/encounters.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { TreeMigration } from "./tree-migration.ts";

export interface Replica {
  readonly id: ReplicaId;
  /** Its records and the rules of a key. */
  readonly keeper: Keeper;
  /** What the writes that came to it met here. */
  readonly encounters: Encounters;
  /** Which trees its keys are in. */
  readonly migration: TreeMigration;
  /** What exchanges work on, for both ends of one. */
  readonly side: ExchangeSide;
  /** How many bytes of values beside a write have it go to the others alone. */
  readonly aloneFrom: number;
}
