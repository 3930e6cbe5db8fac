import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Candidate } from "../../replica/candidate.ts";
import { raised } from "../../replica/quorum.ts";
import type { RingMember } from "../../ring/members.ts";
import { changedMembers, layoutAfter, movesBetween } from "../../ring/plan.ts";
import { listsOf } from "../../ring/preference-list.ts";
import {
  acknowledge,
  advanced,
  beginChange,
  callOff,
  forceOut,
  gainsOf,
  joinedRings,
  openChange,
  takersOf,
} from "../../ring/ring-change.ts";
import {
  agreedRing,
  bootstrapRing,
  parseRingDocument,
  type RingDocument,
} from "../../ring/ring-document.ts";

const SIZES = [3, 1];

const member = (id: string, zone: string): RingMember => ({ id, zone, url: "", weight: 1 });

const founders = ["a", "b", "c", "a", "b"].map((zone, i) => member(`r${i + 1}`, zone));
const config = { name: "local", partitions: 16, n: 3, members: founders };
const founded = agreedRing(bootstrapRing(config, "7"));

function begun(
  change: object,
  by: { ballot: number; forced?: string[] } = { ballot: 5 },
): RingDocument {
  const members = changedMembers(founded, change);
  const to = layoutAfter(founded, members, by.ballot);
  return beginChange(founded, to, { ballot: by.ballot, forced: by.forced ?? [] });
}

const joinAndLeave = { add: [member("r6", "c")], remove: ["r1"] };

const mergeRings = (a: RingDocument, b: RingDocument, sizes: readonly number[]): RingDocument =>
  advanced(joinedRings(a, b), sizes);

const allAck = (ring: RingDocument, ids: readonly string[]): RingDocument =>
  ids.reduce((at, id) => (openChange(at) === null ? at : acknowledge(at, id, SIZES)), ring);

/** Every document that a run of acknowledgements goes through, the last one after the change. */
function stagesOf(ring: RingDocument): readonly RingDocument[] {
  const stages = [ring];
  for (const id of takersOf(ring, SIZES)) {
    stages.push(acknowledge(stages.at(-1) ?? ring, id, SIZES));
  }
  for (const { id } of [...founders, member("r6", "c")]) {
    const last = stages.at(-1) ?? ring;
    if (openChange(last) !== null) stages.push(acknowledge(last, id, SIZES));
  }
  return stages;
}

describe("a change of members", () => {
  it("goes from filling to settling when every taker has acknowledged", () => {
    const ring = begun(joinAndLeave);
    const takers = takersOf(ring, SIZES);
    expect(takers).toContain("r6");
    const [first = "", ...others] = takers;
    const partly = allAck(ring, others);
    expect(openChange(partly)?.phase).toBe("filling");
    const settling = acknowledge(partly, first, SIZES);
    expect(openChange(settling)).toMatchObject({ phase: "settling", acks: [] });
    expect(settling.version).toBe(1);
  });

  it("is over when no quorum of old owners may still read by the old layout", () => {
    const ring = begun(joinAndLeave);
    const settling = allAck(ring, takersOf(ring, SIZES));
    const stages = stagesOf(ring);
    const over = stages.at(-1) as RingDocument;
    expect(over.version).toBe(2);
    expect(over.change).toBeUndefined();
    expect(over.members).toEqual(openChange(ring)?.to.members);
    // One owner of three may be missing, but the sole owner of a namespace with N = 1 may not.
    expect(openChange(allAck(settling, ["r1", "r2", "r3", "r4"]))).not.toBe(null);
    const three = ["r1", "r2", "r3", "r4"].reduce((at, id) => acknowledge(at, id, [3]), settling);
    expect(three.version).toBe(2);
  });

  it("is not over before those that leave have said that they may go", () => {
    const ring = begun(joinAndLeave);
    const settling = allAck(ring, takersOf(ring, SIZES));
    const almost = allAck(settling, ["r2", "r3", "r4", "r5", "r6"]);
    expect(openChange(almost)?.phase).toBe("settling");
    expect(acknowledge(almost, "r1", SIZES).version).toBe(2);
  });

  it("waits for nobody who was given up for dead", () => {
    const ring = begun({ remove: ["r1"] });
    const settling = allAck(ring, takersOf(ring, SIZES));
    const waiting = allAck(settling, ["r2", "r3", "r4", "r5"]);
    expect(openChange(waiting)?.phase).toBe("settling");
    const forced = forceOut(waiting, ["r1"], 6);
    expect(acknowledge(forced, "r2", SIZES).version).toBe(2);
  });

  it("gives what the layouts differ by, and at once when that is nothing", () => {
    const ring = begun(joinAndLeave);
    const to = openChange(ring)?.to.assignment ?? [];
    const gains = takersOf(ring, [3]).flatMap((id) => gainsOf(ring, id, [3]));
    expect(gains.length).toBe(movesBetween(founded.assignment, to).length);
    const same = begun({ add: [{ ...member("r5", "b"), url: "http://x:1" }], remove: ["r5"] });
    expect(takersOf(same, SIZES)).toEqual([]);
    expect(mergeRings(founded, same, SIZES).version).toBe(1);
    expect(openChange(mergeRings(founded, same, SIZES))?.phase).toBe("settling");
  });

  it("is read back as it was written", () => {
    for (const stage of stagesOf(begun(joinAndLeave, { ballot: 9, forced: ["r1"] }))) {
      expect(parseRingDocument(JSON.parse(JSON.stringify(stage)))).toEqual(stage);
    }
    const off = callOff(begun(joinAndLeave), 8);
    expect(parseRingDocument(JSON.parse(JSON.stringify(off)))).toEqual(off);
  });

  it.each([
    [{ change: 1 }, `"change" must be an object`],
    [{ change: { ballot: 0 } }, `"ballot"`],
    [{ change: { ballot: 1, phase: "x" } }, `"phase"`],
    [{ change: { ballot: 1, phase: "filling", to: 7 } }, "a layout"],
    [{ change: { ballot: 1, phase: "filling", to: null, acks: ["b", "a"] } }, `"acks"`],
    [{ change: { ballot: 1, phase: "filling", to: null, acks: [], forced: [1] } }, `"forced"`],
    [{ change: { ballot: 1, more: 1 } }, `"more"`],
    [{ isProvisional: false }, `"isProvisional"`],
  ])("is refused when it is none: %j", (part, message) => {
    expect(() => parseRingDocument({ ...founded, ...part })).toThrow(message);
  });
});

