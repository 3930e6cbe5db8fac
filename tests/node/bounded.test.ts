/** Reads that show how stale they are at most, by what replicas know of each other. */
import { beforeEach, describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import type { GetResult, Result } from "../../core/results.ts";
import { Group, writeOf } from "./group.ts";

const BEAT_MS = 1000;
let group: Group;

function beat(count = 1): void {
  for (let i = 0; i < count; i++) {
    group.pass(BEAT_MS);
    group.runAll("heartbeat");
  }
}

/** Until nobody doubts anybody: what an earlier life sent may be under way for that long. */
const settle = (): void => beat(8);

function read(at: ReplicaId, options: QuorumOptions, name = "k"): Result {
  const key = storeKey("demo", name);
  return group.execute(at, { kind: "get", key, options, session: null });
}

function got(result: Result): GetResult {
  if (result.kind !== "got") throw new Error(JSON.stringify(result));
  return result;
}

const failureOf = (result: Result): string =>
  result.kind === "failed" ? result.failure.code : result.kind;

function owners(name: string): readonly ReplicaId[] {
  const { ring } = group.node(group.ids[0] as ReplicaId).knowledge;
  return ring.primariesOf(ring.partitionOf(storeKey("demo", name)), 3);
}

describe("a bounded read", () => {
  beforeEach(() => {
    group = new Group({ count: 5, heartbeatMs: BEAT_MS });
    settle();
    group.put("r1", "k", 10);
    beat();
  });

  it("is answered by one replica that has followed the others, and says how stale it is", () => {
    group.pass(300);
    const [at] = owners("k") as [ReplicaId];
    const one = got(read(at, { r: 1, maxStaleMs: 5000, staleW: 1 }));
    expect(one.tally).toMatchObject({ answered: 1 });
    expect([one.staleBoundMs, one.staleW]).toEqual([300, 1]);
    const plain = got(read(at, { r: 1 }));
    expect(plain).not.toHaveProperty("staleBoundMs");
  });

  it("asks on where one does not know enough, and for less than that it is refused", () => {
    const [at, second] = owners("k") as [ReplicaId, ReplicaId];
    group.loses = ({ body }) => body.kind === "greet";
    group.pass(300);
    const all = got(read(at, { r: 1, maxStaleMs: 0, staleW: 1 }));
    expect([all.tally.answered, all.staleBoundMs]).toEqual([5, 0]);
    // A replica that is not reached is not needed for writes that more have acknowledged.
    group.stop(second);
    expect(failureOf(read(at, { r: 1, maxStaleMs: 200, staleW: 1 }))).toBe("staleness-unproven");
    expect(got(read(at, { r: 1, maxStaleMs: 200, staleW: 2 })).staleBoundMs).toBe(0);
    expect(got(read(at, { r: 1, maxStaleMs: 1000, staleW: 1 })).staleBoundMs).toBe(300);
  });

  it("without any claim needs one more replica for each writer that may have been alone", () => {
    group = new Group({ count: 3 });
    group.put("r1", "k", 10);
    const two = got(read("r1", { r: 1, maxStaleMs: 1, staleW: 2 }));
    expect([two.tally.answered, two.staleBoundMs]).toEqual([2, 0]);
    const three = got(read("r1", { r: 1, maxStaleMs: 1, staleW: 1 }));
    expect(three.tally.answered).toBe(3);
  });

  /** The longest value that one of the siblings has. */
  const longest = (result: Result): number =>
    Math.max(...got(result).entry.siblings.map(({ content }) => content?.value.length ?? 0));

  /** One replica alone acknowledges a write, of which this one hears nothing. */
  function writeAlone(writer: ReplicaId, at: ReplicaId): void {
    const write = { ...writeOf("k", 33), options: { w: 1, dw: 1 } } as never;
    group.loses = ({ body }, to, from) => [to, from].includes(at) || body.kind === "store";
    expect(group.execute(writer, write).kind).toBe("written");
    group.loses = () => false;
  }

  it("finds in time what one owner alone has acknowledged", () => {
    const [at, other] = owners("k") as [ReplicaId, ReplicaId];
    writeAlone(other, at);
    beat();
    const result = read(at, { r: 1, maxStaleMs: 1000, staleW: 1 });
    expect([got(result).tally.answered, longest(result)]).toEqual([1, 33]);
  });

  it("finds in time what a stand-in alone has acknowledged", () => {
    const [at, ...others] = owners("k") as [ReplicaId, ReplicaId, ReplicaId];
    const standIn = group.ids.find((id) => !owners("k").includes(id)) as ReplicaId;
    for (const id of others) group.stop(id);
    writeAlone(standIn, at);
    for (const id of others) group.start(id);
    beat(8);
    const result = read(at, { r: 1, maxStaleMs: 1000, staleW: 1 });
    expect([got(result).tally.answered, longest(result)]).toEqual([1, 33]);
  });

  it("claims nothing after a restart until it has asked again", () => {
    const [at] = owners("k") as [ReplicaId];
    // By now it has written down how far it has followed each.
    beat(12);
    group.loses = ({ body }) => body.kind === "greet";
    group.start(at);
    group.pass(1);
    const result = got(read(at, { r: 1, maxStaleMs: 5000, staleW: 1 }));
    expect(result.tally.answered).toBeGreaterThan(1);
    group.loses = () => false;
    beat();
    expect(got(read(at, { r: 1, maxStaleMs: 5000, staleW: 1 })).tally.answered).toBe(1);
  });

  it("claims what was so when it asked, not when the answer came", () => {
    const [at, peer] = owners("k") as [ReplicaId, ReplicaId];
    const lag = (): number | undefined => group.node(at).service?.jobs.tails?.lagMs().get(peer);
    const isAnswer = ({ body }: Message, to: ReplicaId): boolean =>
      to === at && (body.kind === "greeted" || body.kind === "arrived");
    for (const isNews of [false, true]) {
      beat();
      group.loses = ({ body }, _, from) => body.kind === "greet" && from !== at;
      group.pass(300);
      if (isNews) group.put("r1", "k", 20);
      group.holdsBack = isAnswer;
      group.run(at, "heartbeat");
      group.pass(200);
      group.letGo();
      // Where there is news it was asked for just now, and that is answered at once.
      expect(lag()).toBe(isNews ? 0 : 200);
      if (!isNews) continue;
      group.put("r1", "k", 30);
      group.holdsBack = ({ body }, to) => to === at && body.kind === "arrived";
      group.run(at, "heartbeat");
      group.pass(200);
      group.letGo();
      expect(lag()).toBe(200);
    }
  });

  it("counts the time that a machine slept, though its own clock stood still", () => {
    const [at] = owners("k") as [ReplicaId];
    group.wallOffMs.set(at, 1500);
    group.pass(0);
    const result = got(read(at, { r: 1, maxStaleMs: 5000, staleW: 1 }));
    expect([result.tally.answered, result.staleBoundMs]).toEqual([1, 1500]);
    // Setting the clock back gains nothing.
    group.wallOffMs.set(at, -90_000);
    group.pass(0);
    expect(got(read(at, { r: 1, maxStaleMs: 5000, staleW: 1 })).staleBoundMs).toBe(1500);
  });

  it("claims nothing of a ring, or an N, that is none any more", () => {
    const [at] = owners("k") as [ReplicaId];
    const few = { r: 1, maxStaleMs: 5000, staleW: 1 };
    group.execute("r2", { kind: "commit", change: { reweight: { r2: 3 } } });
    expect(got(read(at, few)).tally.answered).toBeGreaterThan(1);
    group.change(12);
    beat(2);
    const [now] = owners("k") as [ReplicaId];
    expect(got(read(now, few)).tally.answered).toBe(1);
  });

  it("takes no word of a member that lost its disk before all others were asked after that", () => {
    const [at, victim, third] = owners("k") as [ReplicaId, ReplicaId, ReplicaId];
    beat(2);
    group.stop(third);
    group.wipe(victim);
    group.start(victim);
    beat(3);
    // What the victim had acknowledged may be with the one that is away, alone.
    const lag = (id: ReplicaId): number =>
      group.node(at).service?.jobs?.tails?.lagMs().get(id) ?? Infinity;
    expect(lag(victim)).toBeGreaterThanOrEqual(3 * BEAT_MS);
    expect(failureOf(read(at, { r: 1, maxStaleMs: 2000, staleW: 2 }))).toBe("staleness-unproven");
    group.start(third);
    beat(9);
    expect(lag(victim)).toBeLessThanOrEqual(BEAT_MS);
    expect(got(read(at, { r: 1, maxStaleMs: 2000, staleW: 1 })).tally.answered).toBe(1);
  });

  it("knows from its beginning that a new cluster has no past", () => {
    group = new Group({ count: 3, heartbeatMs: BEAT_MS });
    beat(3);
    group.put("r1", "k", 10);
    for (const id of group.ids) {
      expect(got(read(id, { r: 1, maxStaleMs: 3000, staleW: 1 })).tally.answered).toBe(1);
    }
  });
});
