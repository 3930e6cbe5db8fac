/** What a replica may claim to know of another: each mistake here would be a claim too good. */
import { beforeEach, describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message, Reply } from "../../core/messages.ts";
import { CALM, CALM_MS } from "../../replica/stale-bound.ts";
import type { Tails } from "../../src/node/jobs/tails.ts";
import { Followed } from "../../src/node/serving/followed.ts";
import { Group, writeOf } from "./group.ts";

const BEAT_MS = 1000;
/** By then marks have been written down. */
const KEPT_BEATS = 12;
let group: Group;

function beat(count = 1): void {
  for (let i = 0; i < count; i++) {
    group.pass(BEAT_MS);
    group.runAll("heartbeat");
  }
}

const tailsOf = (id: ReplicaId) => group.node(id).service?.jobs.tails;
const lagOf = (id: ReplicaId, peer: ReplicaId): number =>
  tailsOf(id)?.lagMs().get(peer) ?? Infinity;
const agesOf = (id: ReplicaId): readonly (number | null)[] =>
  tailsOf(id)?.agesFor(storeKey("demo", "a")).ms ?? [];
const isReply =
  (...kinds: readonly Reply["kind"][]) =>
  (message: Message, to: ReplicaId): boolean =>
    to === "r3" && message.type === "reply" && kinds.includes(message.body.kind);

beforeEach(() => {
  group = new Group({ count: 3, heartbeatMs: BEAT_MS });
});

describe("a claim by a comparison", () => {
  it("is of the question after it, that shows that the other had lost nothing", () => {
    group.put("r1", "a", 10);
    group.holdsBack = isReply("rootsDiffer");
    beat();
    group.pass(100);
    group.holdsBack = isReply("arrived");
    for (const _ of ["r1", "r2"]) group.letOneGo();
    group.pass(300);
    expect(lagOf("r3", "r1")).toBe(Infinity);
    group.letGo();
    expect(lagOf("r3", "r1")).toBe(300);
  });
});

describe("a comparison in the middle of which the other finds that it has lost something", () => {
  const KEY = storeKey("demo", "a");

  it("proves nothing", () => {
    group.loses = (_, to) => to === "r3";
    group.put("r1", "a", 10);
    for (const id of ["r1", "r2"]) group.storeOf(id).dropHint("r3", KEY);
    const isOfBoth = (to: ReplicaId, from: ReplicaId): boolean =>
      ["r1", "r3"].includes(to) && ["r1", "r3"].includes(from);
    group.loses = ({ body }, to, from) => !isOfBoth(to, from) || body.kind === "deliver";
    group.holdsBack = isReply("rootsDiffer");
    beat();
    // It is listed neither as something that r1 has nor, since that was asked before, as
    // unreadable.
    group.rot("r1", new Set([KEY]));
    group.node("r1").service?.keeper.check(KEY);
    group.letGo();
    const held = group.node("r3").service?.keeper.own(KEY).bytes;
    expect([held, lagOf("r3", "r1")]).toEqual([null, Infinity]);
  });
});

describe("a claim of another layout", () => {
  it("is none, though its question was asked by the former one", () => {
    beat(3);
    group.put("r1", "a", 10);
    group.holdsBack = isReply("arrived");
    group.pass(BEAT_MS);
    group.run("r3", "heartbeat");
    group.resize("r1", 2);
    group.letGo();
    expect(lagOf("r3", "r1")).toBe(Infinity);
    beat();
    expect(lagOf("r3", "r1")).toBe(0);
  });
});

describe("an age", () => {
  it("is rounded up", () => {
    beat(3);
    group.loses = ({ body }) => body.kind === "greet";
    group.pass(300.25);
    expect(agesOf("r3")).toEqual([301, 301, 0]);
  });

  it("is made once within a millisecond, and anew with the time, a claim or a loss", () => {
    beat(3);
    group.loses = ({ body }) => body.kind === "greet";
    const told = () => tailsOf("r3")?.agesFor(storeKey("demo", "a"));
    group.pass(300.25);
    const once = told();
    group.pass(0.5);
    expect(told()).toBe(once);
    group.pass(0.5);
    expect(agesOf("r3")).toEqual([302, 302, 0]);
    group.loses = () => false;
    group.run("r3", "heartbeat");
    expect(agesOf("r3")).toEqual([0, 0, 0]);
    (tailsOf("r3") as Tails).claims.lost("r3", Infinity);
    expect(agesOf("r3")).toEqual([0, 0, null]);
  });
});

