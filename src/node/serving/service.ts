/**
 * A replica's side of the protocol: what it does when another node, or its own frontend, asks.
 * Every request is answered once (a `store` that wants both acknowledgements, twice).
 */

import { type ExchangeSide, exchangeLimits } from "../../../antientropy/exchange.ts";
import {
  answerFetch,
  answerLeafKeys,
  answerLeaves,
  answerRoots,
} from "../../../antientropy/exchange-replies.ts";
import type { MerkleForest } from "../../../antientropy/merkle-tree.ts";
import { assert } from "../../../core/assert.ts";
import { CodecError } from "../../../core/codec.ts";
import { liveSiblings } from "../../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../../core/entry-codec.ts";
import { gaveUpEarly } from "../../../core/expiry.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { namespaceOf } from "../../../core/keys.ts";
import { FRESH_MS_MAX } from "../../../core/limits.ts";
import type { Reply, Request, RequestOf } from "../../../core/messages.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Hlc, Millis } from "../../../core/time.ts";
import { NOTHING_BESIDE } from "../../../replica/beside.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { HeldWrite, MintRequest } from "../../../replica/minting.ts";
import type { PutOutcome } from "../../../replica/put-coordinator.ts";
import { isOverdue } from "../../../replica/write-router.ts";
import {
  failed,
  purgedMeanwhile,
  refused,
  toldOf,
  tooLarge,
  tooManySiblings,
} from "../peers/replies.ts";
import { type WriteRoute, writeCandidates } from "../peers/routes.ts";
import {
  besideToList,
  contentFromList,
  entriesFromList,
  expectKey,
  expectOp,
  rulesFromList,
  tallyToList,
} from "../peers/wire.ts";
import type { BackgroundWork } from "./background-ports.ts";
import { BlindWrite, isBlind } from "./blind-write.ts";
import { CollectionDesk } from "./collection-desk.ts";
import { exchangeSide } from "./exchange-side.ts";
import { FeedSource, type FeedSourceHost } from "./feed-source.ts";
import { Followed } from "./followed.ts";
import { Leases } from "./leases.ts";
import type { Planting } from "./planting.ts";
import { RecentOps } from "./recent-ops.ts";
import { Repeats } from "./repeats.ts";
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
import { Spreading } from "./spreading.ts";
import { WriteGate, type WriteGateHost } from "./write-gate.ts";

export type Respond = (reply: Reply) => void;

/** What the service needs of the node around it. */
export interface ServiceHost extends WriteGateHost, FeedSourceHost {
  /** Calls back when all that was written so far is durable, or the disk failed. */
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
}

/** How long an operation's id is remembered beyond its budget, so that a repeat finds it. */
const REPEAT_MS = 5000;

/** "I don't know": neither a value nor nothing. */
const UNKNOWN: Reply = { kind: "held", digest: 0, entry: null, isUnknown: true };

const OF_TREES: ReadonlySet<Request["kind"]> = new Set(["roots", "leaves", "leafKeys"]);

type ToMint = { readonly body: RequestOf<"coordinate"> } & Pick<MintRequest, "covers">;

export class Service {
  readonly id: ReplicaId;
  readonly keeper: Keeper;
  readonly planting: Planting;
  readonly #host: ServiceHost;
  readonly #collection: CollectionDesk;
  readonly #repeats: Repeats;
  readonly #leases = new Leases();
  readonly #gate: WriteGate;
  /** Operations that were coordinated here lately. */
  readonly #recentOps = new RecentOps();
  readonly #spreading: Spreading;
  readonly feeds: FeedSource;
  readonly followed: Followed;
  /** What exchanges work on, for both ends of one. */
  readonly side: ExchangeSide;
  /** Set once by the node; absent work cannot be asked for. */
  background: BackgroundWork | null = null;

