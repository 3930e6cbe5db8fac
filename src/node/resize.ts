/**
 * A replica's own part when the N of a namespace changes (see `ring/namespace-record`). What it is
 * to own by the new N it compares, by exchanges, with old owners: so many that together with itself
 * they are a majority, and every write that a majority acknowledged is there. Then it says so, in
 * the cluster document. It begins at once, and waits for no interval.
 *
 * All of it is forgotten in a crash and begun anew: trees that are equal are found so at once.
 */
import { Exchange, type ExchangeResult, exchangeLimits } from "../../antientropy/exchange.ts";
import type { TreeName } from "../../antientropy/merkle-tree.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { majority } from "../../core/quorum-options.ts";
import type { Millis } from "../../core/time.ts";
import type { Outbox } from "../../replica/coordination.ts";
import { acknowledgeNamespace, changingIn, encodeDocument } from "../../ring/cluster-document.ts";
import { type NamespaceRecord, takersIn, targetOf } from "../../ring/namespace-record.ts";
import { openChange } from "../../ring/ring-change.ts";
import { Fanout, type Replies } from "./fanout.ts";
import type { Service } from "./service.ts";
import type { TaskHost } from "./tasks.ts";
import type { TransferHost } from "./transfer.ts";

/** Trees of one exchange: what was done of a longer one would be unknown when it breaks. */
const TREES_PER_EXCHANGE = 64;
const EXCHANGE_MS_MAX = 600_000;
const TELL_MS_MAX = 2000;

interface Filling {
  readonly tree: TreeName;
  /** The old owners but for this replica. */
  readonly from: readonly ReplicaId[];
  /** With how many of them it has to be compared. */
  readonly needed: number;
  readonly synced: Set<ReplicaId>;
}

const isFilled = ({ synced, needed }: Filling): boolean => synced.size >= needed;

export class Resize {
  readonly #service: Service;
  readonly #host: TransferHost & TaskHost;
  /** Names the change that `#fillings` are about. */
  #mark = "";
  #fillings: readonly Filling[] = [];
  #isFetching = false;
  #isSaying = false;
  #turn = 0;

  constructor(service: Service, host: TransferHost & TaskHost) {
    this.#service = service;
    this.#host = host;
  }

  /** Whether the N of some namespace changes. */
  get isPending(): boolean {
    return changingIn(this.#host.knowledge.document).length > 0;
  }

  /** To be called now and then, and whenever the document has changed. */
  run(now: Millis): void {
    const { knowledge } = this.#host;
    const { document } = knowledge;
    if (openChange(document.ring) !== null || this.#service.background?.absence?.isBehind) return;
    const changing = changingIn(document);
    if (changing.length === 0 || knowledge.ring.member(this.#service.id) === undefined) return;
    const open = changing.find(([, record]) => this.#hasWork(record));
    if (open === undefined) return this.#tell(now);
    const [name, record] = open;
    if (record.change?.phase === "settling") return this.#say(name, record);
    this.#begin(name, record);
    if (this.#fillings.every(isFilled)) this.#say(name, record);
    else this.#fetch(now);
  }

  #hasWork(record: NamespaceRecord): boolean {
    const { id } = this.#service;
    const { ring } = this.#host.knowledge.document;
    if (record.change?.acks.includes(id) !== false) return false;
    return record.change.phase === "settling" || takersIn(record, ring).includes(id);
  }

  #begin(name: string, record: NamespaceRecord): void {
    const mark = `${name} ${record.revision}`;
    if (this.#mark === mark || record.change === undefined) return;
    this.#mark = mark;
    const { ring, document } = this.#host.knowledge;
    const { id } = this.#service;
    const n = targetOf(record, document.ring);
    const fillings: Filling[] = [];
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      if (!ring.primariesOf(partition, n).includes(id)) continue;
      const owners = ring.primariesOf(partition, record.change.from);
      const from = owners.filter((owner) => owner !== id);
      const needed = majority(owners.length) - (owners.length - from.length);
      fillings.push({ tree: { partition, n }, from, needed, synced: new Set() });
    }
    this.#fillings = fillings;
  }

  /** The next old owner in turn that can be asked, and some of what it has. */
  #fetch(now: Millis): void {
    const { liveness } = this.#host.knowledge;
    if (this.#isFetching) return;
    const unfilled = this.#fillings.filter((filling) => !isFilled(filling));
    const left = ({ from, synced }: Filling): readonly ReplicaId[] =>
      from.filter((id) => !synced.has(id));
    const sources = [...new Set(unfilled.flatMap(left))];
    const source = sources
      .map((_, i) => sources[(i + this.#turn) % sources.length])
      .find((id) => id !== undefined && liveness.isWorthTrying(id, now));
    if (source === undefined) return;
    const chunk = unfilled
      .filter((filling) => left(filling).includes(source))
      .slice(0, TREES_PER_EXCHANGE);
    this.#isFetching = true;
    this.#exchange(source, chunk, now);
  }

  #exchange(peer: ReplicaId, chunk: readonly Filling[], now: Millis): void {
    const { side } = this.#service;
    const trees = chunk.map(({ tree }) => tree);
    this.#host.run<ExchangeResult>(
      {
        timeoutMs: EXCHANGE_MS_MAX,
        again: null,
        make: (out) => new Exchange({ peer, trees, side, limits: exchangeLimits }, out),
        finish: ({ isComplete }, at) => {
          this.#isFetching = false;
          if (isComplete) for (const { synced } of chunk) synced.add(peer);
          // Another one first after a failure; at the next run, so as not to ask in a circle.
          else this.#turn++;
          if (isComplete) this.run(at);
        },
      },
      now,
    );
  }

  /** What was fetched, and the document, must outlive a crash before it counts. */
  #say(name: string, { revision, change }: NamespaceRecord): void {
    if (this.#isSaying) return;
    this.#isSaying = true;
    this.#host.whenDurable((ok, now) => {
      this.#isSaying = false;
      const { document } = this.#host.knowledge;
      const record = document.namespaces.get(name);
      const isSame = record?.revision === revision && record.change?.phase === change?.phase;
      if (!ok || !isSame || record.change === undefined) return;
      this.#host.learn(acknowledgeNamespace(document, name, this.#service.id));
      this.#tell(now);
    });
  }

  #tell(now: Millis): void {
    const { knowledge, run } = this.#host;
    const targets = knowledge.ring.memberIds.filter((id) => id !== this.#service.id);
    const body = { kind: "document", document: encodeDocument(knowledge.document) } as const;
    const timeoutMs = TELL_MS_MAX;
    const make = (out: Outbox<Replies>): Fanout => new Fanout({ targets, body, timeoutMs }, out);
    run<Replies>({ timeoutMs, make, finish: () => {}, again: null }, now);
  }
}
