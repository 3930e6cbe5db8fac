/**
 * One run of the simulator. First a storm: clients work while faults strike. Then all faults end,
 * and within a budget every hint must be home and every primary of every key must agree. What is
 * left is compared with the model; in some runs all keys are then deleted, and must be gone.
 */
import {
  type Content,
  contextShowing,
  type Entry,
  emptyEntry,
  liveSiblings,
  type Sibling,
} from "../../core/entry.ts";
import type { Operation } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { StoreCorruption } from "../../core/store.ts";
import type { Ring } from "../../ring/ring.ts";
import { openChange } from "../../ring/ring-change.ts";
import { countedKeys } from "../../src/node/serving/reports.ts";
import { Annihilation } from "./annihilation.ts";
import { Bounds } from "./bounds.ts";
import { Client, type Counts, idOf, outcomeOf } from "./client.ts";
import { Doors } from "./doors.ts";
import { type Failure, Judge, name } from "./judge.ts";
import { Lessees } from "./lessees.ts";
import type { Machine } from "./machine.ts";
import { Mintings } from "./mintings.ts";
import { NO_NOISE, type Plan } from "./plan.ts";
import { planOf } from "./planning.ts";
import { Stream } from "./stream.ts";
import { LONG_MS_MAX, strike } from "./strikes.ts";
import { Subscriber } from "./subscriber.ts";
import { World } from "./world.ts";

export interface SimReport {
  readonly seed: number;
  readonly operationCount: number;
  readonly acknowledgedCount: number;
  readonly simulatedMs: number;
  readonly evictionCount: number;
  /** How often the feed's subscriber changed sources without a resync, and how often with one. */
  readonly switchCount: number;
  readonly resyncCount: number;
  readonly faults: Readonly<Record<string, number>>;
  /** 1 and one more for each change of members that was carried out. */
  readonly ringVersion: number;
  readonly failures: readonly Failure[];
  readonly traceDigest: string;
}

const STEP_MS = 500;
/** After all faults have ended, until all replicas agree. */
const CALM_MS_MAX = 120_000;
/** Until clients read everything of a replica whose disk was damaged. */
const UNREAD_MS = 5000;
/** Until values are looked at again where some are evicted: tombstones are collected by then. */
const AGAIN_MS = 25_000;
/** The same until the last trace of a deleted key is gone. */
const CLEAR_MS_MAX = 120_000;
/** Attempts, some 500 ms apart, at reading a key when no faults are left. */
const READS_MAX = 20;

class Run {
  readonly #plan: Plan;
  readonly #world: World;
  readonly #judge: Judge;
  readonly #clients: readonly Client[];
  readonly #stream: Stream | null;
  readonly #lessees: Lessees | null;
  readonly #bounds: Bounds | null;
  readonly #doors: Doors | null;
  readonly #subscriber: Subscriber;
  readonly #counts: Counts = { operations: 0, acknowledged: 0, open: 0 };
  readonly #struck: Record<string, number> = {};

