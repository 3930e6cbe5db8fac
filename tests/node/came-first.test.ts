/** Which of two strict writes came first: what the primaries say, and what is made of it. */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { FOUND_NOTHING, type Found } from "../../replica/beside.ts";
import { type Came, CameFirst } from "../../src/node/serving/came-first.ts";

const dot = { actor: "AAAAAAAA", counter: 1 };
const time = 0;

const had: Found = { ...FOUND_NOTHING, beside: [{ dot, time }] };
const hadAndLost: Found = { ...FOUND_NOTHING, covered: CausalContext.empty.with(dot) };
const over: Found = { ...FOUND_NOTHING, isOver: true };
const twice: Found = { ...had, wasThere: true };

interface Case {
  readonly self: "lacks" | "has";
  readonly told: readonly (Found | "behind" | "behind, had" | null)[];
  readonly came: Came;
  readonly isSameLayout?: boolean;
}

/** Of n primaries the coordinator is one. */
function cameBy({ self, told, isSameLayout = true }: Case): Came {
  const others = told.map((_, i) => `r${i}`);
  const first = new CameFirst({
    n: told.length + 1,
    primaries: ["self", ...others],
    self: "self",
    lacks: () => self === "lacks",
    isSameLayout: () => isSameLayout,
  });
  // It is an owner by the other layout, and so does not count.
  first.tell("another", had, false);
  for (const [i, found] of told.entries()) {
    if (found === "behind") first.tell(`r${i}`, FOUND_NOTHING, true);
    else if (found === "behind, had") first.tell(`r${i}`, had, true);
    else if (found !== null) first.tell(`r${i}`, found, false);
  }
  return first.came(dot);
}

const nothing = FOUND_NOTHING;
const cases: readonly Case[] = [
  { self: "lacks", told: [had, had], came: "before" },
  { self: "lacks", told: [had, hadAndLost], came: "before" },
  { self: "lacks", told: [had, nothing], came: "after" },
  { self: "lacks", told: [nothing, null], came: "after" },
  { self: "lacks", told: [had, null], came: "silent" },
  { self: "has", told: [had, null], came: "before" },
  { self: "has", told: [nothing, null], came: "silent" },
  // Where the write is over nothing is told: either may have been there first.
  { self: "lacks", told: [had, over], came: "unclear" },
  { self: "lacks", told: [nothing, over], came: "after" },
  { self: "has", told: [had, over], came: "before" },
  { self: "lacks", told: [had, "behind"], came: "unclear" },
  // The write may have been there as well, before its disk was lost.
  { self: "lacks", told: [had, "behind, had"], came: "unclear" },
  { self: "lacks", told: [had, twice], came: "unclear" },
  { self: "lacks", told: [had, had, nothing, nothing], came: "after" },
  { self: "lacks", told: [had, had, had, null], came: "before" },
  { self: "lacks", told: [had, had, null, "behind"], came: "silent" },
  // Half of an even number is no majority, so that neither of the two can have been shown.
  { self: "lacks", told: [had, had, nothing], came: "after" },
  { self: "lacks", told: [had, had, had], came: "before" },
  { self: "lacks", told: [had, had], came: "unclear", isSameLayout: false },
  { self: "lacks", told: [nothing, nothing], came: "unclear", isSameLayout: false },
];

describe("a version that a strict write found", () => {
  it.each(cases)("came $came: $self it itself, others say $told", (one) => {
    expect(cameBy(one)).toBe(one.came);
  });
});

describe("of two strict writes that have met at every primary", () => {
  it.each([1, 2, 3, 4, 5, 6])("each has not come before the other one, of %i", (n) => {
    const primaries = Array.from({ length: n }, (_, i) => `r${i}`);
    const parts = { n, primaries, isSameLayout: () => true };
    for (let firsts = 0; firsts < 2 ** n; firsts++) {
      // Where its bit is set a primary met the first of the two first.
      const isFirstAt = (i: number): boolean => (firsts & (1 << i)) !== 0;
      const cameTo = (hadAt: (i: number) => boolean, self: string): Came => {
        const at = primaries.indexOf(self);
        const first = new CameFirst({ ...parts, self, lacks: () => at >= 0 && !hadAt(at) });
        for (const [i, id] of primaries.entries()) {
          if (id !== self) first.tell(id, hadAt(i) ? had : nothing, false);
        }
        return first.came(dot);
      };
      for (const one of [...primaries, "stranger"]) {
        for (const other of [...primaries, "stranger"]) {
          const [toOne, toOther] = [cameTo((i) => !isFirstAt(i), one), cameTo(isFirstAt, other)];
          expect([toOne, toOther]).not.toEqual(["before", "before"]);
          expect(["before", "after"]).toContain(toOne);
        }
      }
    }
  });
});
