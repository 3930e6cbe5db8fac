/**
 * Cache doors, beside all that the clients do: visitors look a site's keys up at any frontend,
 * which fetches what is missing by a lease, refreshes what is stale behind an answer, and stores
 * it; and an editor purges URLs, or all of the site. The decisions are the door's own code; the
 * asking and waiting is not, and is synchronous here.
 *
 * Each answer of the origin says for which key and device it was made, and the simulator knows when
 * it was asked for. So two promises can be judged: nobody gets another one's variant, and what was
 * asked for before a purge is not served unchanged to anybody in the end.
 */
import type { LeaseOperation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import type { Result } from "../../core/results.ts";
import { checkSite, type SiteSettings, siteNamespace } from "../../core/site.ts";
import { millisOfHlc, type WallMillis } from "../../core/time.ts";
import type { Fields, RequestHead } from "../../src/cache/fields.ts";
import { lookUp } from "../../src/cache/look-up.ts";
import { emptyStored, type Variant, withPurge, withVariant } from "../../src/cache/stored.ts";
import { judge as judgeResponse, storedFields, tagsOf } from "../../src/cache/storing.ts";
import { selectionOf } from "../../src/cache/vary.ts";
import {
  asMinted,
  type Found,
  foundIn,
  foundNothing,
  recordOf,
  responseKey,
} from "../../src/door/kept.ts";
import type { Judge } from "./judge.ts";
import type { Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import type { World } from "./world.ts";

/** Of a run; null in those without any. */
export interface PlannedDoors {
  readonly keyCount: number;
  readonly visitorCount: number;
  readonly leaseMs: number;
  readonly prng: readonly [number, number, number, number];
}

/** What the origin was asked for, once. */
interface Fetch {
  readonly key: string;
  readonly device: string;
  /** In virtual time. */
  readonly askedAt: number;
}

interface SitePurge {
  /** null: all of the site. */
  readonly key: string | null;
  readonly begunAt: number;
}

interface Visit {
  readonly machine: Machine;
  readonly key: string;
  readonly device: string;
}

const SITE = "sim";
const DEVICES = ["phone", "tv", "watch"] as const;
const REST_MS = 200;
/** Between two looks of a visitor that waits for another's fetch, in ms, and the most looks. */
const LOOK_AGAIN_MS = 50;
const LOOKS_MAX = 40;
/** The longest that the origin takes. */
const ORIGIN_MS_MAX = 1500;
const PURGE_REST_MS = 2500;
/** Attempts at reading a key when no faults are left. */
const READS_MAX = 20;
/** Half of the keys are refreshed behind stale answers. */
const FRESH: Fields = [["Cache-Control", "max-age=600"]];
const SOON_STALE: Fields = [["Cache-Control", "max-age=1, stale-while-revalidate=600"]];

const siteSettings = (): SiteSettings => checkSite({ origin: "http://origin.test" });

const headOf = ({ device }: Pick<Visit, "device">): RequestHead => ({
  method: "GET",
  fields: [["X-Device", device]],
});

export class Doors {
  readonly #plan: Plan;
  readonly #planned: PlannedDoors;
  readonly #world: World;
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #site = siteSettings();
  readonly #fetches: Fetch[] = [];
  readonly #purges: SitePurge[] = [];
  #holderCount = 0;

  constructor(plan: Plan, planned: PlannedDoors, on: { world: World; judge: Judge }) {
    this.#plan = plan;
    this.#planned = planned;
    this.#world = on.world;
    this.#judge = on.judge;
    this.#prng = new Prng(planned.prng);
  }

  get #keys(): readonly string[] {
    return Array.from({ length: this.#planned.keyCount }, (_, i) => `http://sim.test/${i}`);
  }

  get #isOver(): boolean {
    return this.#world.events.now >= this.#plan.stormMs;
  }

  #machine(): Machine {
    const { machines } = this.#world;
    return machines[this.#prng.below(machines.length)] as Machine;
  }

  start(): void {
    for (let i = 0; i < this.#planned.visitorCount; i++) this.#visit();
    this.#edit();
  }

  #visit(): void {
    if (this.#isOver) return;
    const key = this.#keys[this.#prng.below(this.#keys.length)] as string;
    const device = DEVICES[this.#prng.below(DEVICES.length)] as string;
    const visit: Visit = { machine: this.#machine(), key, device };
    const next = (): void => {
      this.#world.events.after(this.#prng.below(REST_MS), () => this.#visit());
    };
    this.#look(visit, (found) => {
      const verdict = this.#verdict(visit, found);
      if (verdict.kind === "serve") {
        if (verdict.refresh) this.#acquire(visit, () => {});
        return next();
      }
      this.#acquire(visit, next);
    });
  }

  #look(
    { machine, key }: Visit,
    done: (found: Found | null) => void,
    options: QuorumOptions = { r: 1 },
  ): void {
    const name = responseKey(SITE, key);
    const operation = { kind: "get", key: name, options, session: null } as const;
    this.#world.submit(machine, operation, (result) => done(this.#foundIn(machine, key, result)));
  }

  #foundIn(machine: Machine, key: string, result: Result | null): Found | null {
    if (result?.kind !== "got" || machine.node === null) return null;
    const { purges } = machine.node.knowledge;
    return foundIn(result.entry, { site: SITE, key }, { purges, now: machine.clock });
  }

  /** What the door does; a stored response that is served is held against what it was made for. */
  #verdict(visit: Visit, found: Found | null): ReturnType<typeof lookUp> {
    const stored = found?.stored ?? emptyStored(visit.key);
    const verdict = lookUp(stored, headOf(visit), visit.machine.clock);
    if (verdict.kind !== "serve") return verdict;
    const { key, device } = this.#fetchOf(verdict.variant);
    if (key !== visit.key || device !== visit.device) {
      const detail = `${visit.key} for a ${visit.device} is what was made for a ${device} (${key})`;
      this.#judge.accuse("variant", detail);
    }
    return verdict;
  }

  #fetchOf({ body }: Variant): Fetch {
    return this.#fetches[Number(body.version)] as Fetch;
  }

  /** Asks for the right to fetch until it is given, another one has fetched, or nobody answers. */
  #acquire(visit: Visit, done: () => void): void {
    let looks = 0;
    const holder = `d${++this.#holderCount}`;
    const ask = (): void => {
      if (looks++ > LOOKS_MAX || this.#isOver) return done();
      this.#lease(visit, { act: "ask", holder }, (result) => {
        const state = result?.kind === "leased" ? result.state : null;
        if (state === "granted") return this.#fetch(visit, { result, holder }, done);
        this.#look(visit, (found) => {
          if (this.#verdict(visit, found).kind === "serve") return done();
          if (state !== "wait") return this.#fetch(visit, { result, holder }, done);
          this.#world.events.after(LOOK_AGAIN_MS, ask);
        });
      });
    };
    ask();
  }

  #lease(
    { machine, key }: Visit,
    how: Pick<LeaseOperation, "act" | "holder">,
    done: (result: Result | null) => void,
  ): void {
    const { leaseMs } = this.#planned;
    const name = responseKey(SITE, key);
    const { n } = this.#plan.ring;
    this.#world.submit(machine, { kind: "lease", key: name, n, leaseMs, ...how }, done);
  }

  #fetch(
    visit: Visit,
    { result, holder }: { readonly result: Result | null; readonly holder: string },
    done: () => void,
  ): void {
    const { machine, key, device } = visit;
    const { events } = this.#world;
    const version = this.#fetches.length;
    this.#fetches.push({ key, device, askedAt: events.now });
    const requestedAt = machine.clock;
    const life = machine.life;
    events.after(1 + this.#prng.below(ORIGIN_MS_MAX), () => {
      // The machine that fetched has died with what it had.
      if (machine.life !== life || machine.node === null) return done();
      const times = { requestedAt, respondedAt: machine.clock };
      const fetched = this.#response(visit, version, times);
      const ownersTime = result?.kind === "leased" ? millisOfHlc(result.time) : null;
      this.#store(visit, asMinted(fetched, ownersTime), () => {
        this.#lease(visit, { act: "release", holder }, () => {});
        done();
      });
    });
  }

  #response(
    visit: Visit,
    version: number,
    times: { readonly requestedAt: WallMillis; readonly respondedAt: WallMillis },
  ): Variant {
    const isFresh = this.#keys.indexOf(visit.key) % 2 === 0;
    const fields: Fields = [...(isFresh ? FRESH : SOON_STALE), ["Vary", "X-Device"]];
    const request = headOf(visit);
    const response = { status: 200, fields };
    const exchange = { request, response, site: this.#site, ...times, isOwnLocation: false };
    const { said, freshness } = judgeResponse(exchange);
    return {
      ...{ status: 200, fields: storedFields(fields, said), freshness, ...times },
      selection: selectionOf(fields, request.fields),
      tags: tagsOf(fields),
      body: { length: 1, bytes: new Uint8Array(1), version: String(version), pieceBytes: 1 },
    };
  }

  #store(visit: Visit, variant: Variant, done: () => void): void {
    const { machine, key } = visit;
    this.#look(visit, (found) => {
      const { node, clock: now } = machine;
      if (found === null || node === null) return done();
      if (!node.knowledge.purges.knowsSince(variant.requestedAt)) return done();
      const record = recordOf(SITE, withVariant(found.stored, variant), { now });
      if (record === null) return done();
      const rest = { options: { w: 1, dw: 0 }, context: found.context, precondition: null };
      this.#world.trace.add(`stored ${key} ${variant.body.version}`);
      this.#world.submit(machine, { kind: "write", ...record, ...rest }, done);
    });
  }

  /** Now and then purges a URL at all its owners, or all of the site. */
  #edit(): void {
    if (this.#isOver) return;
    const { events } = this.#world;
    const key = this.#keys[this.#prng.below(this.#keys.length)] as string;
    const of = { machine: this.#machine(), key, device: "" };
    if (this.#prng.chance(1, 3)) this.#purgeSite(of);
    else this.#purgeUrl(of);
    events.after(this.#prng.below(PURGE_REST_MS), () => this.#edit());
  }

  #purged(purge: SitePurge): void {
    this.#world.trace.add(`purged ${purge.key ?? "the site"} as of ${purge.begunAt}`);
    this.#purges.push(purge);
  }

  #purgeSite({ machine }: Visit): void {
    const begunAt = this.#world.events.now;
    const namespace = siteNamespace(SITE);
    const operation = { kind: "purge", namespace, what: { everything: true } } as const;
    this.#world.submit(machine, operation, (result) => {
      if (result?.kind === "purged") this.#purged({ key: null, begunAt });
    });
  }

  #purgeUrl(of: Visit): void {
    const { machine, key } = of;
    const begunAt = this.#world.events.now;
    this.#lease(of, { act: "release", holder: "" }, (time) => {
      if (time?.kind !== "leased") return;
      const purgedAt = Math.max(machine.clock, millisOfHlc(time.time));
      this.#look(
        of,
        (found) => {
          const { stored, context } = found ?? foundNothing(key);
          const purged = withPurge(stored, false, purgedAt);
          const record = recordOf(SITE, purged, { now: machine.clock });
          if (record === null) return;
          // On all disks: the purge is judged, and not what a power failure takes with it.
          const options = { w: "all", dw: "all" } as const;
          const rest = { options, context, precondition: null };
          this.#world.submit(machine, { kind: "write", ...record, ...rest }, (result) => {
            if (result?.kind === "written") this.#purged({ key, begunAt });
          });
        },
        { r: "quorum" },
      );
    });
  }

  /** To be called when all faults have ended, and every replica is there. */
  check(step: () => void): void {
    const machine = this.#world.members[0] as Machine;
    for (const key of this.#keys) {
      const found = this.#foundIn(machine, key, this.#read(machine, key, step));
      for (const device of DEVICES) {
        const verdict = this.#verdict({ machine, key, device }, found);
        if (verdict.kind === "serve") this.#checkPurged(this.#fetchOf(verdict.variant));
      }
    }
  }

  /** Two owners whose disks were lost may have been all that knew of a purge. */
  #checkPurged({ key, device, askedAt }: Fetch): void {
    if (this.#judge.lostDiskCount > 1) return;
    const { skewMsMax, skewMsMin } = this.#world;
    const spreadMs = skewMsMax - skewMsMin + 1;
    const by = this.#purges.find(
      (purge) => (purge.key ?? key) === key && askedAt + spreadMs < purge.begunAt,
    );
    if (by === undefined) return;
    const what = `${key} for a ${device}, asked for at ${askedAt}`;
    this.#judge.accuse("cache-purge", `${what}, is served after the purge of ${by.begunAt}`);
  }

  #read(machine: Machine, key: string, step: () => void): Result | null {
    const name = responseKey(SITE, key);
    const options = { consistency: "all" } as const;
    const results: (Result | null)[] = [];
    for (let i = 0; i < READS_MAX && results.at(-1)?.kind !== "got"; i++) {
      const operation = { kind: "get", key: name, options, session: null } as const;
      this.#world.submit(machine, operation, (result) => results.push(result));
      step();
    }
    return results.at(-1) ?? null;
  }

  /** Deletes all that is stored: where all keys are to be gone from every disk. */
  clear(step: () => void): void {
    const machine = this.#world.members[0] as Machine;
    for (const key of this.#keys) {
      const read = this.#read(machine, key, step);
      if (read?.kind !== "got") continue;
      const { context } = read.entry;
      const rest = { options: {}, content: null, ttlMs: 0, precondition: null };
      const name = responseKey(SITE, key);
      this.#world.submit(machine, { kind: "write", key: name, context, ...rest }, () => {});
      step();
    }
  }
}
