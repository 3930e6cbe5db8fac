/** A late reply tells whether the answer was stale: `starling_reads_stale_total`. */
import { describe, expect, it } from "vitest";
import { isStale } from "../../src/node/operations/read-task.ts";
import { candidates, held, nothing, START } from "./probe.ts";
import { HEDGE, next, old, outcome, read } from "./reading.ts";

/** r1 is silent, so r2 is asked beside it and answers first. */
function hedged(late: typeof old | null) {
  const run = read({ r: 1 }, { candidates: candidates("r1 r2 r3") });
  run.coordinator.wake(START + HEDGE);
  run.coordinator.reply("r2", held(old), START + HEDGE + 1);
  expect(outcome(run.probe)).toEqual(["old"]);
  const answered = run.coordinator.merged;
  run.coordinator.reply("r1", late === null ? nothing : held(late), START + HEDGE + 2);
  return isStale(answered, run.coordinator.merged);
}

describe("a reply after the answer", () => {
  it("tells of an answer that lacked what it holds", () => {
    expect(hedged(next)).toBe(true);
  });

  it("tells of none where it holds as much or less", () => {
    expect(hedged(old)).toBe(false);
    expect(hedged(null)).toBe(false);
  });
});
