/**
 * The cache door: a request for a site becomes an answer, from what is stored on the ring or from
 * the site's origin. It throws nothing: whatever goes wrong is an answer.
 */

import type { KeyedHash } from "../../core/keyed-hash.ts";
import { isForOrigin, withoutConditions } from "../cache/conditional.ts";
import { askedBy } from "../cache/directives.ts";
import { type Fields, fieldOf, tokensOf } from "../cache/fields.ts";
import { hopsLeft, isLoop } from "../cache/forwarding.ts";
import { askedRange, canValidate, type Forwarded, lookUp, ttlOf } from "../cache/look-up.ts";
import { emptyStored } from "../cache/stored.ts";
import { normalised } from "../cache/vary.ts";
import type { Backend, ClusterView } from "../frontend/backend/backend.ts";
import { Answers, type Ask } from "./answers.ts";
import {
  addressOf,
  clusterIdOf,
  type DoorCall,
  makeCall,
  partsOf,
  type Standing,
  standingOf,
  urlOfCall,
} from "./call.ts";
import type { DoorMetrics } from "./door-metrics.ts";
import { Fetcher, type Landing, type Want } from "./fetching.ts";
import { type DoorMemory, Flights } from "./flights.ts";
import { Heads } from "./heads.ts";
import { Invalidator, type PurgeRefusal } from "./invalidator.ts";
import type { Found } from "./kept.ts";
import { isFailure, isLastWord, isOwn, type Own, release } from "./landing.ts";
import { LeaseHolder } from "./leases.ts";
import {
  type DoorAnswer,
  type DoorHost,
  type DoorRequest,
  type Origin,
  OriginError,
} from "./ports.ts";
import { answerAsLast, refuse } from "./problems.ts";
import { ResponseStore } from "./response-store.ts";
import { siteFor } from "./sites.ts";
import { StoreError } from "./store-errors.ts";

export interface DoorParts {
  readonly backend: Backend;
  readonly secret: KeyedHash;
  readonly origin: Origin;
  readonly host: DoorHost;
  readonly metrics: DoorMetrics;
  readonly purgeRefusal: PurgeRefusal;
  /** Kept by hosts that make a door anew for each request. */
  readonly memory?: DoorMemory;
}

/** What was made of a client's fields, and by which sites of which cluster. */
interface Known {
  readonly sites: ClusterView["sites"];
  readonly cluster: string;
  readonly standing: Standing;
}

const SAFE = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"]);
/**
 * How quickly a fetch must have failed, in ms, for one of the waiting frontends to try again for
 * all. After a slower failure each fetches for itself: else they would sit out one time-out after
 * the other.
 */
const QUICK_FAILURE_MS_MAX = 250;
const METHOD = /^[A-Za-z][A-Za-z0-9_-]{0,31}$/;

export class Door {
  readonly #parts: DoorParts;
  readonly #store: ResponseStore;
  readonly #fetcher: Fetcher;
  readonly #flights: Flights;
  readonly #leases: LeaseHolder;
  readonly #invalidator: Invalidator;
  readonly #answers: Answers;
  readonly #heads: Heads;
  #clusterId: { readonly name: string; readonly id: string } | null = null;
  /** Of clients that send the same fields again and again. */
  readonly #standings = new WeakMap<Fields, Known>();

