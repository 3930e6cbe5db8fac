import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext, type Dot } from "../../core/causal-context.ts";
import { decode, encode } from "../../core/codec.ts";

/** The naive model: a context is the set of its dots, each written out. */
type Model = Set<string>;

const ACTORS = ["AAAAAAAA", "BBBBBBBB", "CCCCCCCC"];
const COUNTER_MAX = 14;

const nameOf = ({ actor, counter }: Dot): string => `${actor}.${counter}`;
const dot: fc.Arbitrary<Dot> = fc.record({
  actor: fc.constantFrom(...ACTORS),
  counter: fc.integer({ min: 1, max: COUNTER_MAX }),
});
const dots = fc.array(dot, { maxLength: 30 });
const everyDot: readonly Dot[] = ACTORS.flatMap((actor) =>
  Array.from({ length: COUNTER_MAX }, (_, i) => ({ actor, counter: i + 1 })),
);

const contextOf = (list: readonly Dot[]): CausalContext =>
  list.reduce((context, each) => context.with(each), CausalContext.empty);
const modelOf = (list: readonly Dot[]): Model => new Set(list.map(nameOf));

/** The context holds exactly the model's dots, and in its canonical form. */
function expectSame(context: CausalContext, model: Model): void {
  const covered = everyDot.filter((each) => context.covers(each)).map(nameOf);
  expect(new Set(covered)).toEqual(model);
  expectCanonical(context);
}

function expectCanonical(context: CausalContext): void {
  const encoded = context.encode();
  for (let i = 0; i < encoded.length; i += 2) {
    if (i > 0) expect((encoded[i - 2] as string) < (encoded[i] as string)).toBe(true);
    const ranges = encoded[i + 1] as readonly number[];
    expect(ranges.length).toBeGreaterThan(0);
    for (let j = 0; j < ranges.length; j += 2) {
      expect(ranges[j] as number).toBeLessThanOrEqual(ranges[j + 1] as number);
      // A gap of at least one dot: ranges that touch would be one range.
      if (j > 0) expect(ranges[j] as number).toBeGreaterThan((ranges[j - 1] as number) + 1);
    }
  }
}

describe("a causal context is the set of its dots", () => {
  it("when dots come and go, one at a time", () => {
    const step = fc.tuple(fc.boolean(), dot);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let context = CausalContext.empty;
        const model = new Set<string>();
        for (const [comes, each] of steps) {
          context = comes ? context.with(each) : context.without(each);
          if (comes) model.add(nameOf(each));
          else model.delete(nameOf(each));
          expectSame(context, model);
        }
        expect(context.isEmpty).toBe(model.size === 0);
      }),
    );
  });

  it("when many go at once", () => {
    const byDot = (a: Dot, b: Dot): number =>
      a.actor === b.actor ? a.counter - b.counter : a.actor < b.actor ? -1 : 1;
    fc.assert(
      fc.property(dots, dots, (held, gone) => {
        const left = modelOf(held).difference(modelOf(gone));
        expectSame(contextOf(held).withoutAll(gone.toSorted(byDot)), left);
      }),
      { numRuns: 1000 },
    );
  });

  it("when two are joined or compared", () => {
    fc.assert(
      fc.property(dots, dots, (a, b) => {
        const [left, right] = [contextOf(a), contextOf(b)];
        const [leftSet, rightSet] = [modelOf(a), modelOf(b)];
        expectSame(left.join(right), leftSet.union(rightSet));
        expect(left.includes(right)).toBe(rightSet.isSubsetOf(leftSet));
        expect(left.equals(right)).toBe(rightSet.symmetricDifference(leftSet).size === 0);
      }),
      { numRuns: 1000 },
    );
  });

  it("and knows the latest of each actor, and how many actors there are", () => {
    fc.assert(
      fc.property(dots, (list) => {
        const context = contextOf(list);
        for (const actor of ACTORS) {
          const counters = list.filter((d) => d.actor === actor).map((d) => d.counter);
          expect(context.latest(actor)).toBe(Math.max(0, ...counters));
        }
        expect(context.actorCount).toBe(new Set(list.map((d) => d.actor)).size);
      }),
    );
  });

  it("whatever the order in which it came to be", () => {
    fc.assert(
      fc.property(dots, (list) => {
        const backwards = contextOf([...list].reverse());
        expect(backwards.encode()).toEqual(contextOf(list).encode());
        expect(backwards.toString()).toBe(contextOf(list).toString());
      }),
    );
  });
});

describe("join is a semilattice", () => {
  it("commutative, associative, idempotent, with the empty context for its bottom", () => {
    fc.assert(
      fc.property(dots, dots, dots, (x, y, z) => {
        const [a, b, c] = [contextOf(x), contextOf(y), contextOf(z)];
        expect(a.join(b).encode()).toEqual(b.join(a).encode());
        expect(a.join(b).join(c).encode()).toEqual(a.join(b.join(c)).encode());
        expect(a.join(a).encode()).toEqual(a.encode());
        expect(CausalContext.empty.join(a).encode()).toEqual(a.encode());
      }),
    );
  });

  it("and no operation changes what it was applied to", () => {
    fc.assert(
      fc.property(dots, dots, dot, (x, y, each) => {
        const context = contextOf(x);
        const before = JSON.stringify(context.encode());
        context.join(contextOf(y));
        context.with(each);
        context.without(each);
        expect(JSON.stringify(context.encode())).toBe(before);
      }),
    );
  });
});

describe("as bytes and as text", () => {
  it("comes back equal", () => {
    fc.assert(
      fc.property(dots, (list) => {
        const context = contextOf(list);
        const back = CausalContext.decode(decode(encode(context.encode())));
        expect(back.encode()).toEqual(context.encode());
        expect(back.equals(context)).toBe(true);
      }),
    );
  });

  it("equal texts mean equal contexts: digests rest on it", () => {
    fc.assert(
      fc.property(dots, dots, (x, y) => {
        const [a, b] = [contextOf(x), contextOf(y)];
        expect(a.toString() === b.toString()).toBe(a.equals(b));
      }),
    );
  });

  it("a hole costs two numbers, however far the actor has counted", () => {
    const dotAt = (counter: number): Dot => ({ actor: "AAAAAAAA", counter });
    const far = CausalContext.decode(["AAAAAAAA", [1, 2 ** 52]]);
    expect(far.without(dotAt(5)).encode()).toEqual(["AAAAAAAA", [1, 4, 6, 2 ** 52]]);
    expect(far.without(dotAt(5)).toString()).toBe("AAAAAAAA:1-4,6-4503599627370496");
    expect(far.without(dotAt(5)).with(dotAt(5)).encode()).toEqual(far.encode());
  });

  it.each([0, -1, 1.5, Number.NaN, 2 ** 53])("a counter of %d is refused", (counter) => {
    expect(() => CausalContext.empty.with({ actor: "AAAAAAAA", counter })).toThrow(/counter/);
  });
});
