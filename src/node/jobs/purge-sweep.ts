/**
 * The end of a purge. What an epoch covers is not served from the moment it is known; the space is
 * reclaimed here, a bounded number of keys at a time: a purged value is rewritten as the tombstone
 * that it counts as, under the same dot, and collected like any other (so its digest stays what it
 * is, and no tree notices).
 *
 * When this replica has gone through all of its records and hints since it learnt of an epoch, the
 * epoch covers nothing here any more. When that is true of every member, and the epoch is old
 * enough for nothing of before to be on its way, the floor is raised and the epoch forgotten. One
 * member asks the others; one that cannot be reached, or has not finished, keeps the epoch alive.
 */
import { assert } from "../../../core/assert.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { namespaceOf } from "../../../core/keys.ts";
import { TIMEOUT_MS_MAX } from "../../../core/limits.ts";
import { isSoft, type PurgeIndex, plainPurges, withFloor } from "../../../core/purges.ts";
import type { StoreKey } from "../../../core/store.ts";
import { type Hlc, hlcFromMillis, type Millis } from "../../../core/time.ts";
import { purgesOf } from "../../../ring/cluster-document.ts";
import { keepNumber, keptNumber } from "../knowledge/kept-number.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";

/** The name in the store of the mark of the purges that this replica has swept for. */
const SWEPT = "swept-purges";
/** Records that are looked at in one run. */
const KEYS_PER_RUN = 4000;
/** Ten times the longest request: by then nothing written before an epoch is still on its way. */
const EPOCH_MS_MIN = 10 * TIMEOUT_MS_MAX;
const ASK_MS_MAX = 5000;
/** After a member was not ready, the others are left alone this long. */
const ASK_AGAIN_MS = 60_000;

type Held = readonly [key: StoreKey, hintFor: ReplicaId | null];

export interface PurgeSweepHost extends TaskHost {
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** The cluster document was changed here: it is to be kept. */
  documentChanged(): void;
}

export class PurgeSweep {
  readonly #replica: Replica;
  readonly #host: PurgeSweepHost;
  /** What was known when the last sweep that went through to its end began. */
  #swept: PurgeIndex | null = null;
  #sweeping: PurgeIndex | null = null;
  #held: Iterator<Held> | null = null;
  #askAt: Millis = 0;
  #isAsking = false;
  /** Records that were rewritten since the start. */
  reclaimedCount = 0;

  constructor(replica: Replica, host: PurgeSweepHost) {
    this.#replica = replica;
    this.#host = host;
    const kept = keptNumber(replica.keeper.store, SWEPT);
    if (kept === this.#mark()) this.#swept = host.knowledge.purges;
  }

  /** Names the purges that are known now. */
  #mark(): number {
    const { knowledge } = this.#host;
    return knowledge.hash.digest(JSON.stringify(plainPurges(purgesOf(knowledge.document))));
  }

  /** Whether there is something left to look at. */
  get isPending(): boolean {
    const { purges } = this.#host.knowledge;
    return !purges.isEmpty && this.#swept !== purges;
  }

  /** One bounded unit. Returns whether anything was rewritten, and so has to be flushed. */
  run(now: Millis): boolean {
    const { purges } = this.#host.knowledge;
    if (purges.isEmpty) return false;
    if (!this.isPending) {
      this.#askWhetherAllHaveSwept(now);
      return false;
    }
    if (this.#sweeping !== purges || this.#held === null) {
      this.#sweeping = purges;
      this.#held = this.#everythingHeld(purges);
    }
    return this.#sweepSome(this.#held);
  }

  /** Whether nothing is held here that an epoch up to this instant covers. */
  hasSwept(through: Hlc): boolean {
    const { purges } = this.#host.knowledge;
    return this.#swept === purges || this.#epochsUpTo(through).length === 0;
  }

  #sweepSome(held: Iterator<Held>): boolean {
    const { keeper } = this.#replica;
    const before = this.reclaimedCount;
    let isOver = false;
    if (keeper.store.health() !== "writable") return false;
    for (let count = 0; count < KEYS_PER_RUN && !isOver; count++) {
      const next = held.next();
      isOver = next.done === true;
      if (next.done === true) continue;
      const [key, hintFor] = next.value;
      if (keeper.sweep(key, hintFor, this.#host.wall())) this.reclaimedCount++;
    }
    if (isOver) this.#over();
    return isOver || this.reclaimedCount > before;
  }

  #over(): void {
    assert(this.#sweeping === this.#host.knowledge.purges, "a sweep is of what is known");
    this.#swept = this.#sweeping;
    this.#held = null;
    // It comes after all that was rewritten in the log, and so is durable only with that.
    keepNumber(this.#replica.keeper.store, SWEPT, this.#mark());
  }

  *#everythingHeld(purges: PurgeIndex): Generator<Held, undefined> {
    const { store } = this.#replica.keeper;
    const { partitionCount } = this.#host.knowledge.ring;
    for (let partition = 0; partition < partitionCount; partition++) {
      for (const { key } of store.entriesOf(partition)) {
        if (purges.concerns(namespaceOf(key))) yield [key, null];
      }
    }
    for (const [target, count] of store.hintCounts()) {
      for (const key of store.hintedKeys(target, count)) {
        if (purges.concerns(namespaceOf(key))) yield [key, target];
      }
    }
    return undefined;
  }

  #epochsUpTo(through: Hlc): readonly Hlc[] {
    const { epochs } = purgesOf(this.#host.knowledge.document);
    return [...epochs].flatMap(([name, time]) => (time > through || isSoft(name) ? [] : [time]));
  }

  /** The first member of the ring does it, so that not all ask the same question. */
  #askWhetherAllHaveSwept(now: Millis): void {
    const { knowledge } = this.#host;
    const { memberIds } = knowledge.ring;
    if (this.#isAsking || now < this.#askAt || memberIds[0] !== this.#replica.id) return;
    const old = this.#epochsUpTo(hlcFromMillis(this.#host.wall() - EPOCH_MS_MIN));
    if (old.length === 0) return;
    const through = Math.max(...old);
    assert(this.hasSwept(through), "who asks has swept itself");
    this.#isAsking = true;
    this.#askAt = now + ASK_AGAIN_MS;
    // As at the members that are asked: what is in memory alone is not there after a crash.
    this.#host.whenDurable((ok, at) => {
      if (ok) this.#ask(through, at);
      else this.#isAsking = false;
    });
  }

  #ask(through: Hlc, now: Millis): void {
    const targets = this.#host.knowledge.ring.membersBut(this.#replica.id);
    const body = { kind: "swept", through } as const;
    const done = (replies: Replies): void => {
      this.#isAsking = false;
      const isDone = (id: ReplicaId): boolean => {
        const reply = replies.get(id);
        return reply?.kind === "swept" && reply.done;
      };
      if (targets.every(isDone)) this.#forget(through);
    };
    askAll(this.#host, { targets, body, timeoutMs: ASK_MS_MAX, done }, now);
  }

  #forget(through: Hlc): void {
    const { knowledge } = this.#host;
    const purges = withFloor(purgesOf(knowledge.document), through);
    if (!knowledge.learn({ ...knowledge.document, purges })) return;
    // The purges that are left were swept for before: an index without the others needs no new
    // sweep.
    this.#swept = knowledge.purges;
    keepNumber(this.#replica.keeper.store, SWEPT, this.#mark());
    this.#host.documentChanged();
  }
}
