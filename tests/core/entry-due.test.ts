import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { type Entry, merge, OVERTAKEN, type Sibling } from "../../core/entry.ts";
import {
  dueAt,
  EVICTED,
  gaveUpEarly,
  holdsValue,
  isLoose,
  isSpent,
  postponed,
  withoutEnded,
} from "../../core/expiry.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { plainContent } from "../support/content.ts";

const ACTOR = "abcdefgh";
const content = plainContent("v");
const graces = { deletedMs: 500, endedMs: 20 };
const sibling = (counter: number, more: Partial<Sibling>): Sibling => ({
  dot: { actor: ACTOR, counter },
  time: hlcFromMillis(1000 * counter),
  op: `op${counter}`,
  expiresAt: 0,
  content,
  ...more,
});

/** An entry that has seen another version before these. */
function entryOf(...siblings: Sibling[]): Entry {
  let context = CausalContext.empty.with({ actor: ACTOR, counter: 99 });
  for (const { dot } of siblings) context = context.with(dot);
  return { context, siblings, retries: [] };
}
const loneEntry = (only: Sibling): Entry => ({
  context: CausalContext.empty.with(only.dot),
  siblings: [only],
  retries: [],
});
const due = (...siblings: Sibling[]): number => dueAt(entryOf(...siblings), graces);

describe("when an entry is next looked at", () => {
  it("is never while nothing ends in it", () => {
    expect(due(sibling(1, {}))).toBe(0);
    expect(due(sibling(1, { content: null }), sibling(2, {}))).toBe(0);
  });

  it("is when the first of its bodies ends, whatever else is in it", () => {
    expect(due(sibling(1, {}), sibling(2, { expiresAt: 9000 }))).toBe(9000);
    expect(due(sibling(1, { expiresAt: 7000 }), sibling(2, { expiresAt: 9000 }))).toBe(7000);
    expect(due(sibling(1, { content: null }), sibling(2, { expiresAt: 9000 }))).toBe(9000);
  });

  it("is without a body the grace after the last has gone: long for deletes, short for ends", () => {
    expect(due(sibling(1, { content: null }))).toBe(1500.5);
    expect(due(sibling(1, { content: null, expiresAt: 9000 }))).toBe(9020.5);
    expect(due(sibling(3, { content: null, expiresAt: EVICTED }))).toBe(3020.5);
    expect(due(sibling(3, { content: null, expiresAt: OVERTAKEN }))).toBe(3020.5);
    const both = [sibling(1, { content: null, expiresAt: 900 }), sibling(2, { content: null })];
    expect(due(...both)).toBe(2500.5);
  });

  it("tells whether there is a body at all, dead or alive", () => {
    expect(holdsValue(due(sibling(1, {})))).toBe(true);
    expect(holdsValue(due(sibling(1, { expiresAt: 9000 })))).toBe(true);
    expect(holdsValue(due(sibling(7, { content: null }), sibling(2, { expiresAt: 1 })))).toBe(true);
    const bare = [sibling(1, { content: null }), sibling(2, { content: null, expiresAt: 5 })];
    expect(holdsValue(due(...bare))).toBe(false);
    expect(holdsValue(postponed(due(...bare), 77_000))).toBe(false);
  });

  it("tells of a value with an end that is all that was ever seen, body or not", () => {
    const lone = sibling(1, { expiresAt: 9000 });
    const bare = { ...lone, content: null };
    expect([lone, bare].map((one) => isLoose(dueAt(loneEntry(one), graces)))).toEqual([true, true]);
    expect(holdsValue(dueAt(loneEntry(lone)))).toBe(true);
    expect(holdsValue(dueAt(loneEntry(bare)))).toBe(false);
    expect(isLoose(postponed(dueAt(loneEntry(lone)), 77_000))).toBe(true);
    // Without an end, or having covered something, or noted a second dot: it guards.
    const retried = { ...loneEntry(lone), retries: [{ op: lone.op, dot: lone.dot }] };
    const guards = [loneEntry(sibling(1, {})), entryOf(lone), retried];
    for (const entry of guards) expect(isLoose(dueAt(entry, graces))).toBe(false);
  });
});

describe("the body of a value", () => {
  it("is given up when its time has passed, and nothing else is", () => {
    const entry = entryOf(sibling(1, { expiresAt: 5000 }), sibling(2, { expiresAt: 9000 }));
    expect(withoutEnded(entry, 4999)).toBe(entry);
    const left = withoutEnded(entry, 5000);
    expect(left.siblings.map((one) => one.content === null)).toEqual([true, false]);
    expect(left).toMatchObject({ context: entry.context, siblings: [{ expiresAt: 5000 }, {}] });
  });

  it("outlives a copy that gave it up by a clock that was ahead", () => {
    const whole = entryOf(sibling(1, { expiresAt: 5000 }));
    const bare = withoutEnded(whole, 5000);
    expect([gaveUpEarly(bare, 4999), gaveUpEarly(bare, 5000)]).toEqual([true, false]);
    expect(gaveUpEarly(whole, 4999)).toBe(false);
    for (const joined of [merge(whole, bare), merge(bare, whole)]) {
      expect(joined.siblings[0]?.content).toBe(content);
    }
  });

  it("does not come back to a purged version", () => {
    const whole = entryOf(sibling(1, { expiresAt: 5000 }));
    const purged = entryOf(sibling(1, { content: null }));
    expect(merge(purged, whole).siblings[0]?.content).toBe(null);
  });
});

describe("an entry that can be forgotten by its clock alone", () => {
  it("is one expired value that has seen nothing else", () => {
    const lone = loneEntry(sibling(1, { expiresAt: 5000 }));
    expect([isSpent(lone, 4999), isSpent(lone, 5000)]).toEqual([false, true]);
    expect(isSpent(entryOf(sibling(1, { expiresAt: 5000 })), 5000)).toBe(false);
    expect(isSpent(loneEntry(sibling(1, { content: null })), 5000)).toBe(false);
  });
});
