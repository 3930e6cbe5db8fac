/**
 * A replica's own part in a change of members (see `ring/ring-change`). What it is to own it
 * fetches by exchanges from the present owners, some trees of one owner at a time; there is no
 * other mechanism. Then it says so, in the cluster document, and everybody hears of it.
 *
 * A tree is filled when the exchange has gone through with a majority of its owners, so that
 * every write which a majority acknowledged is there, and with every owner that leaves, so that
 * nothing is lost which one of those alone acknowledged. Both sides of an exchange have the
 * document with the change, and since then writes come here too: nothing slips in between.
 *
 * All of it is forgotten in a crash and begun anew: trees that are filled are found equal at once.
 */
import { Exchange, type ExchangeResult, exchangeLimits } from "../../antientropy/exchange.ts";
import type { TreeName } from "../../antientropy/merkle-tree.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { TransferStatus } from "../../core/operations.ts";
import { majority } from "../../core/quorum-options.ts";
import type { Millis } from "../../core/time.ts";
import type { Outbox } from "../../replica/coordination.ts";
import { type ClusterDocument, encodeDocument } from "../../ring/cluster-document.ts";
import {
  acknowledge,
  type Gain,
  gainsOf,
  type OpenChange,
  openChange,
} from "../../ring/ring-change.ts";
import { Fanout, type Replies } from "./fanout.ts";
import type { Service } from "./service.ts";
import type { TaskHost } from "./tasks.ts";

/** Trees of one exchange: what was done of a longer one would be unknown when it breaks. */
const TREES_PER_EXCHANGE = 16;
const EXCHANGE_MS_MAX = 600_000;
const TELL_MS_MAX = 2000;

export interface TransferHost extends TaskHost {
  /** Calls back when all that was written so far is durable, or the disk failed. */
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** Joins a document into the node's own and keeps it. */
  learn(document: ClusterDocument): void;
}

interface Filling {
  readonly gain: Gain;
  readonly synced: Set<ReplicaId>;
}

export class Transfer {
  readonly #service: Service;
  readonly #host: TransferHost;
  /** Of the change that `#fillings` are about; 0 for none. */
  #ballot = 0;
  #fillings: readonly Filling[] = [];
  #keyCount = 0;
  #byteCount = 0;
  #isFetching = false;
  #isSaying = false;
  #turn = 0;

  constructor(service: Service, host: TransferHost) {
    this.#service = service;
    this.#host = host;
  }

  /** How far this replica is with what it is to get; null when no members change. */
  get progress(): TransferStatus | null {
    const change = openChange(this.#host.knowledge.document.ring);
    if (change === null || change.ballot !== this.#ballot) return null;
    const isSettling = change.phase === "settling";
    const done = this.#fillings.filter((filling) => isSettling || isFilled(filling, change));
    return {
      partitionsTotal: this.#fillings.length,
      partitionsDone: done.length,
      keyCount: this.#keyCount,
      byteCount: this.#byteCount,
    };
  }

  /** Whether there is a change that this replica has to go on with. */
  get isPending(): boolean {
    return openChange(this.#host.knowledge.document.ring) !== null;
  }

  /** To be called now and then, and whenever the document has changed. */
  run(now: Millis): void {
    const { knowledge } = this.#host;
    const change = openChange(knowledge.document.ring);
    if (change === null || knowledge.ring.member(this.#service.id) === undefined) return;
    if (change.ballot !== this.#ballot) this.#begin(change);
    if (change.acks.includes(this.#service.id)) return this.#tell(now);
    if (change.phase === "settling") return this.#settle(change, now);
    if (this.#fillings.length === 0) return;
    if (this.#fillings.every((filling) => isFilled(filling, change))) this.#say(change);
    else this.#fetch(change, now);
  }

  /** Who leaves hands over what it holds for others first: it may be stopped when this is over. */
  #settle(change: OpenChange, now: Millis): void {
    const { keeper, background, id } = this.#service;
    const isLeaving = this.#host.knowledge.ring.stateOf(id) === "leaving";
    if (isLeaving && keeper.store.hintCounts().size > 0) background?.handoff.start(now, null);
    else this.#say(change);
  }

  #begin({ ballot }: OpenChange): void {
    const { document, sizes } = this.#host.knowledge;
    this.#ballot = ballot;
    this.#fillings = gainsOf(document.ring, this.#service.id, sizes).map((gain) => ({
      gain,
      synced: new Set(),
    }));
    this.#keyCount = 0;
    this.#byteCount = 0;
  }

  /** The next owner in turn that can be asked, and some of what it has. */
  #fetch(change: OpenChange, now: Millis): void {
    const { liveness } = this.#host.knowledge;
    if (this.#isFetching) return;
    const unfilled = this.#fillings.filter((filling) => !isFilled(filling, change));
    const sources = [...new Set(unfilled.flatMap(({ gain, synced }) => missing(gain, synced)))];
    const source = sources
      .map((_, i) => sources[(i + this.#turn) % sources.length])
      .find((id) => id !== undefined && liveness.isWorthTrying(id, now));
    if (source === undefined) return;
    const chunk = unfilled
      .filter(({ gain, synced }) => gain.from.includes(source) && !synced.has(source))
      .slice(0, TREES_PER_EXCHANGE);
    this.#isFetching = true;
    this.#exchange(source, chunk, now);
  }

  #exchange(peer: ReplicaId, chunk: readonly Filling[], now: Millis): void {
    const { side } = this.#service;
    const trees: readonly TreeName[] = chunk.map(({ gain: { partition, n } }) => ({
      partition,
      n,
    }));
    this.#host.run<ExchangeResult>(
      {
        timeoutMs: EXCHANGE_MS_MAX,
        again: null,
        make: (out) => new Exchange({ peer, trees, side, limits: exchangeLimits }, out),
        finish: (result, at) => {
          this.#isFetching = false;
          this.#keyCount += result.keysReceived;
          this.#byteCount += result.byteCount;
          if (result.isComplete) for (const { synced } of chunk) synced.add(peer);
          // Another owner first after a failure; at the next run, so as not to ask in a circle.
          else this.#turn++;
          if (result.isComplete) this.run(at);
        },
      },
      now,
    );
  }

  /** What was fetched, and the document, must outlive a crash before it counts. */
  #say({ ballot, phase }: OpenChange): void {
    if (this.#isSaying) return;
    this.#isSaying = true;
    this.#host.whenDurable((ok, now) => {
      this.#isSaying = false;
      const { document, sizes } = this.#host.knowledge;
      const change = openChange(document.ring);
      if (!ok || change?.ballot !== ballot || change.phase !== phase) return;
      const ring = acknowledge(document.ring, this.#service.id, sizes);
      this.#host.learn({ ...document, ring });
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

const missing = ({ from }: Gain, synced: ReadonlySet<ReplicaId>): readonly ReplicaId[] =>
  from.filter((id) => !synced.has(id));

function isFilled({ gain: { from }, synced }: Filling, { to, forced }: OpenChange): boolean {
  const alive = from.filter((id) => !forced.includes(id));
  const leaving = alive.filter((id) => !to.members.some((member) => member.id === id));
  const needed = Math.min(majority(from.length), alive.length);
  return synced.size >= needed && leaving.every((id) => synced.has(id));
}
