import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  CONSISTENCY_WORDS,
  majority,
  onSide,
  QUORUM_WORDS,
  type QuorumOptions,
  QuorumResolver,
  type QuorumRules,
  resolveOptions,
} from "../../core/quorum-options.ts";

/** As long as a TTL may be. */
const YEARS_MS = 315_360_000_000;
const deployment = { n: 3, r: "quorum", w: "quorum", dw: "quorum", timeoutMs: 2000 } as const;
const ZONES = 3;
const nearBy = { consistency: "local_quorum" } as const;

function rules(
  options: QuorumOptions,
  defaults: Parameters<typeof resolveOptions>[1] = deployment,
) {
  const resolution = resolveOptions(options, defaults, ZONES);
  if (!resolution.ok) throw new Error(resolution.error.detail);
  return resolution.rules;
}

function refusal(options: QuorumOptions): readonly [string, number] | null {
  const resolution = resolveOptions(options, deployment, ZONES);
  return resolution.ok ? null : [resolution.error.option, resolution.error.limit];
}

describe("what is said nowhere", () => {
  it("comes from the defaults of the contract", () => {
    expect(rules({})).toEqual({
      ...{ n: 3, r: 2, w: 2, pr: 0, pw: 0, dw: 2, zones: 0, timeoutMs: 2000 },
      ...{ sloppy: true, notfoundOk: true, basicQuorum: false, returnBody: false },
      ...{ strict: false, local: false },
    });
  });

  it("comes from the namespace before the deployment", () => {
    const namespace = { n: 5, r: "one", w: "all", dw: 1, timeoutMs: 500 } as const;
    expect(rules({}, namespace)).toMatchObject({ n: 5, r: 1, w: 5, dw: 1, timeoutMs: 500 });
  });

  it("yields to what is said", () => {
    expect(rules({ w: 1 })).toMatchObject({ w: 1, dw: 1 });
    expect(rules({ n: 1 })).toMatchObject({ n: 1, r: 1, w: 1, dw: 1 });
    expect(rules({ n: 2 })).toMatchObject({ n: 2, r: 2, w: 2, dw: 2 });
    expect(rules({}, { ...deployment, r: 3, w: 3, dw: 3 })).toMatchObject({ r: 3, w: 3, dw: 3 });
    expect(rules({ n: 2 }, { ...deployment, r: 3, w: 3, dw: 3 })).toMatchObject({ r: 2, dw: 2 });
    expect(rules({ consistency: "one" })).toMatchObject({ r: 1, w: 1, dw: 1 });
  });
});

describe("the range of each option", () => {
  it.each<[QuorumOptions, QuorumOptions, string, number]>([
    [{ n: 1 }, { n: 0 }, "n", 1],
    [{ n: 3 }, { n: 4 }, "n", 3],
    [{ r: 1 }, { r: 0 }, "r", 1],
    [{ r: 3 }, { r: 4 }, "r", 3],
    [{ n: 2, r: 2 }, { n: 2, r: 3 }, "r", 2],
    [{ w: 1 }, { w: 0 }, "w", 1],
    [{ w: 3 }, { w: 4 }, "w", 3],
    [{ n: 1, w: 1 }, { n: 1, w: 2 }, "w", 1],
    [{ pr: 0 }, { pr: -1 }, "pr", 0],
    [{ r: 3, pr: 3 }, { r: 3, pr: 4 }, "pr", 3],
    [{ pr: 2 }, { pr: 3 }, "pr", 2],
    [{ r: 1, pr: 1 }, { r: 1, pr: 2 }, "pr", 1],
    [{ pw: 0 }, { pw: -1 }, "pw", 0],
    [{ w: 3, pw: "all" }, { pw: "all" }, "pw", 2],
    [{ w: 1, pw: "one" }, { w: 1, pw: "quorum" }, "pw", 1],
    [{ dw: 0 }, { dw: -1 }, "dw", 0],
    [{ w: "all", dw: 3 }, { w: "quorum", dw: 3 }, "dw", 2],
    [{ zones: 0 }, { zones: -1 }, "zones", 0],
    [{ ...nearBy, zones: 1 }, { ...nearBy, zones: 2 }, "zones", 1],
    [{ ...nearBy, r: 2, w: 2, zones: 3 }, { ...nearBy, r: 2, zones: 3 }, "zones", 1],
    [{ zones: 3 }, { zones: 4 }, "zones", 3],
    [{ timeoutMs: 1 }, { timeoutMs: 0 }, "timeout", 1],
    [{ timeoutMs: 60_000 }, { timeoutMs: 60_001 }, "timeout", 60_000],
    [{ staleW: 1 }, { staleW: 0 }, "stale_w", 1],
    [{ staleW: 3 }, { staleW: 4 }, "stale_w", 3],
    [{ n: 2, staleW: 2 }, { n: 2, staleW: 3 }, "stale_w", 2],
    [{ maxStaleMs: 0 }, { maxStaleMs: -1 }, "max_stale", 0],
    [{ maxStaleMs: YEARS_MS }, { maxStaleMs: YEARS_MS + 1 }, "max_stale", YEARS_MS / 1000],
    [{ staleW: "all" }, { n: 2, staleW: 3 }, "stale_w", 2],
    [{ maxStaleMs: 1 }, { maxStaleMs: 0.5 }, "max_stale", YEARS_MS / 1000],
    [{ consistency: "one", pr: 1 }, { consistency: "one", pr: 2 }, "pr", 1],
    [{ r: 2 }, { r: 1.5 }, "r", 3],
    [{ r: 2 }, { r: Number.NaN }, "r", 3],
    [{ w: 2 }, { w: Number.POSITIVE_INFINITY }, "w", 3],
  ])("%o holds, %o does not: %s, limit %i", (fine, broken, option, limit) => {
    expect(refusal(fine)).toBeNull();
    expect(refusal(broken)).toEqual([option, limit]);
  });

  it("is told in words, with the numbers", () => {
    const resolution = resolveOptions({ n: 2, r: 3 }, deployment, ZONES);
    expect(resolution.ok ? "" : resolution.error.detail).toBe(
      "r=3 is out of range: it must be between 1 and n (2).",
    );
  });
});

