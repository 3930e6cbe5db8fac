import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { decodeEntry } from "../../core/entry-codec.ts";
import type { Keeper } from "../../replica/keeper.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { KEY, mintRequest, START } from "../laws/replica.ts";
import { held, learn, newKeeper, nextOp, put, RottenStore } from "./keeping.ts";

const ENDS = START + 1000;
const bodyBytes = (keeper: Keeper): number => keeper.store.readEntry(KEY)?.length ?? 0;
const large = { content: mintRequest("x".repeat(5000)).content };

/** A value with an end that has replaced another. */
function keeperWithCover(): Keeper {
  const keeper = newKeeper();
  put(keeper);
  put(keeper, { ...large, ttlMs: 1000 });
  return keeper;
}

describe("a value whose time has passed", () => {
  it("gives up its body, and keeps its version and its digest", () => {
    const keeper = keeperWithCover();
    const digest = keeper.digest(KEY);
    expect(keeper.sweep(KEY, null, ENDS - 1)).toBe(false);
    expect(bodyBytes(keeper)).toBeGreaterThan(5000);
    expect(keeper.sweep(KEY, null, ENDS)).toBe(true);
    expect(bodyBytes(keeper)).toBeLessThan(300);
    expect(keeper.digest(KEY)).toBe(digest);
    expect(keeper.store.summary(KEY)).toMatchObject({ digest, holdsValue: false });
    expect(keeper.sweep(KEY, null, ENDS)).toBe(false);
  });

  it("gives up its body beside a value that lives on", () => {
    const keeper = newKeeper();
    const covers = CausalContext.empty;
    put(keeper, { covers, ...large, ttlMs: 1000 });
    put(keeper, { covers });
    expect(keeper.store.due(ENDS, 1)).toEqual([KEY]);
    expect(keeper.sweep(KEY, null, ENDS)).toBe(true);
    expect(bodyBytes(keeper)).toBeLessThan(500);
    expect(held(keeper).siblings).toHaveLength(2);
    expect(keeper.store.due(Number.MAX_SAFE_INTEGER, 1)).toEqual([]);
  });

  it("is not stored with its body by a replica that hears of it later", () => {
    const late = newKeeper();
    learn(late, held(keeperWithCover()), null, ENDS);
    expect(bodyBytes(late)).toBeLessThan(300);
    const hinted = newKeeper();
    learn(hinted, held(keeperWithCover()), "r9", ENDS);
    expect(hinted.store.readHint("r9", KEY)?.length).toBeLessThan(300);
  });

  it("is kept, where a later record was damaged, until nobody can have that", () => {
    const store = new MemoryStore({ ...new MemoryStore().recovery, lostKeys: [KEY] });
    const keeper = newKeeper(store);
    put(keeper, { ttlMs: 1000 });
    expect(keeper.release(KEY, ENDS)).toBe(false);
    keeper.compared();
    expect(keeper.release(KEY, ENDS - 1)).toBe(false);
    expect(keeper.release(KEY, ENDS)).toBe(true);
    expect([keeper.digest(KEY), keeper.lostCount]).toEqual([0, 0]);
  });

  it("is forgotten by this replica alone when nothing was replaced by it", () => {
    const keeper = newKeeper();
    put(keeper, { ttlMs: 1000 });
    const copy = held(keeper);
    expect(keeper.release(KEY, ENDS - 1)).toBe(false);
    expect(keeper.release(KEY, ENDS)).toBe(true);
    expect(keeper.digest(KEY)).toBe(0);
    // Nobody brings it back, be it as an owner's or as a hint.
    for (const hintFor of [null, "r9"]) learn(keeper, copy, hintFor, ENDS);
    expect([keeper.digest(KEY), keeper.store.hintCounts().size]).toEqual([0, 0]);
    learn(keeper, copy, null, ENDS - 1);
    expect(keeper.digest(KEY)).not.toBe(0);
  });

  it("stays while it covers something", () => {
    const keeper = keeperWithCover();
    expect(keeper.release(KEY, ENDS)).toBe(false);
    keeper.sweep(KEY, null, ENDS);
    expect(keeper.release(KEY, ENDS + 1_000_000)).toBe(false);
    const late = newKeeper();
    learn(late, held(keeper), null, ENDS + 1_000_000);
    expect(late.digest(KEY)).toBe(keeper.digest(KEY));
  });

  it("is forgotten, or gives up its body, in a hint too", () => {
    const keeper = newKeeper();
    put(keeper, { ttlMs: 1000, hintFor: "r9" });
    expect(keeper.sweep(KEY, "r9", ENDS - 1)).toBe(false);
    expect(keeper.sweep(KEY, "r9", ENDS)).toBe(true);
    expect(keeper.store.readHint("r9", KEY)).toBeUndefined();
    const covering = newKeeper();
    learn(covering, held(keeperWithCover()), "r9");
    expect(covering.sweep(KEY, "r9", ENDS)).toBe(true);
    const bytes = covering.store.readHint("r9", KEY) ?? new Uint8Array(0);
    expect(decodeEntry(bytes).entry.siblings).toMatchObject([{ content: null }]);
  });
});

