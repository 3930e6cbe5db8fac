/**
 * How many partitions each member should hold: the second of the layout's three aims.
 *
 * The problem. Q partitions want n copies each, and each member deserves a share in proportion to
 * its weight. The zone rule stands in the way: where there are at least n zones, a zone holds at
 * most one copy of a partition, so at most Q in all; where there are fewer, at least one, so at
 * least Q in all. And no member holds a partition twice, so at most Q itself.
 *
 * The idea: pour water. All members rise together, `weight x level` partitions each, until one
 * meets a bound; it stays there while the rest go on, until all Q x n copies are poured. A zone is
 * a basin within the basin, with its own bound and so perhaps its own level. Bounds on members, on
 * zones (disjoint) and on the sum make a base polytope, for which the result is the one vector
 * that is max-min and min-max fair by weight at once (Megiddo, 1974; Fujishige, 1980): no member
 * could come nearer to its proportional share unless another, worse off, moved away.
 *
 * The sum of the shares is rarely reached by whole numbers. So the answer is a range: the share
 * rounded down and up; a share that is whole leaves no choice. Which way each is rounded is the
 * assignment's choice, for the fewest moves. There is always a way: a base polytope with whole
 * bounds that holds a point holds a whole one in the box around it.
 *
 * No member stays empty where that can be avoided: a share below 1 becomes 1. If the others cannot
 * make room for that within their own rounding, the water is poured again over a floor of 1.
 *
 * All arithmetic is on fractions of safe integers, so that every machine rounds alike. Numerators
 * stay below 2^50: weights up to 2^10, members up to 2^10, Q up to 2^16, n up to 5.
 */
import { assert, present } from "../core/assert.ts";

export interface ShareMember {
  /** An index below `zoneCount`. */
  readonly zone: number;
  /** A positive integer. */
  readonly weight: number;
}

export interface ShareProblem {
  readonly partitions: number;
  /** Copies of each partition: at most the number of members. */
  readonly copies: number;
  readonly zoneCount: number;
  readonly members: readonly ShareMember[];
}

/** How many partitions a member may hold, both ends included. */
export interface ShareRange {
  readonly least: number;
  readonly most: number;
}

/** A level of the water: partitions per unit of weight, as a reduced fraction. */
interface Level {
  readonly top: number;
  readonly bottom: number;
}

/** What stands in the water: a member, or a zone with its members. */
interface Basin {
  /** Where its volume bends, in any order. */
  readonly bends: readonly Level[];
  /** The volume at a level, times the level's `bottom`: a safe integer. */
  readonly volume: (level: Level) => number;
  /** How fast the volume grows between two neighbouring bends. */
  readonly slope: (below: Level, above: Level) => number;
}

const compareLevels = (a: Level, b: Level): number => a.top * b.bottom - b.top * a.bottom;

function levelOf(top: number, bottom: number): Level {
  assert(Number.isSafeInteger(top) && Number.isSafeInteger(bottom), "fractions of safe integers");
  assert(top >= 0 && bottom > 0, "a level is not negative");
  let [a, b] = [top, bottom];
  while (b !== 0) [a, b] = [b, a % b];
  return { top: top / a, bottom: bottom / a };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);

function memberBasin(weight: number, least: number, most: number): Basin {
  const [low, high] = [levelOf(least, weight), levelOf(most, weight)];
  return {
    bends: [low, high],
    volume: ({ top, bottom }) => Math.min(Math.max(weight * top, least * bottom), most * bottom),
    slope: (below, above) =>
      compareLevels(low, below) <= 0 && compareLevels(above, high) <= 0 ? weight : 0,
  };
}

/** The level at which the basins together hold `target`; the lowest if they never hold less. */
function fill(basins: readonly Basin[], target: number): Level {
  const bends = basins.flatMap((basin) => basin.bends).sort(compareLevels);
  const volumeAt = (level: Level): number => sum(basins.map((basin) => basin.volume(level)));
  let low = 0;
  let high = bends.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    const level = present(bends[middle]);
    if (volumeAt(level) >= target * level.bottom) high = middle;
    else low = middle + 1;
  }
  const above = bends[low];
  assert(above !== undefined && volumeAt(above) >= target * above.bottom, "there is room for all");
  const below = bends[low - 1];
  if (below === undefined || volumeAt(above) === target * above.bottom) return above;
  const slope = sum(basins.map((basin) => basin.slope(below, above)));
  assert(slope > 0, "a volume that grows has a slope");
  const missing = target * below.bottom - volumeAt(below);
  return levelOf(below.top * slope + missing, below.bottom * slope);
}

