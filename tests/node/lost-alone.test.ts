/** What one replica alone had, and finds damaged when it starts. */
import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import { StoreCorruption } from "../../core/store.ts";
import { Group, writeOf } from "./group.ts";

const KEY = storeKey("demo", "k");

/** r2 has a write that nobody else got, and its record is damaged when it starts again. */
function restarted({ isReadable = false, n = 3 } = {}): Group {
  const group = new Group({ count: 3, demo: { n }, heartbeatMs: 100 });
  group.pass(1000);
  group.loses = ({ body }) => body.kind === "store" || body.kind === "recall";
  const options = { w: 1, dw: 0 } as const;
  const write = { ...writeOf("k", 10), options } as ReturnType<typeof writeOf>;
  const [owner = ""] = group
    .node("r1")
    .knowledge.ring.primariesOf(group.node("r1").knowledge.ring.partitionOf(KEY), n);
  expect(group.execute(owner, write).kind).toBe("written");
  // Whatever is kept for the others would bring it back.
  group.damage(owner, [KEY]);
  const store = group.storeOf(owner);
  const { crash } = store;
  store.crash = () => {
    const left = crash.call(store);
    for (const target of left.hintTargets(KEY)) left.dropHint(target, KEY);
    if (isReadable) return left;
    const { readEntry } = left;
    left.readEntry = (key) => {
      if (key === KEY && left.digestOf(key) !== 0) throw new StoreCorruption("a bad checksum");
      return readEntry.call(left, key);
    };
    return left;
  };
  group.loses = () => false;
  group.start(owner);
  for (let i = 0; i < 30; i++) group.pass(500);
  return group;
}

const readAll = (group: Group) =>
  group.execute("r1", { kind: "get", key: KEY, options: { consistency: "all" }, session: null });

describe("a damaged record that no other owner has, once all of them were compared with", () => {
  it("is forgotten where it cannot be read, and all owners agree that there is nothing", () => {
    const group = restarted();
    const result = readAll(group);
    expect(result.kind).toBe("got");
    for (const id of group.ids) {
      const keeper = group.node(id).service?.keeper;
      expect([id, keeper?.digest(KEY), keeper?.lostCount]).toEqual([id, 0, 0]);
    }
  });

  it("counts where an older one can be read: nobody has a later one", () => {
    const group = restarted({ isReadable: true });
    expect(readAll(group).kind).toBe("got");
    expect(group.ids.map((id) => group.node(id).service?.keeper.lostCount)).toEqual([0, 0, 0]);
  });

  it("stays unknown to its sole owner", () => {
    const group = restarted({ n: 1 });
    expect(readAll(group)).toMatchObject({ kind: "failed" });
  });
});
