/**
 * A replica's side of the protocol: what it does when another node, or its own frontend, asks.
 * Every request is answered once (a `store` that wants both acknowledgements, twice).
 */
import { exchangeLimits } from "../../../antientropy/exchange.ts";
import {
  answerFetch,
  answerLeafKeys,
  answerLeaves,
  answerRoots,
} from "../../../antientropy/exchange-replies.ts";
import { assert } from "../../../core/assert.ts";
import { CodecError } from "../../../core/check.ts";
import { encodeEntry } from "../../../core/entry-codec.ts";
import { gaveUpEarly } from "../../../core/expiry.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Ages } from "../../../core/message-values.ts";
import type { Reply, ReplyOf, Request, RequestOf } from "../../../core/messages.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Hlc, Millis } from "../../../core/time.ts";
import { FOUND_NOTHING } from "../../../replica/beside.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import { type Respond, refused } from "../peers/replies.ts";
import type { Replica } from "../replica/replica.ts";
import { completes } from "./alone.ts";
import { CollectionVoter } from "./collection-voter.ts";
import { Coordination, type CoordinationHost } from "./coordination.ts";
import { lacksRoom } from "./disk-room.ts";
import { FeedSource, type FeedSourceHost } from "./feed-source.ts";
import { Followed } from "./followed.ts";
import type { Jobs } from "./job-ports.ts";
import { Leases } from "./leases.ts";
import {
  acceptedLoss,
  delayed,
  exchanged,
  handedOff,
  inspected,
  listed,
  named,
  reported,
  scrubbed,
} from "./reports.ts";
import type { DataKind } from "./service-kinds.ts";

/** What the service needs of the node around it. */
export interface ServiceHost extends CoordinationHost, FeedSourceHost {
  /** Calls back when all that was written so far is durable, or the disk failed. */
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
}

/** "I don't know": neither a value nor nothing. */
const UNKNOWN: ReplyOf<"held"> = { kind: "held", digest: 0, entry: null, isUnknown: true };

const OF_TREES: ReadonlySet<Request["kind"]> = new Set(["roots", "leaves", "leafKeys"]);

export class Service {
  readonly id: ReplicaId;
  readonly keeper: Keeper;
  readonly jobs: Jobs;
  readonly #replica: Replica;
  readonly #host: ServiceHost;
  readonly #coordination: Coordination;
  readonly #collection: CollectionVoter;
  readonly #leases: Leases;
  readonly feeds: FeedSource;
  readonly followed: Followed;

  constructor(replica: Replica, jobs: Jobs, host: ServiceHost) {
    this.id = replica.id;
    this.keeper = replica.keeper;
    this.jobs = jobs;
    this.#replica = replica;
    this.#host = host;
    this.#coordination = new Coordination(replica, jobs, host);
    this.#collection = new CollectionVoter(this, host);
    this.feeds = new FeedSource(this, host);
    this.followed = new Followed(this, host);
    const { liveness } = host.knowledge;
    this.#leases = new Leases((member) => member !== this.id && liveness.isSuspect(member));
  }

