import { describe, expect, it } from "vitest";
import type { Reply, RequestOf } from "../../core/messages.ts";
import {
  RecallCoordinator,
  type RecallOutcome,
  type RecallPlan,
} from "../../replica/recall-coordinator.ts";
import { candidate, candidates, KEY, Probe, START } from "./probe.ts";

const HEDGE = 50;
const TIMEOUT = 1000;
const question: RequestOf<"recall"> = { kind: "recall", key: KEY, op: "op1", ageMs: 9, by: "r1" };
const need = { n: 3, count: 2, primaries: 0, durable: 0, zones: 0, onlyZone: null };

const answer = (changes: Partial<Extract<Reply, { kind: "recalled" }>> = {}): Reply => ({
  ...{ kind: "recalled", done: null, isUnknown: false, entry: null },
  ...changes,
});
const unseen = answer();
const inDark = answer({ isUnknown: true });
const done = answer({
  done: { dot: { actor: "AAAAAAAA", counter: 1 }, time: 7 },
  entry: new Uint8Array(1),
});

function recall(changes: Partial<RecallPlan> = {}) {
  const probe = new Probe<RecallOutcome>();
  const plan = {
    ...{ question, need, self: candidate("r1"), timeoutMs: TIMEOUT, hedgeMs: HEDGE },
    ...{ primaries: candidates("r2 r3"), fallbacks: candidates("f4 f5"), mustSay: [] },
    ...changes,
  };
  const coordinator = new RecallCoordinator(plan, probe);
  coordinator.start(START);
  return { probe, coordinator };
}

const kindOf = ({ result }: Probe<RecallOutcome>): string | undefined => result?.kind;

describe("a write that may have been carried out before", () => {
  it("was, as soon as one of the owners says so", () => {
    const { probe, coordinator } = recall();
    expect(probe.asked()).toEqual(["r2 recall", "r3 recall"]);
    coordinator.reply("r3", done);
    expect([probe.result, coordinator.isOver]).toEqual([{ kind: "done", reply: done }, true]);
    coordinator.reply("r2", unseen);
    expect(probe.results).toHaveLength(1);
  });

  it("was not when none of them has met it", () => {
    const { probe, coordinator } = recall();
    coordinator.reply("r2", unseen);
    expect(kindOf(probe)).toBeUndefined();
    coordinator.reply("r3", unseen);
    expect(kindOf(probe)).toBe("unseen");
  });

  it("was not when a majority has not met it, and the others are silent or gone", () => {
    const silent = recall();
    silent.coordinator.reply("r2", unseen);
    silent.coordinator.wake(START + HEDGE);
    expect(kindOf(silent.probe)).toBe("unseen");
    const gone = recall();
    gone.coordinator.reply("r2", unseen);
    gone.coordinator.failed("r3");
    expect(kindOf(gone.probe)).toBe("unseen");
    const dead = recall({ primaries: candidates("r2 r3", { suspects: ["r3"] }) });
    dead.coordinator.reply("r2", unseen);
    expect(kindOf(dead.probe)).toBe("unseen");
  });

  it("is asked of stand-ins in place of primaries that do not answer", () => {
    const { probe, coordinator } = recall();
    coordinator.failed("r2");
    expect(probe.asked()).toEqual(["r2 recall", "r3 recall"]);
    coordinator.wake(START + HEDGE);
    expect(probe.asked()).toEqual(["f4 recall"]);
    coordinator.reply("f4", unseen);
    expect(kindOf(probe)).toBe("unseen");
  });

  it("may have been, where too many cannot tell", () => {
    const { probe, coordinator } = recall({ self: null, fallbacks: [] });
    coordinator.reply("r2", inDark);
    coordinator.reply("r3", unseen);
    expect(probe.result).toMatchObject({
      kind: "failed",
      failure: { code: "quorum-unavailable", required: 2, achieved: 1 },
    });
  });

  it("may have been, where primaries alone count and are silent", () => {
    const { probe, coordinator } = recall({ fallbacks: [], need: { ...need, primaries: 2 } });
    coordinator.wake(START + HEDGE);
    expect(coordinator.wakeAt).toBe(START + TIMEOUT);
    coordinator.wake(START + TIMEOUT);
    expect(probe.result).toMatchObject({ kind: "failed", failure: { code: "quorum-timeout" } });
    coordinator.wake(START + TIMEOUT + 1);
    expect([probe.results.length, coordinator.wakeAt]).toEqual([1, Infinity]);
  });
});

describe("a strict write that others were asked for before", () => {
  it("was not when each of them says so, besides a majority", () => {
    const { probe, coordinator } = recall({ mustSay: ["r2", "x6"] });
    expect(probe.asked()).toEqual(["r2 recall", "r3 recall", "x6 recall"]);
    coordinator.reply("r3", unseen);
    coordinator.wake(START + HEDGE);
    coordinator.reply("r2", unseen);
    expect(kindOf(probe)).toBeUndefined();
    // It owns nothing of the key.
    coordinator.reply("x6", unseen);
    expect(kindOf(probe)).toBe("unseen");
  });

  it("may have been as long as one of them is silent, or does not know", () => {
    for (const said of [null, inDark]) {
      const { probe, coordinator } = recall({ mustSay: ["r1", "x6"] });
      coordinator.reply("r2", unseen);
      coordinator.reply("r3", unseen);
      if (said !== null) coordinator.reply("x6", said);
      coordinator.wake(START + HEDGE);
      expect(kindOf(probe)).toBeUndefined();
      coordinator.wake(START + TIMEOUT);
      expect(kindOf(probe)).toBe("failed");
    }
  });

  it("was where one of them says so, though a majority does not", () => {
    const { probe, coordinator } = recall({ mustSay: ["x6"] });
    coordinator.reply("r2", unseen);
    coordinator.reply("r3", unseen);
    coordinator.reply("x6", done);
    expect(kindOf(probe)).toBe("done");
  });
});