/** Whether each zone holds at most one copy of a partition; else each holds at least one. */
const zonesAreCapped = ({ zoneCount, copies }: ShareProblem): boolean => zoneCount >= copies;

/** A zone as a basin: its members' volumes, held at Q from above or from below. */
function zoneBasin(basins: readonly Basin[], bound: Level, problem: ShareProblem): Basin {
  const { partitions } = problem;
  const isCapped = zonesAreCapped(problem);
  return {
    bends: [bound, ...basins.flatMap((basin) => basin.bends)],
    volume: (level) => {
      const free = sum(basins.map((basin) => basin.volume(level)));
      const held = partitions * level.bottom;
      return isCapped ? Math.min(free, held) : Math.max(free, held);
    },
    slope: (below, above) => {
      const isHeld = isCapped ? compareLevels(bound, below) <= 0 : compareLevels(above, bound) <= 0;
      return isHeld ? 0 : sum(basins.map((basin) => basin.slope(below, above)));
    },
  };
}

/** Each member's share, rounded down and up, when no member may hold less than `floors` says. */
function pour(problem: ShareProblem, floors: readonly number[]): ShareRange[] {
  const { members, partitions, copies, zoneCount } = problem;
  assert(hasRoom(problem, floors), "the floors leave room for the zones");
  const basins = members.map(({ weight }, i) =>
    memberBasin(weight, present(floors[i]), partitions),
  );
  const zones = Array.from({ length: zoneCount }, (_, zone) => {
    const inside = basins.filter((_basin, i) => members[i]?.zone === zone);
    assert(inside.length > 0, "a zone has members");
    const bound = fill(inside, partitions);
    return { basin: zoneBasin(inside, bound, problem), bound };
  });
  const water = fill(
    zones.map(({ basin }) => basin),
    partitions * copies,
  );
  return members.map((member, i) => {
    const bound = present(zones[member.zone]).bound;
    const order = compareLevels(bound, water);
    const isHeld = zonesAreCapped(problem) ? order < 0 : order > 0;
    const level = isHeld ? bound : water;
    const share = present(basins[i]).volume(level) / level.bottom;
    return { least: Math.floor(share), most: Math.ceil(share) };
  });
}

/** Whether whole shares of at least `floors` can be found under the zone rule. */
function hasRoom(problem: ShareProblem, floors: readonly number[]): boolean {
  const { members, partitions, copies, zoneCount } = problem;
  const isCapped = zonesAreCapped(problem);
  let least = 0;
  for (let zone = 0; zone < zoneCount; zone++) {
    const inside = sum(floors.filter((_, i) => members[i]?.zone === zone));
    if (isCapped && inside > partitions) return false;
    least += isCapped ? inside : Math.max(inside, partitions);
  }
  assert(least >= 0, "a floor is not negative");
  return least <= partitions * copies;
}

/**
 * The range of partitions for each member, in the order of `members`.
 *
 * @throws AssertionFailure when there are fewer members than copies, or a zone without members
 */
export function fairShares(problem: ShareProblem): ShareRange[] {
  const { members, copies, zoneCount } = problem;
  assert(copies >= 1 && copies <= members.length, "each copy of a partition has its own member");
  assert(zoneCount >= 1 && zoneCount <= members.length, "a zone has members");
  const none = members.map(() => 0);
  const fair = pour(problem, none);
  const floors = fair.map(({ least }) => Math.max(1, least));
  if (hasRoom(problem, floors)) {
    return fair.map(({ most }, i) => ({ least: present(floors[i]), most }));
  }
  const ones = members.map(() => 1);
  return hasRoom(problem, ones) ? pour(problem, ones) : fair;
}
