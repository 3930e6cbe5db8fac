import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { contextToToken, tokenToSession } from "../../src/frontend/http/context-token.ts";
import { Problem } from "../../src/frontend/http/problems.ts";

const hash = new KeyedHash(new Uint8Array(16).fill(3));
const otherHash = new KeyedHash(new Uint8Array(16).fill(4));
const actor = fc.stringMatching(/^[A-Za-z0-9_-]{8}$/);
const dots = fc.array(fc.record({ actor, counter: fc.integer({ min: 1, max: 1_000_000 }) }), {
  maxLength: 12,
});
const contextOf = (list: readonly { actor: string; counter: number }[]): CausalContext =>
  list.reduce((context, dot) => context.with(dot), CausalContext.empty);

describe("context tokens", () => {
  it("give back what was put in, for the same key and cluster alone", () => {
    fc.assert(
      fc.property(dots, fc.string(), fc.string(), (list, key, other) => {
        const context = contextOf(list);
        const token = contextToToken({ hash, key: `n\0${key}` }, context);
        expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(tokenToSession({ hash, key: `n\0${key}` }, token).context.equals(context)).toBe(
          true,
        );
        expect(() => tokenToSession({ hash: otherHash, key: `n\0${key}` }, token)).toThrow(Problem);
        if (other !== key) {
          expect(() => tokenToSession({ hash, key: `n\0${other}` }, token)).toThrow(Problem);
        }
      }),
    );
  });

  it("tell when all that was shown with them has ended", () => {
    const of = { hash, key: "n\0k" };
    const context = contextOf([{ actor: "abcdefgh", counter: 7 }]);
    const ends = [0, 1, 1_785_369_600_000, 0];
    const tokens = ends.map((endsAt) => contextToToken(of, context, endsAt));
    expect(tokens.map((token) => tokenToSession(of, token).endsAt)).toEqual(ends);
    expect(tokens[0]).toBe(tokens[3]);
  });

  it("are refused by another cluster that has the same secret", () => {
    const [a, b] = ["a", "b"].map((name) => new KeyedHash(new Uint8Array(16).fill(3), name));
    const context = contextOf([{ actor: "abcdefgh", counter: 7 }]);
    const token = contextToToken({ hash: a as KeyedHash, key: "n\0k" }, context);
    expect(
      tokenToSession({ hash: a as KeyedHash, key: "n\0k" }, token).context.equals(context),
    ).toBe(true);
    expect(() => tokenToSession({ hash: b as KeyedHash, key: "n\0k" }, token)).toThrow(Problem);
  });

  it("are refused when a single character is another", () => {
    const token = contextToToken(
      { hash, key: "n\0k" },
      contextOf([{ actor: "abcdefgh", counter: 7 }]),
    );
    for (let i = 0; i < token.length; i++) {
      for (const char of "AZaz09-_") {
        if (token[i] === char) continue;
        const forged = token.slice(0, i) + char + token.slice(i + 1);
        expect(() => tokenToSession({ hash, key: "n\0k" }, forged)).toThrow(Problem);
      }
    }
  });
});
