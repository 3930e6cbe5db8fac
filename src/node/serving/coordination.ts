/**
 * Writes that this replica coordinates: it mints a version, or takes one that was minted before,
 * sends it to the other owners and answers when enough of them have it.
 */
import { CausalContext } from "../../../core/causal-context.ts";
import { contextOfAll, liveSiblings } from "../../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../../core/entry-codec.ts";
import { namespaceOf } from "../../../core/keys.ts";
import { FRESH_MS_MAX } from "../../../core/limits.ts";
import type { Reply, RequestOf } from "../../../core/messages.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import { agedBy, ageOf, isOverdue, type Moment } from "../../../replica/lateness.ts";
import type { HeldWrite, MintRequest } from "../../../replica/minting.ts";
import type { PutOutcome } from "../../../replica/put-plan.ts";
import {
  failed,
  purgedMeanwhile,
  type Respond,
  refused,
  toldOf,
  tooLarge,
  tooManySiblings,
  unmet,
} from "../peers/replies.ts";
import { type WriteRoute, writeCandidates } from "../peers/routes.ts";
import type { Replica } from "../replica/replica.ts";
import { BlindWrite, type BlindWriteParts, isBlind } from "./blind-write.ts";
import { CameFirst } from "./came-first.ts";
import { noRoomToBegin } from "./disk-room.ts";
import type { Jobs } from "./job-ports.ts";
import { OverdueWrites } from "./overdue-writes.ts";
import { RecentOps } from "./recent-ops.ts";
import { Repeats } from "./repeats.ts";
import { type SpreadHost, Spreading } from "./spreading.ts";
import { WriteGate, type WriteGateHost } from "./write-gate.ts";

/** How long an operation's id is remembered beyond its budget, so that a repeat finds it. */
const REPEAT_MS = 5000;

export interface CoordinationHost extends Omit<WriteGateHost, "moment">, SpreadHost {}

type ToMint = {
  readonly body: RequestOf<"coordinate">;
  /** Whether its client gave no context, whatever it is to cover by now. */
  readonly isBlind: boolean;
} & Pick<MintRequest, "covers">;

export class Coordination {
  readonly #replica: Replica;
  readonly #jobs: Jobs;
  readonly #host: CoordinationHost;
  readonly #repeats: Repeats;
  readonly #gate: WriteGate;
  readonly #spreading: Spreading;
  /** Operations that were coordinated here lately. */
  readonly #recentOps = new RecentOps();
  readonly #overdue = new OverdueWrites();

  constructor(replica: Replica, jobs: Jobs, host: CoordinationHost) {
    const { id, keeper } = replica;
    this.#replica = replica;
    this.#jobs = jobs;
    this.#host = host;
    this.#spreading = new Spreading(id, keeper, host);
    const timely = { ...host, moment: () => this.#moment };
    this.#repeats = new Repeats(replica, timely);
    this.#gate = new WriteGate({ id, keeper, repeats: this.#repeats }, timely);
  }

  /** The keys of writes that are coordinated here, and on their way. */
  get keysOnTheirWay(): ReadonlySet<StoreKey> {
    return this.#spreading.keys;
  }

  /** The ring has changed: writes on their way go to its new owners too. */
  ringChanged(): void {
    this.#spreading.ringChanged();
  }

  /** Whether an operation has taken effect here, as far as this replica can tell. */
  recall(body: RequestOf<"recall">): Reply {
    return this.#repeats.answer(body, this.#overdue.isStrictAsked(body.op, this.#host.now()));
  }

  /** The time here, as others are told it. */
  get #moment(): Moment {
    return { wall: this.#host.wall(), life: this.#jobs.lives.time.now };
  }

  get #keeper(): Keeper {
    return this.#replica.keeper;
  }

