import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import type { Entry, Sibling } from "../../core/entry.ts";
import { decodeEntry, encodeEntry, encodesAlike } from "../../core/entry-codec.ts";
import { plainContent } from "../support/content.ts";

const dots = [1, 2, 3].map((counter) => ({ actor: "AAAAAAAA", counter }));
const [first, second, third] = dots as [Sibling["dot"], Sibling["dot"], Sibling["dot"]];

/** Each version as it was written, or as one of the forms that it may take later. */
const versionOf = (dot: Sibling["dot"]): fc.Arbitrary<readonly Sibling[]> => {
  const op = `op${dot.counter}`;
  const one: Sibling = { dot, time: 7, op, expiresAt: 0, content: plainContent(op) };
  return fc.constantFrom<readonly Sibling[]>(
    [],
    [one],
    [{ ...one, content: null }],
    [{ ...one, expiresAt: 1 }],
    [{ ...one, expiresAt: 1, content: null }],
    [{ ...one, op: "", content: null }],
    [{ ...one, time: 8, content: null }],
  );
};

const entry: fc.Arbitrary<Entry> = fc
  .tuple(versionOf(first), versionOf(second), fc.boolean(), fc.boolean())
  .map(([a, b, hasMore, isRetried]) => {
    const seen = hasMore ? dots : [first, second];
    return {
      context: seen.reduce((context, dot) => context.with(dot), CausalContext.empty),
      siblings: [...a, ...b],
      retries: isRetried ? [{ op: "op3", dot: third }] : [],
    };
  });

const same = (a: Entry, b: Entry): boolean =>
  Buffer.compare(encodeEntry(a, null), encodeEntry(b, null)) === 0;

describe("entries that are said to encode alike", () => {
  it("do, and all that do are said to where nothing in them was retried", () => {
    fc.assert(
      fc.property(entry, entry, (a, b) => {
        const isAlike = encodesAlike(a, b);
        expect(isAlike).toBe(same(a, b) && a.retries.length + b.retries.length === 0);
      }),
      { numRuns: 2000 },
    );
  });

  it("are an entry and itself, and what it is decoded to", () => {
    fc.assert(
      fc.property(entry, (one) => {
        expect(encodesAlike(one, one)).toBe(true);
        if (one.retries.length > 0) return;
        expect(encodesAlike(one, { ...one, siblings: [...one.siblings] })).toBe(true);
        const whole = { ...one, context: dots.reduce((c, dot) => c.with(dot), one.context) };
        expect(encodesAlike(whole, decodeEntry(encodeEntry(whole, null)).entry)).toBe(true);
      }),
    );
  });
});
