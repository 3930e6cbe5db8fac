/** Whether a write is late is told by the time of the coordinator's life, and not by wall clocks. */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { REPEAT_MS_MAX } from "../../core/limits.ts";
import type { RequestOf } from "../../core/messages.ts";
import { agedBy, ageOf, isLate, isOverdue, mayBeRepeated } from "../../replica/lateness.ts";
import { RULES } from "../core/message-samples.ts";
import { KEY } from "./probe.ts";

const WALL = 1_750_000_000_000;
const write: RequestOf<"coordinate"> = {
  kind: "coordinate",
  key: KEY,
  ...{ op: "op-1", isRetry: false, ageMs: 0, content: null, ttlMs: 0, covers: null, freshUntil: 0 },
  ...{ ifMatch: [], ifNoneMatch: [], unmodifiedSince: 0, rules: RULES, zone: "a" },
};
const fresh = { askedAt: 5000, freshMs: 150 };
const asked = { ...write, freshUntil: WALL + 150, ...fresh };
const at = (life: number, wall = WALL) => ({ life, wall });

describe("a write", () => {
  it("is late when the caller may have asked another one since", () => {
    expect([5000, 5150].map((life) => isLate(asked, at(life)))).toEqual([false, false]);
    expect(isLate(asked, at(5151))).toBe(true);
  });

  it("is not late, or late, by what wall clocks say", () => {
    expect(isLate(asked, at(5100, WALL + 60_000))).toBe(false);
    expect(isLate(asked, at(6000, WALL - 60_000))).toBe(true);
  });

  it("is late when an earlier life was asked for it", () => {
    expect(isLate(asked, at(4999))).toBe(true);
  });

  it("goes by wall clocks where the caller knows of no life", () => {
    const unknown = { ...write, freshUntil: WALL + 150 };
    expect(isLate(unknown, at(1e12, WALL + 150))).toBe(false);
    expect(isLate(unknown, at(1, WALL + 151))).toBe(true);
    expect(isLate(write, at(1, WALL))).toBe(false);
  });

  it("may be repeated when it says so, or is late", () => {
    expect(mayBeRepeated(asked, at(5000))).toBe(false);
    expect(mayBeRepeated({ ...asked, isRetry: true }, at(5000))).toBe(true);
    expect(mayBeRepeated(asked, at(5151))).toBe(true);
  });

  it("is overdue only where nothing says what it covers", () => {
    expect(isOverdue(asked, at(5151))).toBe(true);
    expect(isOverdue({ ...write, ...fresh }, at(5151))).toBe(true);
    expect(isOverdue(asked, at(5150))).toBe(false);
    expect(isOverdue({ ...asked, covers: CausalContext.empty }, at(5151))).toBe(false);
    expect(isOverdue({ ...asked, ifNoneMatch: ["*"] }, at(5151))).toBe(false);
    expect(isOverdue({ ...write, isRetry: true }, at(5151))).toBe(false);
  });

  it("is as old as its client says, and as its message took", () => {
    expect(ageOf({ ...write, ageMs: 40 }, at(9000))).toBe(40);
    expect(ageOf({ ...asked, ageMs: 40 }, at(5700))).toBe(740);
    expect(ageOf({ ...asked, ageMs: 40 }, at(4000))).toBe(REPEAT_MS_MAX);
    expect(ageOf({ ...asked, ageMs: 40 }, at(9_000_000))).toBe(REPEAT_MS_MAX);
  });

  it("grows older while it waits at its coordinator, whatever its caller knew", () => {
    const blind = agedBy({ ...write, ageMs: 40 }, 575.5);
    expect(ageOf(blind, at(9000))).toBe(616);
    expect(ageOf(agedBy({ ...asked, ageMs: 40 }, 700), at(5700))).toBe(740);
  });
});
