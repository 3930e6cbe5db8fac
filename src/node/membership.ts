/**
 * What a replica does at once when the cluster document has changed: it forgets what it holds from
 * before it joined, begins to put keys into other trees when their N has changed, and tells those
 * of its jobs that depend on who owns what.
 */
import { keepNumber, keptNumber } from "./knowledge/kept-number.ts";
import type { Knowledge } from "./knowledge/knowledge.ts";
import type { Replica } from "./replica/replica.ts";
import type { Service } from "./serving/service.ts";

/** The name in the store of the change by which this replica joined its records' ring. */
const JOINED = "joined";

export interface MembershipHost {
  readonly knowledge: Knowledge;
  /** A change of members leaves something to do, or may. */
  goOn(): void;
}

export class Membership {
  readonly #replica: Replica;
  readonly #service: Service;
  readonly #host: MembershipHost;

  constructor(replica: Replica, service: Service, host: MembershipHost) {
    this.#replica = replica;
    this.#service = service;
    this.#host = host;
    this.#forgetFormerLife();
  }

  /** Done whatever state the disk is in: who owns what does not wait for it. */
  documentChanged(): void {
    // This comes first: all that is dropped or written from here on goes by the trees it was in.
    const haveOtherSizes = this.#replica.migration.noticeSizes();
    this.#forgetFormerLife();
    // With a smaller N some keys are no longer at home here.
    if (haveOtherSizes) this.#service.jobs.cleanUp.notice();
    this.#service.ringChanged();
    this.#host.goOn();
  }

  /**
   * While this replica was no member, tombstones were collected without asking it, so what it held
   * then may have been deleted. It begins again with nothing, and fetches what it is to own.
   */
  #forgetFormerLife(): void {
    const { keeper, id } = this.#replica;
    // A failed disk forgets nothing: that is left to the next start.
    if (keeper.store.health() === "failed") return;
    const member = this.#host.knowledge.ring.member(id);
    if (member === undefined) return;
    const joined = member.joined ?? 0;
    if ((keptNumber(keeper.store, JOINED) ?? 0) === joined) return;
    keeper.wipe();
    keepNumber(keeper.store, JOINED, joined);
  }
}
