import { describe, expect, it } from "vitest";
import { overtake } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { StoreKey } from "../../core/store.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { Group } from "./group.ts";

describe("an exchange", () => {
  it("brings an owner its own copy, though it holds the same as a hint for another", () => {
    const group = new Group({ count: 3 });
    const key = storeKey("demo", "k");
    const own = (id: string, of: StoreKey) => group.members.get(id)?.store.summary(of)?.digest;
    // What is on its way to r1 is lost, and later it is asked to keep the entry for r2.
    group.loses = (_, to) => to === "r1";
    expect(group.put("r3", "k", 10).kind).toBe("written");
    group.loses = () => false;
    const { entry } = group.node("r3").service?.keeper.hold(key) ?? {};
    if (entry === undefined) throw new Error("r3 holds it");
    group.node("r1").service?.keeper.absorb(key, entry, "r2", group.now);
    expect(own("r1", key)).toBeUndefined();
    // One with each peer; r1 asks in each of them.
    group.run("r1", "exchange");
    group.run("r1", "exchange");
    // The hint goes home and is forgotten; the copy has to be its own by then.
    expect(own("r1", key)).toBe(own("r3", key));
  });

  it("settles what a release before has stored, which knew of nothing overtaken", () => {
    const group = new Group({ count: 3 });
    const key = storeKey("demo", "k");
    const storeOf = (id: string) => group.members.get(id)?.store;
    group.put("r1", "k", 5);
    const version = { dot: { actor: "AAAAAAAA", counter: 1 }, time: hlcFromMillis(group.now) };
    const entry = overtake(group.read("r1", "k", 3), [version]);
    for (const id of group.ids) {
      group.node(id).service?.keeper.absorb(key, entry, null, group.now);
    }
    const { partition = 0, dueAt = 0, digest = 0 } = storeOf("r3")?.summary(key) ?? {};
    const bytes = storeOf("r3")?.readEntry(key) ?? new Uint8Array(0);
    storeOf("r3")?.writeEntry(key, { bytes, partition, dueAt, digest: digest - 1 });
    storeOf("r3")?.flush();
    group.stop("r3");
    group.start("r3");
    for (let i = 0; i < 2; i++) group.runAll("exchange");
    expect(group.ids.map((id) => group.digests(id).get(key))).toEqual([digest, digest, digest]);
  });
});
