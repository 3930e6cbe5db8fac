import { describe, expect, it } from "vitest";
import type { CausalContext } from "../../core/causal-context.ts";
import { emptyEntry } from "../../core/entry.ts";
import {
  ASK_AGAIN_MS,
  SUSPECT_PATIENCE_MS,
  UNKNOWN_PATIENCE_MS,
} from "../../replica/coordination.ts";
import type { GetCoordinator } from "../../replica/get-coordinator.ts";
import type { GetPlan } from "../../replica/get-plan.ts";
import { candidates, digest, held, nothing, refused, START, unknown, written } from "./probe.ts";
import { beside, HEDGE, next, old, outcome, read, tallyOf } from "./reading.ts";

describe("whom a read asks", () => {
  it("r replicas, in the order given: the first for the value, the others for digests", () => {
    expect(read({ r: 1 }).probe.asked()).toEqual(["r1 entry"]);
    expect(read({}).probe.asked()).toEqual(["r1 entry", "r2 digest"]);
    expect(read({ r: 3 }).probe.asked()).toEqual(["r1 entry", "r2 digest", "r3 digest"]);
  });

  it.each<[string, (c: GetCoordinator) => void]>([
    ["cannot be reached", (c) => c.failed("r2", START)],
    ["refuses", (c) => c.reply("r2", refused("overloaded"), START)],
    ["may have lost what it had", (c) => c.reply("r2", unknown, START)],
  ])("one more for each that %s, fallbacks last", (_, happens) => {
    const { probe, coordinator } = read({});
    probe.asked();
    happens(coordinator);
    expect(probe.asked()).toEqual(["r3 digest"]);
    coordinator.failed("r3", START);
    expect(probe.asked()).toEqual(["f4 digest"]);
  });

  it("more at once where the first would not lie in enough zones", () => {
    const near = candidates("r1 r2 r3", { zones: ["a", "a", "b"] });
    const { probe } = read({ zones: 2 }, { candidates: near });
    expect(probe.asked()).toEqual(["r1 entry", "r2 digest", "r3 digest"]);
  });

  it("the suspected besides, but as if they had not been asked", () => {
    const list = candidates("r1 r2 f4", { suspects: ["r2"] });
    expect(read({}, { candidates: list }).probe.asked()).toEqual([
      ...["r1 entry", "r2 digest", "f4 digest"],
    ]);
  });
});

