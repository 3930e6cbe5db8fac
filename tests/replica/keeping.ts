/** What the tests of the keeper share: some of what a replica does with one key. */
import { expect } from "vitest";
import type { CausalContext } from "../../core/causal-context.ts";
import { contextShowing, type Entry } from "../../core/entry.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import { Prng } from "../../core/prng.ts";
import { type Store, StoreCorruption } from "../../core/store.ts";
import type { Keeper } from "../../replica/keeper.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import type { Minted, MintRequest } from "../../replica/minting.ts";
import { KEY, keeperOver, mintRequest, START } from "../laws/replica.ts";

export const prng = Prng.fromSeed(11);
export const newKeeper = (store: Store = new MemoryStore()): Keeper =>
  keeperOver(store, prng.fork());

let opCount = 0;
export const nextOp = (): string => `op${++opCount}`;
export function put(keeper: Keeper, changes: Partial<MintRequest> = {}, now = START): Minted {
  const minted = keeper.mint(mintRequest(changes.op ?? nextOp(), changes), now);
  keeper.keepMinted(KEY, changes.hintFor ?? null, minted);
  return minted;
}

export const learn = (
  keeper: Keeper,
  entry: Entry,
  hintFor: string | null = null,
  now = START,
): void => void keeper.take(KEY, encodeEntry(entry, null), hintFor, now);
export const held = (keeper: Keeper): Entry => keeper.hold(KEY).entry;
export const ops = (keeper: Keeper): readonly string[] => held(keeper).siblings.map(({ op }) => op);
export const dotOf = ({ sibling }: Minted): string => `${sibling.dot.actor}.${sibling.dot.counter}`;

/** What a client that was shown these operations of the entry would send back. */
export function shown(entry: Entry, ...names: string[]): CausalContext {
  const siblings = entry.siblings.filter(({ op }) => names.includes(op));
  expect(siblings).toHaveLength(names.length);
  return contextShowing(entry, siblings, START);
}

/** Its disk gives a hint once, and fails when it is read again. */
export class FlakyStore extends MemoryStore {
  isFlaky = false;
  #readCount = 0;

  override readHint(target: string, key: string): Uint8Array | undefined {
    if (this.isFlaky && ++this.#readCount % 2 === 0) throw new StoreCorruption("EIO");
    return super.readHint(target, key);
  }
}

export class RottenStore extends MemoryStore {
  isRotten = false;

  override readEntry(key: string): Uint8Array | undefined {
    if (this.isRotten && key === KEY) throw new StoreCorruption("a bad checksum");
    return super.readEntry(key);
  }
}
