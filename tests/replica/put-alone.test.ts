import { describe, expect, it } from "vitest";
import { UNKNOWN_REQUEST } from "../../core/messages.ts";
import { START } from "../laws/replica.ts";
import { codeOf, entry, HEDGE, write } from "./put-probe.ts";

const alone = { entry: new Uint8Array([1]), digest: 7 };

describe("a write that may go alone", () => {
  it("does so to primaries, and counts as any other where it is taken in", () => {
    const { probe, coordinator } = write({}, { alone });
    expect(probe.asked()).toEqual(["r2 storeAlone", "r3 storeAlone"]);
    expect(probe.all[0]?.body).toMatchObject({ ...alone, kind: "storeAlone" });
    coordinator.reply("r2", { kind: "stored", durable: false }, START);
    expect(codeOf(probe)).toBe("ok");
  });

  it.each([
    ["lacks something", { kind: "lacking" } as const],
    ["knows no such request", UNKNOWN_REQUEST],
  ])("comes with all of the entry to one that %s, which counts then", (_, refusal) => {
    const { probe, coordinator } = write({}, { alone });
    probe.asked();
    coordinator.reply("r2", refusal, START);
    expect([probe.asked(), codeOf(probe)]).toEqual([["r2 store"], undefined]);
    expect(probe.stores()).toMatchObject([{ to: "r2", entry, hintFor: null }]);
    coordinator.reply("r2", { kind: "stored", durable: false }, START);
    expect(codeOf(probe)).toBe("ok");
  });

  it("is stood in for where it is refused for another reason, and by all of the entry", () => {
    const { probe, coordinator } = write({}, { alone });
    probe.asked();
    coordinator.reply("r2", { kind: "refused", code: "insufficient-storage" }, START);
    expect(probe.asked()).toEqual(["f4 store for r2"]);
  });

  it("is kept here whole for one that is silent, where there is nobody else", () => {
    const { probe, coordinator } = write({}, { alone, fallbacks: [] });
    coordinator.reply("r2", { kind: "stored", durable: false }, START);
    coordinator.wake(START + Math.max(HEDGE, 1000));
    expect(probe.keptHints).toEqual(["r3"]);
  });

  it("gives up on one that lacks something and then refuses all of it", () => {
    const { probe, coordinator } = write({ w: 3 }, { alone, sloppy: false, fallbacks: [] });
    coordinator.reply("r2", { kind: "lacking" }, START);
    coordinator.reply("r2", { kind: "lacking" }, START);
    coordinator.reply("r3", { kind: "stored", durable: false }, START);
    expect(codeOf(probe)).toBe("quorum-unavailable");
  });
});
