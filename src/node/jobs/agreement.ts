/**
 * The first ring, as the cluster files make it, is provisional until a majority of its members has
 * it. Only then may it win over a ring of another file: so a node that is to join may have a
 * cluster file with itself in it, and learns from its peers that it is not a member yet.
 */
import { majority } from "../../../core/quorum-options.ts";
import type { Millis } from "../../../core/time.ts";
import type { ClusterDocument } from "../../../ring/cluster-document.ts";
import { agreedRing } from "../../../ring/ring-document.ts";
import type { Replies } from "../peers/fanout.ts";
import type { TaskHost } from "../peers/tasks.ts";
import { tellOthers } from "../peers/tell-document.ts";
import type { Replica } from "../replica/replica.ts";

export interface AgreementHost extends TaskHost {
  /** Joins a document into the node's own and keeps it. */
  learn(document: ClusterDocument): void;
}

export class Agreement {
  readonly #replica: Replica;
  readonly #host: AgreementHost;
  #isAsking = false;

  constructor(replica: Replica, host: AgreementHost) {
    this.#replica = replica;
    this.#host = host;
  }

  get isPending(): boolean {
    return this.#host.knowledge.document.ring.isProvisional === true;
  }

  /** Asks all members, while there is something to agree on. */
  run(now: Millis): void {
    const { knowledge } = this.#host;
    if (!this.isPending || this.#isAsking) return;
    this.#isAsking = true;
    const { stamp } = knowledge;
    const done = (replies: Replies): void => {
      this.#isAsking = false;
      // A member with another ring has told of it, and the better of the two was learnt.
      if (!this.isPending || knowledge.stamp !== stamp) return;
      const told = [...replies.values()].filter(({ kind }) => kind === "documented");
      if (told.length + 1 < majority(knowledge.ring.memberIds.length)) return;
      const { document } = knowledge;
      this.#host.learn({ ...document, ring: agreedRing(document.ring) });
    };
    tellOthers(this.#host, { self: this.#replica.id, done }, now);
  }
}
