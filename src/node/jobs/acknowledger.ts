/**
 * Says in the cluster document that this replica is as far as a change asks it to be, and makes
 * that known. What it has fetched, and the document that it says so in, must outlive a crash before
 * it counts: the others give up what they hold on its word.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Millis } from "../../../core/time.ts";
import type { ClusterDocument } from "../../../ring/cluster-document.ts";
import type { TaskHost } from "../peers/tasks.ts";
import { tellOthers } from "../peers/tell-document.ts";

export interface AcknowledgerHost extends TaskHost {
  /** Calls back when all that was written so far is durable, or the disk failed. */
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** Joins a document into the node's own and keeps it. */
  learn(document: ClusterDocument): void;
}

export class Acknowledger {
  readonly #self: ReplicaId;
  readonly #host: AcknowledgerHost;
  #isWaiting = false;

  constructor(self: ReplicaId, host: AcknowledgerHost) {
    this.#self = self;
    this.#host = host;
  }

  /** @param said the present document with the word in it; null when nobody asks for it any more */
  say(said: (document: ClusterDocument) => ClusterDocument | null): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#host.whenDurable((ok, now) => {
      this.#isWaiting = false;
      const document = ok ? said(this.#host.knowledge.document) : null;
      if (document === null) return;
      this.#host.learn(document);
      this.tell(now);
    });
  }

  /** Tells the others once more what was said. */
  tell(now: Millis): void {
    tellOthers(this.#host, { self: this.#self }, now);
  }
}
