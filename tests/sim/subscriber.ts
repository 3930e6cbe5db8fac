/**
 * A subscriber of the change feed, through any node that comes to mind. It obeys the marks. Now and
 * then it forgets what it has heard since an earlier token, like a program that was killed, or has
 * heard more than its token says, because its connection broke. In the end it must have exactly
 * what lives.
 */
import type { Dot } from "../../core/causal-context.ts";
import { type Entry, emptyEntry, hasDot } from "../../core/entry.ts";
import type { ChangesOperation, ChangesResult, FeedChange, FeedPosition } from "../../core/feed.ts";
import { Prng } from "../../core/prng.ts";
import type { Result } from "../../core/results.ts";
import type { StoreKey } from "../../core/store.ts";
import {
  type FeedName,
  positionToToken,
  tokenToPosition,
} from "../../src/frontend/feed/feed-token.ts";
import { Problem } from "../../src/frontend/http/problems.ts";
import { type Judge, name } from "./judge.ts";
import type { Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import { hash, NAMESPACE } from "./settings.ts";
import type { World } from "./world.ts";

const REST_MS = 150;
const LIMIT = 4;
const PATIENCE_MS = 6000;
const ALL: FeedName = { namespace: NAMESPACE, prefix: "" };
const OTHER: FeedName = { namespace: NAMESPACE, prefix: "k1" };
/** More than a source that was silent is left alone, in ms. */
const FORMER_MS_MAX = 12_000;
/** Looks until it has caught up, when no faults are left. */
const LOOKS_MAX = 400;

interface Had {
  readonly entry: Entry;
  readonly partition: number;
}

/** What it would find again after a crash: its keys and where it was, written down together. */
interface Saved {
  readonly from: FeedPosition | "beginning";
  readonly keys: ReadonlyMap<StoreKey, Had>;
}

export class Subscriber {
  readonly #world: World;
  readonly #judge: Judge;
  readonly #prng: Prng;
  readonly #stormMs: number;
  #keys = new Map<StoreKey, Had>();
  #from: FeedPosition | "beginning" = "beginning";
  #saved: Saved = { from: "beginning", keys: new Map() };
  /** What was told last of each key, by run. */
  readonly #told = new Map<string, Entry>();
  #count = 0;
  /**
   * How often another source went on where the feed was, and how often the feed began anew midway.
   */
  switchCount = 0;
  resyncCount = 0;

  constructor(plan: Plan, world: World, judge: Judge) {
    this.#world = world;
    this.#judge = judge;
    // Dice of its own, so that nobody else's are shifted.
    this.#prng = Prng.fromSeed((plan.seed ^ 0x5eed) >>> 0);
    this.#stormMs = plan.stormMs;
  }

  /** Looks, and looks again, until the storm is over. */
  start(): void {
    const { events, machines } = this.#world;
    if (events.now >= this.#stormMs) return;
    const machine = machines[this.#prng.below(machines.length)] as Machine;
    this.#look(machine, () => {
      if (this.#prng.chance(1, 30)) this.#crash();
      if (this.#prng.chance(1, 60)) this.#mistake(machine);
      events.after(this.#prng.below(REST_MS), () => this.start());
    });
  }

  #crash(): void {
    this.#from = this.#saved.from;
    this.#keys = new Map(this.#saved.keys);
  }

  #operation(): ChangesOperation {
    const rest = { values: true, byteCountMax: 1e6, feed: "sim" } as const;
    const holdMs = this.#prng.chance(1, 3) ? 1000 : 0;
    const [from, limit] = [this.#from, LIMIT];
    return { kind: "changes", ...ALL, from, limit, holdMs, ...rest };
  }

  /** A place as its token says it, to be read for all keys; null for one that is refused. */
  #throughToken(name: FeedName, position: FeedPosition): FeedPosition | null {
    const token = positionToToken(hash, name, position);
    const memberIds = this.#world.machines.map(({ id }) => id);
    try {
      return tokenToPosition(hash, ALL, { token, memberIds });
    } catch (error) {
      if (error instanceof Problem && error.code === "invalid-token") return null;
      throw error;
    }
  }

  /** Takes the token of another feed for its own, which is to be refused. */
  #mistake(machine: Machine): void {
    const other = { ...this.#operation(), ...OTHER, from: "now", holdMs: 0 } as const;
    this.#world.submit(machine, other, (result) => {
      if (result?.kind !== "changes") return;
      const place = this.#throughToken(OTHER, result.position);
      if (place !== null) this.#from = place;
    });
  }

  #look(machine: Machine, done: (isCaughtUp: boolean) => void): void {
    let isOpen = true;
    const once = (result: Result | null): void => {
      if (!isOpen) return;
      isOpen = false;
      const isTaken = result?.kind === "changes" && this.#take(result);
      done(isTaken && result.isCaughtUp);
    };
    this.#world.submit(machine, this.#operation(), once);
    if (isOpen) this.#world.events.after(PATIENCE_MS, () => once(null));
  }

  /** @returns whether it has all of it, with the token */
  #take({ changes, position }: ChangesResult): boolean {
    // Its connection may break before the token that comes last: it goes on with the one before.
    const isBroken = this.#from !== "beginning" && this.#prng.chance(1, 20);
    const gotten = isBroken ? changes.slice(0, this.#prng.below(changes.length + 1)) : changes;
    this.#obeyAll(gotten);
    if (isBroken) return false;
    const from = this.#throughToken(ALL, position);
    if (from === null) throw new Error("a token of its own is refused");
    this.#from = from;
    if (++this.#count % 5 === 0) this.#saved = { from, keys: new Map(this.#keys) };
    return true;
  }

  #obeyAll(changes: readonly FeedChange[]): void {
    for (const [i, change] of changes.entries()) {
      const isAnew = changes[i + 1]?.what === "resync";
      if (change.what === "switch" && !isAnew) this.switchCount++;
      if (change.what === "resync") this.resyncCount++;
      this.#obey(change);
    }
  }

  #obey(change: FeedChange): void {
    if (change.what === "resync") {
      for (const [key, { partition }] of this.#keys) {
        if (change.partitions.includes(partition)) this.#keys.delete(key);
      }
    }
    if (change.what !== "key") return;
    const { key, run, partition, entry: told } = change;
    const entry = told === null ? emptyEntry : told.decoded;
    this.#checkOrder(`${run} ${key}`, entry);
    if (told === null) this.#keys.delete(key);
    else this.#keys.set(key, { entry, partition });
  }

  /** Within a run nothing comes after what covers it. */
  #checkOrder(told: string, entry: Entry): void {
    const before = this.#told.get(told);
    this.#told.set(told, entry);
    if (before === undefined) return;
    const isBack = (dot: Dot): boolean =>
      before.context.covers(dot) && !hasDot(before.siblings, dot);
    const back = entry.siblings.find(({ dot }) => isBack(dot));
    if (back === undefined) return;
    const version = `${back.dot.actor}.${back.dot.counter}`;
    this.#judge.accuse("feed-order", `${told.split(" ")[0]}: ${version} after what covers it`);
  }

  /** To be called when all faults have ended, and all replicas agree. */
  catchUp(machine: Machine, step: () => void): void {
    let isCaughtUp = false;
    for (let i = 0; i < LOOKS_MAX && !isCaughtUp; i++) {
      let isOver = false;
      this.#look(machine, (isAtEnd) => {
        isOver = true;
        isCaughtUp = isAtEnd;
      });
      while (!isOver) this.#world.events.runUntil(this.#world.events.now + 20);
      if (!isCaughtUp && i % 10 === 9) step();
    }
    if (!isCaughtUp) this.#judge.accuse("feed", "it never catches up");
  }

  /**
   * Looks until every member that told something, and was away, has been asked whether it still has
   * that; one that was silent for long is asked again after ten seconds. What it told alone, and
   * lost, is taken back then. Nobody was promised that.
   */
  askFormer(machine: Machine, step: () => void): void {
    const { events } = this.#world;
    const until = events.now + FORMER_MS_MAX;
    const isWaiting = (): boolean =>
      this.#from !== "beginning" && this.#from.left.some(({ through }) => through === 0);
    while (isWaiting() && events.now < until) {
      step();
      this.catchUp(machine, step);
    }
  }

  /** @param values the live values of an entry @param live what all replicas say of the key */
  agrees(
    key: StoreKey,
    values: (entry: Entry) => readonly string[],
    live: readonly string[],
  ): boolean {
    const had = values(this.#keys.get(key)?.entry ?? emptyEntry);
    return [...had].sort().join() === [...live].sort().join();
  }

  /** The same as a check, which fails where it does not hold. */
  check(key: StoreKey, values: (entry: Entry) => readonly string[], live: readonly string[]): void {
    if (this.agrees(key, values, live)) return;
    const had = values(this.#keys.get(key)?.entry ?? emptyEntry);
    const detail = `${name(key)}: the subscriber has [${had}], all say [${live}]`;
    this.#judge.accuse("feed", detail);
  }
}
