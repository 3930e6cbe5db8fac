/**
 * What a replica does at once when the cluster document has changed: it forgets what it holds from
 * before it joined, puts keys into other trees when their N is another, and tells those of its own
 * works that depend on who owns what.
 */
import { keepNumber, keptNumber } from "./kept-number.ts";
import type { Knowledge } from "./knowledge.ts";
import type { Service } from "./service.ts";

/** In the store: by which change this replica joined the ring that its records belong to. */
const JOINED = "joined";

export interface MembershipHost {
  readonly knowledge: Knowledge;
  /** Something is to be done, or might be, about a change of members. */
  goOn(): void;
}

export class Membership {
  readonly #service: Service;
  readonly #host: MembershipHost;
  /** The N of each namespace that its keys' trees follow. */
  #planted: ReadonlyMap<string, number>;

  constructor(service: Service, host: MembershipHost) {
    this.#service = service;
    this.#host = host;
    this.#planted = this.#sizes();
    this.#forgetFormerLife();
  }

  documentChanged(): void {
    if (this.#service.keeper.store.health() !== "writable") return;
    this.#forgetFormerLife();
    this.#replant();
    this.#service.ringChanged();
    this.#host.goOn();
  }

  #sizes(): ReadonlyMap<string, number> {
    return new Map([...this.#host.knowledge.namespaces].map(([name, { n }]) => [name, n]));
  }

  /**
   * While this replica was no member nobody asked it before tombstones were collected, so what it
   * held then may have been deleted. It begins again with nothing, and fetches what it is to own.
   */
  #forgetFormerLife(): void {
    const { keeper, id } = this.#service;
    const member = this.#host.knowledge.ring.member(id);
    if (member === undefined) return;
    const joined = member.joined ?? 0;
    if ((keptNumber(keeper.store, JOINED) ?? 0) === joined) return;
    keeper.wipe();
    keepNumber(keeper.store, JOINED, joined);
  }

  #replant(): void {
    const { defaults } = this.#host.knowledge;
    const sizes = this.#sizes();
    for (const [name, n] of sizes) {
      const previous = this.#planted.get(name) ?? defaults.n;
      if (previous === n) continue;
      this.#service.keeper.replant(name, previous);
      // With a smaller N some of its keys are no longer at home here.
      this.#service.background?.cleanUp.notice();
    }
    this.#planted = sizes;
  }
}