  constructor(parts: DoorParts) {
    const { backend, origin, host, metrics } = parts;
    this.#parts = parts;
    this.#store = new ResponseStore(backend, host);
    this.#fetcher = new Fetcher({ origin, store: this.#store, host, metrics });
    this.#flights = new Flights(parts.memory);
    this.#leases = new LeaseHolder(this.#store, host);
    const answered = { store: this.#store, origin, host, metrics };
    this.#answers = new Answers(answered);
    this.#heads = new Heads(answered, this.#answers);
    const { purgeRefusal } = parts;
    this.#invalidator = new Invalidator({
      backend,
      store: this.#store,
      host,
      metrics,
      purgeRefusal,
    });
  }

  async handle(request: DoorRequest): Promise<DoorAnswer> {
    const call = this.#callOf(request);
    if (!("located" in call)) return call;
    try {
      const answer = await this.#answer(call);
      return { ...answer, site: call.site.name };
    } catch (error) {
      this.#parts.metrics.answered(call.site.name, "error");
      const isHead = request.method === "HEAD";
      console.error(error instanceof Error ? error.stack : String(error));
      return refuse("internal-error", "Something went wrong on our side. It was logged.", {
        isHead,
      });
    }
  }

  /** Made out once: a cluster is hardly ever renamed. */
  #clusterIdOf(name: string): string {
    if (this.#clusterId?.name !== name) {
      this.#clusterId = { name, id: clusterIdOf(this.#parts.secret, name) };
    }
    return this.#clusterId.id;
  }

  /** The request with its site, or why it has none. */
  #callOf(request: DoorRequest): DoorCall | DoorAnswer {
    const isHead = request.method === "HEAD";
    const { backend } = this.#parts;
    const { sites, ring } = backend.view();
    const known = request.isLasting === true ? this.#standings.get(request.fields) : undefined;
    if (known?.sites === sites && known.cluster === ring.document.name) {
      const parts = partsOf(request.target);
      if (parts !== null) return makeCall(request, known.standing, parts);
    }
    const addressed = METHOD.test(request.method) ? addressOf(request) : null;
    if (addressed === null) {
      return refuse("invalid-request", "The target or the Host of the request is malformed.", {
        isHead,
      });
    }
    const site = siteFor(sites, addressed.publicHost, addressed.scheme);
    if (site === null) {
      return refuse("no-such-site", "No site answers for this host.", { isHead });
    }
    const clusterId = this.#clusterIdOf(ring.document.name);
    if (isLoop(request.fields, clusterId)) {
      return refuse("loop-detected", "The request has been here before.", { isHead });
    }
    if (isUpgrade(request.fields) || request.method === "CONNECT") {
      return refuse("not-implemented", "Upgrades, WebSocket among them, are not passed on.", {
        isHead,
      });
    }
    const standing = standingOf(request, { site, clusterId, addressed });
    const cluster = ring.document.name;
    // Another form of the target names a host of its own.
    if (request.isLasting === true && request.target.startsWith("/")) {
      this.#standings.set(request.fields, { sites, cluster, standing });
    }
    return makeCall(request, standing, addressed);
  }

  async #answer(call: DoorCall): Promise<DoorAnswer> {
    const { method, body } = call.request;
    const { fields } = call.head;
    if (method === "PURGE") return this.#invalidator.purge(call);
    if (hopsLeft(call.head) === 0) return answerAsLast(method);
    const isLookedUp = (method === "GET" || method === "HEAD") && body === null;
    if (!isLookedUp || isForOrigin(fields)) return this.#unlooked(call, isLookedUp);
    const found = await this.#find(call);
    const now = this.#parts.host.now();
    const verdict = lookUp(found?.stored ?? null, call.head, now);
    if (verdict.kind === "refuse") return this.#notCached(call, verdict.why);
    if (verdict.kind === "serve") {
      if (verdict.refresh) this.#refresh({ call, found, variant: verdict.variant, why: "stale" });
      const ttl = ttlOf(verdict.variant, found?.stored ?? emptyStored(call.key), now);
      this.#answers.count(call, ttl > 0 ? "hit" : "stale");
      return this.#answers.give(call, verdict.variant, { hit: true, ttl: ttl / 1000 });
    }
    const ask: Ask = { call, found, variant: verdict.variant, why: verdict.why };
    const answer = method === "HEAD" ? this.#heads.answer(ask) : this.#get(ask);
    return this.#forwarded(call, verdict.why, answer);
  }

  /** To the origin, as what is stored cannot be an answer. */
  #unlooked(call: DoorCall, isPlain: boolean): DoorAnswer | Promise<DoorAnswer> {
    const { method, fields } = call.head;
    const why = isPlain || method === "GET" ? "bypass" : "method";
    if (isPlain && askedBy(fields).has("only-if-cached")) return this.#notCached(call, why);
    return this.#forwarded(call, why, this.#passOn(call, why));
  }

  /** To a client that takes only what is stored (RFC 9111, 5.2.1.7). */
  #notCached(call: DoorCall, fwd: Forwarded): DoorAnswer {
    this.#answers.count(call, "miss");
    const isHead = call.request.method === "HEAD";
    const status = { fwd, detail: "only-if-cached" };
    return refuse("only-if-cached", "Nothing that may be used is stored.", { isHead, status });
  }

  /** What the origin was asked for, or that it failed and why it was asked (RFC 9211, 2.2). */
  async #forwarded(
    call: DoorCall,
    fwd: Forwarded,
    answer: Promise<DoorAnswer>,
  ): Promise<DoorAnswer> {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof OriginError)) throw error;
      this.#parts.metrics.answered(call.site.name, "error");
      const isHead = call.request.method === "HEAD";
      const status = { fwd, detail: error.code };
      return refuse(error.code, error.message, { isHead, status });
    }
  }

  /** What is stored; a look-up that fails is a miss to the client. */
  async #find({ site, key }: DoorCall): Promise<Found | null> {
    try {
      return await this.#store.read(site.name, key);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#parts.metrics.storeFailed();
      return null;
    }
  }

  /** One refresh in the background, if none is under way. */
  #refresh(ask: Ask): void {
    const id = flightId(ask.call);
    const { leaseMs } = ask.call.site.settings;
    if (!this.#flights.beginsRefresh(id, this.#parts.host.now(), leaseMs)) return;
    const { host, metrics } = this.#parts;
    const { site } = ask.call;
    const refresh = { site: site.name, url: urlOfCall(ask.call), since: host.now() };
    const over = metrics.refreshes(refresh);
    const landing = this.#launch(id, this.#wantOf(ask, true));
    // A stale answer was given already: the next request is told of any failure.
    const done = landing.then(
      async (came) => {
        release(came);
        if (isLastWord(came)) await this.#supersede(ask.call, came);
        return isFailure(came);
      },
      () => true,
    );
    const ended = done
      .catch(() => true)
      .then((isFailed) => {
        over();
        this.#flights.endRefresh(id, { now: host.now(), isFailed });
      });
    host.background(ended);
  }

  /**
   * A newer answer that may not be stored ends the one that it would have replaced. Otherwise that
   * would be given for as long as it may be stale, though the origin says each time that it is
   * outdated.
   */
  async #supersede({ site, key }: DoorCall, { askedAt }: Own): Promise<void> {
    try {
      await this.#store.purge(site, key, { isSoft: true, at: askedAt });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#parts.metrics.storeFailed();
    }
  }

  #wantOf({ call, found, variant }: Ask, mayStore: boolean): Want {
    const usable = canValidate(variant) ? variant : null;
    const fields = mayStore ? withoutConditions(call.head.fields) : call.head.fields;
    return { call, found, variant: usable ?? variant, mayStore, fields, method: "GET" };
  }

  /** Without a lease; but what may be stored gets the age that it would have had with one. */
  async #alone(want: Want): Promise<Landing> {
    const { call, mayStore } = want;
    const leasedAt = mayStore ? await this.#store.timeFor(call.site, call.key) : null;
    return this.#fetcher.fetch({ ...want, leasedAt }, () => undefined);
  }

  /**
   * One fetch for all requests that come to this frontend meanwhile, and by a lease for all others.
   */
  #launch(id: string, want: Want): Promise<Landing> {
    return this.#flights.launch(id, async (over) => {
      const right = await this.#leases.acquire(want.call);
      if (right.kind === "found") {
        over();
        return right;
      }
      if (right.kind === "alone") {
        if (right.isUnshared) this.#flights.noteUnshared(id, this.#parts.host.now());
        return this.#fetcher.fetch({ ...want, leasedAt: right.at }, over);
      }
      const { host } = this.#parts;
      const askedAt = host.now();
      let isUnshared = false;
      const end = (why?: "failed" | "own"): void => {
        over();
        const isSlow = host.now() - askedAt > QUICK_FAILURE_MS_MAX;
        right.end(isUnshared || why === "own" || (why === "failed" && isSlow));
      };
      const landing = await this.#fetcher.fetch({ ...want, leasedAt: right.at }, end);
      if (isOwn(landing)) {
        isUnshared = true;
        // Nobody must wait for the end of a body that is not for them.
        right.end(true);
        this.#flights.noteUnshared(id, host.now());
      }
      return landing;
    });
  }

  async #get(ask: Ask): Promise<DoorAnswer> {
    const { call, variant } = ask;
    const { fields } = call.head;
    // A range of something that is not here is the origin's to answer.
    const isPartial = askedRange(call.head) !== null && !canValidate(variant);
    const asked = askedBy(fields);
    const id = flightId(call);
    const isAlone = isPartial || asked.has("no-store") || !call.site.settings.collapse;
    if (isAlone || this.#flights.isUnshared(id, this.#parts.host.now())) {
      const mayStore = !isPartial && !asked.has("no-store");
      return this.#landed(ask, await this.#alone(this.#wantOf(ask, mayStore)));
    }
    // A client that asks for a validation gets one that began after its request.
    if (asked.has("no-cache")) return this.#landed(ask, await this.#alone(this.#wantOf(ask, true)));
    const flight = this.#flights.get(id);
    if (flight !== undefined) {
      const shared = this.#answers.shared(ask, await flight);
      if (shared !== null) return shared;
      return this.#landed(ask, await this.#alone(this.#wantOf(ask, true)));
    }
    return this.#landed(ask, await this.#launch(id, this.#wantOf(ask, true)));
  }

  /** What a client had validated though it was fresh is so no more, where the 304 ends that. */
  #landed(ask: Ask, landing: Landing): DoorAnswer {
    const isEnd =
      ask.why === "request" && landing.kind === "validated" && landing.detail !== "set-cookie";
    if (isEnd && isLastWord(landing)) {
      this.#parts.host.background(this.#supersede(ask.call, landing));
    }
    return this.#answers.landed(ask, landing);
  }

  /** To the origin and back, nothing looked up; what an unsafe method made invalid goes first. */
  async #passOn(call: DoorCall, why: Forwarded): Promise<DoorAnswer> {
    const { method } = call.request;
    const { metrics } = this.#parts;
    const want: Want = {
      ...{ call, found: null, variant: null, method, fields: call.head.fields },
      // RFC 9111, 4: a POST's answer may be that of a GET; `judge` says when.
      mayStore: method === "POST",
    };
    const landing = await this.#alone(want);
    if (landing.kind !== "fresh") throw new Error("a request that is passed on has no variant");
    metrics.answered(call.site.name, "bypass");
    const { status, fields } = landing.head;
    if (!SAFE.has(method) && status >= 200 && status < 400) {
      const isStored = landing.variant !== null;
      await this.#invalidator.invalidate(call, fields, isStored ? landing.askedAt - 1 : null);
    }
    return this.#answers.passedOn(call, landing, {
      fwd: why,
      fwdStatus: status,
      ...(landing.variant === null ? {} : { stored: true }),
    });
  }
}

/** An offer of HTTP/2 over the same connection is declined by a plain answer (RFC 9113, 3.1). */
const isUpgrade = (fields: Fields): boolean =>
  tokensOf(fieldOf(fields, "upgrade")).some((protocol) => protocol !== "h2c");

/** A flight is for one key, and for one value of the field that most responses vary by. */
const flightId = ({ site, key, head }: DoorCall): string =>
  `${site.name}\n${normalised(head.fields, "accept-encoding") ?? ""}\n${key}`;
