/**
 * Asks the other owners for every record that was found unreadable, and tells when what they
 * brought makes up for it. Until then the replica does not vouch for the key: its record may have
 * been counted in a quorum, and any one other owner may have missed what that quorum took.
 *
 * **How many.** As for a replica that lost all that it had (lost-past.ts): for a key with n owners,
 * n - majority + 1 others that know what they have, or all others. One that does not know itself,
 * because its record is unreadable too or it has just come back, gives what it can read of its own
 * record: whatever it may have acknowledged is in that. While owners change, all owners by both
 * layouts are asked. An owner that is away is asked again until it is back.
 *
 * **Where all others were asked and too few know**, the key counts by what was brought; where
 * nothing was, by whatever is brought next. Nobody is left who could have more.
 *
 * Where an owner is away for good an operator has it stop waiting (`accept`).
 *
 * A replica may end meanwhile, with something older stored where the record was. A note in its
 * folder has it take itself for damaged at its next start.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { Bytes } from "../../../core/pieces.ts";
import { majority } from "../../../core/quorum-options.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import { openChange } from "../../../ring/ring-change.ts";
import { keepNumber, keptNumber } from "../knowledge/kept-number.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import { Pause } from "../peers/pause.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";
import { DAMAGED, LOST } from "./lost-past.ts";

/** Keys that others are asked for at a time. */
const ASKED_COUNT_MAX = 32;
/**
 * How long an answer is waited for, in ms: what was read long ago may have been collected since.
 */
const ANSWER_MS_MAX = 1000;
/** Between two rounds of questions, in ms: at first, and when some stay away. */
const AGAIN_MS_MIN = 50;
const AGAIN_MS_MAX = 1000;

export interface RefillHost extends TaskHost {
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** Whether the replica may lack all that it had. */
  isPastPending(): boolean;
}

/** What became of one key. */
interface Asked {
  /** Others that know what they have, and have given it. */
  readonly known: Set<ReplicaId>;
  /** Others that have given what they can read. */
  readonly heard: Set<ReplicaId>;
  /** Whoever could be asked has been. */
  wasAsked: boolean;
}

export class Refill {
  readonly #replica: Replica;
  readonly #host: RefillHost;
  readonly #asked = new Map<StoreKey, Asked>();
  /** To be asked for in this round, and in the next one. */
  #queue: StoreKey[] = [];
  #again: StoreKey[] = [];
  #openCount = 0;
  #isPausing = false;
  #pauseMs = AGAIN_MS_MIN;

  constructor(replica: Replica, host: RefillHost) {
    this.#replica = replica;
    this.#host = host;
  }