  constructor(
    id: ReplicaId,
    parts: {
      readonly keeper: Keeper;
      readonly planting: Planting;
      readonly forest: MerkleForest;
    },
    host: ServiceHost,
  ) {
    this.id = id;
    this.keeper = parts.keeper;
    this.planting = parts.planting;
    this.side = exchangeSide(parts, {
      wall: () => host.wall(),
      whenDurable: (callback) => host.whenDurable(callback),
      lacksTree: (tree) => this.background?.absence?.past.lacksTree(tree) === true,
    });
    this.#host = host;
    this.#spreading = new Spreading(id, parts.keeper, host);
    this.#collection = new CollectionDesk(this, host);
    this.feeds = new FeedSource(this, host);
    this.followed = new Followed(this, host);
    this.#repeats = new Repeats(id, parts.keeper, host);
    this.#gate = new WriteGate({ id, keeper: parts.keeper, repeats: this.#repeats }, host);
  }

  #greet(body: RequestOf<"greet">, now: Millis): Reply {
    const greeted = this.background?.lives.greet(body, now);
    const wall = Math.floor(this.#host.knowledge.clusterClock.shown);
    if (greeted === undefined) return refused("overloaded");
    return { ...greeted, wall, arrived: this.followed.arrived };
  }

  #nextTime(): Hlc {
    return this.keeper.clock.next(this.#host.wall(), this.#host.knowledge.purges.newest);
  }

  /** The keys of writes that are coordinated here, and on their way. */
  get keysOnTheirWay(): ReadonlySet<StoreKey> {
    return this.#spreading.keys;
  }

  /** The node's own time at this very step. */
  get now(): Millis {
    return this.#host.now();
  }

