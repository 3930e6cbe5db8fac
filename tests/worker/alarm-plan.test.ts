import { describe, expect, it } from "vitest";
import { type Backlog, idlePlan, planNext } from "../../worker/alarm-plan.ts";

const NOW = 1_900_000_000_000;
const nothing: Backlog = { hintCount: 0, dueAt: Infinity, isChanging: false, step: 1 };
const near = { peerCount: 4, peersAway: false };

describe("an alarm's plan", () => {
  it("is to rest when there is nothing to do", () => {
    const done = { before: nothing, after: nothing, ...near };
    expect(planNext(idlePlan, done, NOW)).toEqual({ plan: idlePlan, ringInMs: null });
  });

  it("is to compare until all peers had their turn", () => {
    const plan = { ...idlePlan, comparisonsLeft: 2 };
    const done = { before: nothing, after: nothing, ...near };
    expect(planNext(plan, done, NOW)).toEqual({ plan, ringInMs: 10_000 });
  });

  it("is to try stuck hints less and less often, and at once again when some went home", () => {
    const stuck: Backlog = { ...nothing, hintCount: 3 };
    let plan = idlePlan;
    const waits: (number | null)[] = [];
    for (let i = 0; i < 10; i++) {
      const next = planNext(plan, { before: stuck, after: stuck, ...near }, NOW);
      waits.push(next.ringInMs);
      ({ plan } = next);
    }
    expect(waits.slice(0, 4)).toEqual([4000, 8000, 16_000, 32_000]);
    expect(waits.at(-1)).toBe(300_000);
    const before = { ...stuck, hintCount: 5 };
    expect(planNext(plan, { before, after: stuck, ...near }, NOW).ringInMs).toBe(2000);
  });

  it("is to ring when something becomes due, and not in a tight loop while it stays", () => {
    const later: Backlog = { ...nothing, dueAt: NOW + 3_600_000 };
    expect(planNext(idlePlan, { before: later, after: later, ...near }, NOW).ringInMs).toBe(
      3_600_000,
    );
    const past: Backlog = { ...nothing, dueAt: NOW - 1 };
    const first = planNext(idlePlan, { before: past, after: past, ...near }, NOW);
    expect(first.ringInMs).toBe(20_000);
    const second = planNext(first.plan, { before: past, after: past, ...near }, NOW);
    expect(second.ringInMs).toBe(40_000);
    const moved: Backlog = { ...nothing, dueAt: NOW - 2 };
    expect(planNext(second.plan, { before: moved, after: past, ...near }, NOW).ringInMs).toBe(
      10_000,
    );
  });

  it("is to go on with a change of members, less and less often while nothing comes of it", () => {
    const changing: Backlog = { ...nothing, isChanging: true };
    const first = planNext(idlePlan, { before: nothing, after: changing, ...near }, NOW);
    expect(first.ringInMs).toBe(1000);
    let { plan } = first;
    for (let i = 0; i < 8; i++) {
      ({ plan } = planNext(plan, { before: changing, after: changing, ...near }, NOW));
    }
    expect(plan.changeMs).toBe(60_000);
    const after = { ...changing, step: 2 };
    expect(planNext(plan, { before: changing, after, ...near }, NOW).ringInMs).toBe(1000);
    expect(planNext(plan, { before: changing, after: nothing, ...near }, NOW)).toEqual({
      plan: idlePlan,
      ringInMs: null,
    });
  });

  it("is to compare anew, with pauses, while a peer is away", () => {
    const done = { before: nothing, after: nothing, peerCount: 4, peersAway: true };
    const first = planNext(idlePlan, done, NOW);
    expect(first).toMatchObject({ plan: { comparisonsLeft: 4 }, ringInMs: 20_000 });
    const over = { ...first.plan, comparisonsLeft: 0 };
    expect(planNext(over, done, NOW).ringInMs).toBe(40_000);
    expect(planNext(over, { ...done, peersAway: false }, NOW)).toEqual({
      plan: idlePlan,
      ringInMs: null,
    });
  });
});
