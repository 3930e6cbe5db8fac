/** A replica that lost its disk says so until it knows what it may have acknowledged. */
import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import type { Operation } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { Group, writeOf } from "./group.ts";

const strict = { consistency: "strict" } as const;
const AWHILE_MS = 3000;

const writing = (name: string, byteCount: number | null, options = {}): Operation => ({
  ...(writeOf(name, byteCount) as Extract<Operation, { kind: "write" }>),
  options,
});
const reading = (name: string, options = {}): Operation => {
  return { kind: "get", key: storeKey("demo", name), options, session: null };
};

/** What a result says: the newest value's length, null for nothing, or an error's code. */
function told(result: Result): number | null | string {
  if (result.kind === "failed") return result.failure.code;
  if (result.kind === "written") return "written";
  if (result.kind !== "got") return result.kind;
  const live = result.entry.siblings.filter(({ content }) => content !== null);
  return live.at(-1)?.content?.value.length ?? null;
}

const startedOf = (count: number): Group => {
  const group = new Group({ count, heartbeatMs: 1000 });
  group.pass(1000);
  return group;
};
const reasonOf = (group: Group, id: string): string | null =>
  group.node(id).service?.jobs.absence?.reason ?? null;
const names = Array.from({ length: 20 }, (_, i) => `k${i}`);

describe("of three replicas one that was wiped, while one that has the writes is down", () => {
  /** r3 misses what r1 and r2 take strictly; then r2 loses its disk, and r1 is down. */
  function misled(): Group {
    const group = startedOf(3);
    for (const name of names) group.execute("r1", writing(name, 1, strict));
    group.stop("r3");
    for (const name of names)
      expect(told(group.execute("r1", writing(name, 2, strict)))).toBe("written");
    group.wipe("r2");
    group.stop("r1");
    group.start("r2");
    group.start("r3");
    group.pass(AWHILE_MS);
    return group;
  }

  it("leaves strict reads and writes refused: neither nothing nor the older value is shown", () => {
    const group = misled();
    for (const name of names) {
      for (const id of ["r2", "r3"]) {
        expect(told(group.execute(id, reading(name, strict)))).toBe("quorum-unavailable");
        expect(told(group.execute(id, writing(name, 3, strict)))).toBe("quorum-unavailable");
      }
    }
    expect(reasonOf(group, "r2")).toMatch(/^r2 may have lost what it had of 64 of 64 .* with r1 /);
    expect(reasonOf(group, "r3")).toBeNull();
  });

  it("calls nothing gone that it is asked for in an exchange: it may just have lost it", () => {
    const group = misled();
    const key = storeKey("demo", "another");
    const goneAt = (id: string): unknown => {
      let reply: unknown;
      group.node(id).service?.handle({ kind: "fetch", keys: [key] }, (it) => (reply = it), 1e9);
      return (reply as { readonly gone?: unknown }).gone;
    };
    expect([goneAt("r3"), goneAt("r2")]).toEqual([[key], []]);
  });

  it("keeps saying so after a crash: another start is no way around", () => {
    const group = misled();
    group.stop("r2");
    group.start("r2");
    group.pass(AWHILE_MS);
    expect(told(group.execute("r3", reading("k1", strict)))).toBe("quorum-unavailable");
  });

  it("serves what there was when the third is back", () => {
    const group = misled();
    group.start("r1");
    group.pass(AWHILE_MS);
    expect(reasonOf(group, "r2")).toBeNull();
    group.stop("r1");
    group.pass(AWHILE_MS);
    for (const name of names) expect(told(group.execute("r2", reading(name, strict)))).toBe(2);
  });

  it("serves without it when an operator has given it up", () => {
    const group = misled();
    const accepted = group.execute("r3", { kind: "accept-loss", replica: "r2" });
    expect(accepted).toEqual({ kind: "accepted", partitionCount: 64, waitedFor: ["r1"] });
    expect(reasonOf(group, "r2")).toBeNull();
    for (const name of names) expect(told(group.execute("r2", reading(name, strict)))).toBe(1);
  });

  it("takes writes for those that are lost with it, but as no primary", () => {
    const group = misled();
    const result = group.execute("r3", writing("new", 7));
    expect(result).toMatchObject({ kind: "written", tally: { primaries: 1, fallbacks: 1 } });
    expect(told(group.execute("r3", writing("new", 7, { sloppy: false })))).toBe(
      "quorum-unavailable",
    );
  });
});

