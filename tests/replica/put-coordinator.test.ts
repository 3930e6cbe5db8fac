import { describe, expect, it } from "vitest";
import type { PutCoordinator } from "../../replica/put-coordinator.ts";
import { ownHintMs, type PutOutcome } from "../../replica/put-plan.ts";
import { candidate, candidates, KEY, type Probe, refused, START, stored } from "./probe.ts";
import { codeOf, entry, HEDGE, TIMEOUT, write } from "./put-probe.ts";

const tallyOf = ({ result }: Probe<PutOutcome>): unknown => (result?.ok ? result.tally : undefined);

describe("a write is sent", () => {
  it("to all other primaries at the same time, as it was stored, and to no fallback", () => {
    const { probe } = write();
    expect(probe.asked()).toEqual(["r2 store", "r3 store"]);
    expect(probe.stores().every((store) => store.entry === entry && store.key === KEY)).toBe(true);
  });

  it.each([
    [{ w: 2, durable: 0 }, "received", "when it was received"],
    [{ w: 2, durable: 2 }, "durable", "when it is durable"],
    [{ w: 2, durable: 1 }, "both", "both times"],
  ])("with %o to be acknowledged as %s: %s", (wishes, ack) => {
    expect(
      write(wishes)
        .probe.stores()
        .map((store) => store.ack),
    ).toEqual([ack, ack]);
  });
});

