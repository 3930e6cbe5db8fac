import { describe, expect, it } from "vitest";
import type { CausalContext } from "../../core/causal-context.ts";
import { emptyEntry } from "../../core/entry.ts";
import { ASK_AGAIN_MS, UNKNOWN_PATIENCE_MS } from "../../replica/coordination.ts";
import type { GetPlan } from "../../replica/get-plan.ts";
import { candidates, digest, held, nothing, START, unknown, written } from "./probe.ts";
import { next, old, outcome, read } from "./reading.ts";

describe("a session read", () => {
  const session = (context: CausalContext, more: Partial<GetPlan> = {}) =>
    read({ r: 1 }, { session: context, ...more });

  it("is content with r replies that include what the client has seen", () => {
    const { probe, coordinator } = session(old.context);
    coordinator.reply("r1", held(next), START);
    expect(outcome(probe)).toEqual(["next"]);
    expect(probe.asked()).toEqual(["r1 entry"]);
  });

  it("asks all others at once when they do not", () => {
    const { probe, coordinator } = session(next.context);
    probe.asked();
    coordinator.reply("r1", held(old), START);
    expect(probe.asked()).toEqual(["r2 entry", "r3 entry", "f4 entry", "f5 entry"]);
    coordinator.reply("f5", held(next), START);
    expect(outcome(probe)).toEqual(["next"]);
  });

  it("says so when nobody has it, at once or at the deadline", () => {
    const list = candidates("r1 r2");
    const { probe, coordinator } = session(next.context, { candidates: list });
    coordinator.reply("r1", held(old), START);
    coordinator.failed("r2", START);
    expect(outcome(probe)).toBe("context-not-reached");
    const other = session(next.context);
    other.coordinator.reply("r1", held(old), START);
    other.coordinator.wake(START + 2000);
    expect(outcome(other.probe)).toBe("context-not-reached");
  });

  // Each replica forgets by itself what ended and had replaced nothing.
  it("need not find what has ended, though not all can be asked, unless an older value shows", () => {
    const list = candidates("r1 r2");
    const of = (sessionEndsAt: number) =>
      session(next.context, { candidates: list, isEveryone: false, sessionEndsAt });
    const ended = of(START);
    ended.coordinator.reply("r1", nothing, START);
    expect(outcome(ended.probe)).toEqual([]);
    const entry = ended.probe.result?.ok === true ? ended.probe.result.entry : emptyEntry;
    expect(entry.context.includes(next.context)).toBe(true);
    for (const [end, reply] of [
      [START + 1000, nothing],
      [0, nothing],
      [START, held(old)],
    ] as const) {
      const { probe, coordinator } = of(end);
      coordinator.reply("r1", reply, START);
      coordinator.failed("r2", START);
      expect(outcome(probe)).toBe("context-not-reached");
    }
  });

  describe("of what no member has any more", () => {
    const forgotten = (reply: ReturnType<typeof held>, more: Partial<GetPlan> = {}) => {
      const list = candidates("r1 r2");
      const { probe, coordinator } = session(next.context, { candidates: list, ...more });
      coordinator.reply("r1", nothing, START);
      coordinator.reply("r2", reply, START);
      return { probe, coordinator };
    };

    it("looks twice, then says that nothing is there, and forgets no context", () => {
      const { probe, coordinator } = forgotten(nothing);
      expect(outcome(probe)).toBeUndefined();
      coordinator.reply("r1", nothing, START);
      coordinator.reply("r2", nothing, START);
      expect(outcome(probe)).toEqual([]);
      const entry = probe.result?.ok === true ? probe.result.entry : emptyEntry;
      expect(entry.context.includes(next.context)).toBe(true);
    });

    it("finds at the second look what went home between two answers", () => {
      const { probe, coordinator } = forgotten(nothing);
      coordinator.reply("r1", held(next), START);
      expect(outcome(probe)).toEqual(["next"]);
    });

    it("shows a key that was made anew since", () => {
      const anew = written("anew");
      const { probe, coordinator } = forgotten(held(anew));
      coordinator.reply("r1", nothing, START);
      coordinator.reply("r2", held(anew), START);
      expect(outcome(probe)).toEqual(["anew"]);
    });

    it("never shows what the session had seen replaced", () => {
      const { probe } = forgotten(held(old));
      expect(outcome(probe)).toBe("context-not-reached");
    });

    it("does not conclude it from some of the members", () => {
      const { probe } = forgotten(nothing, { isEveryone: false });
      expect(outcome(probe)).toBe("context-not-reached");
    });
  });
});

describe("replicas that do not know yet", () => {
  const three = { candidates: candidates("r1 r2 r3") };
  /** Right after a restart of all: nobody knows. */
  function nobodyKnows(options: Parameters<typeof read>[0] = {}, changes: Partial<GetPlan> = {}) {
    const { probe, coordinator } = read(options, { ...three, ...changes });
    for (const id of ["r1", "r2", "r3"]) coordinator.reply(id, unknown, START);
    probe.asked();
    return { probe, coordinator };
  }

  it("are asked again when too few others are left, and their answer counts", () => {
    const { probe, coordinator } = nobodyKnows();
    expect(outcome(probe)).toBeUndefined();
    expect(coordinator.wakeAt).toBe(START + ASK_AGAIN_MS);
    coordinator.wake(START + ASK_AGAIN_MS);
    expect(probe.asked().map((asked) => asked.slice(0, 2))).toEqual(["r1", "r2", "r3"]);
    coordinator.reply("r1", held(old), START + ASK_AGAIN_MS);
    coordinator.reply("r2", digest(old), START + ASK_AGAIN_MS);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("are waited for a second and no longer, and never beyond the deadline", () => {
    for (const [timeoutMs, until] of [
      [2000, UNKNOWN_PATIENCE_MS],
      [330, 330],
    ] as const) {
      const { probe, coordinator } = nobodyKnows({ timeoutMs });
      let now = START;
      while (outcome(probe) === undefined) {
        expect(coordinator.wakeAt).toBeGreaterThanOrEqual(now);
        now = coordinator.wakeAt;
        coordinator.wake(now);
        for (const asked of probe.asked()) coordinator.reply(asked.slice(0, 2), unknown, now);
      }
      expect([outcome(probe), now]).toEqual(["quorum-unavailable", START + until]);
    }
  });

  it("are not waited for when they could not make up the quorum", () => {
    const { probe, coordinator } = read({}, three);
    coordinator.failed("r1", START);
    coordinator.reply("r2", unknown, START);
    expect(outcome(probe)).toBeUndefined();
    coordinator.failed("r3", START);
    expect(outcome(probe)).toBe("quorum-unavailable");
  });

  it("are asked again for what a session has written", () => {
    const session = next.context;
    const { probe, coordinator } = read({ r: 1 }, { ...three, session, isEveryone: false });
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", held(old), START);
    coordinator.reply("r3", unknown, START);
    expect(outcome(probe)).toBeUndefined();
    probe.asked();
    coordinator.wake(START + ASK_AGAIN_MS);
    coordinator.reply("r3", held(next), START + ASK_AGAIN_MS);
    expect(outcome(probe)).toEqual(["next"]);
  });
});