describe("a choice that is left to the cluster", () => {
  it("reads from as many as meet every write, until somebody can tell a smaller number", () => {
    const auto = { consistency: "auto", minP: 0.9 } as const;
    expect(rules(auto)).toMatchObject({ r: 2, w: 2 });
    expect(rules({ ...auto, w: 1 })).toMatchObject({ r: 3, w: 1 });
    expect(rules({ ...auto, w: 3 })).toMatchObject({ r: 1, w: 3 });
    expect(rules({ ...auto, w: 1, r: 1 }).r).toBe(1);
  });
});

describe("a bound of staleness", () => {
  it("asks one replica first where the staleness is bounded and nothing says how many", () => {
    expect(rules({ maxStaleMs: 5000 }).r).toBe(1);
    expect(rules({ maxStaleMs: 5000, pr: 2 })).toMatchObject({ r: 2, pr: 2 });
    expect(rules({ maxStaleMs: 5000, r: 3 }).r).toBe(3);
    expect(rules({ maxStaleMs: 5000, consistency: "quorum" }).r).toBe(2);
    expect(rules({ maxStaleMs: 5000, consistency: "strict" })).toMatchObject({ r: 2, pr: 2 });
    expect(rules({ staleW: 1 }).r).toBe(2);
  });

  it("is of writes with the namespace's w, unless another is named", () => {
    expect(rules({ maxStaleMs: 5000 })).toMatchObject({ maxStaleMs: 5000, staleW: 2 });
    expect(rules({ maxStaleMs: 5000, w: 1 }).staleW).toBe(2);
    expect(rules({ maxStaleMs: 5000, staleW: 3 }).staleW).toBe(3);
    expect(rules({ maxStaleMs: 5000, staleW: "all" }).staleW).toBe(3);
    expect(rules({ maxStaleMs: 5000, staleW: "one", n: 2 }).staleW).toBe(1);
    expect(rules({ maxStaleMs: 5000, n: 1 }).staleW).toBe(1);
    expect(rules({ staleW: 3 })).not.toHaveProperty("staleW");
  });

  it("is told in seconds where it is out of range", () => {
    const resolution = resolveOptions({ maxStaleMs: 2 * YEARS_MS }, deployment, ZONES);
    expect(resolution.ok ? "" : resolution.error.detail).toContain("max_stale=630720000 is out of");
  });
});

