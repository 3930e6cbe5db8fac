import { describe, expect, it } from "vitest";
import type { Store } from "../../core/store.ts";
import type { Place } from "../../replica/keeper-parts.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { KEY, keeperOver, mintRequest, START } from "../laws/replica.ts";
import { held, learn, newKeeper, nextOp, prng, put, RottenStore } from "./keeping.ts";

describe("collection", () => {
  it("drops a key only if nothing was learnt of it and no hint of it is here", () => {
    const keeper = newKeeper();
    put(keeper, { content: null });
    const digest = keeper.digest(KEY) as number;
    expect(keeper.collect(KEY, digest + 1, START)).toBe(false);
    learn(keeper, held(keeper), "r9");
    expect(keeper.agreesOn(KEY, digest, START)).toBe(false);
    expect(keeper.collect(KEY, digest, START)).toBe(false);
    keeper.store.dropHint("r9", KEY);
    expect(keeper.agreesOn(KEY, digest, START)).toBe(true);
    expect(keeper.collect(KEY, digest, START)).toBe(true);
    expect(keeper.digest(KEY)).toBe(0);
    expect(keeper.agreesOn(KEY, digest, START)).toBe(true);
    expect(keeper.collect(KEY, digest, START)).toBe(false);
  });
});

describe("the keys of a namespace", () => {
  it("come in UTF-8 order, page by page, with what is added and dropped meanwhile", () => {
    const keeper = newKeeper();
    const add = (key: string): void => {
      const request = { ...mintRequest(nextOp(), { content: null }), key };
      keeper.keepMinted(key, null, keeper.mint(request, START));
    };
    for (const name of ["b", "😀", "\uff5e", "a", "ab"]) add(`demo\0${name}`);
    add("other\0a");
    const page = (prefix: string, after: string, count: number): readonly string[] =>
      keeper.keysAfter(`demo\0${prefix}`, `demo\0${after}`, count).map((key) => key.slice(5));
    expect(page("", "", 10)).toEqual(["a", "ab", "b", "\uff5e", "😀"]);
    expect(page("", "ab", 2)).toEqual(["b", "\uff5e"]);
    expect(page("a", "", 10)).toEqual(["a", "ab"]);
    add("demo\0aa");
    keeper.collect("demo\0ab", keeper.digest("demo\0ab") ?? 0, START);
    expect(page("a", "", 10)).toEqual(["a", "aa"]);
  });
});

/** A keeper, and the sum of the digests that it has told of. */
function summed(store: Store) {
  const changed = { sum: 0 };
  const tell = (_: Place, { from, to }: { from: number; to: number }): void => {
    changed.sum += to - from;
  };
  return { keeper: keeperOver(store, prng.fork(), { onChange: tell }), changed };
}

describe("changes of what is held", () => {
  it("are told with the digest before and after, for own records alone; trees rest on it", () => {
    const { keeper, changed } = summed(new MemoryStore());
    put(keeper);
    expect(changed.sum).toBe(keeper.digest(KEY));
    learn(keeper, put(newKeeper()).entry);
    expect(changed.sum).toBe(keeper.digest(KEY));
    learn(keeper, put(newKeeper()).entry, "r9");
    expect(changed.sum).not.toBe(keeper.digest(KEY));
    keeper.store.dropHint("r9", KEY);
    expect(changed.sum).toBe(keeper.digest(KEY));
    put(keeper, { content: null });
    keeper.collect(KEY, keeper.digest(KEY) as number, START);
    expect(changed.sum).toBe(0);
    put(keeper);
    const before = changed.sum;
    changed.sum = 0;
    keeper.recount();
    expect(changed.sum).toBe(before);
  });

  it("leave out what was lost until it is back, so that an exchange brings it", () => {
    const store = new RottenStore();
    const { keeper, changed } = summed(store);
    const leaves = new Set([0]);
    const tree = { partition: 0, n: 3 };
    put(keeper);
    const digest = keeper.digest(KEY);
    const copy = held(keeper);
    expect(keeper.keysIn(tree, leaves)).toEqual([[KEY, digest]]);
    store.isRotten = true;
    keeper.hold(KEY);
    expect([changed.sum, keeper.keysIn(tree, leaves)]).toEqual([0, []]);
    keeper.recount();
    put(keeper, { op: "blind" });
    expect(changed.sum).toBe(0);
    store.isRotten = false;
    learn(keeper, copy);
    expect(changed.sum).toBe(0);
    keeper.losses.settle(KEY);
    expect(changed.sum).toBe(keeper.digest(KEY));
    expect(keeper.keysIn(tree, leaves)).toEqual([[KEY, changed.sum]]);
  });

  it("forget what was lost of another's, unless it can be read after all", () => {
    for (const isRotten of [true, false]) {
      const store = new RottenStore();
      const keeper = newKeeper(store);
      put(keeper);
      store.isRotten = true;
      keeper.hold(KEY);
      store.isRotten = isRotten;
      expect(keeper.losses.settleLost(() => true)).toBe(false);
      expect(keeper.digest(KEY)).toBeNull();
      expect(keeper.losses.settleLost(() => false)).toBe(isRotten);
      expect(keeper.digest(KEY) === 0).toBe(isRotten);
      store.isRotten = false;
      expect(keeper.hold(KEY).isUnknown).toBe(false);
    }
  });
});