describe("a keeper that is asked whether a key may go", () => {
  it("objects while by its own clock there is a value to serve", () => {
    const keeper = keeperWithCover();
    const digest = keeper.digest(KEY) ?? 0;
    expect(keeper.agreesOn(KEY, digest, ENDS - 1)).toBe(false);
    expect(keeper.collect(KEY, digest, ENDS - 1)).toBe(false);
    expect(keeper.agreesOn(KEY, digest, ENDS)).toBe(true);
    keeper.sweep(KEY, null, ENDS);
    expect(keeper.collect(KEY, digest, ENDS)).toBe(true);
  });

  it("objects for good to the end of a value that has none", () => {
    const keeper = newKeeper();
    put(keeper);
    expect(keeper.agreesOn(KEY, keeper.digest(KEY) ?? 0, Number.MAX_SAFE_INTEGER)).toBe(false);
  });
});

describe("a body that was given up by a clock ahead", () => {
  it("is taken for lost, and comes back from whoever has it", () => {
    const whole = keeperWithCover();
    const early = newKeeper();
    learn(early, held(whole));
    early.sweep(KEY, null, ENDS);
    early.mistrust(KEY, ENDS);
    expect(early.digest(KEY)).toBe(whole.digest(KEY));
    early.mistrust(KEY, ENDS - 1);
    expect(early.digest(KEY)).toBe(null);
    learn(early, held(whole), null, ENDS - 1);
    expect(early.digest(KEY)).toBe(whole.digest(KEY));
    expect(held(early).siblings[0]?.content).not.toBe(null);
  });

  it("is not found again with an entry that says nothing of it", () => {
    const whole = keeperWithCover();
    const early = newKeeper();
    learn(early, held(whole));
    early.sweep(KEY, null, ENDS);
    early.mistrust(KEY, ENDS - 1);
    const elsewhere = newKeeper();
    put(elsewhere, {}, ENDS - 1);
    learn(early, held(elsewhere), null, ENDS - 1);
    expect(early.digest(KEY)).toBe(null);
    learn(early, held(whole), null, ENDS - 1);
    expect(early.digest(KEY)).not.toBe(null);
  });
});

describe("a body that every owner gave up by a clock ahead", () => {
  const shownOf = (keeper: Keeper): readonly (readonly [string, number])[] =>
    Array.from({ length: 16 }, (_, partition) => [...keeper.shownIn(partition)]).flat();

  /** Mistrusted a while before it ends. */
  function early(): Keeper {
    const keeper = newKeeper();
    put(keeper, { covers: CausalContext.empty, ...large, ttlMs: 1000 });
    put(keeper, { covers: CausalContext.empty });
    keeper.sweep(KEY, null, ENDS);
    keeper.mistrust(KEY, ENDS - 600);
    return keeper;
  }

  it("is lost no longer than it had to live", () => {
    const keeper = early();
    keeper.advance({ monotonic: 1000, wall: ENDS - 1 });
    expect([keeper.digest(KEY), keeper.lostCount]).toEqual([null, 1]);
    expect(shownOf(keeper)).toEqual([[KEY, 0]]);
    keeper.advance({ monotonic: 2000, wall: ENDS });
    expect(held(keeper).siblings).toHaveLength(2);
    expect([keeper.hold(KEY).isUnknown, keeper.lostCount]).toEqual([false, 0]);
    expect(shownOf(keeper)).toEqual([[KEY, keeper.digest(KEY)]]);
  });

  it("stays lost where its record cannot be read either", () => {
    const store = new RottenStore();
    const keeper = newKeeper(store);
    put(keeper, { ...large, ttlMs: 1000 });
    keeper.sweep(KEY, null, ENDS);
    keeper.mistrust(KEY, ENDS - 600);
    store.isRotten = true;
    keeper.advance({ monotonic: 1000, wall: ENDS });
    expect([keeper.hold(KEY).isUnknown, keeper.lostCount]).toEqual([true, 1]);
  });

  it("is not found again where it was lost in another way since", () => {
    const store = new RottenStore();
    const keeper = newKeeper(store);
    put(keeper, { ...large, ttlMs: 1000 });
    const whole = held(keeper);
    keeper.sweep(KEY, null, ENDS);
    keeper.mistrust(KEY, ENDS - 600);
    learn(keeper, whole, null, ENDS - 600);
    expect(keeper.lostCount).toBe(0);
    store.isRotten = true;
    expect(keeper.hold(KEY).isUnknown).toBe(true);
    store.isRotten = false;
    keeper.advance({ monotonic: 1000, wall: ENDS });
    expect(keeper.lostCount).toBe(1);
  });
});

describe("an eviction", () => {
  it("leaves what is gone at once, not a delete's long grace", () => {
    const keeper = newKeeper();
    put(keeper);
    keeper.evict(KEY, keeper.digest(KEY) ?? 0, START + 5);
    expect(held(keeper).siblings).toMatchObject([{ content: null, expiresAt: 1 }]);
    const deleted = newKeeper();
    put(deleted, { op: nextOp(), content: null });
    expect(held(deleted).siblings).toMatchObject([{ content: null, expiresAt: 0 }]);
  });
});
