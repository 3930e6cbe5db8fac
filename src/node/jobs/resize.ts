/**
 * A replica's own part when the N of a namespace changes (see `ring/namespace-record`). It compares
 * what it is to own by the new N, by exchanges, with enough old owners that together with itself
 * they are a majority: then every write that a majority acknowledged is there. Then it says so, in
 * the cluster document. It begins at once, and waits for no interval.
 *
 * All of it is forgotten in a crash and begun anew: trees that are equal are found so at once.
 */
import { majority } from "../../../core/quorum-options.ts";
import type { Millis } from "../../../core/time.ts";
import { acknowledgeNamespace, changingIn } from "../../../ring/cluster-document.ts";
import { isTaker, type NamespaceRecord, targetOf } from "../../../ring/namespace-record.ts";
import { openChange } from "../../../ring/ring-change.ts";
import type { Replica } from "../replica/replica.ts";
import { Acknowledger, type AcknowledgerHost } from "./acknowledger.ts";
import { Filler, type Filling, isCompared, newFilling } from "./filler.ts";

interface NewTree extends Filling {
  /** How many of its old owners it has to be compared with. */
  readonly needed: number;
}

const isFilled = (tree: NewTree): boolean => isCompared(tree, tree.needed, tree.from);

export interface ResizeHost extends AcknowledgerHost {
  /** Whether the replica may lack what others have of its keys. */
  isBehind(): boolean;
}

export class Resize {
  readonly #replica: Replica;
  readonly #host: ResizeHost;
  readonly #filler: Filler;
  readonly #acknowledger: Acknowledger;
  /** Names the change that `#fillings` are about. */
  #mark = "";
  #fillings: readonly NewTree[] = [];

  constructor(replica: Replica, host: ResizeHost) {
    this.#replica = replica;
    this.#host = host;
    this.#filler = new Filler(replica, host);
    this.#acknowledger = new Acknowledger(replica.id, host);
  }

  /** Whether the N of some namespace changes. */
  get isPending(): boolean {
    return changingIn(this.#host.knowledge.document).length > 0;
  }

  /** To be called now and then, and whenever the document has changed. */
  run(now: Millis): void {
    const { knowledge } = this.#host;
    const { document } = knowledge;
    if (openChange(document.ring) !== null || this.#host.isBehind()) return;
    const changing = changingIn(document);
    if (changing.length === 0 || knowledge.ring.member(this.#replica.id) === undefined) return;
    const open = changing.find(([, record]) => this.#hasWork(record));
    if (open === undefined) return this.#acknowledger.tell(now);
    const [name, record] = open;
    if (record.change?.phase === "settling") return this.#say(name, record);
    this.#begin(name, record);
    const unfilled = this.#fillings.filter((filling) => !isFilled(filling));
    if (unfilled.length === 0) this.#say(name, record);
    else this.#filler.fetch(unfilled, now, (at) => this.run(at));
  }

  #hasWork(record: NamespaceRecord): boolean {
    const { id } = this.#replica;
    const { ring } = this.#host.knowledge.document;
    if (record.change?.acks.includes(id) !== false) return false;
    return record.change.phase === "settling" || isTaker(id, record, ring);
  }

  #begin(name: string, record: NamespaceRecord): void {
    const { ring, document } = this.#host.knowledge;
    // Members may have changed meanwhile, and with them the owners.
    const mark = `${name} ${record.revision} ${document.ring.version}`;
    if (this.#mark === mark || record.change === undefined) return;
    this.#mark = mark;
    const { id } = this.#replica;
    const n = targetOf(record, document.ring);
    const fillings: NewTree[] = [];
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      if (!ring.primariesOf(partition, n).includes(id)) continue;
      const owners = ring.primariesOf(partition, record.change.from);
      const from = owners.filter((owner) => owner !== id);
      const needed = majority(owners.length) - (owners.length - from.length);
      fillings.push({ ...newFilling({ partition, n }, from), needed });
    }
    this.#fillings = fillings;
  }

  #say(name: string, { revision, change }: NamespaceRecord): void {
    this.#acknowledger.say((document) => {
      const record = document.namespaces.get(name);
      const isSame = record?.revision === revision && record.change?.phase === change?.phase;
      if (!isSame || record.change === undefined) return null;
      return acknowledgeNamespace(document, name, this.#replica.id);
    });
  }
}