describe("mergeRings", () => {
  const first = begun(joinAndLeave);
  const rival = begun({ remove: ["r2"] }, { ballot: 6 });
  const documents = fc.constantFrom(
    founded,
    { ...founded, isProvisional: true as const },
    ...stagesOf(first),
    ...stagesOf(forceOut(first, ["r1"], 7)),
    ...stagesOf(rival),
    callOff(rival, 8),
  );

  it("is a join: commutative, associative, idempotent", () => {
    const merge = (a: RingDocument, b: RingDocument): RingDocument => mergeRings(a, b, SIZES);
    fc.assert(
      fc.property(documents, documents, documents, (a, b, c) => {
        expect(merge(a, b)).toEqual(merge(b, a));
        expect(merge(a, a)).toEqual(agreedRing(a).change === undefined ? a : merge(a, a));
        // Two different rings of one version were never both agreed on: their order does not
        // matter.
        if (a.version !== b.version || b.version !== c.version) return;
        expect(merge(merge(a, b), c)).toEqual(merge(a, merge(b, c)));
      }),
      { numRuns: 500 },
    );
  });

  it("never goes back: neither a version, nor a ballot, nor a phase, nor an acknowledgement", () => {
    const rank = (ring: RingDocument): readonly number[] => [
      ring.version,
      ring.change?.ballot ?? 0,
      ring.change?.phase === "settling" ? 1 : 0,
      ring.change?.acks.length ?? 0,
    ];
    fc.assert(
      fc.property(documents, documents, (a, b) => {
        const [x, y] = [rank(a), rank(mergeRings(a, b, SIZES))];
        const at = x.findIndex((value, i) => value !== y[i]);
        expect(at < 0 || (y[at] as number) > (x[at] as number)).toBe(true);
      }),
    );
  });

  it("prefers the ring that a majority agreed on to what a newcomer's file says", () => {
    const members = [...founders, member("r6", "c")];
    const newcomer = bootstrapRing({ ...config, members }, "7");
    for (const ring of [
      mergeRings(founded, newcomer, SIZES),
      mergeRings(newcomer, founded, SIZES),
    ]) {
      expect(ring).toBe(founded);
    }
  });
});

describe("a write's need while members change", () => {
  it("cannot be met without enough of the old owners and enough of the new ones", () => {
    const changes = fc.constantFrom<object>(
      joinAndLeave,
      { remove: ["r1"] },
      { remove: ["r1", "r3"], add: [member("r6", "c")] },
      { add: [member("r6", "c"), member("r7", "a")] },
    );
    const input = fc.record({
      change: changes,
      partition: fc.nat({ max: 15 }),
      n: fc.integer({ min: 1, max: 3 }),
      picks: fc.array(fc.nat({ max: 9 }), { maxLength: 8 }),
    });
    fc.assert(
      fc.property(input, ({ change, partition, n, picks }) => {
        const ring = begun(change);
        const to = openChange(ring)?.to;
        if (to === undefined) throw new Error("a change was begun");
        const before = listsOf(ring).of(partition).slice(0, n);
        const after = listsOf(to).of(partition).slice(0, n);
        const pending = after.filter((id) => !before.includes(id));
        const w = Math.floor(n / 2) + 1;
        const candidates = pending.map((id): Candidate => {
          return { id, isPrimary: true, zone: "", isSuspect: false };
        });
        const none = { primaries: 0, durable: w, zones: 0, onlyZone: null };
        const need = raised({ n, count: w, ...none }, candidates);
        const owners = [...before, ...pending];
        const acked = new Set(picks.map((pick) => owners[pick % owners.length]));
        if (acked.size < need.count) return;
        expect(before.filter((id) => acked.has(id)).length).toBeGreaterThanOrEqual(w);
        expect(after.filter((id) => acked.has(id)).length).toBeGreaterThanOrEqual(w);
        expect(need.durable).toBe(need.count);
        expect(need.primaries).toBe(0);
      }),
    );
  });
});
