/**
 * What a replica does at once when the cluster document has changed: it forgets what it holds from
 * before it joined, begins to put keys into other trees when their N is another, and tells those of
 * its own works that depend on who owns what.
 */
import { keepNumber, keptNumber } from "./knowledge/kept-number.ts";
import type { Knowledge } from "./knowledge/knowledge.ts";
import type { Replica } from "./replica/replica.ts";
import type { Service } from "./serving/service.ts";

/** In the store: by which change this replica joined the ring that its records belong to. */
const JOINED = "joined";

export interface MembershipHost {
  readonly knowledge: Knowledge;
  /** Something is to be done, or might be, about a change of members. */
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

  /** Whatever state the disk is in: who owns what does not wait for it. */
  documentChanged(): void {
    // First of all: whatever is dropped or written from here on is in the trees that it was in.
    const haveOtherSizes = this.#replica.migration.noticeSizes();
    this.#forgetFormerLife();
    // With a smaller N some keys are no longer at home here.
    if (haveOtherSizes) this.#service.jobs.cleanUp.notice();
    this.#service.ringChanged();
    this.#host.goOn();
  }

  /**
   * While this replica was no member nobody asked it before tombstones were collected, so what it
   * held then may have been deleted. It begins again with nothing, and fetches what it is to own.
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