describe("a replica that does not own a key", () => {
  it("claims nothing of it but what it has itself, however well it follows the others", () => {
    group = new Group({ count: 5, heartbeatMs: BEAT_MS });
    beat(8);
    const { ring } = group.node("r1").knowledge;
    const owners = ring.primariesOf(ring.partitionOf(storeKey("demo", "a")), 3);
    for (const id of group.ids) {
      const known = agesOf(id).filter((age) => age !== null);
      expect(known).toHaveLength(owners.includes(id) ? 5 : 1);
    }
  });

  it("does not even claim to know itself after it has given a hint away", () => {
    group = new Group({ count: 5, heartbeatMs: BEAT_MS });
    beat(8);
    const { ring } = group.node("r1").knowledge;
    const owners = ring.primariesOf(ring.partitionOf(storeKey("demo", "a")), 3);
    const [first = "", second = "", third = ""] = owners;
    const [standIn = "", other = ""] = group.ids.filter((id) => !owners.includes(id));
    group.stop(second);
    group.put(first, "a", 10);
    const holder = [standIn, other].find(
      (id) => group.storeOf(id).hintedKeys(second, 1).length > 0,
    );
    if (holder === undefined) throw new Error("somebody stands in");
    const own = group.ids.indexOf(holder);
    expect(agesOf(holder)[own]).toBe(0);
    group.start(second);
    group.run(holder, "handoff");
    // What it had acknowledged is with the second owner now, which the third has not followed yet.
    expect([agesOf(holder)[own], agesOf(third)[own]]).toEqual([null, expect.any(Number)]);
    group.pass(CALM_MS);
    expect(agesOf(holder)[own]).toBe(null);
    group.pass(1);
    expect(agesOf(holder)[own]).toBe(CALM);
    group.stop(holder);
    group.start(holder);
    beat(8);
    expect(agesOf(holder)[own], "a former life may have given it away just before").toBe(null);
  });
});

describe("a claim of one that lost its disk", () => {
  it("waits for what may be under way, though the own clock is set ahead", () => {
    beat(8);
    group.wipe("r1");
    group.start("r1");
    beat();
    group.wallOffMs.set("r3", 60_000);
    beat(2);
    expect(lagOf("r3", "r2")).toBe(0);
    expect(lagOf("r3", "r1")).toBeGreaterThanOrEqual(60_000);
    beat(6);
    expect(lagOf("r3", "r1")).toBe(0);
  });
});

describe("marks that were written down", () => {
  it("are of no use to one that has lost a record since", () => {
    group.put("r1", "a", 10);
    beat(KEPT_BEATS);
    // They are written with whatever is written next.
    group.put("r1", "b", 10);
    group.stop("r3");
    group.start("r3");
    expect(tailsOf("r3")?.markOf("r1")).not.toBeNull();
    group.damage("r3", [storeKey("demo", "a")]);
    group.start("r3");
    expect(tailsOf("r3")?.markOf("r1")).toBeNull();
  });

  it("stand before hints that went where the replica has not followed them", () => {
    group = new Group({ count: 5, heartbeatMs: BEAT_MS });
    beat(3);
    const key = keyOf("r1");
    const { ring } = group.node("r1").knowledge;
    const owners = ring.primariesOf(ring.partitionOf(storeKey("demo", key)), 3);
    const home = owners.find((id) => id !== "r1") as ReplicaId;
    const fallback = group.ids.find((id) => !owners.includes(id)) as ReplicaId;
    const isBetween =
      (one: ReplicaId, other?: ReplicaId) => (_: Message, to: ReplicaId, from: ReplicaId) =>
        [to, from].includes(one) && (other === undefined || [to, from].includes(other));
    group.loses = isBetween("r1");
    group.execute(home, { ...writeOf(key, 10), options: { w: 1, dw: 1 } } as never);
    const { keeper } = group.node(fallback).service ?? {};
    const own = group.node(home).service?.keeper.own(storeKey("demo", key)).bytes as Uint8Array;
    keeper?.store.writeHint(home, storeKey("demo", key), own.slice());
    beat();
    expect(keeper?.hintMoves.since(0)).toContain(home);
    group.loses = isBetween("r1", home);
    beat(KEPT_BEATS);
    for (const id of owners) if (id !== home) group.put(id, "other", 10);
    group.stop("r1");
    group.start("r1");
    beat(2);
    expect(lagOf("r1", fallback)).toBe(Infinity);
    group.loses = () => false;
    beat(2);
    expect(lagOf("r1", fallback)).toBe(0);
  });

  /** Of a key with this replica among its owners. */
  function keyOf(id: ReplicaId): string {
    const { ring } = group.node(id).knowledge;
    for (let i = 0; ; i++) {
      const partition = ring.partitionOf(storeKey("demo", `k${i}`));
      if (ring.isOwner(id, partition, 3)) return `k${i}`;
    }
  }
});

