/** One replica of a random history: a real keeper over a store that can crash, and its model. */
import { expect } from "vitest";
import { type Entry, emptyEntry } from "../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import type { Prng } from "../../core/prng.ts";
import type { Store, StoreKey } from "../../core/store.ts";
import { Keeper } from "../../replica/keeper.ts";
import type { KeeperParts } from "../../replica/keeper-parts.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import type { Minted, MintRequest } from "../../replica/minting.ts";
import { plainContent } from "../support/content.ts";
import type { Known } from "./model.ts";

export const KEY: StoreKey = "demo\0k";
export const START = 1_785_369_600_000;
export const hash = new KeyedHash(new Uint8Array(16).fill(7));
const nothing: Known = new Set();

export function keeperOver(
  store: Store,
  prng: Prng,
  more: Partial<Pick<KeeperParts, "onChange" | "purges">> = {},
): Keeper {
  return new Keeper({
    store,
    hash,
    prng,
    placeOf: () => ({ partition: 0, n: 3, leaf: 0 }),
    partitionCount: () => 1,
    onChange: () => {},
    ...more,
  });
}

export const mintRequest = (op: string, changes: Partial<MintRequest> = {}): MintRequest => ({
  key: KEY,
  op,
  content: plainContent(op),
  ttlMs: 0,
  covers: null,
  isRetry: false,
  hintFor: null,
  ...changes,
});

/** The same entry as a peer would receive it: nothing is shared but what crosses the network. */
export const sent = (entry: Entry): Entry => decodeEntry(encodeEntry(entry, null)).entry;

/** What is known in each of a replica's places: its own record, and its hints by their target. */
type Slots = ReadonlyMap<string | null, Known>;

export class Replica {
  readonly id: string;
  readonly #prng: Prng;
  store: MemoryStore;
  keeper: Keeper;
  slots: Slots = new Map();
  /** The model as of each number of writes to the store, so that a crash can go back to one. */
  #past: Slots[];

  constructor(id: string, prng: Prng) {
    this.id = id;
    this.#prng = prng;
    this.store = new MemoryStore();
    this.keeper = keeperOver(this.store, prng);
    this.#past = [];
    this.#note();
  }

  get known(): Known {
    return [...this.slots.values()].reduce((all, slot) => all.union(slot), nothing);
  }

  get entry(): Entry {
    return this.keeper.hold(KEY).entry;
  }

  hintTargets(): readonly string[] {
    return [...this.slots.keys()].filter((target) => target !== null);
  }

  write(request: MintRequest, covered: Known, now: number): Minted {
    const { hintFor, op } = request;
    const known = this.known.union(covered).union(new Set([op]));
    const minted = this.keeper.mint(request, now);
    this.keeper.keepMinted(KEY, hintFor, minted);
    this.#learn(hintFor, known);
    return minted;
  }

  /** @param isSpent whether a place that holds nothing ignores it */
  absorb(
    entry: Entry,
    known: Known,
    at: { readonly hintFor: string | null; readonly now: number; readonly isSpent: boolean },
  ): void {
    this.keeper.take(KEY, encodeEntry(entry, null), at.hintFor, at.now);
    const isNothing = at.isSpent && (this.slots.get(at.hintFor)?.size ?? 0) === 0;
    if (known.size > 0 && !isNothing) this.#learn(at.hintFor, known);
    else this.#note();
  }

  /** The hint as its owner would get it. */
  hint(target: string): { readonly entry: Entry; readonly known: Known } {
    const bytes = this.store.readHint(target, KEY);
    const entry = bytes === undefined ? emptyEntry : decodeEntry(bytes).entry;
    return { entry, known: this.slots.get(target) ?? nothing };
  }

  dropHint(target: string): void {
    this.store.dropHint(target, KEY);
    this.slots = new Map([...this.slots].filter(([at]) => at !== target));
    this.#note();
  }

  /** Forgets whatever it may forget by its clock alone. */
  release(now: number, isSpent: (known: Known) => boolean): void {
    for (const [hintFor, known] of this.slots) {
      const isForgotten =
        hintFor === null ? this.keeper.release(KEY, now) : this.#forgetsHint(hintFor, now);
      expect(isForgotten).toBe(isSpent(known));
      if (isForgotten) this.slots = new Map([...this.slots].filter(([at]) => at !== hintFor));
      // A hint that stays may have given up bodies: that is a write, and nothing less is known.
      this.#note();
    }
  }

  #forgetsHint(target: string, now: number): boolean {
    this.keeper.sweep(KEY, target, now);
    return this.store.readHint(target, KEY) === undefined;
  }

  flush(): void {
    this.store.flush();
  }

  /** Dies and starts again with what was durable, and perhaps some of what was not. */
  crash(survivors: number): void {
    const pending = this.store.writtenCount - this.store.durableCount;
    const kept = survivors % (pending + 1);
    const slots = this.#past[this.store.durableCount + kept] ?? new Map();
    this.#restart(this.store.crash(kept), slots);
  }

  /** Starts again on an empty disk. */
  wipe(): void {
    this.#restart(new MemoryStore(), new Map());
  }

  #restart(store: MemoryStore, slots: Slots): void {
    this.store = store;
    this.slots = slots;
    this.#past = [];
    this.#note();
    this.keeper = keeperOver(store, this.#prng);
    this.#note();
  }

  #learn(at: string | null, known: Known): void {
    const slot = this.slots.get(at) ?? nothing;
    this.slots = new Map([...this.slots, [at, slot.union(known)]]);
    this.#note();
  }

  #note(): void {
    // A write that only repeats what was known stores nothing; the model then is the same as well.
    for (let i = this.#past.length; i < this.store.writtenCount; i++) this.#past.push(this.slots);
    this.#past[this.store.writtenCount] = this.slots;
  }
}