  /**
   * A node that is to join has a cluster file in which it is a member already. It mints nothing by
   * that ring before its peers have had a chance to tell of theirs. And a replica that came back,
   * or lost what it had, mints nothing before it has caught up.
   */
  begin(body: RequestOf<"coordinate" | "merge">, respond: Respond, deadline: Millis): void {
    const askedAt = this.#host.now();
    const goOn = (): void =>
      body.kind === "merge"
        ? this.#merge(body, respond, deadline)
        : this.#coordinate(agedBy(body, this.#host.now() - askedAt), respond, deadline);
    const isAgreed = this.#host.knowledge.document.ring.isProvisional !== true;
    const { absence } = this.#jobs;
    // It cannot say what the write covers, or whether a condition holds: others can be asked.
    const cannotSay = (): void => respond(refused("overloaded"));
    if (this.#keeper.losses.isUnsure(body.key)) return cannotSay();
    const mayGoOn = absence === null || (isAgreed && !this.#mayLack(body.key));
    if (mayGoOn) return goOn();
    absence.whenInformed(() => {
      const isMember = this.#host.knowledge.ring.member(this.#replica.id) !== undefined;
      if (!isMember || this.#mayLack(body.key)) cannotSay();
      else if (this.#host.now() < deadline) goOn();
    });
  }

  /** Whether the replica came back, or lost its past, and cannot vouch for what it has of a key. */
  #mayLack(key: StoreKey): boolean {
    return this.#jobs.absence?.mayLack(key) === true;
  }

  #isMine(key: StoreKey): boolean {
    const { ring } = this.#host.knowledge;
    return ring.preferenceList(ring.partitionOf(key)).includes(this.#replica.id);
  }

  /**
   * An entry that somebody brings is joined into what is held here. The result is brought to the
   * other owners. A replica that has lost its record of the key does not begin: it would take what
   * is brought for what it lost.
   */
  #merge(body: RequestOf<"merge">, respond: Respond, deadline: Millis): void {
    const now = this.#host.now();
    const keeper = this.#keeper;
    const { key, rules } = body;
    if (keeper.store.health() !== "writable") return respond(refused("insufficient-storage"));
    const before = keeper.hold(key);
    if (!this.#isMine(key) || before.isUnknown) return respond(refused("overloaded"));
    const noRoom = noRoomToBegin(keeper.store);
    if (noRoom !== null) return respond(noRoom);
    const incoming = decodeEntry(body.entry).entry;
    const route = writeCandidates(this.#host.knowledge, { id: this.#replica.id, body, now });
    if (route.hintFor !== null) this.#host.knowledge.counters.hintsStored++;
    keeper.absorb(key, incoming, route.hintFor, this.#host.wall());
    const wasKnown = !before.entry.context.isEmpty;
    const { entry } = keeper.hold(key);
    // Its time had passed and it guarded nothing: nobody keeps such an entry.
    if (entry.context.isEmpty) return respond({ kind: "merged", wasKnown });
    const finish = (outcome: PutOutcome): void => {
      if (outcome.ok) return respond({ kind: "merged", wasKnown });
      respond(unmet(outcome.failure));
    };
    const held = { entry, sharedBytes: encodeEntry(entry, null) };
    const to = { finish, route, deadline, blind: null };
    this.#spreading.start({ key, op: "", rules }, held, to);
  }

  #coordinate(body: RequestOf<"coordinate">, respond: Respond, deadline: Millis): void {
    const now = this.#host.now();
    if (this.#keeper.store.health() !== "writable") return respond(refused("insufficient-storage"));
    // The caller chose by an older ring than it has by now: it has others to ask.
    if (!this.#isMine(body.key)) return respond(refused("overloaded"));
    const asked = body.covers === null ? undefined : this.#overdue.confirmed(body.op);
    if (asked?.blind) return this.#goOn(body, asked.blind, { respond, deadline });
    const hasNoContext = asked !== undefined || isBlind(body);
    const adopt = (held: HeldWrite): void =>
      this.#adopt({ body, isBlind: hasNoContext }, held, { respond, deadline });
    const known = this.#repeats.find(body);
    if (known !== null) {
      if (this.#isFirst(body, now) || !this.#spreading.isOnItsWay(body.op)) adopt(known);
      return;
    }
    const moment = this.#moment;
    if (isOverdue(body, moment)) {
      const context = contextOfAll(this.#keeper.hold(body.key).entry);
      return this.#askAbout(body, { context, blind: null }, { respond, deadline });
    }
    const noRoom = noRoomToBegin(this.#keeper.store);
    if (noRoom !== null) return respond(noRoom);
    if (!this.#isFirst(body, now)) return;
    this.#gate.pass(body, {
      ...{ respond, deadline, begunAt: now - ageOf(body, moment), isBlind: hasNoContext },
      mint: (covers) => this.#mint({ body, covers, isBlind: hasNoContext }, respond, deadline),
      adopt,
    });
  }

  /** Whether anybody still waits for a write without a context, which is to cover what is named. */
  #askAbout(
    { op, rules }: RequestOf<"coordinate">,
    { context, blind }: { readonly context: CausalContext; readonly blind: BlindWrite | null },
    { respond, deadline }: { readonly respond: Respond; readonly deadline: Millis },
  ): void {
    const isStrict = rules.strict;
    this.#overdue.ask(op, { blind, until: deadline, isStrict }, this.#host.now());
    const { wall, life } = this.#moment;
    const freshUntil = Math.ceil(wall) + FRESH_MS_MAX;
    const fresh = { freshUntil, askedAt: life, freshMs: FRESH_MS_MAX };
    respond({ kind: "overdue", context, ...fresh });
  }

  /** Somebody still waits for a write that was minted here, and was to cover more. */
  #goOn(
    body: RequestOf<"coordinate">,
    blind: BlindWrite,
    { respond, deadline }: { readonly respond: Respond; readonly deadline: Millis },
  ): void {
    blind.confirm(body.covers ?? CausalContext.empty);
    const step = blind.cover();
    if (step === "ask") {
      return this.#askAbout(body, { context: blind.wanted, blind }, { respond, deadline });
    }
    const now = this.#host.now();
    const route = writeCandidates(this.#host.knowledge, { id: this.#replica.id, body, now });
    this.#keeper.absorb(body.key, blind.held.entry, route.hintFor, this.#host.wall());
    this.#spread(body, blind.held, { route, respond, deadline, blind });
  }

  #isFirst({ op, rules }: RequestOf<"coordinate">, now: Millis): boolean {
    return this.#recentOps.see(op, now + rules.timeoutMs + REPEAT_MS, now);
  }

  /** `covers` is the write's own, or what a condition has found. */
  #mint({ body, covers, isBlind }: ToMint, respond: Respond, deadline: Millis): void {
    const { key, op, content, ttlMs, isRetry } = body;
    const now = this.#host.now();
    const keeper = this.#keeper;
    const route = writeCandidates(this.#host.knowledge, { id: this.#replica.id, body, now });
    const { hintFor } = route;
    // Those who get a blind write tell what they hold beside it, and what it brings is no news.
    const { aloneFrom } = this.#replica;
    const more = isBlind ? {} : { aloneFrom };
    const request = { key, op, content, ttlMs, covers, isRetry, hintFor, ...more };
    const wall = this.#host.wall();
    const minted = keeper.mint(request, wall);
    // This may be how it was found out that the record cannot be read.
    if (keeper.losses.isUnsure(key)) {
      this.#recentOps.unsee(op);
      return respond(refused("overloaded"));
    }
    const refusal =
      tooManySiblings(minted) ??
      tooLarge(key, minted, this.#host.knowledge.settingsOf(namespaceOf(key)));
    if (refusal !== null) return respond(refusal);
    keeper.keepMinted(key, hintFor, minted);
    keeper.operations.note(minted.sibling, wall);
    keeper.operations.setOpen(op, true);
    const blind = isBlind ? this.#blindWrite(body, minted, { route, met: null }) : null;
    this.#spread(body, minted, { route, respond, deadline, blind });
  }

  /**
   * Another coordinator has minted the write, or this one has: it is brought to its owners, with
   * whatever covers it by now, and not minted again. Minting it again would replace what came after
   * the first version.
   */
  #adopt(
    { body, isBlind: hasNoContext }: Pick<ToMint, "body" | "isBlind">,
    held: HeldWrite,
    { respond, deadline }: { readonly respond: Respond; readonly deadline: Millis },
  ): void {
    const now = this.#host.now();
    const route = writeCandidates(this.#host.knowledge, { id: this.#replica.id, body, now });
    this.#keeper.absorb(body.key, held.entry, route.hintFor, this.#host.wall());
    // A strict one covers what it read before it was minted, and needs no more.
    const isTold = hasNoContext && !body.rules.strict;
    const met = isTold ? this.#replica.encounters.metBy(held.sibling.dot, held.entry) : null;
    const blind = met === null ? null : this.#blindWrite(body, held, { route, met });
    this.#spread(body, held, { route, respond, deadline, blind });
  }

  #blindWrite(
    body: RequestOf<"coordinate">,
    held: HeldWrite,
    { route, met }: { readonly route: WriteRoute; readonly met: BlindWriteParts["met"] },
  ): BlindWrite {
    const { hintFor } = route;
    const isStrictDelete = body.rules.strict && body.content === null;
    const first = isStrictDelete ? this.#cameFirst(body, held) : null;
    const clocks = { wall: () => this.#host.wall(), moment: () => this.#moment };
    return new BlindWrite({ keeper: this.#keeper, body, hintFor, first, held, met, ...clocks });
  }

  #cameFirst({ key, rules }: RequestOf<"coordinate">, { entry }: HeldWrite): CameFirst {
    const { knowledge } = this.#host;
    const { routeStamp } = knowledge;
    return new CameFirst({
      n: rules.n,
      primaries: knowledge.ring.primariesOf(knowledge.ring.partitionOf(key), rules.n),
      self: this.#replica.id,
      lacks: (dot) => !entry.context.covers(dot),
      isSameLayout: () => knowledge.routeStamp === routeStamp,
    });
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
    if (route.hintFor !== null) this.#host.knowledge.counters.hintsStored++;
    const { returnBody } = body.rules;
    const created = liveSiblings(held.before, wall).length === 0;
    const finish = (outcome: PutOutcome): void => {
      if (!outcome.ok) return respond(unmet(outcome.failure));
      const step = blind?.cover() ?? "none";
      if (blind !== null && step === "ask") {
        return this.#askAbout(body, { context: blind.wanted, blind }, { respond, deadline });
      }
      if (blind !== null && step === "send") {
        if (this.#keeper.store.health() !== "writable") {
          const detail = "The coordinator's disk took no more while the write was on its way.";
          return respond(failed("insufficient-storage", detail, null));
        }
        return this.#spreading.start(body, blind.held, { finish, route, deadline, blind });
      }
      this.#keeper.operations.acknowledged(body.op, outcome.tally);
      // It was minted before this replica knew of a purge, maybe after the purge was acknowledged.
      const { purges } = this.#host.knowledge;
      const stored = blind?.held ?? held;
      if (purges.isPurged(body.key, stored.sibling)) return respond(purgedMeanwhile());
      const { tally } = outcome;
      const told = toldOf(stored, returnBody, wall);
      respond({ kind: "coordinated", created, ...told, tally });
    };
    this.#spreading.start(body, held, { finish, route, deadline, blind });
  }
}