describe("a wiped replica whose peers are all there", () => {
  it("has everything at once, and says nothing wrong before", () => {
    const group = startedOf(5);
    for (const name of names) group.put("r1", name, 4);
    group.wipe("r2");
    group.start("r2");
    for (const name of names) expect(told(group.execute("r2", reading(name, { r: 1 })))).toBe(4);
    expect(reasonOf(group, "r2")).toBeNull();
  });

  it("deletes through itself, at once, what the others have", () => {
    const group = startedOf(5);
    for (const name of names) group.put("r1", name, 4);
    group.wipe("r2");
    group.start("r2");
    for (const name of names) expect(told(group.remove("r2", name))).toBe("written");
    for (const name of names) expect(told(group.execute("r4", reading(name)))).toBeNull();
  });

  it("is no list of keys of its own while it does not know", () => {
    const group = startedOf(3);
    for (const name of names) group.put("r1", name, 4);
    group.wipe("r2");
    group.stop("r1");
    group.start("r2");
    group.stop("r3");
    group.pass(AWHILE_MS);
    const rest = { prefix: "", after: "", limit: 100 };
    const list = { kind: "list", namespace: "demo", ...rest } as const;
    expect(told(group.execute("r2", list))).toBe("quorum-unavailable");
  });
});

describe("of five, a wiped replica", () => {
  it("knows a key by as many of its owners as a majority cannot leave out", () => {
    const group = new Group({ count: 5, heartbeatMs: 1000, demo: { n: 5 } });
    group.pass(1000);
    for (const name of names) group.execute("r1", writing(name, 4, strict));
    group.wipe("r2");
    group.stop("r1");
    group.start("r2");
    group.pass(AWHILE_MS);
    // Three of the four others know: every majority that it was part of had one of those.
    for (const name of names) expect(told(group.execute("r2", reading(name, { r: 1 })))).toBe(4);
    group.stop("r2");
    group.wipe("r2");
    group.wipe("r3");
    group.start("r2");
    group.start("r3");
    group.pass(AWHILE_MS);
    const { absence } = group.node("r2").service?.jobs ?? {};
    expect(absence?.mayLack(storeKey("demo", "k1"))).toBe(true);
  });
});

describe("a cluster that begins", () => {
  it("serves when all are there, without anybody's help", () => {
    for (const count of [1, 2, 3, 5]) {
      const group = new Group({ count, heartbeatMs: 1000 });
      for (const id of group.ids) expect(told(group.put(id, `of ${id}`, 3))).toBe("written");
      group.pass(1000);
      for (const id of group.ids) expect(reasonOf(group, id)).toBeNull();
    }
  });

  it("serves when a majority of its members is there, and fills those that come later", () => {
    const group = new Group({ count: 5, heartbeatMs: 1000 });
    for (const id of ["r3", "r4", "r5"]) group.wipe(id);
    for (let i = 0; i < 2; i++) group.pass(AWHILE_MS);
    expect(told(group.execute("r1", writing("k", 3, { w: 1 })))).toBe("quorum-unavailable");
    expect(reasonOf(group, "r1")).toMatch(/^r1 may have lost/);
    group.start("r3");
    group.pass(1000);
    expect(told(group.put("r1", "k", 3))).toBe("written");
    group.start("r4");
    group.start("r5");
    for (let i = 0; i < 2; i++) group.pass(1000);
    for (const id of group.ids) expect(reasonOf(group, id)).toBeNull();
  });

  it("is none where others had something, though a majority has nothing", () => {
    const group = startedOf(3);
    for (const name of names) group.put("r1", name, 4);
    group.wipe("r2");
    group.wipe("r1");
    for (const id of ["r1", "r2"]) group.start(id);
    group.pass(1000);
    for (const name of names) expect(told(group.execute("r1", reading(name, strict)))).toBe(4);
  });
});
