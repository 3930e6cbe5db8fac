/**
 * A replica in its role of following the others, with each heartbeat. Where a peer's order of
 * arrival has come further than the mark, it asks what arrived there since, and fetches what it
 * lacks of that (antientropy/tail.ts). Where nothing is new, nothing is asked.
 *
 * Without a mark, at first or because it became void, it asks the peer for its place and then
 * begins an exchange: when that is over, all that the peer held at the question is here, and that
 * place is the mark. Nothing is claimed by it until one more page of the same order was followed:
 * this shows that the peer lost nothing while it was compared. So a cluster of a million keys that
 * agrees costs a few messages a pair, not a walk over all keys.
 *
 * Marks are kept over restarts, now and then: a mark that is too low is as true as a higher one.
 *
 * A mark says that something is held here. So when a record of the replica's own turns out to be
 * unreadable, and its own order gets another name for that, all marks and claims are void.
 */
import { Claims, type Instant } from "../../../antientropy/claims.ts";
import type { ExchangeResult } from "../../../antientropy/exchange.ts";
import { type Mark, Marks } from "../../../antientropy/marks.ts";
import {
  Tail,
  type TailOutbox,
  type TailResult,
  type TailSide,
  tailLimits,
} from "../../../antientropy/tail.ts";
import { decode, encode } from "../../../core/codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { namespaceOf } from "../../../core/keys.ts";
import type { Ages, Arrived } from "../../../core/message-values.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis, Now } from "../../../core/time.ts";
import type { ClusterDocument } from "../../../ring/cluster-document.ts";
import { ElapsedTime } from "../knowledge/elapsed-time.ts";
import { layoutName } from "../knowledge/layout-name.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { Replica } from "../replica/replica.ts";
import { Doubts, type DoubtsParts } from "./doubts.ts";
import type { Exchanges } from "./exchanges.ts";
import { GivenHints } from "./given-hints.ts";

const KEPT = "marks";
/** Between two times that marks are written down, in ms. */
const KEEP_MS = 10_000;
/** Of one peer in one turn: what is left waits for the next heartbeat. */
const PAGES_MAX = 32;
/** A wall clock that gains this much on the time that passed was set, or the machine slept. */
const JUMP_MS_MIN = 10;
/** All messages of one page together; each has a shorter time of its own. */
const PAGE_MS_MAX = 60_000;

export interface TailsHost extends TaskHost {
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
}

/** What is known of a peer's order before there is a mark of it. */
interface Anchoring {
  readonly run: number;
  readonly after: number;
}

/** A mark, and the question by which it was reached. */
interface KeptAfter {
  readonly mark: Mark;
  readonly askedAt: Instant;
}

/** What marks stand on, by name, and what that name is made from. */
interface Standing {
  readonly document: ClusterDocument | null;
  readonly run: number;
  readonly name: string;
}

/** What was last said about any key that the replica owns. */
interface Told {
  /** What it goes by: as long as all of these are the same, so is what is said. */
  readonly document: ClusterDocument | null;
  readonly run: number;
  readonly revision: number;
  readonly ages: Ages;
  /** Until when its rounded ages stay true as time passes. */
  readonly through: Instant;
  /** Whether the replica owns every key: then none has to be looked up. */
  readonly ownsAll: boolean;
}

interface Step {
  readonly peer: ReplicaId;
  readonly run: number;
  readonly after: number;
  readonly isAnchor: boolean;
  readonly pagesLeft: number;
}

