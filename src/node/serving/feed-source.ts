/**
 * A replica as the source of change feeds: it tells what arrived here after a position, and holds a
 * question back until something does. What it reads may be in memory alone, so the answer waits for
 * the next flush: no position is given out that a crash could take back, and no version is passed
 * over because a later one, which the crash took, stood in its place.
 *
 * Other namespaces' changes are passed over in the index. Where nothing is new nothing is read.
 */
import type { Entry } from "../../../core/entry.ts";
import { encodeEntry } from "../../../core/entry-codec.ts";
import { changeBytes, type MemberPlace } from "../../../core/feed.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { namespaceOf } from "../../../core/keys.ts";
import type { Reply, ReplyOf, RequestOf } from "../../../core/messages.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis, WallMillis } from "../../../core/time.ts";
import { ToldEntry } from "../../../core/told-entry.ts";
import type { Ended } from "../../../replica/arrivals.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { Knowledge } from "../knowledge/knowledge.ts";
import { type Respond, refused } from "../peers/replies.ts";
import { layoutOf, sharingOf } from "./feed-layout.ts";
import type { Jobs } from "./job-ports.ts";

/** Rows of the index that one answer looks at, at most: some milliseconds' work. */
const SCANNED_COUNT_MAX = 20_000;
const SCAN_COUNT = 500;
/** A question is held back no longer than this, in ms, whatever it asks for. */
export const HOLD_MS_MAX = 5000;
/** Feeds that wait here at once; another one is answered at once, and asks again. */
const WAITERS_COUNT_MAX = 10_000;

type Asked = RequestOf<"changes">;
export const FEED_STARTS = { goOn: 0, now: 1, beginning: 2, takeOver: 3 } as const;

interface Waiter {
  readonly body: Asked;
  readonly respond: Respond;
  readonly until: Millis;
  readonly isMine: (partition: number) => boolean;
}

interface Self {
  readonly id: ReplicaId;
  readonly keeper: Keeper;
  readonly jobs: Jobs;
}

/** What it needs of the node around it. */
export interface FeedSourceHost {
  readonly knowledge: Knowledge;
  now(): Millis;
  wall(): WallMillis;
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** Has some work done at a time of the node's own. */
  setAlarm(at: Millis, work: () => void): void;
}

interface Page {
  readonly items: ReplyOf<"changed">["items"][number][];
  after: number;
  byteCount: number;
}

/** Nothing is new, and the feed is not in the midst of beginning anew. */
const isToHold = ({ holdMs, start, until }: Asked, reply: Reply): boolean =>
  holdMs > 0 &&
  start === FEED_STARTS.goOn &&
  until === 0 &&
  reply.kind === "changed" &&
  reply.isAtEnd &&
  !reply.isGone &&
  reply.items.length === 0;

export class FeedSource {
  readonly #self: Self;
  readonly #host: FeedSourceHost;
  /** By namespace, and there by the feed that asked. */
  readonly #waiting = new Map<string, Map<string, Waiter>>();
  #waitingCount = 0;
  #alarmAt: Millis = Infinity;
  #lastShares: { readonly name: string; readonly isMine: (partition: number) => boolean } | null =
    null;
  /** Told of every entry that is written or dropped here, for hosts that call readers back. */
  onNews: ((namespace: string) => void) | null = null;
  /** Entries that were read for feeds. */
  readCount = 0;

  constructor(self: Self, host: FeedSourceHost) {
    this.#self = self;
    this.#host = host;
  }

  get waitingCount(): number {
    return this.#waitingCount;
  }

  answer(body: Asked, respond: Respond): void {
    this.#drop(body.namespace, body.feed);
    const isMine = this.#sharesOf(body);
    if (isMine === null || !this.#canTell(body, isMine)) return respond(refused("overloaded"));
    const reply = this.#look(body, isMine);
    if (isToHold(body, reply) && this.#waitingCount < WAITERS_COUNT_MAX) {
      return this.#hold(body, respond, isMine);
    }
    this.#respond(reply, respond);
  }

  /** An entry was written or dropped: whoever waits for it is told. */
  wrote(key: StoreKey): void {
    if (this.onNews === null && this.#waitingCount === 0) return;
    const namespace = namespaceOf(key);
    this.onNews?.(namespace);
    const waiting = this.#waiting.get(namespace);
    if (waiting === undefined) return;
    const partition = this.#host.knowledge.ring.partitionOf(key);
    for (const [feed, { body, respond, isMine }] of [...waiting]) {
      if (!key.startsWith(`${body.namespace}\0${body.prefix}`) || !isMine(partition)) continue;
      this.#drop(body.namespace, feed);
      this.#respond(this.#lookAgain(body, isMine), respond);
    }
  }

  #respond(reply: Reply, respond: Respond): void {
    this.#host.whenDurable((ok) => respond(ok ? reply : refused("insufficient-storage")));
  }

  #hold(body: Asked, respond: Respond, isMine: (partition: number) => boolean): void {
    const until = this.#host.now() + Math.min(body.holdMs, HOLD_MS_MAX);
    const waiting = this.#waiting.get(body.namespace) ?? new Map<string, Waiter>();
    this.#waiting.set(body.namespace, waiting.set(body.feed, { body, respond, until, isMine }));
    this.#waitingCount++;
    this.#setAlarm(until);
  }

