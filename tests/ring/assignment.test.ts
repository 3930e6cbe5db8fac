import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Assignment, assign, layOut } from "../../ring/assignment.ts";
import { movesBetween } from "../../ring/plan.ts";
import { type RingCase, ringCases, ringChains, sharesOf, walk } from "./memberships.ts";
import {
  canHold,
  countsOf,
  fewestMoves,
  fewestMovesBySearch,
  meritsOf,
  sharesByTheDrop,
} from "./oracles.ts";

const SIZES = { partitions: [16, 16, 32, 32, 64, 256], membersMax: 100 };

function expectZones(ring: RingCase, assignment: Assignment): void {
  const { copies, zoneCount } = meritsOf(ring);
  const zones = new Map(ring.members.map(({ id, zone }) => [id, zone]));
  expect(assignment.length).toBe(ring.partitions);
  for (const row of assignment) {
    expect(row.length).toBe(copies);
    expect(new Set(row).size).toBe(copies);
    for (let n = 1; n <= copies; n++) {
      const found = new Set(row.slice(0, n).map((id) => zones.get(id)));
      expect(found.has(undefined)).toBe(false);
      expect(found.size).toBe(Math.min(n, zoneCount));
    }
  }
}

function expectShares(ring: RingCase, assignment: Assignment): void {
  const counts = countsOf(assignment);
  sharesOf(ring).forEach(({ least, most }, i) => {
    const count = counts.get(ring.members[i]?.id ?? "") ?? 0;
    expect(count).toBeGreaterThanOrEqual(least);
    expect(count).toBeLessThanOrEqual(most);
  });
  if (
    !canHold(
      ring,
      ring.members.map(() => 1),
    )
  )
    return;
  for (const { id } of ring.members) expect(counts.get(id) ?? 0).toBeGreaterThan(0);
}

/** The order of members and of each row's ids changed, nothing else. */
const reversed = (ring: RingCase): RingCase => ({ ...ring, members: ring.members.toReversed() });

