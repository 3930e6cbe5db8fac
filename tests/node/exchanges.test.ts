import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import type { StoreKey } from "../../core/store.ts";
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
    // One with each peer, of which r1 is the one that asks.
    group.run("r1", "exchange");
    group.run("r1", "exchange");
    // The hint goes home and is forgotten; the copy has to be its own by then.
    expect(own("r1", key)).toBe(own("r3", key));
  });
});
