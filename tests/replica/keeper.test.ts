import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { contextShowing, digestOf, emptyEntry, liveSiblings } from "../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import { wholeOf } from "../../core/pieces.ts";
import { noPurges, PurgeIndex, purgeName, withPurge } from "../../core/purges.ts";
import { CLOCK_SKEW_MS_MAX, hlcFromMillis } from "../../core/time.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import type { Minted } from "../../replica/minting.ts";
import { hash, KEY, keeperOver, mintRequest, START } from "../laws/replica.ts";
import { plainContent } from "../support/content.ts";
import {
  dotOf,
  FlakyStore,
  held,
  learn,
  newKeeper,
  ops,
  prng,
  put,
  RottenStore,
  shown,
} from "./keeping.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { flush, flushTorn, openStore, settle, stop } from "./log-run.ts";

describe("a keeper's tenure of a key", () => {
  it("goes on with the next counter while the replica lives, and over a clean stop", () => {
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    const first = put(keeper);
    const second = put(keeper);
    expect(second.sibling.dot).toEqual({ actor: first.sibling.dot.actor, counter: 2 });
    store.flush();
    const third = put(newKeeper(store.crash()));
    expect(third.sibling.dot).toEqual({ actor: first.sibling.dot.actor, counter: 3 });
  });

  it("stays at home: the other owners get the entry alone", () => {
    const { entry, bytes, sharedBytes } = put(newKeeper());
    expect(decodeEntry(sharedBytes)).toEqual({ entry, tenure: null });
    expect(wholeOf(sharedBytes)).toEqual(encodeEntry(entry, null));
    expect(decodeEntry(bytes).tenure?.minted.all()).toHaveLength(1);
  });

  it("ends with an unclean stop: what was minted and lost is never named again", () => {
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    const kept = put(keeper);
    store.flush();
    const lost = put(keeper);
    const again = newKeeper(store.crash());
    expect(again.incarnation).toBe(keeper.incarnation + 1);
    const fresh = put(again);
    expect(fresh.sibling.dot.actor).not.toBe(kept.sibling.dot.actor);
    expect(fresh.entry.context.covers(lost.sibling.dot)).toBe(false);
    // The lost write had been sent out: it comes back from a peer and lives beside the new one.
    learn(again, lost.entry);
    expect(ops(again).toSorted()).toEqual([lost.sibling.op, fresh.sibling.op].toSorted());
  });

  it("is not gone on with before this run is known to the disk: a crash would look like a stop", () => {
    const disk = new MemoryDisk();
    const first = openStore(disk);
    const kept = put(newKeeper(first));
    stop(first, disk);
    const second = openStore(disk);
    const lost = put(newKeeper(second));
    const third = openStore(disk.crash("drop"));
    expect(third.recovery.clean).toBe(true);
    const again = put(newKeeper(third));
    expect(new Set([kept, lost, again].map(dotOf)).size).toBe(3);
    flush(second, disk);
    expect([third.hasBegun, second.hasBegun]).toEqual([false, true]);
  });

  it("ends with an unclean stop whose own number was torn out of the log", () => {
    const disk = new MemoryDisk();
    const first = openStore(disk);
    put(newKeeper(first));
    flush(first, disk);
    const second = openStore(disk, { seed: 2 });
    const keeper = newKeeper(second);
    const kept = put(keeper);
    second.writeMeta("note", new Uint8Array(9));
    flushTorn(second, disk, "incarnation");
    const third = openStore(disk, { seed: 3 });
    const again = newKeeper(third);
    expect(ops(again)).toEqual([kept.sibling.op]);
    expect(again.incarnation).not.toBe(keeper.incarnation);
    third.writeMeta("note", new Uint8Array(9));
    flush(third, disk);
    expect(put(again).sibling.dot.actor).not.toBe(kept.sibling.dot.actor);
  });

  it("ends with the record: collected, or never there on an empty disk", () => {
    const keeper = newKeeper();
    const { sibling } = put(keeper, { content: null });
    expect(keeper.collect(KEY, keeper.digest(KEY) ?? 0, START)).toBe(true);
    expect(put(keeper).sibling.dot.actor).not.toBe(sibling.dot.actor);
    expect(put(newKeeper()).sibling.dot.actor).not.toBe(sibling.dot.actor);
  });

  it("ends with a record that rots; the new write does not claim what was forgotten", () => {
    const store = new RottenStore();
    const keeper = newKeeper(store);
    const first = put(keeper);
    store.isRotten = true;
    const second = keeper.mint(mintRequest("after"), START);
    expect(second.sibling.dot.actor).not.toBe(first.sibling.dot.actor);
    expect(second.entry.context.covers(first.sibling.dot)).toBe(false);
  });

  it("ends when a peer knows of mintings that the replica has forgotten: a restored backup", () => {
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    put(keeper);
    store.flush();
    const backup = store.crash();
    const later = [put(keeper), put(keeper)];
    const restored = newKeeper(backup);
    expect(restored.incarnation).toBe(keeper.incarnation);
    // The peer has heard of the first only: the second may be anywhere.
    learn(restored, (later[0] as Minted).entry);
    const fresh = put(restored);
    expect(later.map(dotOf)).not.toContain(dotOf(fresh));
    expect(fresh.sibling.dot.actor).not.toBe((later[0] as Minted).sibling.dot.actor);
  });

  it("ends likewise when it is a client's context that knows more", () => {
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    put(keeper);
    store.flush();
    const backup = store.crash();
    const later = put(keeper);
    const fresh = put(newKeeper(backup), { covers: later.entry.context });
    expect(fresh.sibling.dot.actor).not.toBe(later.sibling.dot.actor);
  });

  it("is its own for each hint: a hint that went home takes its actor along", () => {
    const keeper = newKeeper();
    const own = put(keeper);
    const hint = put(keeper, { hintFor: "r9" });
    expect(hint.sibling.dot.actor).not.toBe(own.sibling.dot.actor);
    keeper.store.dropHint("r9", KEY);
    const next = put(keeper, { hintFor: "r9" });
    expect(next.sibling.dot.actor).not.toBe(hint.sibling.dot.actor);
  });

  it("never names two versions alike when a hint can be read once and not the next time", () => {
    const store = new FlakyStore();
    const keeper = newKeeper(store);
    const first = put(keeper, { hintFor: "r9" });
    store.isFlaky = true;
    const next = put(keeper, { hintFor: "r9", covers: CausalContext.empty });
    expect(dotOf(next)).not.toBe(dotOf(first));
  });

  it("joins nothing into a hint that cannot be read just now, for that would be over it", () => {
    const store = new FlakyStore();
    const keeper = newKeeper(store);
    const other = newKeeper();
    const [first, second] = [put(other).entry, put(other).entry];
    learn(keeper, first, "r9");
    store.isFlaky = true;
    // Every second time; now and then it can be.
    expect(store.readHint("r9", KEY)).toBeDefined();
    expect(keeper.join(KEY, second, "r9", START)).toBeNull();
    store.isFlaky = false;
    expect(ops(keeper)).toEqual(first.siblings.map(({ op }) => op));
    expect(keeper.join(KEY, second, "r9", START)).not.toBeNull();
  });

  it("numbers hints on while they last, whatever the owner's record says", () => {
    const keeper = newKeeper();
    const first = put(keeper, { hintFor: "r9" });
    const second = put(keeper, { hintFor: "r9" });
    expect(second.sibling.dot).toEqual({ actor: first.sibling.dot.actor, counter: 2 });
  });
});

