import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fairShares } from "../../ring/fair-shares.ts";
import { ringCases, sharesOf } from "./memberships.ts";
import { canHold, sharesByTheDrop } from "./oracles.ts";

const DROPS = 100;
/** A heavy member's drop may lie with a light one: half their ratio, twice, in drops. */
const SLACK = 12 / DROPS;

const ring = (partitions: number, n: number, members: [zone: string, weight: number][]) => ({
  partitions,
  n,
  members: members.map(([zone, weight], i) => ({ id: `r${i + 1}`, zone, weight })),
});

const exactly = (...shares: number[]) => shares.map((share) => ({ least: share, most: share }));

describe("fairShares", () => {
  it("follows the weights where zones do not bind", () => {
    const free = ring(64, 1, [
      ["a", 1],
      ["b", 2],
      ["c", 5],
    ]);
    expect(sharesOf(free)).toEqual(exactly(8, 16, 40));
    const uneven = ring(64, 1, [
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    expect(sharesOf(uneven)).toEqual(Array(3).fill({ least: 21, most: 22 }));
  });

  it("holds a zone at one copy a partition, and gives the others what it cannot take", () => {
    const heavy = ring(60, 2, [
      ["a", 9],
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    expect(sharesOf({ ...heavy, partitions: 64 })).toEqual([
      { least: 57, most: 58 },
      { least: 6, most: 7 },
      ...exactly(32, 32),
    ]);
  });

  it("fills a light zone to one copy a partition where zones are few", () => {
    const light = ring(64, 3, [
      ["a", 10],
      ["a", 10],
      ["a", 10],
      ["b", 1],
    ]);
    expect(sharesOf(light)).toEqual([
      ...Array(3).fill({ least: 42, most: 43 }),
      { least: 64, most: 64 },
    ]);
  });

  it("leaves nobody empty: rounding up where there is room, pouring over a floor otherwise", () => {
    const roomy = ring(16, 1, [
      ["a", 10],
      ["a", 10],
      ["a", 1],
    ]);
    expect(sharesOf(roomy)).toEqual([
      { least: 7, most: 8 },
      { least: 7, most: 8 },
      { least: 1, most: 1 },
    ]);
    const tight = ring(8, 1, [
      ["a", 10],
      ...Array.from({ length: 7 }, () => ["a", 1] as [string, number]),
    ]);
    expect(sharesOf(tight)).toEqual(exactly(1, 1, 1, 1, 1, 1, 1, 1));
  });

  it("agrees with water poured by the drop", () => {
    fc.assert(
      fc.property(ringCases({ partitions: [1, 4, 16, 32], membersMax: 100 }), (problem) => {
        const ranges = sharesOf(problem);
        const fair = sharesByTheDrop(problem, DROPS, 0);
        const rounded = fair.map((share) => Math.max(1, Math.floor(share - SLACK)));
        const roundedUp = fair.map((share) => Math.max(1, Math.floor(share + SLACK)));
        const [low, high] = [canHold(problem, rounded), canHold(problem, roundedUp)];
        fc.pre(low === high);
        const hasFloor =
          !low &&
          canHold(
            problem,
            problem.members.map(() => 1),
          );
        const expected = hasFloor ? sharesByTheDrop(problem, DROPS, 1) : fair;
        ranges.forEach(({ least, most }, i) => {
          const share = expected[i] ?? 0;
          const lowest = Math.floor(share - SLACK);
          const highest = Math.ceil(share + SLACK);
          expect(most - least).toBeLessThanOrEqual(1);
          expect(most).toBeLessThanOrEqual(highest);
          expect(most).toBeGreaterThanOrEqual(share - SLACK);
          expect(least).toBeGreaterThanOrEqual(lowest);
          expect(least).toBeLessThanOrEqual(low ? Math.max(1, share + SLACK) : share + SLACK);
        });
      }),
      { numRuns: 150 },
    );
  });

  it("keeps whole the shares of the largest rings", () => {
    const members = Array.from({ length: 1024 }, (_, i) => ({
      zone: i % 9,
      weight: 1 + ((i * 37) % 1000),
    }));
    const ranges = fairShares({ partitions: 65_536, copies: 5, zoneCount: 9, members });
    const least = ranges.reduce((sum, range) => sum + range.least, 0);
    const most = ranges.reduce((sum, range) => sum + range.most, 0);
    expect(least).toBeLessThanOrEqual(5 * 65_536);
    expect(most).toBeGreaterThanOrEqual(5 * 65_536);
    expect(ranges.every((range) => range.most - range.least <= 1)).toBe(true);
  });
});
