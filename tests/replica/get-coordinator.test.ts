import { describe, expect, it } from "vitest";
import { SUSPECT_PATIENCE_MS, UNKNOWN_PATIENCE_MS } from "../../replica/coordination.ts";
import type { GetCoordinator } from "../../replica/get-coordinator.ts";
import { candidates, digest, held, nothing, refused, START, unknown } from "./probe.ts";
import { beside, HEDGE, next, old, outcome, read, tallyOf } from "./reading.ts";

describe("whom a read asks", () => {
  it("r replicas, in the order given: the first for the value, the others for digests", () => {
    expect(read({ r: 1 }).probe.asked()).toEqual(["r1 entry"]);
    expect(read({}).probe.asked()).toEqual(["r1 entry", "r2 digest"]);
    expect(read({ r: 3 }).probe.asked()).toEqual(["r1 entry", "r2 digest", "r3 digest"]);
  });

  it.each<[string, (c: GetCoordinator) => void]>([
    ["cannot be reached", (c) => c.failed("r2", START)],
    ["refuses", (c) => c.reply("r2", refused("overloaded"), START)],
    ["may have lost what it had", (c) => c.reply("r2", unknown, START)],
  ])("one more for each that %s, fallbacks last", (_, happens) => {
    const { probe, coordinator } = read({});
    probe.asked();
    happens(coordinator);
    expect(probe.asked()).toEqual(["r3 digest"]);
    coordinator.failed("r3", START);
    expect(probe.asked()).toEqual(["f4 digest"]);
  });

  it("more at once where the first would not lie in enough zones", () => {
    const near = candidates("r1 r2 r3", { zones: ["a", "a", "b"] });
    const { probe } = read({ zones: 2 }, { candidates: near });
    expect(probe.asked()).toEqual(["r1 entry", "r2 digest", "r3 digest"]);
  });

  it("the suspected besides, but as if they had not been asked", () => {
    const list = candidates("r1 r2 f4", { suspects: ["r2"] });
    expect(read({}, { candidates: list }).probe.asked()).toEqual([
      ...["r1 entry", "r2 digest", "f4 digest"],
    ]);
  });
});

