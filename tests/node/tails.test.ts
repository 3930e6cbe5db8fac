/** Replicas that follow each other, where nothing else brings what one of them missed. */
import { beforeEach, describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { wholeOf } from "../../core/pieces.ts";
import { Group, writeOf } from "./group.ts";

const BEAT_MS = 1000;
let group: Group;
let sent: string[] = [];

/** Heartbeats of all, so many times. */
function beat(count = 1): void {
  for (let i = 0; i < count; i++) {
    group.pass(BEAT_MS);
    group.runAll("heartbeat");
  }
}

const isStoreTo =
  (to: ReplicaId) =>
  ({ body }: Message, target: ReplicaId): boolean =>
    body.kind === "store" && target === to;

const holds = (id: ReplicaId, name: string): boolean =>
  group.node(id).service?.keeper.own(storeKey("demo", name)).bytes !== null;
const lagOf = (id: ReplicaId, peer: ReplicaId): number =>
  group.node(id).service?.jobs.tails?.lagMs().get(peer) ?? Infinity;

/** Counts messages by kind from now on. */
function listen(): void {
  sent = [];
  const { loses } = group;
  group.loses = (message, to, from) => {
    sent.push(message.body.kind);
    return loses(message, to, from);
  };
}

describe("a replica that follows the others", () => {
  beforeEach(() => {
    group = new Group({ count: 3, heartbeatMs: BEAT_MS });
    beat(3);
  });

  it("has what it missed with the next heartbeat", () => {
    group.loses = isStoreTo("r3");
    for (const name of ["a", "b", "c"]) group.execute("r1", { ...writeOf(name, 10) });
    group.loses = () => false;
    expect(holds("r3", "a")).toBe(false);
    beat();
    for (const name of ["a", "b", "c"]) expect(holds("r3", name)).toBe(true);
  });

  it("asks for nothing where nothing is new, and fetches nothing that it has", () => {
    for (let i = 0; i < 20; i++) group.put("r1", `k${i}`, 10);
    listen();
    beat();
    expect(sent.filter((kind) => kind === "arrivals")).not.toEqual([]);
    expect(sent).not.toContain("fetch");
    listen();
    beat(3);
    expect(new Set(sent)).toEqual(new Set(["greet", "greeted"]));
  });

  it("knows by its own time how old what it knows of each is", () => {
    group.put("r1", "a", 10);
    beat();
    expect([lagOf("r3", "r1"), lagOf("r3", "r2")]).toEqual([0, 0]);
    group.pass(400);
    expect(lagOf("r3", "r1")).toBe(400);
    group.stop("r2");
    beat(2);
    expect([lagOf("r3", "r1"), lagOf("r3", "r2")]).toEqual([0, 2400]);
  });

  it("goes on after a restart of either where it was", () => {
    for (let i = 0; i < 20; i++) group.put("r1", `k${i}`, 10);
    beat(12);
    for (const id of ["r1", "r3"]) {
      group.start(id);
      group.pass(10);
      listen();
      beat(2);
      expect(sent).not.toContain("roots");
      expect(lagOf("r3", "r1")).toBe(0);
    }
  });

  it("begins anew with one whose order has another name, and compares before it believes", () => {
    group.put("r1", "a", 10);
    beat();
    group.node("r1").service?.keeper.arrivals.renew();
    listen();
    beat(1);
    expect(sent).toContain("roots");
    // What it lost may be on its way to somebody for a while.
    expect(lagOf("r3", "r1")).toBe(BEAT_MS);
    beat(6);
    expect(lagOf("r3", "r1")).toBe(0);
    group.loses = isStoreTo("r3");
    group.put("r1", "b", 10);
    group.loses = () => false;
    beat();
    expect(holds("r3", "b")).toBe(true);
  });

  it("goes past what each forgets as its time is over, each at a moment of its own", () => {
    group.loses = ({ body }) => body.kind === "greet";
    for (let i = 0; i < 5; i++) {
      group.execute("r1", { ...writeOf(`k${i}`, 10), ttlMs: 100 } as Operation);
    }
    group.pass(20_000);
    group.run("r3", "collect");
    group.loses = () => false;
    group.holdsBack = ({ body }, to) => body.kind === "arrived" && to === "r3";
    group.run("r3", "heartbeat");
    for (const id of ["r1", "r2"]) {
      expect(holds(id, "k0")).toBe(true);
      group.run(id, "collect");
      expect(holds(id, "k0")).toBe(false);
    }
    group.letGo();
    expect([lagOf("r3", "r1"), lagOf("r3", "r2")]).toEqual([0, 0]);
  });

  it("follows no key that cannot be read, until it can be", () => {
    group.loses = isStoreTo("r3");
    group.put("r1", "a", 10);
    // Nobody hears of what r2 could bring, and no hint goes home.
    group.loses = ({ body }, to, from) => [to, from].includes("r2") || body.kind === "deliver";
    const rotten = new Set([storeKey("demo", "a")]);
    group.rot("r1", rotten);
    beat();
    const before = lagOf("r3", "r1");
    beat(2);
    expect(lagOf("r3", "r1")).toBeGreaterThan(before);
    expect(holds("r3", "a")).toBe(false);
    group.loses = () => false;
    group.execute("r2", { kind: "anti-entropy", replica: "r2" });
    expect(rotten.size).toBe(0);
    beat(2);
    expect(holds("r3", "a")).toBe(true);
    beat(6);
    expect(lagOf("r3", "r1")).toBe(0);
  });

  it("makes nothing of a peer of an older version, and asks it nothing that it does not know", () => {
    const ask = group.node("r3");
    group.put("r1", "a", 10);
    const { step } = ask;
    ask.step = (input, now) => {
      const isGreeted =
        input.kind === "message" && input.from === "r1" && input.message.body.kind === "greeted";
      if (isGreeted) Object.assign(input.message.body, { arrived: null });
      return step.call(ask, input, now);
    };
    const before = lagOf("r3", "r1");
    beat(2);
    expect(lagOf("r3", "r1")).toBe(before + 2 * BEAT_MS);
    expect(lagOf("r3", "r2")).toBe(0);
  });
});

describe("hints for others", () => {
  /** Of a key with this replica among its owners, whose two other owners are away. */
  function ownedBy(id: ReplicaId): { readonly key: string; readonly owners: readonly ReplicaId[] } {
    const { ring } = group.node("r1").knowledge;
    for (let i = 0; ; i++) {
      const owners = ring.primariesOf(ring.partitionOf(storeKey("demo", `k${i}`)), 3);
      if (owners.includes(id)) return { key: `k${i}`, owners };
    }
  }

  beforeEach(() => {
    group = new Group({ count: 5, heartbeatMs: BEAT_MS });
    beat(3);
  });

  it("are found where they stand by every owner of their keys", () => {
    const { key, owners } = ownedBy("r1");
    const others = owners.filter((id) => id !== "r1");
    const fallback = group.ids.find((id) => !owners.includes(id)) as ReplicaId;
    for (const id of others) group.stop(id);
    group.loses = ({ body }, to) => body.kind === "store" && to !== fallback;
    const write = { ...writeOf(key, 10), options: { w: 1, dw: 1 } } as never;
    // Only the fallback has it: r1 is asked for nothing.
    group.loses = (message, to) => to === "r1" && message.type === "request";
    group.execute(fallback, write);
    // No hint goes home by itself.
    group.loses = ({ body }) => body.kind === "deliver";
    expect(holds("r1", key)).toBe(false);
    beat(2);
    expect(holds("r1", key)).toBe(true);
    expect(lagOf("r1", fallback)).toBeLessThanOrEqual(BEAT_MS);
  });

  it("that went to an owner leave a doubt until that one was followed as well", () => {
    const { key, owners } = ownedBy("r1");
    const [home] = owners.filter((id) => id !== "r1") as [ReplicaId];
    const fallback = group.ids.find((id) => !owners.includes(id)) as ReplicaId;
    const awayFor = (id: ReplicaId) => (_: Message, to: ReplicaId, from: ReplicaId) =>
      [to, from].includes(id);
    // r1 hears of nothing while the write comes to the fallback and goes home.
    const { keeper } = group.node(fallback).service ?? {};
    group.put("r1", "other", 1);
    beat();
    group.loses = awayFor("r1");
    const bytes = group.node(home).service?.keeper;
    expect(bytes).toBeDefined();
    group.execute(home, { ...writeOf(key, 10), options: { w: 1, dw: 1 } } as never);
    const own = group.node(home).service?.keeper.own(storeKey("demo", key)).bytes as Uint8Array;
    keeper?.store.writeHint(home, storeKey("demo", key), own.slice());
    beat();
    expect(keeper?.store.hintCounts().size).toBe(0);
    expect(keeper?.hintMoves.since(0)).toContain(home);
    // Now r1 hears of the fallback, but not yet of the hint's home.
    group.loses = awayFor(home);
    const before = lagOf("r1", fallback);
    beat(2);
    expect(lagOf("r1", fallback)).toBe(before + 2 * BEAT_MS);
    group.loses = () => false;
    beat(2);
    expect(holds("r1", key)).toBe(true);
    expect(lagOf("r1", fallback)).toBe(0);
  });

  describe("that go home all the time", () => {
    /** Its heartbeat is the last of each turn. */
    const FOLLOWER = "r5";
    const WAY_MS = 50;

    const others = ["r1", "r2", "r3", "r4"];

    /** Each other member gives a hint to each other one before its follower sees it. */
    function keepHints(turn: number): void {
      for (const id of others) {
        const store = group.storeOf(id);
        for (const home of others.filter((other) => other !== id)) {
          const { key } = ownedBy(home);
          const own = group.node(home).service?.keeper.own(storeKey("demo", key)).bytes;
          if (own) store.writeHint(home, storeKey("demo", `${key}-${turn}`), wholeOf(own).slice());
        }
      }
    }

    /** Heartbeats of all, and what they bring is on its way for a while. */
    function slowBeat(turn: number): void {
      keepHints(turn);
      group.holdsBack = ({ body }, to) => body.kind === "arrived" && to === FOLLOWER;
      group.pass(BEAT_MS - WAY_MS);
      group.runAll("heartbeat");
      group.pass(WAY_MS);
      group.letGo();
    }

    beforeEach(() => {
      for (const id of group.ids) group.put(FOLLOWER, ownedBy(id).key, 10);
      for (let turn = 0; turn < 14; turn++) slowBeat(turn);
    });

    it("keep no replica from knowing what was there two heartbeats before", () => {
      for (const peer of others) {
        expect(group.node(peer).service?.keeper.hintMoves.since(0)).toHaveLength(3);
        expect(lagOf(FOLLOWER, peer)).toBeLessThanOrEqual(BEAT_MS + WAY_MS);
      }
    });

    it("keep no mark from being written down", () => {
      group.put(FOLLOWER, "other", 10);
      group.start(FOLLOWER);
      for (const peer of others) {
        const kept = group.node(FOLLOWER).service?.jobs.tails?.markOf(peer)?.through;
        expect(kept).toBeGreaterThan(5);
      }
    });
  });
});
