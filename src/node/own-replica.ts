/**
 * A node's own replica put together: its records, what it does in the background, how it serves
 * requests, and what it does when the cluster document changes.
 */
import { MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import type { Prng } from "../../core/prng.ts";
import type { Millis } from "../../core/time.ts";
import { Encounters } from "../../replica/encounters.ts";
import { Keeper } from "../../replica/keeper.ts";
import type { JobTable } from "./jobs/job-table.ts";
import { gracesOf, replicaJobs, type WorkHost } from "./jobs/replica-jobs.ts";
import { Membership } from "./membership.ts";
import type { ReplicaParts } from "./node-parts.ts";
import { exchangeSide } from "./replica/exchange-side.ts";
import type { Replica } from "./replica/replica.ts";
import { TreeMigration } from "./replica/tree-migration.ts";
import type { Jobs } from "./serving/job-ports.ts";
import { Service, type ServiceHost } from "./serving/service.ts";

/** Beside that many bytes of other values a write goes to the other owners alone. */
const ALONE_BYTES = 64 * 1024;

export interface OwnReplicaHost extends ServiceHost, Omit<WorkHost, "keysOnTheirWay"> {
  /** Work of this step that must not run inside other work. */
  later(...works: readonly (() => void)[]): void;
}

export interface OwnReplicaParts extends ReplicaParts {
  /** The store is a copy of another replica's. */
  readonly isCopy: boolean;
  /** For what it mints; the work in the background has another one. */
  readonly mintsBy: Prng;
}

export class OwnReplica {
  readonly replica: Replica;
  readonly service: Service;
  readonly jobTable: JobTable;
  readonly #membership: Membership;
  /** null while the parts are made: what is already in the store then is told to nobody. */
  #work: Jobs | null = null;
  #service: Service | null = null;

  constructor(parts: OwnReplicaParts, host: OwnReplicaHost) {
    this.replica = this.#makeReplica(parts, host);
    const keysOnTheirWay = () => this.service.keysOnTheirWay;
    const work = replicaJobs(this.replica, { ...host, keysOnTheirWay }, parts);
    this.jobTable = work.table;
    this.#work = work.parts;
    this.service = new Service(this.replica, work.parts, host);
    this.#service = this.service;
    const { knowledge } = host;
    const goOn = (): void => this.#goOn(work.parts, host);
    this.#membership = new Membership(this.replica, this.service, { knowledge, goOn });
  }

  /** Done whatever state the disk is in: who owns what does not wait for it. */
  documentChanged(): void {
    this.#membership.documentChanged();
  }

  /** What a change of members, or of an N, leaves to do. */
  #goOn({ transfer, resize, absence }: Jobs, host: OwnReplicaHost): void {
    const now = (): Millis => host.now();
    host.later(
      () => this.replica.migration.run(this.replica.keeper),
      () => transfer.run(now()),
      () => resize.run(now()),
      () => absence?.past.run(now()),
    );
  }

  #makeReplica(parts: OwnReplicaParts, host: OwnReplicaHost): Replica {
    const { id, store, leafSums } = parts;
    const { knowledge } = host;
    const forest = new MerkleForest(leafSums ?? new MemoryLeafSums());
    const isKept = leafSums !== undefined;
    const migration = new TreeMigration({ ...parts, knowledge, forest, isKept });
    const keeper = new Keeper({
      store,
      hash: knowledge.hash,
      prng: parts.mintsBy,
      isCopy: parts.isCopy,
      placeOf: migration.placeOf,
      partitionCount: () => knowledge.ring.partitionCount,
      graces: gracesOf(parts),
      purges: () => knowledge.purges,
      onChange: (place, change) => {
        forest.update(place, place.leaf, change);
        const isMine = knowledge.ring.isOwner(id, place.partition, place.n);
        // A hint or a repair may come to a former owner, or an exchange may end too late.
        if (change.to !== 0 && !isMine) this.#work?.cleanUp.notice();
      },
      onDamage: (key) => this.#work?.refill.noticed(key),
      onRecord: (key, hasValue) => {
        this.#work?.evictor.wrote(key, hasValue);
        this.#service?.feeds.wrote(key);
      },
    });
    if (!isKept) keeper.recount();
    const side = exchangeSide(
      { keeper, forest },
      {
        wall: () => host.wall(),
        whenDurable: (callback) => host.whenDurable(callback),
        lacksTree: (tree) => this.#work?.absence?.past.lacksTree(tree) === true,
      },
    );
    const { aloneFrom = ALONE_BYTES } = parts;
    return { id, keeper, encounters: new Encounters(), migration, side, aloneFrom };
  }
}
