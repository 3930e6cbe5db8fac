import { expect, it } from "vitest";
import { candidates, START, stored } from "./probe.ts";
import { HEDGE, write } from "./put-probe.ts";

// On real processes this held a node in one step for ever: it was woken for a time that was over.
it("a write that wanted to hear more waits for a new owner when the ring changes", () => {
  const { probe, coordinator } = write({}, { isBlind: true }, { awaitsMore: () => true });
  coordinator.reply("r2", stored(), START + 1);
  expect(probe.result, "it hears its third primary first").toBeUndefined();
  coordinator.widen(candidates("r6"), START + 2);
  for (const now of [START + HEDGE, START + HEDGE + 1]) coordinator.wake(now);
  expect(coordinator.wakeAt).toBeGreaterThan(START + HEDGE + 1);
  expect(probe.result).toBeUndefined();
  coordinator.reply("r6", stored(), START + HEDGE + 2);
  expect(probe.result).toMatchObject({ ok: true, tally: { n: 4, required: 3, answered: 3 } });
});
