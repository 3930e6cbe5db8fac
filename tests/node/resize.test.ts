import { describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import { withNamespace } from "../../ring/cluster-document.ts";
import { openChange } from "../../ring/ring-change.ts";
import { Group } from "./group.ts";

const KEYS = Array.from({ length: 60 }, (_, i) => `k${i}`);

const changing = (group: Group): readonly string[] =>
  group.ids.map((id) => group.node(id).knowledge.changes.get("demo")?.phase ?? "none");

/** How many members hold a value, by key. */
function copies(group: Group, key: string): number {
  const held = storeKey("demo", key);
  return group.ids.filter((id) => group.members.get(id)?.store.summary(held)?.holdsValue).length;
}

/** Every key is found by every node's clients, asking this many replicas. */
function allFound(group: Group, r: number): readonly string[] {
  return KEYS.flatMap((key) =>
    group.ids.flatMap((id) => (group.has(id, key, r) ? [] : [`${key} at ${id}`])),
  );
}

function filled(n: number, recordsPerRun = 20_000): Group {
  const group = new Group({ count: 5, demo: { n }, recordsPerRun });
  KEYS.forEach((key, i) => {
    const at = group.ids[i % 5] ?? "r1";
    expect(group.put(at, key, 10).kind).toBe("written");
  });
  for (const key of KEYS) expect([key, copies(group, key)]).toEqual([key, n]);
  return group;
}

/** Nobody can compare anything: a change that has begun cannot go on. */
const stall = (group: Group): void => {
  group.loses = (message) => message.type === "request" && message.body.kind === "roots";
};

function goOn(group: Group): void {
  group.loses = () => false;
  for (let i = 0; i < 200 && changing(group).some((phase) => phase !== "none"); i++) {
    group.change(1);
  }
  expect(changing(group)).toEqual(group.ids.map(() => "none"));
}

describe("another N of a namespace", () => {
  it.each([
    [3, 5],
    [1, 4],
    [2, 3],
  ])("fills new owners at once when it grows from %i to %i", (from, to) => {
    const group = filled(from);
    expect(group.resize("r2", to).kind).toBe("configured");
    goOn(group);
    for (const key of KEYS) expect([key, copies(group, key)]).toEqual([key, to]);
    expect(allFound(group, 1)).toEqual([]);
  });

  it.each([
    [5, 2],
    [4, 1],
    [3, 2],
  ])("gives space back when it shrinks from %i to %i", (from, to) => {
    const group = filled(from);
    group.resize("r2", to);
    goOn(group);
    group.change(40);
    for (const key of KEYS) expect([key, copies(group, key)]).toEqual([key, to]);
    expect(allFound(group, 1)).toEqual([]);
  });

  it.each([
    [3, 5],
    [5, 2],
    [1, 3],
  ])("from %i to %i: reads miss nothing while it is not done", (from, to) => {
    const group = filled(from);
    stall(group);
    group.resize("r2", to);
    group.change(5);
    expect(changing(group)).toEqual(group.ids.map(() => "filling"));
    expect(allFound(group, 1)).toEqual([]);
    // What is written meanwhile is with the old owners and with the new ones.
    for (const key of KEYS) group.put("r3", `${key} meanwhile`, 10);
    const most = Math.max(from, to);
    for (const key of KEYS) expect(copies(group, `${key} meanwhile`)).toBe(most);
    goOn(group);
    expect(allFound(group, 1)).toEqual([]);
  });

  it.each([
    [3, 5],
    [5, 2],
  ])(
    "from %i to %i: takes what a replica holds in small steps, compares nothing until then",
    (from, to) => {
      const group = filled(from, 25);
      let rootsCount = 0;
      group.loses = (message) => {
        if (message.type === "request" && message.body.kind === "roots") rootsCount++;
        return false;
      };
      group.resize("r2", to);
      const left = (): number =>
        Math.max(...group.ids.map((id) => group.node(id).replica?.migration.leftCount ?? 0));
      let runs = 0;
      for (; left() > 0; runs++) {
        expect(rootsCount).toBe(0);
        expect(changing(group)).toEqual(group.ids.map(() => "filling"));
        expect(allFound(group, 1)).toEqual([]);
        for (const key of KEYS) group.put("r3", key, 20);
        group.put("r4", `${runs} meanwhile`, 10);
        group.runAll("migrate");
      }
      expect(runs).toBeGreaterThan(3);
      goOn(group);
      group.change(40);
      const all = [...KEYS, ...Array.from({ length: runs }, (_, i) => `${i} meanwhile`)];
      for (const key of all) expect([key, copies(group, key)]).toEqual([key, to]);
      expect(allFound(group, 1)).toEqual([]);
    },
  );

  it("brings to the owners that stay what only those that go had", () => {
    const group = filled(5);
    // Only two of five took these writes, and perhaps neither of them is among those that stay.
    const owners = (key: string): readonly ReplicaId[] => {
      const { ring } = group.node("r1").knowledge;
      return ring.preferenceList(ring.partitionOf(storeKey("demo", key)));
    };
    const late = KEYS.map((key) => `${key} late`);
    for (const key of late) {
      const [first, second, third = "r1"] = owners(key);
      const lost = new Set([first, second]);
      group.loses = (message, to) =>
        lost.has(to) && message.type === "request" && message.body.kind !== "document";
      expect(group.put(third, key, 10).kind).toBe("written");
    }
    group.loses = () => false;
    group.resize("r1", 2);
    goOn(group);
    for (const key of late) for (const id of group.ids) expect(group.has(id, key)).toBe(true);
  });

  it.each(["before", "by then"])(
    "counts on nobody who cannot read what it has (found out %s)",
    (found) => {
      const group = filled(3);
      const { ring } = group.node("r1").knowledge;
      const rotten = new Map<ReplicaId, Set<string>>(group.ids.map((id) => [id, new Set()]));
      const late: [ReplicaId, string][] = [];
      for (const key of Array.from({ length: 200 }, (_, i) => `late ${i}`)) {
        const held = storeKey("demo", key);
        const [first = "", second, third, next = ""] = ring.preferenceList(ring.partitionOf(held));
        if (second !== "r5") continue;
        // A write that two of the three have: one of the two loses it, and r5 is left.
        group.loses = (message, to) => to === third && message.type === "request";
        expect(group.put("r5", key, 10).kind).toBe("written");
        rotten.get(first)?.add(held);
        late.push([next, held]);
      }
      for (const [id, keys] of rotten) {
        group.rot(id, keys);
        if (found === "before") for (const key of keys) group.node(id).service?.keeper.hold(key);
      }
      // Without r5 nobody can have all of it, though two of the three that were owners can be asked.
      group.loses = (message, to) =>
        to === "r5" && message.type === "request" && ["roots", "read"].includes(message.body.kind);
      group.resize("r2", 4);
      group.change(20);
      expect(changing(group)).toEqual(group.ids.map(() => "filling"));
      goOn(group);
      for (const [id, key] of late) expect([key, group.digests(id).has(key)]).toEqual([key, true]);
    },
  );

  it("is called back while it is being filled", () => {
    const group = filled(3);
    stall(group);
    group.resize("r2", 5);
    expect(changing(group)).toContain("filling");
    for (const key of KEYS) group.put("r3", `${key} meanwhile`, 10);
    group.resize("r4", 3);
    expect(changing(group)).toEqual(group.ids.map(() => "none"));
    group.loses = () => false;
    group.change(40);
    for (const key of KEYS) {
      expect([key, copies(group, key)]).toEqual([key, 3]);
      expect([key, copies(group, `${key} meanwhile`)]).toEqual([key, 3]);
    }
    expect(allFound(group, 1)).toEqual([]);
  });

  it.each([
    [3, 5],
    [5, 2],
  ])("from %i to %i: follows a change of members that goes on, which ends too", (from, to) => {
    const group = filled(from);
    stall(group);
    group.execute("r1", { kind: "commit", change: { reweight: { r2: 4 } } });
    const open = (): readonly ReplicaId[] =>
      group.ids.filter((id) => openChange(group.node(id).knowledge.document.ring) !== null);
    expect(open()).toEqual(group.ids);
    // As if its operator had not heard of the other change yet.
    const { document, settingsOf } = group.node("r3").knowledge;
    const settings = { ...settingsOf("demo"), n: to };
    group.tell("r3", withNamespace(document, "demo", settings, false));
    for (const id of group.ids) group.tell(id, group.node("r3").knowledge.document);
    goOn(group);
    expect(open()).toEqual([]);
    expect(allFound(group, 1)).toEqual([]);
    for (const key of KEYS) expect([key, copies(group, key) >= to]).toEqual([key, true]);
  });

  it("takes effect at once where nothing is in the namespace", () => {
    const group = new Group({ count: 5, demo: { n: 3 } });
    group.resize("r1", 5);
    expect(changing(group)).toEqual(group.ids.map(() => "none"));
    group.put("r1", "k", 10);
    expect(copies(group, "k")).toBe(5);
  });

  it("and a change of members wait for each other", () => {
    const group = filled(3);
    stall(group);
    group.resize("r2", 5);
    const commit = { kind: "commit", change: { remove: ["r5"] } } as const;
    expect(group.execute("r1", commit)).toMatchObject({ failure: { code: "ring-conflict" } });
    // It may be called back, whatever members do.
    expect(group.resize("r1", 3)).toEqual({ kind: "configured", created: false });
    group.pass(1000);
    expect(group.execute("r1", commit)).toMatchObject({ kind: "committed" });
    // Even by one that has not heard of the other change.
    for (const n of [2, 5]) {
      expect(group.resize("r4", n)).toMatchObject({ failure: { code: "ring-conflict" } });
    }
    expect(group.resize("r4", 3)).toMatchObject({ kind: "configured" });
    expect(changing(group)).toEqual(group.ids.map(() => "none"));
  });

  it("is never more than there are members, whatever the frontend knew of them", () => {
    const group = new Group({ count: 3, demo: { n: 3 } });
    expect(group.resize("r1", 4)).toMatchObject({ failure: { code: "invalid-request" } });
    expect(group.node("r1").knowledge.settingsOf("demo").n).toBe(3);
  });

  it("takes writes through an owner to come when no old one can be reached", () => {
    const group = filled(1);
    stall(group);
    group.resize("r2", 4);
    const { ring } = group.node("r1").knowledge;
    for (const key of KEYS) {
      const [old, next = "r1"] = ring.preferenceList(ring.partitionOf(storeKey("demo", key)));
      group.loses = (_, to) => to === old;
      // Until the change is done, a write waits for all four, or for somebody who stands in.
      const at = next === old ? "r1" : next;
      expect(group.put(at, key, 20).kind).toBe("written");
    }
  });

  it("goes on after a crash of everybody", () => {
    const group = filled(3);
    stall(group);
    group.resize("r2", 5);
    for (const id of group.ids) group.start(id);
    expect(changing(group)).toEqual(group.ids.map(() => "filling"));
    goOn(group);
    for (const key of KEYS) expect([key, copies(group, key)]).toEqual([key, 5]);
  });
});

// Both are refused while the other goes on, but two may begin in the same moment.
describe("when N and members change at once", () => {
  it.each([
    [2, 5],
    [3, 5],
    [3, 4],
    [5, 3],
  ])("from %i to %i, every value is found all the while", (from, to) => {
    const group = filled(from);
    stall(group);
    group.execute("r1", { kind: "commit", change: { reweight: { r2: 4 } } });
    const { document, settingsOf } = group.node("r3").knowledge;
    const settings = { ...settingsOf("demo"), n: to };
    group.tell("r3", withNamespace(document, "demo", settings, false));
    for (const id of group.ids) group.tell(id, group.node("r3").knowledge.document);
    const phaseAt = (id: ReplicaId) => openChange(group.node(id).knowledge.document.ring)?.phase;
    // As soon as new owners are read from, nobody can compare anything: N goes no further.
    const isFilled = (): boolean => group.ids.some((id) => phaseAt(id) !== "filling");
    group.loses = (message) =>
      message.type === "request" && message.body.kind === "roots" && isFilled();
    for (let i = 0; i < 12; i++) {
      group.change(1);
      expect(allFound(group, Math.floor(from / 2) + 1)).toEqual([]);
    }
    expect(group.ids.map(phaseAt)).toEqual(group.ids.map(() => undefined));
    expect(changing(group)).toEqual(group.ids.map(() => "filling"));
    goOn(group);
    expect(allFound(group, Math.floor(to / 2) + 1)).toEqual([]);
  });
});