  #drop(namespace: string, feed: string): void {
    const waiting = this.#waiting.get(namespace);
    if (waiting?.delete(feed) !== true) return;
    this.#waitingCount--;
    if (waiting.size === 0) this.#waiting.delete(namespace);
  }

  #setAlarm(at: Millis): void {
    if (at >= this.#alarmAt) return;
    this.#alarmAt = at;
    this.#host.setAlarm(at, () => this.#endHolding());
  }

  /** Answers those whose time is up. */
  #endHolding(): void {
    this.#alarmAt = Infinity;
    const now = this.#host.now();
    let nextAt = Infinity;
    for (const waiting of [...this.#waiting.values()]) {
      for (const [feed, { body, respond, until, isMine }] of [...waiting]) {
        if (until > now) nextAt = Math.min(nextAt, until);
        else {
          this.#drop(body.namespace, feed);
          this.#respond(this.#lookAgain(body, isMine), respond);
        }
      }
    }
    if (nextAt < Infinity) this.#setAlarm(nextAt);
  }

  /** Meanwhile the ring may have changed, or the replica may have become unsure of what it has. */
  #lookAgain(body: Asked, isMine: (partition: number) => boolean): Reply {
    const isSure = this.#isOfThisRing(body) && this.#canTell(body, isMine);
    return isSure ? this.#look(body, isMine) : refused("overloaded");
  }

  #isOfThisRing({ layout, namespace }: Asked): boolean {
    const { ring, hash } = this.#host.knowledge;
    return layout === layoutOf(ring, this.#host.knowledge.countedOf(namespace), hash);
  }

  /** null: the asker goes by another ring. */
  #sharesOf(body: Asked): ((partition: number) => boolean) | null {
    if (!this.#isOfThisRing(body)) return null;
    const { ring } = this.#host.knowledge;
    const n = this.#host.knowledge.countedOf(body.namespace);
    const { sources } = body;
    const name = `${body.layout} ${sources.join(" ")}`;
    if (this.#lastShares?.name === name) return this.#lastShares.isMine;
    const self = sources.indexOf(this.#self.id);
    const { shares } = sharingOf(ring, n, sources);
    const isMine = (partition: number): boolean => self >= 0 && shares[partition] === self;
    this.#lastShares = { name, isMine };
    return isMine;
  }

  /** A replica that may lack something would say of that that it is not there. */
  #canTell({ namespace }: Asked, isMine: (partition: number) => boolean): boolean {
    const { keeper, jobs } = this.#self;
    if (jobs.absence?.isBehind === true) return false;
    if (keeper.lostCount === 0) return true;
    const { n } = this.#host.knowledge.settingsOf(namespace);
    const lostCountOf = keeper.losses.lostCounts();
    const { partitionCount } = this.#host.knowledge.ring;
    for (let partition = 0; partition < partitionCount; partition++) {
      if (isMine(partition) && lostCountOf({ partition, n }) > 0) return false;
    }
    return true;
  }

  #look(asked: Asked, isMine: (partition: number) => boolean): Reply {
    const { arrivals, store } = this.#self.keeper;
    const head = store.arrivedThrough;
    const { run, endedCount } = arrivals;
    const here = { kind: "changed", run, isGone: false, isAtEnd: true, items: [] } as const;
    if (asked.start === FEED_STARTS.now) {
      return { ...here, after: head, ended: endedCount, until: 0, ...this.#ofOthers };
    }
    const body = this.#placed(asked);
    const endings = body === null ? null : arrivals.endedAfter(body.ended);
    // A feed that begins anew is told what lives up to there, and after that whatever changes.
    const isPlace = body !== null && body.run === run && body.after <= head;
    const floor = arrivals.floorOf(asked.namespace);
    const isPast = isPlace && Math.max(body.after, body.until) < floor;
    if (!isPlace || isPast || endings === null) {
      return { ...here, isGone: true, after: 0, ended: endedCount, until: head };
    }
    const page: Page = { items: [], after: body.after, byteCount: 0 };
    const toldCount = this.#fillEnded(page, { endings, body, isMine });
    const ended = body.ended + toldCount;
    // First all of these: which of them are news goes by how far the reader had come before.
    const mayGoOn = toldCount === endings.length;
    if (mayGoOn && !this.#fill(page, body, isMine)) return refused("overloaded");
    const { items, after } = page;
    const isAtEnd = after >= head && ended === endedCount;
    return { ...here, after, ended, until: body.until, items, isAtEnd, ...this.#ofOthers };
  }

  /** The question with the place that it is about; null where that place is no longer valid. */
  #placed(asked: Asked): Asked | null {
    const { arrivals, store } = this.#self.keeper;
    if (asked.start === FEED_STARTS.beginning) {
      const { run, endedCount } = arrivals;
      return { ...asked, run, after: 0, ended: endedCount, until: store.arrivedThrough };
    }
    if (asked.start !== FEED_STARTS.takeOver) return asked;
    const ended = arrivals.endedCountAt(asked.dueThrough ?? 0);
    return ended === null ? null : { ...asked, ended };
  }

  /** What it has of others: once its order is told to the end, all of that was told. */
  get #ofOthers(): { readonly marks: readonly MemberPlace[]; readonly due: WallMillis } {
    const { jobs, keeper, id: self } = this.#self;
    const marks: MemberPlace[] = [];
    for (const id of this.#host.knowledge.ring.membersBut(self)) {
      const mark = jobs.tails?.markOf(id) ?? null;
      if (mark !== null) marks.push({ id, run: mark.run, through: mark.through });
    }
    return { marks, due: Math.floor(keeper.arrivals.releasedThrough(this.#host.wall())) };
  }

  /** @returns how many of the keys are told, or are not of this feed */
  #fillEnded(
    page: Page,
    of: {
      readonly endings: readonly Ended[];
      readonly body: Asked;
      isMine(partition: number): boolean;
    },
  ): number {
    const { endings, body } = of;
    const prefix = `${body.namespace}\0${body.prefix}`;
    for (const [i, { key, toldFrom }] of endings.entries()) {
      if (page.items.length >= body.limit || page.byteCount >= body.byteCountMax) return i;
      if (!key.startsWith(prefix) || body.after >= toldFrom) continue;
      const partition = this.#host.knowledge.ring.partitionOf(key);
      // A key that is there again has a change of its own.
      const isGone = this.#self.keeper.store.summary(key) === undefined;
      if (!isGone || !of.isMine(partition)) continue;
      page.items.push({ key, partition, entry: null });
      page.byteCount += changeBytes(key, null);
    }
    return endings.length;
  }

  /** @returns false when something cannot be read */
  #fill(page: Page, body: Asked, isMine: (partition: number) => boolean): boolean {
    const { store } = this.#self.keeper;
    const prefix = `${body.namespace}\0${body.prefix}`;
    for (let scanned = 0; scanned < SCANNED_COUNT_MAX; scanned += SCAN_COUNT) {
      const rows = store.arrivals(page.after, SCAN_COUNT);
      for (const { key, partition, position } of rows) {
        const isFull = page.items.length >= body.limit || page.byteCount >= body.byteCountMax;
        // What stands at one position stays together.
        if (isFull && position > page.after) return true;
        const isWanted = key.startsWith(prefix) && isMine(partition);
        const step = isWanted ? this.#add(page, { key, partition, position, body }) : "on";
        if (step !== "on") return step === "full";
        page.after = position;
      }
      if (rows.length < SCAN_COUNT) {
        page.after = store.arrivedThrough;
        return true;
      }
    }
    return true;
  }

  #add(
    page: Page,
    of: {
      readonly key: StoreKey;
      readonly partition: number;
      readonly position: number;
      readonly body: Asked;
    },
  ): "on" | "full" | "unreadable" {
    const { key, partition, position, body } = of;
    const entry = this.#read(key);
    if (entry === null) return "unreadable";
    const isLive = this.#host.wall() < livesUntil(entry);
    if (!isLive && position <= body.until) return "on";
    const told = toldOf(entry, body.values);
    const size = changeBytes(key, told);
    const isOver = page.items.length > 0 && page.byteCount + size > body.byteCountMax;
    if (isOver && position > page.after) return "full";
    page.items.push({ key, partition, entry: told });
    page.byteCount += size;
    return "on";
  }

  /** null: it cannot be read. */
  #read(key: StoreKey): Entry | null {
    this.readCount++;
    const { entry, bytes, isUnknown } = this.#self.keeper.own(key);
    return isUnknown || bytes === null ? null : entry;
  }
}

/** Values are views of what the store has: they are told in bytes of their own. */
const toldOf = (entry: Entry, values: boolean): ToldEntry =>
  values ? ToldEntry.fromBytes(encodeEntry(entry, null)) : ToldEntry.withoutValues(entry);

/** The instant at which nothing of it lives any more: 0 where nothing does, Infinity for never. */
function livesUntil({ siblings }: Entry): WallMillis {
  let until = 0;
  for (const { content, expiresAt } of siblings) {
    if (content !== null) until = Math.max(until, expiresAt === 0 ? Infinity : expiresAt);
  }
  return until;
}