describe("an operation that was minted twice", () => {
  it("is overwritten under all its names, once it is under one of them", () => {
    const [a, b] = [newKeeper(), newKeeper()];
    const covers = CausalContext.empty;
    const first = put(a, { op: "twice", covers });
    const second = put(b, { op: "twice", covers, isRetry: true });
    put(b, { op: "over", covers: shown(second.entry, "twice") });
    learn(a, held(b));
    expect(ops(a)).toEqual(["over"]);
    learn(b, first.entry);
    learn(b, held(a));
    expect(ops(b)).toEqual(["over"]);
  });

  it("the other way round: a client overwrote the first name, and only the minter can tell", () => {
    const [a, b] = [newKeeper(), newKeeper()];
    const covers = CausalContext.empty;
    const first = put(a, { op: "twice", covers });
    put(b, { op: "twice", covers, isRetry: true });
    put(a, { op: "over", covers: shown(first.entry, "twice") });
    learn(b, held(a));
    learn(a, held(b));
    learn(b, held(a));
    expect([ops(a), ops(b)]).toEqual([["over"], ["over"]]);
  });

  it("counts as one version for a reader, whose context names both", () => {
    const [a, b] = [newKeeper(), newKeeper()];
    const covers = CausalContext.empty;
    const first = put(a, { op: "twice", covers });
    const second = put(b, { op: "twice", covers, isRetry: true });
    learn(a, held(b));
    const live = liveSiblings(held(a), START);
    expect(live).toHaveLength(1);
    const context = contextShowing(held(a), live, START);
    expect([first, second].every(({ sibling }) => context.covers(sibling.dot))).toBe(true);
  });

  it("is not lost when it carried no context and the retry replaced the first attempt", () => {
    const [a, b] = [newKeeper(), newKeeper()];
    const first = put(a, { op: "plain" });
    learn(b, first.entry);
    put(b, { op: "plain", isRetry: true });
    learn(a, held(b));
    learn(b, held(a));
    expect([ops(a), ops(b)]).toEqual([["plain"], ["plain"]]);
  });

  it("nor takes along what it replaced, when somebody overwrote the first attempt before", () => {
    const [a, b] = [newKeeper(), newKeeper()];
    const first = put(a, { op: "plain" });
    put(a, { op: "other", covers: shown(first.entry, "plain") });
    learn(b, held(a));
    put(b, { op: "plain", isRetry: true });
    learn(a, held(b));
    learn(b, held(a));
    expect([ops(a), ops(b)]).toEqual([["plain"], ["plain"]]);
  });
});