describe("a replica that has lost a record", () => {
  const KEY = storeKey("demo", "a");
  const tails = () => tailsOf("r3") as Tails;
  const runOf = (id: ReplicaId) => group.node(id).service?.keeper.arrivals.run;

  beforeEach(() => {
    group.put("r1", "a", 10);
    beat(8);
    expect(lagOf("r3", "r1")).toBe(0);
    group.rot("r3", new Set([KEY]));
    // Nobody brings it meanwhile.
    group.loses = (_, to, from) => [to, from].includes("r3");
  });

  it.each([
    ["as it is read", () => void group.node("r3").service?.keeper.own(KEY)],
    ["by a scrub", () => void group.node("r3").service?.keeper.check(KEY)],
  ])("knows nothing of the others from then on, found %s, until it is compared", (_, find) => {
    const run = runOf("r3");
    find();
    expect(runOf("r3")).not.toBe(run);
    expect([lagOf("r3", "r1"), lagOf("r3", "r2")]).toEqual([Infinity, Infinity]);
    expect(tails().markOf("r1")).toBeNull();
    expect(agesOf("r3")).toEqual([null, null, null]);
    const renamed = runOf("r3");
    find();
    expect(runOf("r3")).toBe(renamed);
    group.loses = () => false;
    beat(8);
    expect(lagOf("r3", "r1")).toBe(0);
    expect(agesOf("r3")).toEqual([0, 0, 0]);
  });

  it("takes no answer for more that was asked for before", () => {
    group.loses = () => false;
    group.put("r1", "b", 10);
    group.holdsBack = isReply("arrived");
    group.pass(BEAT_MS);
    group.run("r3", "heartbeat");
    group.node("r3").service?.keeper.own(KEY);
    group.letGo();
    expect([lagOf("r3", "r1"), tails().markOf("r1")]).toEqual([Infinity, null]);
  });
});

describe("a replica that is followed", () => {
  const self = () => group.node("r1").service as NonNullable<ReturnType<Group["node"]>["service"]>;

  it("tells of what arrived when that is on its disk, and of nothing when it cannot be", () => {
    group.put("r1", "a", 10);
    const { keeper, jobs } = self();
    const waiting: ((ok: boolean) => void)[] = [];
    const followed = new Followed(
      { id: "r1", keeper, jobs },
      {
        knowledge: group.node("r1").knowledge,
        whenDurable: (callback) => void waiting.push(callback),
      },
    );
    const told: Reply[] = [];
    const asked = { from: "r3", run: keeper.arrivals.run, after: 0, isAnchor: false } as const;
    followed.answer({ kind: "arrivals", ...asked }, (reply) => void told.push(reply));
    followed.answer({ kind: "arrivals", ...asked }, (reply) => void told.push(reply));
    expect(told).toEqual([]);
    waiting[0]?.(true);
    waiting[1]?.(false);
    expect(told.map(({ kind }) => kind)).toEqual(["arrived", "refused"]);
  });

  it("calls its order another one when a hint turns out to be unreadable", () => {
    beat(8);
    expect(lagOf("r3", "r1")).toBe(0);
    const { keeper } = self();
    const { run } = keeper.arrivals;
    Object.assign(keeper.store.hintOrder ?? {}, { lostCount: 1 });
    beat();
    expect(keeper.arrivals.run).not.toBe(run);
    expect(lagOf("r3", "r1")).toBe(BEAT_MS);
  });
});
