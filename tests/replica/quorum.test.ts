import { describe, expect, it } from "vitest";
import { Quorum, type QuorumNeed } from "../../replica/quorum.ts";
import { candidate, candidates } from "./probe.ts";

const need = (changes: Partial<QuorumNeed>): QuorumNeed => ({
  ...{ n: 3, count: 1, primaries: 0, durable: 0, zones: 0, onlyZone: null },
  ...changes,
});

describe("Quorum", () => {
  it("counts a replica once, however often it answers", () => {
    const quorum = new Quorum(need({ count: 2, durable: 2 }));
    for (const isDurable of [false, true, true]) quorum.add(candidate("r1"), isDurable);
    expect(quorum.isMet).toBe(false);
    expect(quorum.tally()).toMatchObject({ answered: 1, durable: 1 });
    quorum.add(candidate("r2"), true);
    expect(quorum.isMet).toBe(true);
  });

  it("keeps a durable acknowledgement when a weaker one comes after it", () => {
    const quorum = new Quorum(need({ durable: 1 }));
    quorum.add(candidate("r1"), true);
    quorum.add(candidate("r1"), false);
    expect(quorum.isMet).toBe(true);
  });

  it("never counts a fallback as a primary", () => {
    const quorum = new Quorum(need({ count: 2, primaries: 2 }));
    for (const id of ["r1", "f2", "f3"]) quorum.add(candidate(id), true);
    expect(quorum.isMet).toBe(false);
    expect(quorum.tally()).toMatchObject({ answered: 3, primaries: 1, fallbacks: 2 });
    expect(quorum.couldBeMetWith(candidates("f4 f5"))).toBe(false);
    expect(quorum.couldBeMetWith([candidate("r2")])).toBe(true);
  });

  it("counts distinct zones, not replicas", () => {
    const zones = ["a", "a", "b"];
    const [r1, r2, r3] = candidates("r1 r2 r3", { zones });
    const quorum = new Quorum(need({ count: 2, zones: 2 }));
    for (const each of [r1, r2]) if (each !== undefined) quorum.add(each, true);
    expect(quorum.isMet).toBe(false);
    expect(quorum.couldBeMetWith(r3 === undefined ? [] : [r3])).toBe(true);
  });

  it("counts one zone alone when told so", () => {
    const [near, far] = candidates("r1 r2", { zones: ["here", "there"] });
    const quorum = new Quorum(need({ count: 1, onlyZone: "here" }));
    if (far !== undefined) quorum.add(far, true);
    expect([quorum.isMet, quorum.tally().answered]).toEqual([false, 0]);
    expect(quorum.couldBeMetWith(far === undefined ? [] : [far])).toBe(false);
    expect(quorum.couldBeMetWith(near === undefined ? [] : [near])).toBe(true);
  });

  it("tells apart what has answered from what is durable", () => {
    const quorum = new Quorum(need({ count: 2, durable: 1 }));
    quorum.add(candidate("r1"), false);
    quorum.add(candidate("r2"), false);
    expect(quorum.isMet).toBe(false);
    // One that has answered may still become durable; one that has not may too.
    expect(quorum.couldBeMetWith([candidate("r1")])).toBe(true);
    quorum.add(candidate("r2"), true);
    expect(quorum.isMet).toBe(true);
  });

  it("says which number is not reached, when the count itself is", () => {
    const quorum = new Quorum(need({ count: 1, primaries: 2, durable: 1 }));
    quorum.add(candidate("f1"), true);
    quorum.add(candidate("r1"), false);
    expect(quorum.missing()).toEqual({ required: 2, achieved: 1 });
  });

  it("says what is missing, with its numbers", () => {
    const quorum = new Quorum(need({ count: 3, primaries: 2, durable: 1, zones: 2 }));
    quorum.add(candidate("f1"), false);
    expect(quorum.missing()).toEqual({ required: 3, achieved: 1 });
    expect(quorum.shortfall("acknowledged")).toBe(
      "1 of 3 required replicas acknowledged, 0 of 2 primaries, 0 of 1 durably, in 1 of 2 zones",
    );
    expect(quorum.tally()).toEqual({
      ...{ n: 3, required: 3, answered: 1, primaries: 0, fallbacks: 1, durable: 0 },
    });
  });
});