describe("a write is acknowledged", () => {
  it("when w distinct replicas have it, the coordinator among them", () => {
    const { probe, coordinator } = write();
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r2", stored(false), START);
    expect(tallyOf(probe)).toEqual({
      ...{ n: 3, required: 2, answered: 2, primaries: 2, fallbacks: 0, durable: 0 },
    });
  });

  it("not twice by one replica, nor by one that was not asked", () => {
    const { probe, coordinator } = write({ w: 3 });
    for (const id of ["r2", "r2", "r1", "r9"]) coordinator.reply(id, stored(), START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r3", stored(), START);
    expect(codeOf(probe)).toBe("ok");
  });

  it("at once with w=1 and no durability; with it, when the coordinator's own disk has it", () => {
    expect(codeOf(write({ w: 1 }).probe)).toBe("ok");
    const { probe, coordinator } = write({ w: 1, durable: 1 });
    expect(codeOf(probe)).toBeUndefined();
    coordinator.locallyDurable(START + 3);
    expect(tallyOf(probe)).toMatchObject({ answered: 1, durable: 1 });
  });

  it("when dw of them have it on stable storage", () => {
    const { probe, coordinator } = write({ w: 2, durable: 2 });
    coordinator.reply("r2", stored(false), START);
    coordinator.reply("r3", stored(false), START);
    coordinator.locallyDurable(START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r3", stored(true), START);
    expect(tallyOf(probe)).toMatchObject({ answered: 3, durable: 2 });
  });

  it("when pw of them are primaries: a stand-in is none", () => {
    const { probe, coordinator } = write({ w: 2, primaries: 2 });
    coordinator.failed("r2", START);
    coordinator.reply("f4", stored(), START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r3", stored(), START);
    expect(tallyOf(probe)).toMatchObject({ answered: 3, primaries: 2, fallbacks: 1 });
  });

  it("when they lie in enough zones", () => {
    const primaries = [candidate("r2"), candidate("r3")].map((each, i) => ({
      ...each,
      zone: i === 0 ? candidate("r1").zone : "far",
    }));
    const { probe, coordinator } = write({ w: 2, zones: 2 }, { primaries });
    coordinator.reply("r2", stored(), START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r3", stored(), START);
    expect(codeOf(probe)).toBe("ok");
  });

  it("when fallbacks have it in the zones that the primaries lack, healthy as all are", () => {
    const placed = (id: string, zone: string) => ({ ...candidate(id), zone });
    const primaries = [placed("r2", "b"), placed("r3", "c")];
    const fallbacks = [placed("f4", "c"), placed("f5", "d"), placed("f6", "e")].map((each) => ({
      ...each,
      isPrimary: false,
    }));
    const self = placed("r1", "a");
    const { probe, coordinator } = write({ w: 2, zones: 4 }, { self, primaries, fallbacks });
    expect(probe.asked()).toEqual(["r2 store", "r3 store", "f4 store for r2", "f5 store for r2"]);
    for (const id of ["r2", "r3", "f4"]) coordinator.reply(id, stored(), START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("f5", stored(), START);
    expect(tallyOf(probe)).toMatchObject({ answered: 5, primaries: 3, fallbacks: 2 });
    const strict = write({ w: 2, zones: 4 }, { self, primaries, fallbacks, sloppy: false });
    for (const id of ["r2", "r3"]) strict.coordinator.reply(id, stored(), START);
    expect(codeOf(strict.probe), "a strict write has no fallbacks").toBe("quorum-unavailable");
  });

  it("by one zone alone for local_quorum, though it is sent to all", () => {
    const [r2, r3] = [candidate("r2"), candidate("r3")];
    const self = { ...candidate("r1"), zone: r3.zone };
    const { probe, coordinator } = write(
      { w: 2, onlyZone: r3.zone },
      { self, primaries: [r2, r3] },
    );
    coordinator.reply("r2", stored(), START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r3", stored(), START);
    expect(codeOf(probe)).toBe("ok");
  });

  it("by a fallback that coordinates, but not as if it were a primary", () => {
    const self = candidate("f9");
    const primaries = candidates("r1 r2 r3");
    const { probe, coordinator } = write(
      { w: 1, primaries: 1 },
      { self, primaries, standsInFor: "r1" },
    );
    coordinator.locallyDurable(START);
    expect(codeOf(probe)).toBeUndefined();
    coordinator.reply("r3", stored(), START);
    expect(tallyOf(probe)).toMatchObject({ answered: 2, primaries: 1, fallbacks: 1 });
  });
});

describe("a primary is stood in for", () => {
  it.each<[string, (c: PutCoordinator) => void]>([
    ["cannot be reached", (c) => c.failed("r2", START)],
    ["refuses", (c) => c.reply("r2", refused("insufficient-storage"), START)],
  ])("by the next fallback, with a hint, when it %s", (_, happens) => {
    const { probe, coordinator } = write();
    probe.asked();
    happens(coordinator);
    expect(probe.asked()).toEqual(["f4 store for r2"]);
    expect(probe.keptHints).toEqual([]);
  });

  it("when it is silent for the hedge delay; its own acknowledgement counts all the same", () => {
    const { probe, coordinator } = write({ w: 3 });
    coordinator.reply("r3", stored(), START);
    probe.asked();
    expect(coordinator.wakeAt).toBe(START + HEDGE);
    coordinator.wake(START + HEDGE);
    expect(probe.asked()).toEqual(["f4 store for r2"]);
    coordinator.reply("r2", stored(), START + 60);
    expect(tallyOf(probe)).toMatchObject({ answered: 3, primaries: 3, fallbacks: 0 });
  });

  it("at once when it is believed dead, and it is sent the write as well", () => {
    const primaries = candidates("r2 r3", { suspects: ["r3"] });
    const { probe, coordinator } = write({}, { primaries });
    expect(probe.asked()).toEqual(["r2 store", "r3 store", "f4 store for r3"]);
    coordinator.failed("r3", START);
    expect(probe.asked()).toEqual([]);
  });

  it("by another fallback when the first one fails or is silent too", () => {
    const { probe, coordinator } = write({ w: 3 });
    coordinator.failed("r2", START);
    coordinator.failed("f4", START);
    expect(probe.asked().slice(-1)).toEqual(["f5 store for r2"]);
    const other = write({ w: 3 }, { primaries: candidates("r2 r3", { suspects: ["r2"] }) });
    other.coordinator.reply("r3", stored(), START);
    other.coordinator.wake(START + HEDGE);
    expect(other.probe.asked().slice(-1)).toEqual(["f5 store for r2"]);
  });

  it("by each fallback for one primary only", () => {
    const { probe, coordinator } = write();
    probe.asked();
    coordinator.failed("r2", START);
    coordinator.failed("r3", START);
    expect(probe.asked()).toEqual(["f4 store for r2", "f5 store for r3"]);
    coordinator.reply("f4", stored(), START);
    expect(tallyOf(probe)).toMatchObject({ answered: 2, primaries: 1, fallbacks: 1 });
  });

  it("by the coordinator's own hint, once, when no fallback is left or none may stand in", () => {
    for (const changes of [{ fallbacks: [] }, { sloppy: false }]) {
      const { probe, coordinator } = write({}, changes);
      probe.asked();
      coordinator.failed("r2", START);
      coordinator.wake(START + HEDGE);
      coordinator.failed("r3", START + 60);
      expect(probe.asked()).toEqual([]);
      expect(probe.keptHints).toEqual(["r2", "r3"]);
    }
  });

  it("by the coordinator's own hint only when it is silent for long, as that hurries nobody", () => {
    const { probe, coordinator } = write({}, { fallbacks: [] });
    coordinator.reply("r3", stored(), START);
    const silentMs = ownHintMs(entry.length);
    expect(coordinator.wakeAt).toBe(START + silentMs);
    coordinator.wake(START + silentMs);
    expect(probe.keptHints).toEqual(["r2"]);
    const quick = write({}, { fallbacks: [] });
    for (const id of ["r2", "r3"]) quick.coordinator.reply(id, stored(), START + 2 * HEDGE);
    quick.coordinator.wake(START + silentMs);
    expect(quick.probe.keptHints).toEqual([]);
  });

  it("by its own hint of a long entry when a busy peer would have had the time to take that", () => {
    const long = new Uint8Array(4 * 1024 * 1024);
    const { probe, coordinator } = write({}, { fallbacks: [], entry: long });
    coordinator.wake(START + ownHintMs(entry.length));
    expect(probe.keptHints).toEqual([]);
    coordinator.wake(START + ownHintMs(long.length));
    expect(probe.keptHints).toEqual(["r2", "r3"]);
  });

  it("by one hint, though both the stand-ins and then the primary itself fail", () => {
    const primaries = candidates("r2 r3", { suspects: ["r2"] });
    const { probe, coordinator } = write({}, { primaries, fallbacks: candidates("f4") });
    coordinator.failed("f4", START);
    expect(probe.keptHints).toEqual(["r2"]);
    coordinator.failed("r2", START + 5);
    expect(probe.keptHints).toEqual(["r2"]);
  });

  it("by nobody else when the coordinator holds its hint already", () => {
    const self = candidate("f9");
    const primaries = candidates("r1 r2 r3", { suspects: ["r1"] });
    const { probe, coordinator } = write({}, { self, primaries, standsInFor: "r1" });
    expect(probe.asked()).toEqual(["r1 store", "r2 store", "r3 store"]);
    coordinator.failed("r1", START);
    expect(probe.asked()).toEqual([]);
    expect(probe.keptHints).toEqual([]);
  });

  it("also after the client has its answer", () => {
    const { probe, coordinator } = write({ w: 1 });
    expect(codeOf(probe)).toBe("ok");
    probe.asked();
    coordinator.failed("r2", START);
    expect(probe.asked()).toEqual(["f4 store for r2"]);
    expect(coordinator.isOver).toBe(false);
    coordinator.reply("f4", stored(), START);
    coordinator.reply("r3", stored(), START);
    expect([coordinator.isOver, coordinator.wakeAt]).toEqual([true, Infinity]);
  });

  it("by a hint at the deadline, when neither it nor its stand-in has answered until then", () => {
    const { probe, coordinator } = write();
    coordinator.reply("r3", stored(), START);
    expect(codeOf(probe)).toBe("ok");
    coordinator.wake(START + HEDGE);
    expect(coordinator.isOver).toBe(false);
    coordinator.wake(START + TIMEOUT);
    expect(probe.keptHints).toEqual(["r2"]);
    expect(coordinator.isOver).toBe(true);
  });

  it("by no hint at the deadline, when its stand-in has acknowledged", () => {
    const { probe, coordinator } = write();
    coordinator.reply("r3", stored(), START);
    coordinator.wake(START + HEDGE);
    coordinator.reply("f4", stored(), START + 60);
    coordinator.wake(START + TIMEOUT);
    expect(probe.keptHints).toEqual([]);
  });
});
