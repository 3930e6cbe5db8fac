import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { dueAt, holdsValue, type Sibling } from "../../core/entry.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { plainContent } from "../support/content.ts";

const content = plainContent("v");
const sibling = (counter: number, more: Partial<Sibling>): Sibling => ({
  dot: { actor: "abcdefgh", counter },
  time: hlcFromMillis(1000 * counter),
  op: `op${counter}`,
  expiresAt: 0,
  content,
  ...more,
});
const due = (...siblings: Sibling[]): number =>
  dueAt({ context: CausalContext.empty, siblings, retries: [] });

describe("when an entry may be collected", () => {
  it("is never while a value without an end is in it", () => {
    expect(due(sibling(1, {}))).toBe(0);
    expect(due(sibling(1, { content: null }), sibling(2, {}))).toBe(0);
  });

  it("is when the last of its tombstones and values is dead", () => {
    expect(due(sibling(1, { content: null }))).toBe(1000.5);
    expect(due(sibling(1, { content: null }), sibling(2, { expiresAt: 9000 }))).toBe(9000);
    expect(due(sibling(7, { content: null }), sibling(2, { expiresAt: 3000 }))).toBe(7000);
  });

  it("tells whether there is a value at all, dead or alive", () => {
    expect(holdsValue(due(sibling(1, {})))).toBe(true);
    expect(holdsValue(due(sibling(1, { expiresAt: 9000 })))).toBe(true);
    expect(holdsValue(due(sibling(7, { content: null }), sibling(2, { expiresAt: 1 })))).toBe(true);
    expect(holdsValue(due(sibling(1, { content: null }), sibling(2, { content: null })))).toBe(
      false,
    );
  });
});
