import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { type Entry, liveSiblings } from "../../core/entry.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import { storeKey } from "../../core/keys.ts";
import { Group, writeOf } from "./group.ts";

const KEY = storeKey("demo", "k");

function merge(group: Group, entry: Entry, at = "r1") {
  const bytes = encodeEntry(entry, null);
  const options = { w: "quorum", dw: "quorum" } as const;
  return group.execute(at, { kind: "merge", key: KEY, options, entry: bytes });
}

const live = (entry: Entry): number => liveSiblings(entry, Number.MAX_SAFE_INTEGER).length;

describe("an entry that is brought", () => {
  it("comes to all owners, and twice is as good as once", () => {
    const [from, to] = [new Group({ count: 3 }), new Group({ count: 5 })];
    from.put("r1", "k", 10);
    from.execute("r2", writeOf("k", 20, CausalContext.empty));
    const entry = from.read("r1", "k", 3);
    expect(live(entry)).toBe(2);
    expect(merge(to, entry)).toEqual({ kind: "merged", wasKnown: false });
    expect(merge(to, entry, "r5")).toEqual({ kind: "merged", wasKnown: true });
    for (const id of to.ids) expect(to.read(id, "k", 1)).toEqual(entry);
    const held = to.ids.filter((id) => to.storeOf(id).summary(KEY) !== undefined);
    expect(held).toHaveLength(3);
  });

  it("neither brings back what was deleted since, nor covers what was written", () => {
    const group = new Group({ count: 3 });
    group.put("r1", "k", 10);
    const before = group.read("r1", "k", 3);
    group.remove("r2", "k");
    expect(merge(group, before)).toEqual({ kind: "merged", wasKnown: true });
    expect(group.has("r3", "k", 3)).toBe(false);
    group.put("r1", "k", 30);
    merge(group, before);
    const { siblings } = group.read("r2", "k", 3);
    expect(siblings.map(({ content }) => content?.value.length)).toEqual([30]);
  });

  it("is kept as a hint for an owner that is away, and goes home", () => {
    const group = new Group({ count: 5 });
    const other = new Group({ count: 3 });
    other.put("r1", "k", 10);
    const [away = ""] = group
      .node("r1")
      .knowledge.ring.preferenceList(group.node("r1").knowledge.ring.partitionOf(KEY));
    group.stop(away);
    const at = group.ids[0] as string;
    expect(merge(group, other.read("r1", "k"), at).kind).toBe("merged");
    group.start(away);
    group.runAll("handoff");
    expect(group.storeOf(away).summary(KEY)).toBeDefined();
  });

  it("is refused where too few replicas answer", () => {
    const group = new Group({ count: 3 });
    const other = new Group({ count: 3 });
    other.put("r1", "k", 10);
    group.stop("r2");
    group.stop("r3");
    const result = merge(group, other.read("r1", "k"));
    expect(result).toMatchObject({ kind: "failed", failure: { code: "quorum-unavailable" } });
  });

  it("does not begin where a record was lost: what is brought may be older", () => {
    const group = new Group({ count: 3 });
    group.put("r1", "k", 10);
    const old = group.read("r1", "k", 3);
    group.put("r1", "k", 20);
    group.rot("r1", new Set([KEY]));
    expect(merge(group, old, "r1").kind).toBe("merged");
    const { siblings } = group.read("r1", "k", 1);
    expect(siblings.map(({ content }) => content?.value.length)).toEqual([20]);
  });
});