describe("what a keeper says that it holds", () => {
  it("is nothing, and costs no record, when a peer had nothing to tell", () => {
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    const before = store.writtenCount;
    learn(keeper, emptyEntry);
    learn(keeper, emptyEntry, "r9");
    expect(keeper.hold(KEY)).toMatchObject({ digest: 0, bytes: null, isUnknown: false });
    expect(store.writtenCount).toBe(before);
  });

  it("is its own record joined with its hints, which stay apart", () => {
    const keeper = newKeeper();
    put(keeper, { op: "mine" });
    learn(keeper, put(newKeeper(), { op: "theirs" }).entry, "r9");
    expect(ops(keeper).toSorted()).toEqual(["mine", "theirs"]);
    const own = decodeEntry(keeper.own(KEY).bytes as Uint8Array).entry;
    expect(own.siblings.map(({ op }) => op)).toEqual(["mine"]);
    const digest = keeper.digest(KEY);
    expect(digest).toBe(keeper.hold(KEY).digest);
    keeper.store.dropHint("r9", KEY);
    expect(keeper.digest(KEY)).not.toBe(digest);
  });

  it("has the digest of what is shown: stored, joined with a hint, or without what was purged", () => {
    let purges = new PurgeIndex(noPurges);
    const keeper = keeperOver(new MemoryStore(), prng.fork(), { purges: () => purges });
    const digests = (): readonly number[] => {
      const { entry, digest } = keeper.hold(KEY);
      return [digest, digestOf(entry, hash)];
    };
    const { sibling } = put(keeper);
    const [first, expected] = digests();
    expect(first).toBe(expected);
    put(keeper, { hintFor: "r2", covers: CausalContext.empty });
    const [joined, expectedJoined] = digests();
    expect(joined).toBe(expectedJoined);
    expect(joined).not.toBe(first);
    const epoch = purgeName("demo", "everything", "");
    purges = new PurgeIndex(withPurge(noPurges, [epoch], sibling.time));
    keeper.store.dropHint("r2", KEY);
    expect(held(keeper).siblings[0]?.content).toBeNull();
    const [purged, expectedPurged] = digests();
    expect(purged).toBe(expectedPurged);
  });

  it("is stored as it may be sent: the bytes of the record, when there is no hint", () => {
    const keeper = newKeeper();
    const { bytes } = put(keeper);
    expect(keeper.hold(KEY).bytes).toBe(bytes);
  });

  it("is stored once: knowledge that comes again writes nothing", () => {
    const store = new MemoryStore();
    const keeper = newKeeper(store);
    const { entry } = put(newKeeper());
    learn(keeper, entry);
    const before = store.writtenCount;
    learn(keeper, entry);
    expect(store.writtenCount).toBe(before);
  });

  /** A record was written, and cannot be read since; its copy is elsewhere. */
  function rotten() {
    const store = new RottenStore();
    const keeper = newKeeper(store);
    put(keeper, { op: "rotten" });
    const copy = held(keeper);
    store.isRotten = true;
    expect(keeper.hold(KEY).isUnknown).toBe(true);
    return { store, keeper, copy };
  }

  it("is unknown, not nothing, while its record cannot be read", () => {
    const { store, keeper, copy } = rotten();
    expect(keeper.digest(KEY)).toBeNull();
    expect(keeper.agreesOn(KEY, 5, START)).toBe(false);
    store.isRotten = false;
    learn(keeper, copy);
    // One that brings it may have missed what was lost.
    expect(keeper.hold(KEY).isUnknown).toBe(true);
    keeper.losses.settle(KEY);
    expect(keeper.hold(KEY)).toMatchObject({ isUnknown: false });
    expect(keeper.digest(KEY)).toBe(keeper.hold(KEY).digest);
  });

  it("is known again by what is brought, once enough were asked that had nothing", () => {
    const { store, keeper, copy } = rotten();
    keeper.losses.settle(KEY);
    expect([keeper.hold(KEY).isUnknown, keeper.losses.unsureCount]).toEqual([true, 0]);
    store.isRotten = false;
    learn(keeper, copy);
    expect(keeper.hold(KEY).isUnknown).toBe(false);
  });

  it("is nothing again once it was forgotten: there is nothing left to be unsure of", () => {
    const store = new RottenStore();
    const keeper = newKeeper(store);
    put(keeper, { op: "rotten" });
    store.isRotten = true;
    expect(keeper.hold(KEY).isUnknown).toBe(true);
    expect(keeper.forget({ partition: 0, n: 3 }, 10)).toBe(1);
    store.isRotten = false;
    expect(keeper.hold(KEY)).toMatchObject({ isUnknown: false, digest: 0 });
    expect([keeper.digest(KEY), keeper.agreesOn(KEY, 5, START)]).toEqual([0, true]);
  });

  it("is unknown while its newest record is lost, and then the older one joined with a peer's", () => {
    const [disk, peer] = [new MemoryDisk(), newKeeper()];
    let store = openStore(disk);
    const keeper = newKeeper(store);
    learn(peer, put(keeper, { op: "old" }).entry);
    put(keeper, { op: "acknowledged" });
    flush(store, disk);
    put(keeper, { op: "torn", content: plainContent("TORN") });
    store.writeMeta("note", new Uint8Array(9));
    flushTorn(store, disk, "TORN");
    store = openStore(disk, { seed: 2 });
    const after = newKeeper(store);
    expect([after.hold(KEY).isUnknown, after.digest(KEY)]).toEqual([true, null]);
    learn(after, held(peer));
    expect([after.hold(KEY).isUnknown, ops(after)]).toEqual([false, ["acknowledged"]]);
    settle(store, disk);
    stop(store, disk);
    expect(openStore(disk, { seed: 3 }).recovery).toMatchObject({ clean: true, lostKeys: [] });
  });

  it("stays unknown after a write of its own, and after a peer that had nothing either", () => {
    const store = new MemoryStore({ ...new MemoryStore().recovery, lostKeys: [KEY] });
    const keeper = newKeeper(store);
    learn(keeper, emptyEntry);
    expect([keeper.hold(KEY).isUnknown, keeper.digest(KEY)]).toEqual([true, null]);
    put(keeper, { op: "new" });
    expect([keeper.hold(KEY).isUnknown, keeper.digest(KEY)]).toEqual([true, null]);
    expect(ops(keeper)).toEqual(["new"]);
    // A peer that knows no more than this is a peer that was asked.
    learn(keeper, held(keeper));
    expect([keeper.hold(KEY).isUnknown, keeper.digest(KEY) === null]).toEqual([false, false]);
  });
});

describe("a keeper's clock", () => {
  it("puts a write after what it has seen, but does not follow a clock that runs far ahead", () => {
    const ahead = put(newKeeper(), {}, START + 60_000);
    const keeper = newKeeper();
    learn(keeper, ahead.entry);
    expect(put(keeper).sibling.time).toBeGreaterThan(ahead.sibling.time);
    const wild = put(newKeeper(), {}, START + 2 * CLOCK_SKEW_MS_MAX);
    learn(keeper, wild.entry);
    expect(put(keeper).sibling.time).toBeLessThan(hlcFromMillis(START + CLOCK_SKEW_MS_MAX));
    expect(keeper.clock.refusedCount).toBe(1);
  });

  it("gives a deadline by its own time, and none to a tombstone", () => {
    expect(put(newKeeper(), { ttlMs: 500 }).sibling.expiresAt).toBe(START + 500);
    expect(put(newKeeper(), { ttlMs: 500, content: null }).sibling.expiresAt).toBe(0);
  });
});