describe("a read answers", () => {
  it("with the value that all digests stand for", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r2", digest(old), START + 1);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r1", held(old), START + 2);
    expect(outcome(probe)).toEqual(["old"]);
    expect(tallyOf(probe)).toEqual({
      ...{ n: 3, required: 2, answered: 2, primaries: 2, fallbacks: 0, durable: 0 },
    });
    expect([coordinator.isOver, coordinator.wakeAt]).toEqual([true, Infinity]);
    expect(probe.stores()).toEqual([]);
  });

  it("after it has read what a digest that differs stands for", () => {
    const { probe, coordinator } = read({});
    probe.asked();
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", digest(beside), START);
    expect(probe.asked()).toEqual(["r2 entry"]);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r2", held(beside), START);
    expect(outcome(probe)).toEqual(["beside", "old"]);
  });

  it("once for each digest that differs, however many replicas have it", () => {
    const { probe, coordinator } = read({ r: 3 });
    probe.asked();
    coordinator.reply("r2", digest(next), START);
    coordinator.reply("r3", digest(next), START);
    // The one that was asked for the value may have just that.
    expect(probe.asked()).toEqual([]);
    coordinator.reply("r1", held(old), START);
    expect(probe.asked()).toEqual(["r2 entry"]);
    coordinator.reply("r2", held(next), START);
    expect(outcome(probe)).toEqual(["next"]);
    expect(tallyOf(probe)).toMatchObject({ answered: 3 });
  });

  it("with what the entry says, not with what the digest beside it claims", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", { ...held(old), digest: 5 } as typeof nothing, START);
    coordinator.reply("r2", digest(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("taking bytes that are no entry for a failure of the replica that sent them", () => {
    const { probe, coordinator } = read({ r: 1 });
    probe.asked();
    const malformed = { kind: "held", digest: 5, entry: new Uint8Array([1]), isUnknown: false };
    coordinator.reply("r1", malformed as typeof nothing, START);
    expect(probe.asked()).toEqual(["r2 entry"]);
  });

  it("not by a replica that keeps to its digest when it is asked for the entry", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", digest(next), START);
    probe.asked();
    coordinator.reply("r2", digest(next), START);
    expect(probe.asked()).toEqual(["r3 digest"]);
  });

  it("not by answers of replicas that it did not ask, nor by the same one twice", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r9", held(old), START);
    coordinator.failed("r9", START);
    expect(outcome(probe)).toBeUndefined();
  });

  it("with nothing by a fallback's word beside a primary's, and never by fallbacks alone", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", nothing, START);
    coordinator.failed("r2", START);
    coordinator.failed("r3", START);
    coordinator.reply("f4", nothing, START);
    expect(outcome(probe)).toEqual([]);

    const alone = read({});
    for (const id of ["r1", "r2", "r3"]) alone.coordinator.failed(id, START);
    for (const id of ["f4", "f5"]) alone.coordinator.reply(id, nothing, START);
    expect(outcome(alone.probe)).toBe("quorum-unavailable");
  });

  it("with what fallbacks hold, where no primary can be reached", () => {
    const { probe, coordinator } = read({});
    for (const id of ["r1", "r2", "r3"]) coordinator.failed(id, START);
    coordinator.reply("f4", held(old), START);
    coordinator.reply("f5", held(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("with fallbacks among the replies, unless primaries were asked for", () => {
    for (const [pr, expected] of [
      [0, ["old"]],
      [2, "quorum-unavailable"],
    ] as const) {
      const { probe, coordinator } = read({ pr }, { candidates: candidates("r1 r2 f4") });
      coordinator.reply("r1", held(old), START);
      coordinator.failed("r2", START);
      coordinator.reply("f4", digest(old), START);
      expect(outcome(probe)).toEqual(expected);
    }
  });

  it("from one zone alone for local_quorum", () => {
    const list = candidates("r1 r2 r3", { zones: ["a", "a", "b"] });
    const { probe, coordinator } = read({}, { candidates: list, onlyZone: "a" });
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r3", held(old), START);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r2", digest(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });
});

describe("hedging", () => {
  it("asks the next one after the delay, for the value while nobody has sent one", () => {
    const { probe, coordinator } = read({});
    probe.asked();
    expect(coordinator.wakeAt).toBe(START + HEDGE);
    coordinator.wake(START + HEDGE);
    expect(probe.asked()).toEqual(["r3 entry"]);
    expect(coordinator.wakeAt).toBe(START + 2 * HEDGE);
    coordinator.reply("r3", held(old), START + 60);
    coordinator.reply("r2", digest(old), START + 61);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("fetches from a digest's holder what a silent replica was asked for", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2") });
    coordinator.reply("r2", digest(old), START);
    probe.asked();
    coordinator.wake(START + HEDGE);
    expect(probe.asked()).toEqual(["r2 entry"]);
  });

  it("fetches from another holder when the one that was asked again falls silent", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(old), START);
    coordinator.reply("r2", digest(next), START);
    coordinator.wake(START + HEDGE);
    coordinator.reply("r3", digest(next), START + HEDGE);
    probe.asked();
    coordinator.wake(START + 2 * HEDGE);
    expect(probe.asked()).toEqual(["r3 entry"]);
    coordinator.reply("r3", held(next), START + 110);
    expect(outcome(probe)).toEqual(["next"]);
  });
});

describe("a read gives up", () => {
  it("at once when too few can be reached, with the numbers", () => {
    const { probe, coordinator } = read({}, { candidates: candidates("r1 r2 r3") });
    coordinator.reply("r1", held(old), START);
    coordinator.failed("r2", START);
    coordinator.failed("r3", START);
    expect(probe.result).toMatchObject({
      failure: { code: "quorum-unavailable", required: 2, achieved: 1 },
    });
  });

  it("at once when there never were enough", () => {
    expect(outcome(read({ r: 3 }, { candidates: candidates("r1 r2") }).probe)).toBe(
      "quorum-unavailable",
    );
  });

  it("at its deadline when somebody healthy did not answer", () => {
    const { probe, coordinator } = read({ timeoutMs: 100 }, { hedgeMs: 1000 });
    coordinator.reply("r1", held(old), START);
    expect(coordinator.wakeAt).toBe(START + 100);
    coordinator.wake(START + 99);
    expect(outcome(probe)).toBeUndefined();
    coordinator.wake(START + 100);
    expect(outcome(probe)).toBe("quorum-timeout");
  });

  it("after a short while when only the suspected are left to wait for", () => {
    const list = candidates("r1 r2 r3", { suspects: ["r2", "r3"] });
    const { probe, coordinator } = read({}, { candidates: list, hedgeMs: 1000 });
    coordinator.reply("r1", held(old), START);
    expect(coordinator.wakeAt).toBe(START + SUSPECT_PATIENCE_MS);
    coordinator.wake(START + SUSPECT_PATIENCE_MS);
    expect(outcome(probe)).toBe("quorum-unavailable");
  });

  it("not before its deadline once a suspected one has answered and a healthy one may yet", () => {
    const list = candidates("r1 r2 r3", { suspects: ["r2", "r3"] });
    const { probe, coordinator } = read({}, { candidates: list, hedgeMs: 5000 });
    coordinator.reply("r2", digest(old), START + 5);
    coordinator.wake(START + SUSPECT_PATIENCE_MS);
    expect(outcome(probe)).toBeUndefined();
    coordinator.reply("r1", held(old), START + 300);
    expect(outcome(probe)).toEqual(["old"]);
  });
});

describe("nothing", () => {
  it("counts as a reply, unless told otherwise", () => {
    const { probe, coordinator } = read({});
    coordinator.reply("r1", nothing, START);
    coordinator.reply("r2", nothing, START);
    expect(outcome(probe)).toEqual([]);
  });

  it("does not hide a value that a third replica has, when it does not count", () => {
    const { probe, coordinator } = read({ r: 1, notfoundOk: false });
    coordinator.reply("r1", nothing, START);
    coordinator.reply("r2", nothing, START);
    coordinator.reply("r3", held(old), START);
    expect(outcome(probe)).toEqual(["old"]);
  });

  it("is believed of all primaries; with basic_quorum of a majority", () => {
    for (const [basicQuorum, answered] of [
      [true, 2],
      [false, 3],
    ] as const) {
      const { probe, coordinator } = read({ notfoundOk: false, basicQuorum });
      for (const [i, id] of ["r1", "r2", "r3"].entries()) {
        expect(outcome(probe)).toEqual(i >= answered ? [] : undefined);
        coordinator.reply(id, nothing, START);
      }
      expect(outcome(probe)).toEqual([]);
    }
  });

  it("is believed of all primaries there are, in a cluster of fewer than n", () => {
    const list = candidates("r1 r2");
    const { probe, coordinator } = read({ notfoundOk: false }, { candidates: list });
    coordinator.reply("r1", nothing, START);
    coordinator.reply("r2", nothing, START);
    expect(outcome(probe)).toEqual([]);
  });

  it("of a fallback proves nothing about the primaries", () => {
    const { probe, coordinator } = read({ notfoundOk: false, basicQuorum: true, r: 1 });
    coordinator.failed("r1", START);
    coordinator.failed("r2", START);
    coordinator.reply("r3", nothing, START);
    coordinator.reply("f4", nothing, START);
    coordinator.reply("f5", nothing, START);
    expect(outcome(probe)).toBe("quorum-unavailable");
  });
});

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
