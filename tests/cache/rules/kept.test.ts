/** What frontends keep of one key, and how two of them agree. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { INLINE_SUM_BYTES_MAX, VARIANTS_COUNT_MAX } from "../../../core/limits.ts";
import {
  decodeStored,
  emptyStored,
  encodeStored,
  joinStored,
  type Stored,
  type Variant,
} from "../../../src/cache/stored.ts";
import { cc, freshness } from "./exchange.ts";

describe("what frontends keep of one key", () => {
  const variant = (id: number, requestedAt: number, foo: string): Variant => ({
    status: 200,
    fields: [["Vary", "foo"]],
    selection: { names: ["foo"], values: [foo] },
    requestedAt,
    respondedAt: requestedAt + 1,
    freshness: freshness({ answered: cc("max-age=60") }),
    tags: [`t${id}`],
    body: { length: 1, bytes: new Uint8Array([id]), version: `v${id}`, pieceBytes: 1 },
  });
  const some = fc.record({
    variants: fc.array(
      fc
        .tuple(fc.nat(3), fc.nat(9), fc.constantFrom("a", "b", "c"))
        .map(([id, time, foo]) => variant(id, time, foo)),
      { maxLength: 4 },
    ),
    purgedAt: fc.nat(5),
    stalesAt: fc.nat(5),
  });
  const stored = some.map(
    (parts): Stored => joinStored({ ...emptyStored("k"), ...parts }, emptyStored("k")),
  );

  it("is joined in any order to the same", () => {
    fc.assert(
      fc.property(stored, stored, stored, (a, b, c) => {
        expect(joinStored(a, b)).toEqual(joinStored(b, a));
        expect(joinStored(joinStored(a, b), c)).toEqual(joinStored(a, joinStored(b, c)));
        expect(joinStored(a, a)).toEqual(a);
      }),
    );
  });

  it("never holds what was asked for before a purge, nor two answers to one selection", () => {
    fc.assert(
      fc.property(stored, stored, (a, b) => {
        const { variants, purgedAt } = joinStored(a, b);
        expect(variants.every(({ requestedAt }) => requestedAt > purgedAt)).toBe(true);
        const foos = variants.map(({ selection }) => selection.values[0]);
        expect(new Set(foos).size).toBe(foos.length);
      }),
    );
  });

  it("holds so many variants and no more, the newest", () => {
    let all = emptyStored("k");
    for (let i = 1; i <= VARIANTS_COUNT_MAX + 5; i++) {
      all = joinStored(all, { ...emptyStored("k"), variants: [variant(1, i, `foo${i}`)] });
    }
    expect(all.variants).toHaveLength(VARIANTS_COUNT_MAX);
    expect(all.variants.at(-1)?.requestedAt).toBe(6);
    const large = (id: number): Variant => {
      const body = { length: 4e5, bytes: new Uint8Array(4e5), version: `v${id}`, pieceBytes: 1 };
      return { ...variant(1, id, `foo${id}`), body };
    };
    for (const id of [101, 102, 103]) {
      all = joinStored(all, { ...emptyStored("k"), variants: [large(id)] });
    }
    const sum = all.variants.reduce((bytes, { body }) => bytes + (body.bytes?.length ?? 0), 0);
    expect(sum).toBeLessThanOrEqual(INLINE_SUM_BYTES_MAX);
    expect(all.variants[0]?.requestedAt).toBe(103);
  });

  it("comes back from its bytes as it was", () => {
    fc.assert(
      fc.property(stored, (a) => {
        expect(decodeStored(encodeStored(a))).toEqual(a);
      }),
    );
  });
});
