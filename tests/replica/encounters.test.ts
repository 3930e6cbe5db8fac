/**
 * When a write comes once more, it is told again what it met the first time, and nothing that came
 * since.
 */
import { describe, expect, it } from "vitest";
import { CausalContext, type Dot } from "../../core/causal-context.ts";
import { type Entry, emptyEntry, merge, type Sibling } from "../../core/entry.ts";
import { Encounters } from "../../replica/encounters.ts";
import { plainContent } from "../support/content.ts";

const dotOf = (counter: number): Dot => ({ actor: "AAAAAAAA", counter });
const siblingOf = (counter: number): Sibling => ({
  ...{ dot: dotOf(counter), time: counter, op: `op${counter}`, expiresAt: 0 },
  content: plainContent(new Uint8Array(9)),
});
/** Its context names its own siblings alone. */
const entryOf = (...counters: readonly number[]): Entry => ({
  ...emptyEntry,
  context: counters.reduce((all, one) => all.with(dotOf(one)), CausalContext.empty),
  siblings: counters.map(siblingOf),
});
const dots = (met: readonly { readonly dot: Dot }[]) => met.map(({ dot }) => dot.counter);

describe("what a write met", () => {
  it("is told when it comes, and once more as it was", () => {
    const encounters = new Encounters();
    const first = encounters.tell(entryOf(1, 2), { incoming: entryOf(2), wasThere: false });
    expect([dots(first.beside), first.wasThere]).toEqual([[1], false]);
    const again = encounters.tell(entryOf(1, 2, 3), { incoming: entryOf(2), wasThere: true });
    expect([dots(again.beside), again.wasThere]).toEqual([[1], false]);
    expect(dots(encounters.metBy(dotOf(2), entryOf(1, 2, 3)))).toEqual([1]);
  });

  it("is not told any more when it is over", () => {
    const encounters = new Encounters();
    encounters.tell(entryOf(1, 2), { incoming: entryOf(2), wasThere: false });
    const held = merge(entryOf(1, 2), { ...entryOf(3), context: entryOf(1, 3).context });
    const again = encounters.tell(held, { incoming: entryOf(2), wasThere: true });
    expect(dots(again.beside)).toEqual([]);
    expect(dots(encounters.metBy(dotOf(2), held))).toEqual([]);
  });

  it("is unclear where it came by another way", () => {
    const encounters = new Encounters();
    const found = encounters.tell(entryOf(1, 2), { incoming: entryOf(2), wasThere: true });
    expect([dots(found.beside), found.wasThere]).toEqual([[1], true]);
    expect(encounters.metBy(dotOf(2), entryOf(1, 2))).toEqual([]);
  });

  it("is forgotten after many others", () => {
    const encounters = new Encounters();
    for (let i = 2; i < 700; i++) {
      encounters.tell(entryOf(1, i), { incoming: entryOf(i), wasThere: false });
    }
    expect(encounters.metBy(dotOf(2), entryOf(1, 2))).toEqual([]);
    expect(dots(encounters.metBy(dotOf(699), entryOf(1, 699)))).toEqual([1]);
  });
});