describe("words", () => {
  it.each([1, 2, 3, 4, 5])("are numbers relative to n = %i", (n) => {
    const defaults = { ...deployment, n };
    const half = Math.floor(n / 2) + 1;
    expect(majority(n)).toBe(half);
    for (const [word, expected] of [
      ["one", 1],
      ["quorum", half],
      ["all", n],
    ] as const) {
      expect(rules({ r: word, w: word, dw: word, pr: word, pw: word }, defaults)).toMatchObject({
        ...{ r: expected, w: expected, dw: expected, pr: expected, pw: expected },
      });
    }
  });

  it("of consistency set r and w together, and a number wins over the word", () => {
    expect(rules({ consistency: "all" })).toMatchObject({ r: 3, w: 3, dw: 2 });
    expect(rules({ consistency: "one" })).toMatchObject({ r: 1, w: 1 });
    expect(rules({ consistency: "quorum" })).toMatchObject({ r: 2, w: 2, strict: false });
    expect(rules({ consistency: "all", r: 1 })).toMatchObject({ r: 1, w: 3 });
    expect(rules({ consistency: "one" }, { ...deployment, r: "all" })).toMatchObject({ r: 1 });
  });

  it("strict is quorum of primaries without stand-ins", () => {
    expect(rules({ consistency: "strict" })).toMatchObject({
      ...{ r: 2, w: 2, pr: 2, pw: 2, sloppy: false, strict: true, local: false },
    });
    expect(rules({ consistency: "strict", sloppy: true, pr: 0 })).toMatchObject({
      ...{ pr: 0, pw: 2, sloppy: true, strict: true },
    });
  });

  it("local_quorum counts in the frontend's zone", () => {
    expect(rules({ consistency: "local_quorum" })).toMatchObject({ r: 2, local: true, pr: 0 });
  });

  it("local_quorum counts in all zones where the request names a number for that side", () => {
    for (const value of ["all", 2] as const) {
      const options = { consistency: "local_quorum", w: value } as const;
      expect(onSide(rules(options), options, "w").local).toBe(false);
      expect(onSide(rules(options), options, "r").local).toBe(true);
    }
  });
});

describe("whatever is said", () => {
  it("gives rules that hold together, or names the option that is wrong", () => {
    const value = fc.option(
      fc.oneof(fc.integer({ min: -1, max: 6 }), fc.constantFrom(...QUORUM_WORDS)),
      {
        nil: undefined,
      },
    );
    const option = fc.record({ r: value, w: value, pr: value, pw: value, dw: value });
    const word = fc.option(fc.constantFrom(...CONSISTENCY_WORDS), { nil: undefined });
    const n = fc.option(fc.integer({ min: 0, max: 6 }), { nil: undefined });
    fc.assert(
      fc.property(
        option,
        word,
        n,
        fc.integer({ min: 1, max: 5 }),
        (values, consistency, ask, most) => {
          const said = Object.entries({ ...values, consistency, n: ask });
          const options = Object.fromEntries(
            said.filter(([, v]) => v !== undefined),
          ) as QuorumOptions;
          const resolution = resolveOptions(options, { ...deployment, n: most }, ZONES);
          if (resolution.ok) return expectSound(resolution.rules, most);
          expect(Object.keys(options)).toContain(resolution.error.option);
        },
      ),
      { numRuns: 3000 },
    );
  });
});

function expectSound(r: QuorumRules, most: number): void {
  expect(r.n >= 1 && r.n <= most).toBe(true);
  expect(r.r >= 1 && r.r <= r.n && r.w >= 1 && r.w <= r.n).toBe(true);
  expect(r.pr >= 0 && r.pr <= r.r && r.pw >= 0 && r.pw <= r.w).toBe(true);
  expect(r.dw >= 0 && r.dw <= r.w).toBe(true);
}

describe("a resolver", () => {
  it("resolves as resolveOptions does", () => {
    const resolver = new QuorumResolver(deployment);
    for (const options of [{}, { r: 1 }, { consistency: "all" }, { w: 4 }] as const) {
      const expected = resolveOptions(options, deployment, ZONES);
      expect(resolver.resolve(options, ZONES)).toEqual(expected);
      expect(resolver.resolve(options, ZONES)).toEqual(expected);
    }
  });

  it("keeps what the same object came to, and what naming nothing comes to", () => {
    const resolver = new QuorumResolver(deployment);
    const options = { r: 1 };
    expect(resolver.resolve(options, ZONES)).toBe(resolver.resolve(options, ZONES));
    expect(resolver.resolve({}, ZONES)).toBe(resolver.resolve({}, ZONES));
  });

  it("resolves again when the ring has another number of zones", () => {
    const resolver = new QuorumResolver(deployment);
    const options = { zones: 2 };
    expect(resolver.resolve(options, 2).ok).toBe(true);
    expect(resolver.resolve(options, 1).ok).toBe(false);
    expect(resolver.resolve({}, 1)).toEqual(resolveOptions({}, deployment, 1));
  });
});