describe("a read answers", () => {
  it("with the value that all digests stand for", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r2", digest(old), START + 1);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r1", held(old), START + 2);
    expect(outcome(probe)).toEqual(["old"]);
    expect(tallyOf(probe)).toEqual({
      ...{ n: 3, required: 2, answered: 2, primaries: 2, fallbacks: 0, durable: 0 },
    });
    expect([coordinator.isOver, coordinator.wakeAt]).toEqual([true, Infinity]);
    expect(probe.stores()).toEqual([]);
  });

  it("after it has read what a digest that differs stands for", () => {
    const { probe, coordinator } = read({});
    probe.asked();
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", digest(beside), START);
    expect(probe.asked()).toEqual(["r2 entry"]);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r2", held(beside), START);
    expect(outcome(probe)).toEqual(["beside", "old"]);
  });

  it("once for each digest that differs, however many replicas have it", () => {
    const { probe, coordinator } = read({ r: 3 });
    probe.asked();
    coordinator.reply("r2", digest(next), START);
    coordinator.reply("r3", digest(next), START);
    // The one that was asked for the value may have just that.
    expect(probe.asked()).toEqual([]);
    coordinator.reply("r1", held(old), START);
    expect(probe.asked()).toEqual(["r2 entry"]);
    coordinator.reply("r2", held(next), START);
    expect(outcome(probe)).toEqual(["next"]);
    expect(tallyOf(probe)).toMatchObject({ answered: 3 });
  });

  it("with what the entry says, not with what the digest beside it claims", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", { ...held(old), digest: 5 } as typeof nothing, START);
    coordinator.reply("r2", digest(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("taking bytes that are no entry for a failure of the replica that sent them", () => {
    const { probe, coordinator } = read({ r: 1 });
    probe.asked();
    const malformed = { kind: "held", digest: 5, entry: new Uint8Array([1]), isUnknown: false };
    coordinator.reply("r1", malformed as typeof nothing, START);
    expect(probe.asked()).toEqual(["r2 entry"]);
  });

  it("not by a replica that keeps to its digest when it is asked for the entry", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", digest(next), START);
    probe.asked();
    coordinator.reply("r2", digest(next), START);
    expect(probe.asked()).toEqual(["r3 digest"]);
  });

  it("not by answers of replicas that it did not ask, nor by the same one twice", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r9", held(old), START);
    coordinator.failed("r9", START);
    expect(outcome(probe)).toBeUndefined();
  });

  it("with nothing by a fallback's word beside a primary's, and never by fallbacks alone", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", nothing, START);
    coordinator.failed("r2", START);
    coordinator.failed("r3", START);
    coordinator.reply("f4", nothing, START);
    expect(outcome(probe)).toEqual([]);

    const alone = read({});
    for (const id of ["r1", "r2", "r3"]) alone.coordinator.failed(id, START);
    for (const id of ["f4", "f5"]) alone.coordinator.reply(id, nothing, START);
    expect(outcome(alone.probe)).toBe("quorum-unavailable");
  });

  it("with nothing by a fallback only once what a primary has a digest of is in hand", () => {
    const list = candidates("r1 r2 f4", { zones: ["a", "a", "b"] });
    const { probe, coordinator } = read({ r: 1 }, { candidates: list, onlyZone: "b" });
    expect(probe.asked()).toEqual(["r1 entry", "r2 digest", "f4 digest"]);
    coordinator.reply("f4", nothing, START);
    coordinator.reply("r2", digest(old), START);
    expect([outcome(probe), probe.asked()]).toEqual([undefined, []]);
    coordinator.reply("r1", held(old), START);
    expect(outcome(probe)).toEqual(["old"]);
    expect(tallyOf(probe)).toMatchObject({ answered: 1, primaries: 0, fallbacks: 1 });
  });

  it("not with nothing where a primary had a digest of something and then fell away", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r2", digest(old), START);
    for (const id of ["r1", "r2", "r3"]) coordinator.failed(id, START);
    for (const id of ["f4", "f5"]) coordinator.reply(id, nothing, START);
    expect(outcome(probe)).toBe("quorum-unavailable");
  });

  it("asking no more while a fallback's nothing waits for what a primary has a digest of", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 f4 f5") });
    coordinator.reply("r2", digest(old), START);
    coordinator.failed("r1", START);
    coordinator.reply("f4", nothing, START);
    expect(probe.asked()).toEqual(["r1 entry", "r2 digest", "r2 entry", "f4 digest"]);
    coordinator.reply("r2", held(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("with what fallbacks hold, where no primary can be reached", () => {
    const { probe, coordinator } = read({});
    for (const id of ["r1", "r2", "r3"]) coordinator.failed(id, START);
    coordinator.reply("f4", held(old), START);
    coordinator.reply("f5", held(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("with fallbacks among the replies, unless primaries were asked for", () => {
    for (const [pr, expected] of [
      [0, ["old"]],
      [2, "quorum-unavailable"],
    ] as const) {
      const { probe, coordinator } = read({ pr }, { candidates: candidates("r1 r2 f4") });
      coordinator.reply("r1", held(old), START);
      coordinator.failed("r2", START);
      coordinator.reply("f4", digest(old), START);
      expect(outcome(probe)).toEqual(expected);
    }
  });

  it("from one zone alone for local_quorum", () => {
    const list = candidates("r1 r2 r3", { zones: ["a", "a", "b"] });
    const { probe, coordinator } = read({}, { candidates: list, onlyZone: "a" });
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r3", held(old), START);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r2", digest(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });
});

describe("hedging", () => {
  it("asks the next one after the delay, for the value while nobody has sent one", () => {
    const { probe, coordinator } = read({});
    probe.asked();
    expect(coordinator.wakeAt).toBe(START + HEDGE);
    coordinator.wake(START + HEDGE);
    expect(probe.asked()).toEqual(["r3 entry"]);
    expect(coordinator.wakeAt).toBe(START + 2 * HEDGE);
    coordinator.reply("r3", held(old), START + 60);
    coordinator.reply("r2", digest(old), START + 61);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("that found nobody left goes on as soon as somebody has sent something", () => {
    const { probe, coordinator } = read({ r: 3 }, { candidates: candidates("r1 r2 r3") });
    coordinator.wake(START + HEDGE);
    probe.asked();
    for (const times of [2, 3]) coordinator.wake(START + times * HEDGE);
    expect(probe.asked()).toEqual([]);
    coordinator.reply("r2", digest(old), START + 3 * HEDGE + 1);
    expect(probe.asked()).toEqual(["r2 entry"]);
    coordinator.wake(START + 4 * HEDGE);
    coordinator.reply("r3", digest(old), START + 4 * HEDGE + 1);
    expect(probe.asked()).toEqual([]);
    coordinator.wake(START + 5 * HEDGE);
    expect(probe.asked()).toEqual(["r3 entry"]);
  });

  it("fetches from a digest's holder what a silent replica was asked for", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2") });
    coordinator.reply("r2", digest(old), START);
    probe.asked();
    coordinator.wake(START + HEDGE);
    expect(probe.asked()).toEqual(["r2 entry"]);
  });

  it("fetches from another holder when the one that was asked again falls silent", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", digest(next), START);
    coordinator.wake(START + HEDGE);
    coordinator.reply("r3", digest(next), START + HEDGE);
    probe.asked();
    coordinator.wake(START + 2 * HEDGE);
    expect(probe.asked()).toEqual(["r3 entry"]);
    coordinator.reply("r3", held(next), START + 110);
    expect(outcome(probe)).toEqual(["next"]);
  });
});

describe("a read gives up", () => {
  it("at once when too few can be reached, with the numbers", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(old), START);
    coordinator.failed("r2", START);
    coordinator.failed("r3", START);
    expect(probe.result).toMatchObject({
      failure: { code: "quorum-unavailable", required: 2, achieved: 1 },
    });
  });

  it("when there never were enough, with all counted that answer within a moment", () => {
    for (const last of ["answers", "fails", "is silent"]) {
      const { probe, coordinator } = read({ r: 3 }, { candidates: candidates("r1 r2") });
      coordinator.reply("r1", held(old), START);
      expect(outcome(probe)).toBeUndefined();
      expect(coordinator.wakeAt).toBeLessThanOrEqual(START + SUSPECT_PATIENCE_MS);
      if (last === "answers") coordinator.reply("r2", held(old), START + 1);
      else if (last === "fails") coordinator.failed("r2", START + 1);
      else coordinator.wake(START + SUSPECT_PATIENCE_MS);
      const achieved = last === "answers" ? 2 : 1;
      expect(probe.result).toMatchObject({
        failure: { code: "quorum-unavailable", required: 3, achieved },
      });
    }
  });

  it("at once when it is over and only the suspected have not answered", () => {
    const list = candidates("r1 r2", { suspects: ["r2"] });
    const { probe, coordinator } = read({ r: 3 }, { candidates: list });
    coordinator.reply("r1", held(old), START);
    expect(outcome(probe)).toBe("quorum-unavailable");
  });

  it("at its deadline when somebody healthy did not answer", () => {
    const { probe, coordinator } = read({ timeoutMs: 100 }, { hedgeMs: 1000 });
    coordinator.reply("r1", held(old), START);
    expect(coordinator.wakeAt).toBe(START + 100);
    coordinator.wake(START + 99);
    expect(outcome(probe)).toBeUndefined();
    coordinator.wake(START + 100);
    expect(outcome(probe)).toBe("quorum-timeout");
  });

  it("is not woken for hedges that find nobody to ask, until something has come", () => {
    const { probe, coordinator } = read({ r: 3 }, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(old), START);
    probe.asked();
    coordinator.wake(START + HEDGE);
    expect(probe.asked()).toEqual([]);
    expect(coordinator.wakeAt).toBe(START + 2000);
    coordinator.reply("r2", digest(next), START + 70);
    expect(probe.asked()).toEqual(["r2 entry"]);
    expect(coordinator.wakeAt).toBe(START + 70 + HEDGE);
    coordinator.wake(START + 70 + HEDGE);
    expect(coordinator.wakeAt).toBe(START + 2000);
  });

  it("looks once more when an answer that says nothing counts no longer", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", unknown, START);
    coordinator.reply("r2", held(old), START);
    expect(probe.asked()).toEqual(["r1 entry", "r2 digest", "r3 entry"]);
    coordinator.wake(START + HEDGE);
    expect(coordinator.wakeAt).toBe(START + UNKNOWN_PATIENCE_MS);
    coordinator.wake(START + UNKNOWN_PATIENCE_MS);
    expect(coordinator.wakeAt).toBe(START + 2000);
  });

  it("after a short while when only the suspected are left to wait for", () => {
    const list = candidates("r1 r2 r3", { suspects: ["r2", "r3"] });
    const { probe, coordinator } = read({}, { candidates: list, hedgeMs: 1000 });
    coordinator.reply("r1", held(old), START);
    expect(coordinator.wakeAt).toBe(START + SUSPECT_PATIENCE_MS);
    coordinator.wake(START + SUSPECT_PATIENCE_MS);
    expect(outcome(probe)).toBe("quorum-unavailable");
  });

  it("not before its deadline once a suspected one has answered and a healthy one may yet", () => {
    const list = candidates("r1 r2 r3", { suspects: ["r2", "r3"] });
    const { probe, coordinator } = read({}, { candidates: list, hedgeMs: 5000 });
    coordinator.reply("r2", digest(old), START + 5);
    coordinator.wake(START + SUSPECT_PATIENCE_MS);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r1", held(old), START + 300);
    expect(outcome(probe)).toEqual(["old"]);
  });
});

describe("nothing", () => {
  it("counts as a reply, unless told otherwise", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", nothing, START);
    coordinator.reply("r2", nothing, START);
    expect(outcome(probe)).toEqual([]);
  });

  it("does not hide a value that a third replica has, when it does not count", () => {
    const { probe, coordinator } = read({ r: 1, notfoundOk: false });
    coordinator.reply("r1", nothing, START);
    coordinator.reply("r2", nothing, START);
    coordinator.reply("r3", held(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("is believed of all primaries; with basic_quorum of a majority", () => {
    for (const [basicQuorum, answered] of [
      [true, 2],
      [false, 3],
    ] as const) {
      const { probe, coordinator } = read({ notfoundOk: false, basicQuorum });
      for (const [i, id] of ["r1", "r2", "r3"].entries()) {
        expect(outcome(probe)).toEqual(i >= answered ? [] : undefined);
        coordinator.reply(id, nothing, START);
      }
      expect(outcome(probe)).toEqual([]);
    }
  });

  it("is believed of all primaries there are, in a cluster of fewer than n", () => {
    const list = candidates("r1 r2");
    const { probe, coordinator } = read({ notfoundOk: false }, { candidates: list });
    coordinator.reply("r1", nothing, START);
    coordinator.reply("r2", nothing, START);
    expect(outcome(probe)).toEqual([]);
  });

  it("of a fallback proves nothing about the primaries", () => {
    const { probe, coordinator } = read({ notfoundOk: false, basicQuorum: true, r: 1 });
    coordinator.failed("r1", START);
    coordinator.failed("r2", START);
    coordinator.reply("r3", nothing, START);
    coordinator.reply("f4", nothing, START);
    coordinator.reply("f5", nothing, START);
    expect(outcome(probe)).toBe("quorum-unavailable");
  });
});