export class Tails {
  readonly claims: Claims;
  readonly #replica: Replica;
  readonly #exchanges: Exchanges;
  readonly #host: TailsHost;
  readonly #marks: Marks;
  readonly #anchoring = new Map<ReplicaId, Anchoring>();
  /** Marks of before hints went to members not followed yet: a restart must not forget those. */
  readonly #keptMarks = new Map<ReplicaId, Mark>();
  /** The next to be kept, when what was asked then is settled. */
  readonly #nextKept = new Map<ReplicaId, KeptAfter>();
  readonly #busy = new Set<ReplicaId>();
  readonly #side: TailSide;
  readonly #doubts: Doubts;
  readonly #given: GivenHints;
  readonly #time = new ElapsedTime();
  #standing: Standing = { document: null, run: 0, name: "" };
  #keepAt: Millis = 0;
  #kept = "";
  #told: Told = {
    ...{ document: null, run: 0, revision: -1 },
    ...{ ages: { stamp: 0, ms: [] }, through: 0, ownsAll: false },
  };
  /** Since the start. */
  keysReceived = 0;
  byteCount = 0;

  constructor(
    replica: Replica,
    exchanges: Exchanges,
    { past, ...host }: TailsHost & Pick<DoubtsParts, "past">,
  ) {
    this.#replica = replica;
    this.#exchanges = exchanges;
    this.#host = host;
    this.claims = new Claims(replica.id);
    this.claims.begin(host.knowledge.ring.memberIds);
    const layout = layoutName(host.knowledge.document);
    this.#marks = new Marks(this.#basis);
    this.#load(layout);
    const { side, keeper } = replica;
    const elapsed = (): Instant => this.elapsed;
    this.#doubts = new Doubts({ keeper, claims: this.claims, self: replica.id, elapsed, past });
    this.#given = new GivenHints(keeper.hintMoves, elapsed);
    this.#side = {
      digest: side.digest,
      absorb: side.absorb,
      whenDurable: (callback) => host.whenDurable(callback),
    };
  }

  /** The mark of a peer, whatever its order is called by now; null where there is none. */
  markOf(peer: ReplicaId): Mark | null {
    this.#settle();
    return this.#marks.last(peer);
  }

  /** To be called before anything is done in a step. */
  notice(now: Now): void {
    const aheadMs = this.#time.notice(now);
    if (aheadMs > JUMP_MS_MIN) this.claims.skipped(aheadMs, this.elapsed);
  }

  /** The replica's own time, on which claims stand. */
  get elapsed(): Instant {
    return this.#time.now;
  }

  /** By peer, how old this replica's knowledge of it is, in ms; Infinity where it has none. */
  lagMs(): ReadonlyMap<ReplicaId, number> {
    this.#settle();
    const { ring } = this.#host.knowledge;
    const peers = ring.membersBut(this.#replica.id);
    return new Map(peers.map((id) => [id, this.claims.ageOf(id, this.elapsed)]));
  }

  /**
   * How old the knowledge of each member is, in ms, for a key that this replica owns or does not:
   * the stamp of the cluster document that it goes by, then one number for each member, null for no
   * knowledge. It is rounded up to the millisecond: reads within one get the same list, made once.
   */
  agesFor(key: StoreKey): Ages {
    if (!this.#isStillSo(this.#told)) this.#told = this.#agesNow();
    const { ages, ownsAll } = this.#told;
    return ownsAll || this.#owns(key) ? ages : { ...ages, ms: this.#ownAgeAlone() };
  }

  #isStillSo({ document, run, revision, through }: Told): boolean {
    return (
      document === this.#host.knowledge.document &&
      run === this.#replica.keeper.arrivals.run &&
      revision === this.claims.revision &&
      this.elapsed <= through
    );
  }

  /** By either layout, while members change. */
  #owns(key: StoreKey): boolean {
    const { knowledge } = this.#host;
    const { ring } = knowledge;
    const n = knowledge.widestOf(namespaceOf(key));
    return ring.isOwner(this.#replica.id, ring.partitionOf(key), n);
  }

  /** Of a key that this replica does not own it knows, at most, what it acknowledged itself. */
  #ownAgeAlone(): readonly (number | null)[] {
    const self = this.#replica.id;
    const own = this.claims.isWhole(self) ? this.#given.ownAge() : null;
    return this.#host.knowledge.ring.memberIds.map((id) => (id === self ? own : null));
  }

  #agesNow(): Told {
    this.#settle();
    this.#doubts.review();
    const { document, ring, routeStamp } = this.#host.knowledge;
    const self = this.#replica.id;
    // Doubts that may be over by then are looked at anew.
    let through = this.elapsed + 1;
    const ms = ring.memberIds.map((id) => {
      const age = this.claims.ageOf(id, this.elapsed);
      if (age === Infinity) return null;
      // The age of the replica itself does not grow.
      if (id !== self) through = Math.min(through, this.elapsed + Math.ceil(age) - age);
      return Math.ceil(age);
    });
    const ownsAll = document === this.#told.document ? this.#told.ownsAll : this.#ownsAll();
    const { run } = this.#replica.keeper.arrivals;
    const { revision } = this.claims;
    return { document, run, revision, ages: { stamp: routeStamp, ms }, through, ownsAll };
  }

  #ownsAll(): boolean {
    const { ring, sizes } = this.#host.knowledge;
    const owned = ring.partitionsOwnedCount(this.#replica.id, Math.min(...sizes));
    return owned === ring.partitionCount;
  }

  /** A heartbeat's answer says how far the peer's order has come; it was asked at `askedAt`. */
  heard(peer: ReplicaId, arrived: Arrived | null, { askedAt, now }: HeardAt): void {
    this.#settle();
    this.#given.note();
    const isMember = this.#host.knowledge.ring.member(this.#replica.id) !== undefined;
    if (arrived === null || !isMember || this.#busy.has(peer)) return;
    const { run, last } = arrived;
    this.#doubts.met(peer, run);
    const mark = this.#marks.of(peer, run);
    if (mark !== null && last <= mark.through) return this.#reached(peer, mark, askedAt);
    if (mark !== null) {
      const from = { run, after: mark.through, isAnchor: false };
      return this.#follow({ peer, ...from, pagesLeft: PAGES_MAX }, now);
    }
    const known = this.#anchoring.get(peer);
    const after = known?.run === run ? known.after : 0;
    this.#follow({ peer, run, after, isAnchor: true, pagesLeft: PAGES_MAX }, now);
  }

  /** Writes marks down that have risen, with whatever is written next. */
  keep(now: Millis): void {
    const { store, arrivals } = this.#replica.keeper;
    if (now < this.#keepAt || store.health() !== "writable") return;
    this.#settle();
    this.#doubts.review();
    this.#keepAt = now + KEEP_MS;
    const rows = [...this.#keptMarks].map(([id, { run, through }]) => [id, run, through]);
    const list = [layoutName(this.#host.knowledge.document), arrivals.run, rows];
    const text = JSON.stringify(list);
    if (text === this.#kept) return;
    this.#kept = text;
    store.writeMeta(KEPT, encode(list));
  }

  #load(layout: string): void {
    const { store, arrivals } = this.#replica.keeper;
    const bytes = store.readMeta(KEPT);
    const [of, ownRun, rows] = bytes === undefined ? [] : (decode(bytes) as unknown[]);
    // A replica whose own order has had another name since then may lack what it had.
    if (of !== layout || ownRun !== arrivals.run || !Array.isArray(rows)) return;
    for (const [id, run, through] of rows as [string, number, number][]) {
      this.#marks.raise(id, { run, through });
      this.#keptMarks.set(id, { run, through });
    }
  }

  /** What marks stand on: who owns what, and that nothing has been lost here since. */
  get #basis(): string {
    const { document } = this.#host.knowledge;
    const { run } = this.#replica.keeper.arrivals;
    // Asked for before each bounded read.
    if (this.#standing.run !== run || this.#standing.document !== document)
      this.#standing = { document, run, name: `${run} ${layoutName(document)}` };
    return this.#standing.name;
  }

  #settle(): void {
    const { ring } = this.#host.knowledge;
    if (!this.#marks.settle(this.#basis)) return;
    this.#anchoring.clear();
    this.#keptMarks.clear();
    this.#nextKept.clear();
    this.claims.begin(ring.memberIds);
  }

  #follow(step: Step, now: Millis): void {
    const { peer, run, after, isAnchor } = step;
    const askedAt = this.elapsed;
    const basis = this.#basis;
    const plan = {
      ...{ self: this.#replica.id, peer, run, after, isAnchor },
      ...{ side: this.#side, limits: tailLimits },
    };
    this.#busy.add(peer);
    this.#host.run<TailResult>(
      {
        timeoutMs: PAGE_MS_MAX,
        again: null,
        make: (out: TailOutbox) => new Tail(plan, out),
        finish: (result, at) => {
          this.#busy.delete(peer);
          this.keysReceived += result.keysReceived;
          this.byteCount += result.byteCount;
          this.#settle();
          if (basis !== this.#basis) return;
          this.#took(step, result, { askedAt, now: at });
        },
      },
      now,
    );
  }

  #took(step: Step, { through, isAtEnd, moved }: TailResult, of: HeardAt): void {
    if (through === null) return;
    const { peer, run, isAnchor } = step;
    this.claims.moved(peer, moved, this.elapsed);
    if (isAnchor) this.#anchoring.set(peer, { run, after: through });
    else this.#raise(peer, { run, through });
    const pagesLeft = step.pagesLeft - 1;
    if (!isAtEnd && pagesLeft > 0) this.#follow({ ...step, after: through, pagesLeft }, of.now);
    else if (isAtEnd && isAnchor) this.#compare(peer, { run, through }, of.now);
    else if (isAtEnd) this.#reached(peer, { run, through }, of.askedAt);
  }

  #raise(peer: ReplicaId, mark: Mark): void {
    this.#marks.raise(peer, mark);
    const isWhole = this.claims.isWhole(peer);
    if (isWhole && this.claims.isSettled(peer)) this.#keptMarks.set(peer, mark);
  }

  /** All that the peer held when it was asked, and still holds, is held here. */
  #reached(peer: ReplicaId, mark: Mark, askedAt: Instant): void {
    this.claims.reached(peer, askedAt);
    this.#keepSettled();
    const next = this.#nextKept.get(peer);
    if (next?.mark.run !== mark.run) this.#nextKept.set(peer, { mark, askedAt });
  }

  /** To follow one peer may have settled what was asked of others. */
  #keepSettled(): void {
    for (const [peer, { mark, askedAt }] of this.#nextKept) {
      if (this.claims.settledAt(peer) < askedAt || !this.claims.isWhole(peer)) continue;
      const kept = this.#keptMarks.get(peer);
      const isHigher = kept?.run !== mark.run || kept.through < mark.through;
      if (isHigher) this.#keptMarks.set(peer, mark);
      this.#nextKept.delete(peer);
    }
  }

  /** All that the peer held up to there is here when both are found to agree. */
  #compare(peer: ReplicaId, mark: Mark, now: Millis): void {
    const { knowledge } = this.#host;
    const basis = this.#basis;
    const done = (at: Millis): void => {
      this.#busy.delete(peer);
      this.#settle();
      if (basis !== this.#basis) return;
      this.#anchoring.delete(peer);
      this.#raise(peer, mark);
      // A page of the same order shows that it had lost nothing before it was compared.
      const from = { run: mark.run, after: mark.through, isAnchor: false };
      this.#follow({ peer, ...from, pagesLeft: PAGES_MAX }, at);
    };
    this.#busy.add(peer);
    if (knowledge.sharedTrees(this.#replica.id, peer).length === 0) return done(now);
    this.#exchanges.withOne(peer, now, (result) => {
      if (!isWhole(result)) return void this.#busy.delete(peer);
      this.#host.whenDurable((ok, at) => (ok ? done(at) : void this.#busy.delete(peer)));
    });
  }
}

interface HeardAt {
  readonly askedAt: Instant;
  readonly now: Millis;
}

/** Whether it went through, and the peer could read all that it ever had of what both own. */
const isWhole = (result: ExchangeResult | null): boolean =>
  result?.isComplete === true && result.keysUnread === 0 && result.treesUnread.length === 0;