  /** @param deadline until when the caller waits for the reply */
  handle(body: Request, respond: Respond, deadline: Millis): void {
    const { now } = this;
    if (this.planting.isPending && OF_TREES.has(body.kind)) return respond(refused("overloaded"));
    switch (body.kind) {
      case "ping":
        return respond({ kind: "pong" });
      case "greet":
        // A sign of life of the caller's: what waits here for it goes home.
        this.background?.handoff.toward(body.from, now);
        return respond(this.#greet(body, now));
      case "read":
        return this.#read(body, respond);
      case "store":
        return this.#store(body, respond);
      case "deliver":
        return this.#deliver(body, respond);
      case "coordinate":
      case "merge":
        return this.#coordinateAgreed(body, respond, deadline);
      case "recall":
        return respond(this.#repeats.answer(body));
      case "inspect":
        return respond(inspected(this.keeper, body.key));
      case "status":
        return respond(reported(this, this.#host.knowledge.about, now));
      case "keys":
        // A list without what it has lost would say that those keys are not there.
        if (this.background?.absence?.isBehind === true) return respond(refused("overloaded"));
        return respond(listed(this.keeper, body));
      case "namespaces":
        if (this.background?.absence?.isBehind === true) return respond(refused("overloaded"));
        return respond(named(this.keeper, body));
      case "roots":
        return respond(answerRoots(this.side, body));
      case "leaves":
        return respond(answerLeaves(this.side, body));
      case "leafKeys":
        return respond(answerLeafKeys(this.side, body));
      case "fetch":
        return respond(answerFetch(this.side, body, exchangeLimits));
      default:
        return this.#tend(body, respond, now);
    }
  }

  /** What is asked by who works in the background, or for an operator. */
  #tend(body: Exclude<Request, { kind: DataKind }>, respond: Respond, now: Millis): void {
    switch (body.kind) {
      case "confirm":
        return this.#collection.confirm(body.keys, respond);
      case "touched": {
        const keys = this.background?.evictor.takeTouched(body.keys) ?? [];
        return respond({ kind: "touched", keys });
      }
      case "collect":
        return this.#collection.collect(body.keys, respond);
      case "handoff":
        return handedOff(this, respond, now);
      case "homing": {
        const pending = this.background?.handoff.toward(body.target, now) ?? 0;
        return respond({ kind: "handedOff", delivered: 0, pending });
      }
      case "acceptLoss":
        return respond(acceptedLoss(this.background, now));
      case "probe":
        if (this.background === null) return respond(refused("overloaded"));
        return this.background.canaries.probe(body, respond);
      case "delays":
        return respond(delayed(this, now));
      case "scrub":
        return scrubbed(this.background, respond, now);
      case "exchange":
        return exchanged(this.background, respond, now);
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

  /** The ring is another one now: writes on their way go to its owners too. */
  ringChanged(): void {
    this.#spreading.ringChanged();
  }

  #read(body: RequestOf<"read">, respond: Respond): void {
    const absence = this.background?.absence ?? null;
    if (absence === null) return this.#readNow(body, respond);
    absence.whenInformed(() => this.#readNow(body, respond));
  }

  #readNow(body: RequestOf<"read">, respond: Respond): void {
    const held = this.#held(body);
    if (held.kind === "held" && held.digest !== 0) this.background?.evictor.read(body.key);
    if (!body.durably) return respond(held);
    this.#host.whenDurable((ok) => respond(ok ? held : refused("insufficient-storage")));
  }

  #held({ key, digestOnly }: RequestOf<"read">): Reply {
    if (this.#mayLack(key)) return UNKNOWN;
    if (digestOnly) {
      const digest = this.keeper.digest(key);
      return { kind: "held", digest: digest ?? 0, entry: null, isUnknown: digest === null };
    }
    const { entry, bytes, digest, isUnknown } = this.keeper.hold(key);
    if (gaveUpEarly(entry, this.#host.wall())) {
      this.keeper.mistrust(key, this.#host.wall());
      return UNKNOWN;
    }
    if (digest === 0 || isUnknown) return { kind: "held", digest, entry: null, isUnknown };
    return { kind: "held", digest, entry: bytes ?? encodeEntry(entry, null), isUnknown };
  }

  /** Whether the replica came back, or lost its past, and cannot vouch for what it has of a key. */
  #mayLack(key: StoreKey): boolean {
    return this.background?.absence?.mayLack(key) === true;
  }

  #store(body: RequestOf<"store">, respond: Respond): void {
    const { key, hintFor, ack } = body;
    if (this.keeper.store.health() !== "writable") return respond(refused("insufficient-storage"));
    expectKey(key);
    const { entry } = decodeEntry(body.entry);
    const target = hintFor === this.id ? "" : hintFor;
    if (target !== "" && !this.#host.knowledge.ring.memberIds.includes(target)) {
      throw new CodecError("a hint is for a member");
    }
    if (target !== "") this.#host.knowledge.counters.hintsStored++;
    const joined = this.keeper.join(key, entry, target, this.#host.wall());
    if (joined === null) return respond(refused("insufficient-storage"));
    const isBehind = joined.wasUnknown || this.#mayLack(key);
    const beside = body.tells ? this.keeper.besides(key, entry, joined.entry) : NOTHING_BESIDE;
    const stored = (durable: boolean): Reply =>
      isBehind || beside.length > 0
        ? { kind: "storedWith", durable, isBehind, beside: besideToList(beside) }
        : { kind: "stored", durable };
    if (ack !== 1) respond(stored(false));
    this.#host.whenDurable((ok) => {
      if (ack !== 0) respond(ok ? stored(true) : refused("insufficient-storage"));
    });
  }

  #deliver({ items }: RequestOf<"deliver">, respond: Respond): void {
    if (this.keeper.store.health() !== "writable") return respond(refused("insufficient-storage"));
    for (const [key, bytes] of entriesFromList(items)) {
      this.keeper.absorb(key, decodeEntry(bytes).entry, "", this.#host.wall());
    }
    this.#host.whenDurable((ok) => {
      respond(ok ? { kind: "stored", durable: true } : refused("insufficient-storage"));
    });
  }

  /** The epoch is forgotten for it: what would be back after a crash has not been swept. */
  #confirmSweep({ through }: RequestOf<"swept">, respond: Respond): void {
    const done = this.background?.sweep.hasSwept(through) === true;
    this.#host.whenDurable((ok) => respond({ kind: "swept", done: ok && done }));
  }