  constructor(plan: Plan, print: ((line: string) => void) | null) {
    this.#plan = plan;
    const accuse = (oracle: string, detail: string): void => this.#judge.accuse(oracle, detail);
    const onRing = ({ document }: Ring): void => {
      for (const id of document.change?.forced ?? []) this.#judge.diskIsLost(id);
    };
    this.#world = new World({ plan, print, accuse, onRing });
    this.#judge = new Judge(plan, this.#world, this.#world.trace.add);
    const wasRetried = ({ value }: Content): void => this.#judge.wasRetried(idOf(value));
    this.#world.network.onSecondCoordination = (content) => {
      if (content !== null) wasRetried(content);
    };
    // A node may coordinate what another did, too: it asks itself over no wire.
    const mintings = new Mintings(accuse, wasRetried);
    const annihilation = new Annihilation(accuse);
    const isPurged = ({ node }: Machine, key: string, sibling: Sibling): boolean =>
      node?.knowledge.purges.isPurged(key, sibling) === true;
    this.#world.network.onStore = (by, key, entry) =>
      mintings.observe(key, entry, (sibling) => isPurged(by, key, sibling));
    this.#world.network.onCoordinated = (by, key, sibling) => {
      if (!isPurged(by, key, sibling)) return;
      accuse("purge", `${name(key)}: ${by.id} says that a write is done that a purge has ended`);
    };
    this.#world.network.onEntry = (key, entry) => annihilation.observe(key, entry);
    this.#stream = plan.stream && new Stream(plan, plan.stream, this.#world);
    const seen = { world: this.#world, judge: this.#judge, counts: this.#counts };
    this.#bounds = plan.bounds && new Bounds(plan, plan.bounds, seen);
    this.#lessees = plan.lessees && new Lessees(plan, plan.lessees, this.#world);
    const on = { world: this.#world, judge: this.#judge };
    this.#doors = plan.doors && new Doors(plan, plan.doors, on);
    this.#subscriber = new Subscriber(plan, this.#world, this.#judge);
    const shared = { plan, world: this.#world, judge: this.#judge, counts: this.#counts };
    this.#clients = plan.clients.map((planned) => new Client({ ...shared, planned }));
  }

  run(): SimReport {
    const { events, trace, network } = this.#world;
    try {
      this.#storm();
      this.#calm();
      this.#catchUp();
      const live = this.#plan.keys.map(({ name: key }) => this.#checkKey(key));
      if (this.#plan.maxBytes !== null) this.#checkAgain(live);
      for (const machine of this.#world.machines) machine.checkReads();
      this.#stream?.check(this.#judge, () => this.#step());
      this.#lessees?.check(this.#judge, () => this.#step());
      this.#doors?.check(() => this.#step());
      if (this.#plan.isCleared && this.#judge.failures.length === 0) this.#clear();
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#judge.accuse("assertion", text);
    }
    return {
      seed: this.#plan.seed,
      operationCount: this.#counts.operations,
      acknowledgedCount: this.#counts.acknowledged,
      simulatedMs: Math.round(events.now),
      evictionCount: this.#world.machines.reduce(
        (sum, { evictionCount }) => sum + evictionCount,
        0,
      ),
      switchCount: this.#subscriber.switchCount,
      resyncCount: this.#subscriber.resyncCount,
      faults: { ...network.faults, ...this.#struck },
      ringVersion: this.#world.ring.document.version,
      failures: this.#judge.failures,
      traceDigest: trace.digest,
    };
  }

  #storm(): void {
    const { events } = this.#world;
    const on = { world: this.#world, judge: this.#judge, plan: this.#plan };
    for (const client of this.#clients) client.start();
    this.#stream?.start();
    this.#lessees?.start();
    this.#bounds?.start();
    this.#doors?.start();
    this.#subscriber.start();
    for (const fault of this.#plan.faults) {
      events.after(fault.atMs, () => {
        this.#struck[fault.kind] = (this.#struck[fault.kind] ?? 0) + 1;
        strike(on, fault);
      });
    }
    events.runUntil(this.#plan.stormMs);
  }

  /** All faults end. What must hold now does not depend on which ones there were. */
  #calm(): void {
    const world = this.#world;
    world.trace.add("all faults end");
    world.network.noise = NO_NOISE;
    world.answerWatches.clear();
    for (const client of this.#clients) client.isOver = true;
    // What still lasts ends by itself meanwhile.
    world.events.runUntil(world.events.now + LONG_MS_MAX);
    for (const machine of world.machines) this.#mend(machine);
    const until = world.events.now + CALM_MS_MAX;
    const readAt = world.events.now + UNREAD_MS;
    for (let agreed = 0; agreed < 2 && world.events.now < until; ) {
      const isUnread = world.events.now < readAt;
      this.#step();
      if (isUnread && world.events.now >= readAt) this.#readDamaged();
      agreed = this.#isSettled() ? agreed + 1 : 0;
    }
    this.#accuseUnsettled();
  }

  /** Exchanges come often now: their normal schedule is tested in the storm. */
  #step(): void {
    const { events, machines } = this.#world;
    for (const machine of machines) machine.input({ kind: "job", name: "exchange" });
    events.runUntil(events.now + STEP_MS);
  }

  /**
   * A reader of a value that has rotted at rest finds that out, and it is fetched again from the
   * others. Here everybody reads where something was damaged; no disk is scrubbed in a run.
   */
  #readDamaged(): void {
    const options = { consistency: "all" } as const;
    for (const machine of this.#world.machines.filter(({ isDamaged }) => isDamaged)) {
      for (const { name: key } of this.#plan.keys) {
        this.#await(machine, { kind: "get", key, options, session: null });
      }
    }
  }

  #mend(machine: Machine): void {
    machine.mend();
    if (machine.node !== null) return;
    this.#world.forsake(machine);
    machine.boot();
  }

  #isSettled(): boolean {
    if (this.#counts.open > 0) return false;
    if (this.#unfinishedChange() !== null) return false;
    const hasHints = ({ store }: Machine): boolean => store === null || store.hintCounts().size > 0;
    if (this.#world.members.some(hasHints)) return false;
    return this.#plan.keys.every(({ name: key }) => this.#disagreement(key) === null);
  }

  #primaries(key: string): readonly Machine[] {
    const { ring } = this.#world;
    const primaries = ring.primariesOf(ring.partitionOf(key), this.#world.n);
    return primaries.map((id) => this.#world.machine(id));
  }

  #unfinishedChange(): string | null {
    const { ring, members } = this.#world;
    const open = openChange(ring.document);
    if (open !== null) {
      return `version ${ring.document.version} is ${open.phase} for ${open.acks.length} acks`;
    }
    const behind = members.find(
      ({ node }) => node?.knowledge.stamp !== members[0]?.node?.knowledge.stamp,
    );
    if (behind !== undefined) return `${behind.id} has another ring`;
    const [change] = members[0]?.node?.knowledge.changes.values() ?? [];
    if (change === undefined) return this.#unfinishedWork();
    return `N was ${change.from} and is ${change.phase} for ${change.acks.length} acks`;
  }

  /** Work without which a replica may have something that no reader is told of; null for none. */
  #unfinishedWork(): string | null {
    for (const { id, node } of this.#world.members) {
      const { cleanUp, absence } = node?.service?.jobs ?? {};
      if (cleanUp?.isPending === true) return `${id} has copies to give up`;
      if (absence?.isBehind === true) return `${id} does not serve what it has`;
    }
    return null;
  }

  #disagreement(key: string): string | null {
    const primaries = this.#primaries(key);
    const digests = primaries.map(({ store }) => store?.summary(key)?.digest ?? 0);
    const isOne = digests.every((digest) => digest === digests[0]);
    if (!isOne) return primaries.map(({ id }, i) => `${id} ${digests[i]}`).join(", ");
    try {
      for (const { store } of primaries) store?.readEntry(key);
      return null;
    } catch (error) {
      if (!(error instanceof StoreCorruption)) throw error;
      return "a primary cannot read it";
    }
  }

  #accuseUnsettled(): void {
    const change = this.#unfinishedChange();
    if (change !== null) this.#judge.accuse("membership", change);
    for (const { id, store } of this.#world.members) {
      for (const [target, count] of store?.hintCounts() ?? []) {
        this.#judge.accuse("hints", `${id} still holds ${count} for ${target}`);
      }
    }
    for (const { name: key } of this.#plan.keys) {
      const why = this.#disagreement(key);
      if (why !== null) this.#judge.accuse("convergence", `${name(key)}: ${why}`);
    }
  }

  #await(machine: Machine, operation: Operation): Result | null {
    const { events } = this.#world;
    const results: (Result | null)[] = [];
    this.#world.submit(machine, operation, (result) => results.push(result));
    for (let i = 0; i < 40 && results.length === 0; i++) events.runUntil(events.now + 100);
    return results[0] ?? null;
  }

  #read(key: string): { readonly entry: Entry; readonly machine: Machine } | null {
    const machine = this.#world.machines[0] as Machine;
    // Nothing keeps members from becoming fewer than the owners that a namespace asks for.
    const hasAll = this.#world.members.length >= this.#world.n;
    const options = { consistency: hasAll ? "all" : "strict" } as const;
    let result: Result | null = null;
    // A replica that was away for long compares itself with everybody before it answers.
    for (let i = 0; i < READS_MAX; i++) {
      result = this.#await(machine, { kind: "get", key, options, session: null });
      if (result?.kind === "got") return { entry: result.entry, machine };
      this.#step();
    }
    this.#judge.accuse("availability", `reading ${name(key)}: ${outcomeOf(result)}`);
    return null;
  }

  #catchUp(look: "catchUp" | "askFormer" = "catchUp"): void {
    this.#subscriber[look](this.#world.machines[0] as Machine, () => this.#step());
  }

  /** The live values, as all replicas tell them. */
  #checkKey(key: string): readonly string[] {
    const read = this.#read(key);
    if (read === null) return [];
    const values = (entry: Entry): string[] =>
      liveSiblings(entry, read.machine.clock).map(({ content }) => idOf(content?.value));
    const live = values(read.entry);
    this.#world.trace.add(`at the end ${name(key)} is ${live.join(" | ") || "nothing"}`);
    this.#judge.final(key, live, this.#world.events.now);
    // A replica whose clock says that a value is over has given up its body, or all of it.
    const history = this.#judge.history(key);
    const world = this.#world;
    const isSurelyLive = (value: string): boolean => {
      const write = history.byValue(value);
      return write === undefined || !history.mayBeExpired(write, world.events.now, world);
    };
    const seen = (entry: Entry): string[] =>
      values(read.machine.node?.knowledge.purges.apply(key, entry) ?? entry).filter(isSurelyLive);
    let told = live;
    // More may have been evicted since it looked last, or lost by a source that has not been asked.
    for (const look of ["catchUp", "askFormer"] as const) {
      if (this.#subscriber.agrees(key, seen, told.filter(isSurelyLive))) break;
      this.#catchUp(look);
      told = values(this.#read(key)?.entry ?? emptyEntry);
    }
    this.#subscriber.check(key, seen, told.filter(isSurelyLive));
    let all = live;
    const isApart = (one: Machine): boolean =>
      values(one.held(key)).filter(isSurelyLive).join() !== all.filter(isSurelyLive).join();
    // An answer is noticed some time after it was given: a key may have been evicted in between.
    const mayBeEvicted = this.#plan.maxBytes !== null && this.#primaries(key).some(isApart);
    if (mayBeEvicted) all = values(this.#read(key)?.entry ?? emptyEntry);
    for (const one of this.#primaries(key).filter(isApart)) {
      const held = values(one.held(key));
      this.#judge.accuse("convergence", `${name(key)}: ${one.id} has [${held}], all say [${all}]`);
    }
    return live;
  }

  /** More may be evicted meanwhile, but nothing comes back. */
  #checkAgain(before: readonly (readonly string[])[]): void {
    const { events } = this.#world;
    const at = events.now;
    while (events.now < at + AGAIN_MS) this.#step();
    for (const [i, { name: key }] of this.#plan.keys.entries()) {
      const read = this.#read(key);
      if (read === null) return;
      const values = liveSiblings(read.entry, read.machine.clock).map((sibling) =>
        idOf(sibling.content?.value),
      );
      this.#judge.later(key, before[i] ?? [], { live: values, at });
    }
  }

  /** Everything is deleted; a while later no disk has anything left of it. */
  #clear(): void {
    const { events } = this.#world;
    for (const { name: key } of this.#plan.keys) {
      const read = this.#read(key);
      if (read === null) return;
      const live = liveSiblings(read.entry, read.machine.clock);
      const context = contextShowing(read.entry, live, read.machine.clock);
      const result = this.#await(read.machine, {
        kind: "write",
        key,
        options: {},
        content: null,
        ttlMs: 0,
        context,
        precondition: null,
      });
      if (result?.kind === "written") continue;
      this.#judge.accuse("availability", `deleting ${name(key)}: ${outcomeOf(result)}`);
    }
    this.#doors?.clear(() => this.#step());
    const left = (): string[] =>
      this.#world.members
        .map(({ id, store }) => [id, store === null ? 0 : countedKeys({ store })] as const)
        .filter(([, count]) => count > 0)
        .map(([id, count]) => `${id} holds ${count} keys`);
    const until = events.now + CLEAR_MS_MAX;
    while (left().length > 0 && events.now < until) this.#step();
    for (const line of left()) this.#judge.accuse("growth", `${line} after all were deleted`);
  }
}

/** @param print gets every line of the trace, for people */
export const simulatePlan = (
  plan: Plan,
  print: ((line: string) => void) | null = null,
): SimReport => new Run(plan, print).run();

/** @param seed 0 to 2^53 - 1 */
export const simulate = (seed: number): SimReport => simulatePlan(planOf(seed));
