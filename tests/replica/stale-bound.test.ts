import { describe, expect, it } from "vitest";
import type { Ages } from "../../core/message-values.ts";
import { nothingToProve, proofOf } from "../../replica/stale-bound.ts";

const need = { stamp: 7, memberCount: 4, maxStaleMs: 1000, staleW: 1 };
type Told = readonly [stamp: number, ...ms: (number | null)[]];
const agesOf = ([stamp, ...ms]: Told): Ages => ({ stamp, ms });
const boundOf = (more: Partial<typeof need>, ...told: Told[]) =>
  proofOf({ ...need, ...more }, told.map(agesOf)).staleBoundMs;

describe("how stale an answer is at most", () => {
  it("is as much as the member of which least is known, by the replica that knows it best", () => {
    expect(boundOf({}, [7, 0, 300, 900, 20])).toBe(900);
    expect(boundOf({}, [7, 0, 300, 900, null], [7, 400, 0, 800, 1200])).toBe(1200);
    expect(boundOf({}, [7, 0, 300, null, 20])).toBe(Infinity);
    expect(boundOf({})).toBe(Infinity);
  });

  it("leaves out one member for each acknowledgement beyond the first", () => {
    const told: Told = [7, 0, 300, null, 900];
    expect(boundOf({ staleW: 2 }, told)).toBe(900);
    expect(boundOf({ staleW: 3 }, told)).toBe(300);
    expect(boundOf({ staleW: 4 }, told)).toBe(0);
    expect(boundOf({ staleW: 5 }, told)).toBe(0);
  });

  it("takes nothing that is by another document, or is no age", () => {
    expect(boundOf({}, [8, 0, 0, 0, 0])).toBe(Infinity);
    expect(boundOf({}, [7, 0, 0, 0])).toBe(Infinity);
    expect(boundOf({}, [7, 0, 0, 0, 0, 0])).toBe(Infinity);
    expect(boundOf({}, [7, 0, 0, 0, -1])).toBe(Infinity);
  });

  it("takes the word of one that gave hints away long ago if all others are known since", () => {
    const calm: Told = [7, null, null, null, -1];
    expect(boundOf({}, [7, 0, 300, 900, null], calm)).toBe(900);
    expect(boundOf({}, [7, 0, 300, 480_000, null], calm)).toBe(480_000);
    expect(boundOf({}, [7, 0, 300, 480_001, null], calm)).toBe(Infinity);
    // The one that is left out may be the one that got the hint.
    expect(boundOf({ staleW: 2 }, [7, 0, 300, null, null], calm)).toBe(Infinity);
    expect(boundOf({}, [7, 0, 300, null, null], calm, [7, null, null, -1, null])).toBe(300);
  });

  it("is enough or says in numbers what is lacking", () => {
    expect(proofOf(need, [agesOf([7, 0, 0, 0, 1000])]).isEnough).toBe(true);
    const proof = proofOf({ ...need, staleW: 2 }, [agesOf([7, 0, 1001, null, 0])]);
    expect(proof.isEnough).toBe(false);
    expect(proof.failure()).toMatchObject({ code: "staleness-unproven", required: 3, achieved: 2 });
    expect(proof.failure().detail).toContain("2 of 3 required members are known to within 1 s");
    expect([nothingToProve.isEnough, nothingToProve.staleBoundMs]).toEqual([true, undefined]);
    expect(() => nothingToProve.failure()).toThrow();
  });
});
