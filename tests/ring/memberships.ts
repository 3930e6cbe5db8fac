// Random rings and random changes to them, for the property tests of this folder.
import fc from "fast-check";
import type { AssignmentMember } from "../../ring/assignment.ts";
import { fairShares, type ShareRange } from "../../ring/fair-shares.ts";

export interface RingCase {
  readonly partitions: number;
  readonly n: number;
  readonly members: readonly AssignmentMember[];
}

/** What the ring itself says that each member should hold, in the order of the members. */
export function sharesOf({ partitions, n, members }: RingCase): ShareRange[] {
  const zones = [...new Set(members.map(({ zone }) => zone))];
  return fairShares({
    partitions,
    copies: Math.min(n, members.length),
    zoneCount: zones.length,
    members: members.map(({ zone, weight }) => ({ zone: zones.indexOf(zone), weight })),
  });
}

export interface CaseLimits {
  readonly partitions: readonly number[];
  readonly membersMax: number;
  readonly zonesMax?: number;
  readonly weightMax?: number;
}

const attributes = ({ zonesMax = 9, weightMax = 10 }: CaseLimits) =>
  fc.record({
    zone: fc.integer({ min: 1, max: zonesMax }).map((zone) => `z${zone}`),
    weight: fc.integer({ min: 1, max: weightMax }),
  });

export const ringCases = (limits: CaseLimits): fc.Arbitrary<RingCase> =>
  fc
    .record({
      partitions: fc.constantFrom(...limits.partitions),
      n: fc.integer({ min: 1, max: 5 }),
      // Without "max" the generator would stop at a dozen, whatever the longest length.
      members: fc.array(attributes(limits), {
        minLength: 1,
        maxLength: limits.membersMax,
        size: "max",
      }),
    })
    .map(({ partitions, n, members }) => ({
      partitions,
      n,
      members: members.map((member, i) => ({ id: `r${i + 1}`, ...member })),
    }));

type Step = (members: readonly AssignmentMember[], serial: number) => readonly AssignmentMember[];

/** One step of an operator: joins, leaves, another weight, another zone. */
export const steps = (limits: CaseLimits): fc.Arbitrary<Step> => {
  const at = fc.nat({ max: 10_000 });
  const changed = (key: "zone" | "weight") =>
    fc.tuple(at, attributes(limits)).map(
      ([where, fresh]): Step =>
        (members) =>
          members.map((member, i) =>
            i === where % members.length ? { ...member, [key]: fresh[key] } : member,
          ),
    );
  return fc.oneof(
    fc.array(attributes(limits), { minLength: 1, maxLength: 3 }).map(
      (fresh): Step =>
        (members, serial) => [
          ...members,
          ...fresh.map((member, i) => ({ id: `j${serial}.${i}`, ...member })),
        ],
    ),
    fc.tuple(at, fc.integer({ min: 1, max: 2 })).map(
      ([where, count]): Step =>
        (members) => {
          const first = where % members.length;
          const left = members.filter((_, i) => i < first || i >= first + count);
          return left.length > 0 ? left : members;
        },
    ),
    changed("weight"),
    changed("zone"),
  );
};

/** A change from one ring to another, through up to four steps in between. */
export const ringChains = (limits: CaseLimits) =>
  fc.record({
    start: ringCases(limits),
    path: fc.array(steps(limits), { minLength: 1, maxLength: 4 }),
  });

export function walk(
  { start, path }: { readonly start: RingCase; readonly path: readonly Step[] },
  visit: (next: RingCase) => void,
): void {
  let { members } = start;
  visit(start);
  path.forEach((step, serial) => {
    members = step(members, serial);
    visit({ ...start, members });
  });
}
