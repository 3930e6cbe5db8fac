import { describe, expect, it } from "vitest";
import { SUSPECT_PATIENCE_MS } from "../../replica/coordination.ts";
import { candidates, refused, START, stored } from "./probe.ts";
import { codeOf, TIMEOUT, write } from "./put-probe.ts";

describe("a write gives up", () => {
  it("at once when too few can be reached, with the numbers", () => {
    const { probe, coordinator } = write({ w: 2 }, { sloppy: false });
    coordinator.failed("r2", START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.failed("r3", START);
    expect(probe.result).toMatchObject({
      failure: { code: "quorum-unavailable", required: 2, achieved: 1 },
    });
    expect(probe.keptHints).toEqual(["r2", "r3"]);
  });

  it("when pw cannot be met, however many fallbacks there are, as soon as these have answered", () => {
    const { probe, coordinator } = write({ w: 2, primaries: 2 });
    coordinator.failed("r2", START);
    coordinator.failed("r3", START);
    for (const id of ["f4", "f5"]) coordinator.reply(id, stored(), START);
    expect(probe.result).toMatchObject({
      failure: { code: "quorum-unavailable", required: 2, achieved: 1 },
    });
  });

  it("with all that have the write counted, which are waited for no longer than a moment", () => {
    for (const last of ["answers", "fails", "is silent"]) {
      const { probe, coordinator } = write({ w: 3 }, { sloppy: false, hedgeMs: 1000 });
      coordinator.failed("r2", START);
      expect(codeOf(probe)).toBeUndefined();
      expect(coordinator.wakeAt).toBe(START + SUSPECT_PATIENCE_MS);
      if (last === "answers") coordinator.reply("r3", stored(), START + 1);
      else if (last === "fails") coordinator.failed("r3", START + 1);
      else coordinator.wake(START + SUSPECT_PATIENCE_MS);
      const achieved = last === "answers" ? 2 : 1;
      expect(probe.result).toMatchObject({
        failure: { code: "quorum-unavailable", required: 3, achieved },
      });
    }
  });

  it("at once when it is over and only the suspected have not answered", () => {
    const primaries = candidates("r2 r3", { suspects: ["r3"] });
    const { probe, coordinator } = write({ w: 3 }, { primaries, sloppy: false, hedgeMs: 1000 });
    coordinator.failed("r2", START);
    expect(codeOf(probe)).toBe("quorum-unavailable");
  });

  it("not while a fallback may yet be asked", () => {
    const { probe, coordinator } = write({ w: 3 });
    coordinator.failed("r2", START);
    coordinator.failed("r3", START);
    coordinator.failed("f4", START);
    coordinator.failed("f5", START);
    expect(codeOf(probe)).toBe("quorum-unavailable");
    const other = write({ w: 3 });
    other.coordinator.failed("r2", START);
    other.coordinator.failed("f4", START);
    expect(codeOf(other.probe)).toBeUndefined();
  });

  it("at its deadline when somebody healthy did not answer", () => {
    const { probe, coordinator } = write({ w: 3 }, { fallbacks: [] });
    coordinator.reply("r3", stored(), START);
    coordinator.wake(START + TIMEOUT - 1);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.wake(START + TIMEOUT);
    expect(codeOf(probe)).toBe("quorum-timeout");
    expect(coordinator.isOver).toBe(true);
  });

  it("at its deadline when a disk did not answer, be it its own", () => {
    for (const isOwn of [true, false]) {
      const { probe, coordinator } = write({ w: 2, durable: 2 }, { fallbacks: [] });
      if (!isOwn) coordinator.locallyDurable(START);
      for (const id of ["r2", "r3"]) coordinator.reply(id, stored(false), START);
      if (isOwn) coordinator.reply("r2", stored(), START);
      coordinator.wake(START + TIMEOUT);
      expect(codeOf(probe)).toBe("quorum-timeout");
    }
  });

  it("after a short while when only the suspected are left to wait for", () => {
    const primaries = candidates("r2 r3", { suspects: ["r2", "r3"] });
    const { probe, coordinator } = write({}, { primaries, fallbacks: [], hedgeMs: 1000 });
    expect(coordinator.wakeAt).toBe(START + SUSPECT_PATIENCE_MS);
    coordinator.wake(START + SUSPECT_PATIENCE_MS);
    expect(codeOf(probe)).toBe("quorum-unavailable");
  });

  it("and calls it unavailable when the healthy ones said no and only suspects were silent", () => {
    const primaries = candidates("r2 r3", { suspects: ["r3"] });
    const { probe, coordinator } = write({}, { primaries, fallbacks: [], hedgeMs: 1000 });
    coordinator.failed("r2", START);
    coordinator.wake(START + SUSPECT_PATIENCE_MS);
    expect(codeOf(probe)).toBe("quorum-unavailable");
  });

  it("not before its deadline once a suspected one has answered and a healthy one may yet", () => {
    const primaries = candidates("r2 r3", { suspects: ["r3"] });
    const { probe, coordinator } = write({ w: 3 }, { primaries, sloppy: false, hedgeMs: 5000 });
    expect(coordinator.wakeAt).toBe(START + SUSPECT_PATIENCE_MS);
    coordinator.reply("r3", stored(), START + 5);
    coordinator.wake(START + SUSPECT_PATIENCE_MS);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r2", stored(), START + 300);
    expect(codeOf(probe)).toBe("ok");
  });

  it("when its own disk fails: it keeps no hint there, but others still get the write", () => {
    const { probe, coordinator } = write({ w: 2, durable: 1 }, { fallbacks: candidates("f4") });
    coordinator.locallyFailed(START);
    expect(codeOf(probe)).toBe("insufficient-storage");
    probe.asked();
    coordinator.failed("r2", START);
    expect(probe.asked()).toEqual(["f4 store for r2"]);
    coordinator.failed("r3", START);
    expect(probe.keptHints).toEqual([]);
  });

  it("at once when an acknowledged copy cannot become durable any more", () => {
    const { probe, coordinator } = write({ w: 2, durable: 2 }, { sloppy: false });
    coordinator.locallyDurable(START);
    coordinator.reply("r2", stored(false), START);
    coordinator.reply("r3", stored(false), START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r2", refused("insufficient-storage"), START);
    coordinator.reply("r3", refused("insufficient-storage"), START);
    expect(codeOf(probe)).toBe("quorum-unavailable");
  });
});