  /**
   * A node that is to join has a cluster file in which it is a member already. It mints nothing by
   * that ring before its peers had the chance to tell of theirs; and a replica that came back, or
   * lost what it had, mints nothing before it has caught up.
   */
  #coordinateAgreed(
    body: RequestOf<"coordinate" | "merge">,
    respond: Respond,
    deadline: Millis,
  ): void {
    const goOn = (): void =>
      body.kind === "merge"
        ? this.#merge(body, respond, deadline)
        : this.#coordinate(body, respond, deadline);
    const isAgreed = this.#host.knowledge.document.ring.isProvisional !== true;
    const absence = this.background?.absence ?? null;
    const mayGoOn = absence === null || (isAgreed && !this.#mayLack(body.key));
    if (mayGoOn) return goOn();
    absence.whenInformed(() => {
      const isMember = this.#host.knowledge.ring.member(this.id) !== undefined;
      // What it covers, and whether a condition holds, it cannot say: the caller has others to ask.
      if (!isMember || this.#mayLack(body.key)) respond(refused("overloaded"));
      else if (this.now < deadline) goOn();
    });
  }

  #isMine(key: StoreKey): boolean {
    const { ring } = this.#host.knowledge;
    return ring.preferenceList(ring.partitionOf(key)).includes(this.id);
  }

  /**
   * An entry that somebody brings is joined into what is held here, and what that gives is brought
   * to the other owners. Who has lost its record of the key does not begin: it would take what is
   * brought for what it lost.
   */
  #merge(body: RequestOf<"merge">, respond: Respond, deadline: Millis): void {
    const { now, keeper } = this;
    const { key, rules } = body;
    expectKey(key);
    if (keeper.store.health() !== "writable") return respond(refused("insufficient-storage"));
    const before = keeper.hold(key);
    if (!this.#isMine(key) || before.isUnknown) return respond(refused("overloaded"));
    const incoming = decodeEntry(body.entry).entry;
    const route = writeCandidates(this.#host.knowledge, { id: this.id, body, now });
    if (route.hintFor !== "") this.#host.knowledge.counters.hintsStored++;
    keeper.absorb(key, incoming, route.hintFor, this.#host.wall());
    const wasKnown = !before.entry.context.isEmpty;
    const { entry } = keeper.hold(key);
    // Its time has passed and it guards nothing: nobody keeps it.
    if (entry.context.isEmpty) return respond({ kind: "merged", wasKnown });
    const finish = (outcome: PutOutcome): void => {
      if (outcome.ok) return respond({ kind: "merged", wasKnown });
      const { code, detail, required = null, achieved = null } = outcome.failure;
      respond({ kind: "failed", code, detail, numbers: [required, achieved, null], context: null });
    };
    const held = { entry, sharedBytes: encodeEntry(entry, null) };
    const to = { finish, route, deadline, blind: null };
    this.#spreading.start({ key, op: "", rules }, held, to);
  }

  #coordinate(body: RequestOf<"coordinate">, respond: Respond, deadline: Millis): void {
    const { now } = this;
    expectKey(body.key);
    expectOp(body.op);
    if (this.keeper.store.health() !== "writable") return respond(refused("insufficient-storage"));
    // Chosen by an older ring than the caller has by now: it has others to ask.
    if (!this.#isMine(body.key)) return respond(refused("overloaded"));
    const wall = this.#host.wall();
    const known = this.#repeats.find(body, wall);
    if (known !== null) {
      if (this.#isFirst(body, now) || !this.#spreading.isOnItsWay(body.op)) {
        this.#adopt(body, known, { respond, deadline });
      }
      return;
    }
    if (isOverdue(body, wall)) {
      const { context } = this.keeper.hold(body.key).entry;
      return respond({ kind: "overdue", context, freshUntil: Math.ceil(wall) + FRESH_MS_MAX });
    }
    if (!this.#isFirst(body, now)) return;
    this.#gate.pass(body, {
      ...{ respond, deadline, begunAt: now - body.ageMs },
      mint: (covers) => this.#mint({ body, covers }, respond, deadline),
      adopt: (held) => this.#adopt(body, held, { respond, deadline }),
    });
  }

  #isFirst({ op, rules }: RequestOf<"coordinate">, now: Millis): boolean {
    return this.#recentOps.see(op, now + rulesFromList(rules).timeoutMs + REPEAT_MS, now);
  }

  /** `covers` is the write's own, or what a condition has found. */
  #mint({ body, covers }: ToMint, respond: Respond, deadline: Millis): void {
    const { key, op, ttlMs, isRetry } = body;
    const { keeper, now } = this;
    const route = writeCandidates(this.#host.knowledge, { id: this.id, body, now });
    const { hintFor } = route;
    const content = contentFromList(body.content);
    const request = { key, op, content, ttlMs, covers, isRetry, hintFor };
    const wall = this.#host.wall();
    const minted = keeper.mint(request, wall);
    const refusal =
      tooManySiblings(minted) ??
      tooLarge(key, minted, this.#host.knowledge.settingsOf(namespaceOf(key)));
    if (refusal !== null) return respond(refusal);
    keeper.keepMinted(key, hintFor, minted);
    keeper.operations.note(minted.sibling, wall);
    keeper.operations.setOpen(op, true);
    const parts = { keeper, body, hintFor, held: minted, wall: () => this.#host.wall() };
    const blind = isBlind(body) ? new BlindWrite(parts) : null;
    this.#spread(body, minted, { route, respond, deadline, blind });
  }

  /**
   * Another coordinator has minted the write, or this one has: it is brought to its owners, with
   * whatever covers it by now, and not minted again. That would replace what came after the first.
   */
  #adopt(
    body: RequestOf<"coordinate">,
    held: HeldWrite,
    { respond, deadline }: { readonly respond: Respond; readonly deadline: Millis },
  ): void {
    const { now } = this;
    const route = writeCandidates(this.#host.knowledge, { id: this.id, body, now });
    this.keeper.absorb(body.key, held.entry, route.hintFor, this.#host.wall());
    this.#spread(body, held, { route, respond, deadline, blind: null });
  }

  /** Sends what is stored here to the other owners, and answers when there are enough. */
  #spread(
    body: RequestOf<"coordinate">,
    held: HeldWrite,
    to: {
      readonly route: WriteRoute;
      readonly respond: Respond;
      readonly deadline: Millis;
      readonly blind: BlindWrite | null;
    },
  ): void {
    const wall = this.#host.wall();
    const { route, respond, deadline, blind } = to;
    if (route.hintFor !== "") this.#host.knowledge.counters.hintsStored++;
    const { returnBody } = rulesFromList(body.rules);
    const created = liveSiblings(held.before, wall).length === 0;
    const finish = (outcome: PutOutcome): void => {
      if (!outcome.ok) {
        const { code, detail, required, achieved } = outcome.failure;
        const numbers = [required ?? null, achieved ?? null, null];
        return respond({ kind: "failed", code, detail, numbers, context: null });
      }
      if (blind?.cover() === true) {
        if (this.keeper.store.health() !== "writable") {
          const detail = "The coordinator's disk took no more while the write was on its way.";
          return respond(failed("insufficient-storage", detail, null));
        }
        return this.#spreading.start(body, blind.held, { finish, route, deadline, blind });
      }
      this.keeper.operations.acknowledged(body.op, outcome.tally);
      // It was minted before this replica knew of a purge, maybe after that had been acknowledged.
      const { purges } = this.#host.knowledge;
      const stored = blind?.held ?? held;
      if (purges.isPurged(body.key, stored.sibling)) return respond(purgedMeanwhile());
      const tally = tallyToList(outcome.tally);
      const told = toldOf(stored, returnBody, wall);
      respond({ kind: "coordinated", created, ...told, tally });
    };
    this.#spreading.start(body, held, { finish, route, deadline, blind });
  }
}
