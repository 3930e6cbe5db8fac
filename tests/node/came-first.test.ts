/** Which of two strict writes came first: what the primaries say, and what is made of it. */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { FOUND_NOTHING, type Found } from "../../replica/beside.ts";
import { type Came, CameFirst } from "../../src/node/serving/came-first.ts";

const dot = { actor: "AAAAAAAA", counter: 1 };
const time = 0;
const candidate = (id: string) => ({ id, zone: "", isPrimary: true, isSuspect: false });

const had: Found = { ...FOUND_NOTHING, beside: [{ dot, time }] };
const hadAndLost: Found = { ...FOUND_NOTHING, covered: CausalContext.empty.with(dot) };
const over: Found = { ...FOUND_NOTHING, isOver: true };
const twice: Found = { ...had, wasThere: true };

interface Case {
  readonly self: "lacks" | "has";
  readonly told: readonly (Found | "behind" | null)[];
  readonly came: Came;
}

/** Of n primaries the coordinator is one. */
function cameBy({ self, told }: Case): Came {
  const n = told.length + 1;
  const count = Math.floor(n / 2) + 1;
  const primaries = told.map((_, i) => candidate(`r${i}`));
  const need = { n, count, primaries: count, durable: 0, zones: 0, onlyZone: null };
  const first = new CameFirst({ w: count, n }, { primaries, need }, () => self === "lacks");
  for (const [i, found] of told.entries()) {
    if (found === "behind") first.tell(`r${i}`, FOUND_NOTHING, true);
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
  // Where the write is over nothing is told: the other one may have been there.
  { self: "lacks", told: [had, over], came: "before" },
  { self: "lacks", told: [had, "behind"], came: "unclear" },
  { self: "lacks", told: [had, twice], came: "unclear" },
  { self: "lacks", told: [had, had, nothing, nothing], came: "after" },
  { self: "lacks", told: [had, had, had, null], came: "before" },
  { self: "lacks", told: [had, had, null, "behind"], came: "silent" },
];

describe("a version that a strict write found", () => {
  it.each(cases)("came $came: $self it itself, others say $told", (one) => {
    expect(cameBy(one)).toBe(one.came);
  });
});