describe("a layout from nothing", () => {
  it("reaches the zones and the shares on rings of any size", () => {
    fc.assert(
      fc.property(ringCases(SIZES), (ring) => {
        const assignment = assign(ring);
        expectZones(ring, assignment);
        expectShares(ring, assignment);
      }),
      { numRuns: 100 },
    );
  });

  it("gives each member what water poured by the drop would, to within one partition", () => {
    fc.assert(
      fc.property(ringCases({ partitions: [8, 16], membersMax: 16 }), (ring) => {
        const fair = sharesByTheDrop(ring, 50, 0);
        fc.pre(fair.every((share) => share >= 1));
        const counts = countsOf(assign(ring));
        ring.members.forEach(({ id }, i) => {
          expect(Math.abs((counts.get(id) ?? 0) - (fair[i] ?? 0))).toBeLessThan(1.2);
        });
      }),
      { numRuns: 100 },
    );
  });

  it("makes the shares of equals differ by one at most", () => {
    fc.assert(
      fc.property(ringCases({ ...SIZES, weightMax: 1, zonesMax: 1 }), (ring) => {
        const counts = [...countsOf(assign(ring)).values()];
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 40 },
    );
  });

  it("depends on the members and not on their order", () => {
    fc.assert(
      fc.property(
        ringCases({ ...SIZES, membersMax: 30 }).chain((ring) =>
          fc.record({
            ring: fc.constant(ring),
            shuffled: fc.shuffledSubarray([...ring.members], { minLength: ring.members.length }),
          }),
        ),
        ({ ring, shuffled }) => {
          expect(assign({ ...ring, members: shuffled })).toEqual(assign(ring));
        },
      ),
      { numRuns: 40 },
    );
  });

  it("stays what it is from one release to the next", () => {
    const members = ["a", "a", "b", "b", "c"].map((zone, i) => ({
      id: `r${i + 1}`,
      zone,
      weight: 1 + (i % 2),
    }));
    const rows = assign({ partitions: 8, n: 3, members }).map((row) => row.join(" "));
    expect(rows).toMatchInlineSnapshot(`
      [
        "r4 r5 r2",
        "r5 r1 r3",
        "r2 r4 r5",
        "r3 r2 r5",
        "r5 r2 r4",
        "r4 r5 r1",
        "r5 r4 r2",
        "r2 r5 r4",
      ]
    `);
  });

  it("spreads a member's partners over all others", () => {
    const members = Array.from({ length: 10 }, (_, i) => ({ id: `r${i}`, zone: "a", weight: 1 }));
    const rows = assign({ partitions: 256, n: 3, members }).filter((row) => row.includes("r0"));
    const partners = countsOf(rows);
    for (const { id } of members.slice(1)) {
      // 77 rows with two partners each among nine: 17 on average.
      expect(partners.get(id) ?? 0).toBeGreaterThan(6);
      expect(partners.get(id) ?? 0).toBeLessThan(32);
    }
  });

  it("refuses what is no ring", () => {
    const members = [{ id: "r1", zone: "a", weight: 1 }];
    expect(() => assign({ partitions: 12, n: 1, members })).toThrow("power of two");
    expect(() => assign({ partitions: 16, n: 1, members: [] })).toThrow("has members");
    expect(() => assign({ partitions: 16, n: 6, members })).toThrow("1 to 5");
    const twins = [...members, ...members];
    expect(() => assign({ partitions: 16, n: 1, members: twins })).toThrow("distinct ids");
  });
});

describe("a layout after a change", () => {
  it("reaches zones and shares again, with moves that the dual proves fewest", () => {
    fc.assert(
      fc.property(ringChains({ ...SIZES, membersMax: 40 }), (chain) => {
        let previous: Assignment = [];
        walk(chain, (ring) => {
          const { assignment, movedCount, movedCountMin } = layOut({ ...ring, previous });
          expectZones(ring, assignment);
          expectShares(ring, assignment);
          expect(movedCountMin).toBe(movedCount);
          if (previous.length > 0) {
            expect(movesBetween(previous, assignment).length).toBe(movedCount);
          }
          previous = assignment;
        });
      }),
      { numRuns: 60 },
    );
  });

  it("moves as few copies as exhaustive search finds", () => {
    const tiny = { partitions: [1, 2, 4], membersMax: 4, zonesMax: 3, weightMax: 3 };
    fc.assert(
      fc.property(ringChains(tiny), (chain) => {
        let previous: Assignment = [];
        walk(chain, (ring) => {
          if (ring.members.length > 6) return;
          const { assignment, movedCount } = layOut({ ...ring, previous });
          expect(movedCount).toBe(fewestMovesBySearch(ring, sharesOf(ring), previous));
          previous = assignment;
        });
      }),
      { numRuns: 500 },
    );
  });

  it("moves as few copies as an independent flow finds", () => {
    const small = { partitions: [8, 16], membersMax: 9 };
    fc.assert(
      fc.property(ringChains(small), (chain) => {
        let previous: Assignment = [];
        walk(chain, (ring) => {
          const { assignment, movedCount } = layOut({ ...ring, previous });
          if (previous.length > 0) {
            expect(movedCount).toBe(fewestMoves(ring, sharesOf(ring), previous));
          }
          previous = assignment;
        });
      }),
      { numRuns: 200 },
    );
  });

  it("moves as few copies from any layout, however bad", () => {
    const small = ringCases({ partitions: [8], membersMax: 7 });
    const withRows = small.chain((ring) =>
      fc.record({
        ring: fc.constant(ring),
        previous: fc.array(
          fc.subarray([...ring.members.map(({ id }) => id), "gone"], {
            maxLength: Math.min(3, ring.members.length + 1),
          }),
          { minLength: 8, maxLength: 8 },
        ),
      }),
    );
    fc.assert(
      fc.property(withRows, ({ ring, previous }) => {
        const { movedCount, movedCountMin } = layOut({ ...ring, previous });
        expect(movedCount).toBe(fewestMoves(ring, sharesOf(ring), previous));
        expect(movedCountMin).toBe(movedCount);
      }),
      { numRuns: 300 },
    );
  });

  it("changes nothing, not even an order, when nothing changed", () => {
    fc.assert(
      fc.property(ringCases({ ...SIZES, membersMax: 30 }), (ring) => {
        const previous = assign(ring);
        expect(layOut({ ...ring, previous })).toMatchObject({
          assignment: previous,
          movedCount: 0,
        });
      }),
      { numRuns: 40 },
    );
  });

  it("depends on the members and not on their order", () => {
    fc.assert(
      fc.property(ringChains({ ...SIZES, membersMax: 20 }), (chain) => {
        let previous: Assignment = [];
        walk(chain, (ring) => {
          const assignment = assign({ ...ring, previous });
          expect(assign({ ...reversed(ring), previous })).toEqual(assignment);
          previous = assignment;
        });
      }),
      { numRuns: 30 },
    );
  });

  it("moves to a newcomer its own share and nothing between the others", () => {
    const members = Array.from({ length: 4 }, (_, i) => ({
      id: `r${i}`,
      zone: `z${i}`,
      weight: 1,
    }));
    const before = assign({ partitions: 256, n: 3, members });
    const joined = [...members, { id: "new", zone: "z4", weight: 1 }];
    const { assignment, movedCount } = layOut({
      partitions: 256,
      n: 3,
      members: joined,
      previous: before,
    });
    // 768 copies on five: 153 or 154 each.
    expect(movedCount).toBe(153);
    expect(movesBetween(before, assignment).every(({ to }) => to === "new")).toBe(true);
  });
});