  /** A record was found unreadable; to be called before anything is stored in its place. */
  noticed(key: StoreKey): void {
    const { keeper } = this.#replica;
    const { store } = keeper;
    if (!keeper.losses.isUnsure(key)) return;
    if ((keptNumber(store, LOST) ?? 0) === 0) keepNumber(store, LOST, DAMAGED);
    // What was brought before may have been lost as well.
    if (!this.#asked.has(key)) this.#queue.push(key);
    this.#asked.set(key, { known: new Set(), heard: new Set(), wasAsked: false });
  }

  /**
   * Owners that cannot be reached are not waited for any longer: an operator has given up what they
   * alone had of the keys that were asked for.
   *
   * @returns in how many partitions it waited, and for whom
   */
  accept(): { readonly partitionCount: number; readonly waitedFor: readonly ReplicaId[] } {
    const partitions = new Set<number>();
    const waitedFor = new Set<ReplicaId>();
    for (const [key, { heard, wasAsked }] of [...this.#asked]) {
      if (!wasAsked || this.#review(key)) continue;
      partitions.add(this.#host.knowledge.placeOf(key).partition);
      for (const id of this.#others(key)) if (!heard.has(id)) waitedFor.add(id);
      this.#replica.keeper.losses.settle(key);
      this.#review(key);
    }
    return { partitionCount: partitions.size, waitedFor: [...waitedFor] };
  }

  /** Asks for what was noticed: to be called at the end of every step. */
  run(now: Millis): void {
    if (this.#queue.length > 0) this.#goOn(now);
  }

  #goOn(now: Millis): void {
    while (this.#openCount < ASKED_COUNT_MAX) {
      const key = this.#queue.pop();
      if (key === undefined) break;
      this.#ask(key, now);
    }
    const isRoundOver = this.#openCount === 0 && this.#queue.length === 0;
    if (isRoundOver && this.#again.length > 0) this.#pause(now);
  }

  #pause(now: Millis): void {
    if (this.#isPausing) return;
    this.#isPausing = true;
    const ms = this.#pauseMs;
    this.#pauseMs = Math.min(AGAIN_MS_MAX, 2 * ms);
    const make = (out: ConstructorParameters<typeof Pause>[1]): Pause => new Pause(ms, out);
    const finish = (_: null, at: Millis): void => {
      this.#isPausing = false;
      this.#queue.push(...this.#again.splice(0));
      this.#goOn(at);
    };
    this.#host.run<null>({ timeoutMs: 2 * ms, again: null, make, finish }, now);
  }

  /** The other owners by all layouts that count; of a key that it does not own, none. */
  #others(key: StoreKey): readonly ReplicaId[] {
    const { knowledge } = this.#host;
    const { ring } = knowledge;
    const { partition, n } = knowledge.placeOf(key);
    const { id } = this.#replica;
    if (!ring.isOwner(id, partition, n)) return [];
    const forced = openChange(ring.document)?.forced ?? [];
    const owners = new Set([...ring.primariesOf(partition, n), ...ring.pendingOf(partition, n)]);
    return [...owners].filter((other) => other !== id && !forced.includes(other));
  }

  #ask(key: StoreKey, now: Millis): void {
    if (this.#review(key)) return;
    const { knowledge } = this.#host;
    const { known = new Set() } = this.#asked.get(key) ?? {};
    const others = this.#others(key).filter((id) => !known.has(id));
    const targets = others.filter((id) => knowledge.liveness.isWorthTrying(id, now));
    if (targets.length === 0) return this.#putOff(key);
    const body = { kind: "read", key, digestOnly: false, durably: false } as const;
    const done = (replies: Replies, at: Millis): void => {
      const unsure: ReplicaId[] = [];
      for (const [id, reply] of replies) {
        if (reply.kind !== "held") continue;
        if (reply.isUnknown) unsure.push(id);
        else if (this.#bring(key, reply.entry)) this.#hear(key, id, "known");
      }
      if (unsure.length > 0 && !this.#review(key)) return this.#fetch(key, unsure, at);
      this.#over(key, at);
    };
    this.#openCount++;
    askAll(this.#host, { targets, body, timeoutMs: ANSWER_MS_MAX, done }, now);
  }

  /** From owners that do not know what they lost, it takes what they can read. */
  #fetch(key: StoreKey, targets: readonly ReplicaId[], now: Millis): void {
    const body = { kind: "fetch", keys: [key] } as const;
    const done = (replies: Replies, at: Millis): void => {
      for (const [id, reply] of replies) {
        if (reply.kind !== "fetched") continue;
        const [item] = reply.items;
        if (this.#bring(key, item?.[1] ?? null)) this.#hear(key, id, "heard");
      }
      this.#over(key, at);
    };
    askAll(this.#host, { targets, body, timeoutMs: ANSWER_MS_MAX, done }, now);
  }

  /** @returns false when the store takes nothing in */
  #bring(key: StoreKey, entry: Bytes | null): boolean {
    if (entry === null) return true;
    this.#host.whenDurable(() => {});
    return this.#replica.keeper.take(key, entry, null, this.#host.wall()) !== null;
  }

  #hear(key: StoreKey, id: ReplicaId, as: "known" | "heard"): void {
    const asked = this.#asked.get(key);
    if (as === "known") asked?.known.add(id);
    asked?.heard.add(id);
  }

  #over(key: StoreKey, now: Millis): void {
    this.#openCount--;
    if (!this.#review(key)) this.#putOff(key);
    this.#goOn(now);
  }

  #putOff(key: StoreKey): void {
    const asked = this.#asked.get(key);
    if (asked !== undefined) asked.wasAsked = true;
    this.#again.push(key);
  }

  /** @returns whether nothing is left to be asked for */
  #review(key: StoreKey): boolean {
    const { losses } = this.#replica.keeper;
    if (losses.isUnsure(key) && this.#isEnough(key)) {
      losses.settle(key);
      this.#pauseMs = AGAIN_MS_MIN;
    }
    if (losses.isUnsure(key)) return false;
    this.#asked.delete(key);
    this.#forgetNote();
    return true;
  }

  #isEnough(key: StoreKey): boolean {
    const others = this.#others(key);
    const { known, heard } = this.#asked.get(key) ?? { known: new Set(), heard: new Set() };
    if (others.every((id) => heard.has(id))) return true;
    const { ring, changes } = this.#host.knowledge;
    if (openChange(ring.document) !== null || changes.size > 0) return false;
    const count = others.length + 1;
    return others.filter((id) => known.has(id)).length >= count - majority(count) + 1;
  }

  /** What was brought is on the disk before the note is gone. */
  #forgetNote(): void {
    const { losses, store } = this.#replica.keeper;
    const isOver = (): boolean => losses.unsureCount === 0 && !this.#host.isPastPending();
    if (!isOver()) return;
    this.#host.whenDurable((ok) => {
      if (ok && isOver() && (keptNumber(store, LOST) ?? 0) !== 0) keepNumber(store, LOST, 0);
    });
  }
}