  #greet(body: RequestOf<"greet">, now: Millis): Reply {
    const { from, run, life = 0 } = body;
    const { lives } = this.jobs;
    const { clusterClock, peerTimes, ring } = this.#host.knowledge;
    if (ring.member(from) !== undefined) peerTimes.heard(from, { run, life }, now);
    const greeted = lives.greet(body, now);
    const wall = Math.floor(clusterClock.shown);
    return { ...greeted, wall, arrived: this.followed.arrived, life: lives.time.now };
  }

  #nextTime(): Hlc {
    return this.keeper.clock.next(this.#host.wall(), this.#host.knowledge.purges.newest);
  }

  /** The keys of writes that are coordinated here, and on their way. */
  get keysOnTheirWay(): ReadonlySet<StoreKey> {
    return this.#coordination.keysOnTheirWay;
  }

  /** The node's own time at this very step. */
  get now(): Millis {
    return this.#host.now();
  }

  /** @param deadline until when the caller waits for the reply */
  handle(body: Request, respond: Respond, deadline: Millis): void {
    const { now } = this;
    if (this.#replica.migration.isPending && OF_TREES.has(body.kind))
      return respond(refused("overloaded"));
    switch (body.kind) {
      case "ping":
        return respond({ kind: "pong" });
      case "greet":
        // A sign of life of the caller's: what waits here for it goes home.
        this.jobs.handoff.toward(body.from, now);
        return respond(this.#greet(body, now));
      case "read":
        return this.#read(body, respond);
      case "store":
        return this.#store(body, respond);
      case "storeAlone":
        return this.#storeAlone(body, respond);
      case "deliver":
        return this.#deliver(body, respond);
      case "coordinate":
      case "merge":
        return this.#coordination.begin(body, respond, deadline);
      case "recall":
        return respond(this.#coordination.recall(body));
      case "inspect":
        return respond(inspected(this.keeper, body.key));
      case "status":
        return respond(reported(this, this.#host.knowledge, now));
      case "keys":
        // A list without what it has lost would say that those keys are not there.
        if (this.jobs.absence?.isBehind === true) return respond(refused("overloaded"));
        return respond(listed(this.keeper, body));
      case "namespaces":
        if (this.jobs.absence?.isBehind === true) return respond(refused("overloaded"));
        return respond(named(this.keeper, body));
      case "roots":
        return respond(answerRoots(this.#replica.side, body));
      case "leaves":
        return respond(answerLeaves(this.#replica.side, body));
      case "leafKeys":
        return respond(answerLeafKeys(this.#replica.side, body));
      case "fetch":
        return respond(this.#fetched(body));
      default:
        return this.#tend(body, respond, now);
    }
  }

  /** Answers requests of background work, or for an operator. */
  #tend(body: Exclude<Request, { kind: DataKind }>, respond: Respond, now: Millis): void {
    switch (body.kind) {
      case "confirm":
        return this.#collection.confirm(body.keys, respond);
      case "touched": {
        const keys = this.jobs.evictor.takeTouched(body.keys);
        return respond({ kind: "touched", keys });
      }
      case "collect":
        return this.#collection.collect(body.keys, respond);
      case "handoff":
        return handedOff(this, respond, now);
      case "homing": {
        const pending = this.jobs.handoff.toward(body.target, now);
        return respond({ kind: "handedOff", delivered: 0, pending });
      }
      case "acceptLoss":
        return respond(acceptedLoss(this.jobs, now));
      case "probe":
        return this.jobs.canaries.probe(body, respond);
      case "delays":
        return respond(delayed(this, now));
      case "scrub":
        return scrubbed(this.jobs, respond, now);
      case "exchange":
        return exchanged(this.jobs, respond, now);
      case "lease":
        return respond(this.#leases.answer(body, now, this.#nextTime()));
      case "changes":
        return this.feeds.answer(body, respond);
      case "arrivals":
        return this.followed.answer(body, respond);
      case "clock":
        return respond({ kind: "clocked", time: this.#nextTime() });
      case "swept":
        return this.#confirmSweep(body, respond);
      case "document":
      case "promise":
      case "accept":
      case "fault":
        return assert(false, "documents and faults are the node's own business");
    }
  }

  /** The ring has changed: writes on their way go to its new owners too. */
  ringChanged(): void {
    this.#coordination.ringChanged();
  }

  #fetched(body: RequestOf<"fetch">): Reply {
    const all = answerFetch(this.#replica.side, body, exchangeLimits);
    // If it lost its disk since it listed these keys, it has nothing of them and knows nothing.
    const reply = this.jobs.absence?.isBehind === true ? { ...all, gone: [] } : all;
    // Asked for when all is read: that may have shown that something is lost.
    return body.isJoined === true ? { ...reply, run: this.followed.run } : reply;
  }

  #read(body: RequestOf<"read">, respond: Respond): void {
    const { absence } = this.jobs;
    if (absence === null) return this.#readNow(body, respond);
    absence.whenInformed(() => this.#readNow(body, respond));
  }

  #readNow(body: RequestOf<"read">, respond: Respond): void {
    const held = this.#held(body);
    if (held.digest !== 0) this.jobs.evictor.read(body.key);
    if (!body.durably) return respond(held);
    this.#host.whenDurable((ok) => respond(ok ? held : refused("insufficient-storage")));
  }

  /** Asked for when the key was read: that may have shown that something is lost. */
  #agesFor({ key, isBounded }: RequestOf<"read">): Ages | null {
    return isBounded === true ? this.followed.agesFor(key) : null;
  }

  #held(body: RequestOf<"read">): ReplyOf<"held"> {
    const { key, digestOnly } = body;
    if (this.#mayLack(key)) return UNKNOWN;
    if (digestOnly) {
      const digest = this.keeper.digest(key);
      const ages = this.#agesFor(body);
      return { kind: "held", digest: digest ?? 0, entry: null, isUnknown: digest === null, ages };
    }
    const { entry, bytes, digest, isUnknown } = this.keeper.hold(key);
    if (gaveUpEarly(entry, this.#host.wall())) {
      this.keeper.mistrust(key, this.#host.wall());
      return UNKNOWN;
    }
    const ages = this.#agesFor(body);
    if (digest === 0 || isUnknown) return { kind: "held", digest, entry: null, isUnknown, ages };
    return { kind: "held", digest, entry: bytes ?? encodeEntry(entry, null), isUnknown, ages };
  }

  /** Whether the replica came back, or lost its past, and cannot vouch for what it has of a key. */
  #mayLack(key: StoreKey): boolean {
    return this.jobs.absence?.mayLack(key) === true;
  }

  #store(body: RequestOf<"store">, respond: Respond): void {
    const { key, hintFor, ack } = body;
    if (this.keeper.store.health() !== "writable") return respond(refused("insufficient-storage"));
    if (lacksRoom(this.keeper.store)) return respond(refused("overloaded"));
    const target = hintFor === this.id ? null : hintFor;
    if (target !== null && !this.#host.knowledge.ring.memberIds.includes(target)) {
      throw new CodecError("a hint is for a member");
    }
    if (target !== null) this.#host.knowledge.counters.hintsStored++;
    const joined = this.keeper.take(key, body.entry, target, this.#host.wall());
    if (joined === null) return respond(refused("insufficient-storage"));
    const cannotVouch = body.tells && joined.mayHaveSeen;
    // A hint says nothing of what came to the primary before: its word does not count for that.
    const cannotCount = cannotVouch && target === null;
    const isBehind = joined.wasUnknown || cannotCount || this.#mayLack(key);
    const { encounters } = this.#replica;
    const found =
      body.tells && !cannotVouch
        ? encounters.tell(this.keeper.heldWith(key, joined), joined)
        : FOUND_NOTHING;
    const stored = (durable: boolean): Reply =>
      isBehind || found.isOver || found.beside.length > 0
        ? { kind: "storedWith", durable, isBehind, ...found }
        : { kind: "stored", durable };
    if (ack !== "durable") respond(stored(false));
    this.#host.whenDurable((ok) => {
      if (ack !== "received") respond(ok ? stored(true) : refused("insufficient-storage"));
    });
  }

  #storeAlone(body: RequestOf<"storeAlone">, respond: Respond): void {
    const { key, entry, ack } = body;
    const isComplete = completes(this.keeper, body, this.#host.knowledge, this.#host.wall());
    if (!isComplete) return respond({ kind: "lacking" });
    this.#store({ kind: "store", key, entry, hintFor: null, ack, tells: false }, respond);
  }

  #deliver({ items }: RequestOf<"deliver">, respond: Respond): void {
    if (this.keeper.store.health() !== "writable") return respond(refused("insufficient-storage"));
    if (lacksRoom(this.keeper.store)) return respond(refused("overloaded"));
    for (const [key, bytes] of items) {
      this.keeper.take(key, bytes, null, this.#host.wall());
    }
    this.#host.whenDurable((ok) => {
      respond(ok ? { kind: "stored", durable: true } : refused("insufficient-storage"));
    });
  }

  /** The epoch is forgotten on this word: what a crash would bring back has not been swept. */
  #confirmSweep({ through }: RequestOf<"swept">, respond: Respond): void {
    const done = this.jobs.sweep.hasSwept(through);
    this.#host.whenDurable((ok) => respond({ kind: "swept", done: ok && done }));
  }
}
