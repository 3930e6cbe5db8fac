import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import type { FailureCode } from "../../core/failure.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { Reply, ReplyOf, RequestOf } from "../../core/messages.ts";
import type { Millis } from "../../core/time.ts";
import {
  ASK_AGAIN_MS,
  SUSPECT_PATIENCE_MS,
  UNKNOWN_PATIENCE_MS,
} from "../../replica/coordination.ts";
import { type WriteOutcome, type WritePlan, WriteRouter } from "../../replica/write-router.ts";
import { RULES } from "../core/message-samples.ts";
import { candidates, KEY, Probe, refused, START } from "./probe.ts";

const HEDGE = 300;
const TIMEOUT = 2000;

const request: RequestOf<"coordinate"> = {
  kind: "coordinate",
  key: KEY,
  op: "op00000001",
  isRetry: false,
  ageMs: 0,
  content: null,
  ttlMs: 0,
  covers: CausalContext.empty,
  freshUntil: 0,
  ifMatch: [],
  ifNoneMatch: [],
  unmodifiedSince: 0,
  rules: RULES,
  zone: "z1",
};

const done: ReplyOf<"coordinated"> = {
  kind: "coordinated",
  created: true,
  sibling: {
    dot: { actor: "AAAAAAAA", counter: 1 },
    time: 7,
    op: "op",
    expiresAt: 0,
    content: null,
  },
  context: CausalContext.empty,
  siblingCount: 1,
  tally: { n: 3, required: 2, answered: 2, primaries: 2, fallbacks: 0, durable: 2 },
};
const failure = (
  code: FailureCode,
  numbers: Partial<ReplyOf<"failed">["numbers"]> = {},
): Reply => ({
  ...{ kind: "failed", code, detail: "why", context: null },
  numbers: { required: null, achieved: null, limit: null, ...numbers },
});

function route(changes: Partial<WritePlan> = {}) {
  const probe = new Probe<WriteOutcome>();
  const router = new WriteRouter(
    {
      request,
      candidates: candidates("r1 r2 f3"),
      asked: [],
      timeoutMs: TIMEOUT,
      hedgeMs: HEDGE,
      wall: () => START,
      lifeOf: () => 0,
      ...changes,
    },
    probe,
  );
  router.start(START);
  return { probe, router };
}

/** Who was asked to coordinate so far, a `+` for each that was told that it is a retry. */
const asked = (probe: Probe<WriteOutcome>): string =>
  probe.all
    .map(({ to, body }) => (body.kind === "coordinate" && body.isRetry ? `${to}+` : to))
    .join(" ");
const codeOf = ({ result }: Probe<WriteOutcome>): string | undefined =>
  result === undefined ? undefined : result.ok ? "ok" : result.failure.code;

describe("a write is coordinated", () => {
  it("by the first candidate, whose answer is passed on", () => {
    const { probe, router } = route();
    expect([asked(probe), router.isOver]).toEqual(["r1", false]);
    router.reply("r1", done, START + 5);
    expect(probe.result).toEqual({ ok: true, reply: done });
    expect([router.isOver, router.wakeAt, router.mayBeMinted]).toEqual([true, Infinity, false]);
  });

  it("by the next one, as if it were the first, after a refusal: nothing was done there", () => {
    const { probe, router } = route();
    router.reply("r1", refused("insufficient-storage"), START);
    router.reply("r2", refused("overloaded"), START);
    expect(asked(probe)).toBe("r1 r2 f3");
    expect(router.mayBeMinted).toBe(false);
    router.reply("f3", done, START);
    expect(codeOf(probe)).toBe("ok");
  });

  it("by the next one, told that it is a retry, after silence or a broken connection", () => {
    const { probe, router } = route();
    router.failed("r1", START, false);
    expect(asked(probe)).toBe("r1 r2+");
    router.wake(START + HEDGE);
    expect(asked(probe)).toBe("r1 r2+ f3+");
    const other = route();
    expect(other.router.wakeAt).toBe(START + HEDGE);
    other.router.wake(START + HEDGE);
    expect(asked(other.probe)).toBe("r1 r2+");
    expect(other.router.mayBeMinted).toBe(true);
  });

  it("told that it is a retry from the first on, when it was begun before", () => {
    const { probe, router } = route({ request: { ...request, isRetry: true } });
    router.reply("r1", refused("overloaded"), START);
    expect(asked(probe)).toBe("r1+ r2+");
    router.reply("r2", failure("precondition-failed"), START);
    expect(codeOf(probe)).toBe("quorum-unavailable");
  });

  it("sooner by the next one when the first is believed dead", () => {
    const { probe, router } = route({ candidates: candidates("r1 r2", { suspects: ["r1"] }) });
    expect(router.wakeAt).toBe(START + SUSPECT_PATIENCE_MS);
    router.wake(START + SUSPECT_PATIENCE_MS);
    expect(asked(probe)).toBe("r1 r2+");
    expect(router.wakeAt).toBe(START + SUSPECT_PATIENCE_MS + HEDGE);
  });

  it("by whoever of those asked answers first, though another was asked since", () => {
    const { probe, router } = route();
    router.wake(START + HEDGE);
    router.reply("r1", done, START + HEDGE + 1);
    expect(codeOf(probe)).toBe("ok");
    router.reply("r2", done, START + HEDGE + 2);
    expect(probe.results).toHaveLength(1);
  });

  it("and a candidate's second refusal, or that of one not asked, changes nothing", () => {
    const { probe, router } = route();
    router.reply("r1", refused("overloaded"), START);
    router.reply("r1", refused("overloaded"), START);
    router.reply("f3", refused("overloaded"), START);
    expect(asked(probe)).toBe("r1 r2");
  });
});

describe("what a coordinator found is the answer", () => {
  it("with its numbers, and the context to resolve with", () => {
    const { probe, router } = route();
    const context = CausalContext.empty.with({ actor: "AAAAAAAA", counter: 1 });
    const numbers = { limit: 100 };
    router.reply("r1", { ...failure("too-many-siblings", numbers), context } as Reply, START);
    expect(probe.result).toEqual({
      ok: false,
      failure: { code: "too-many-siblings", detail: "why", limit: 100 },
      context,
    });
  });

  it("a quorum that was missed is not tried again elsewhere", () => {
    const { probe, router } = route();
    router.reply("r1", failure("quorum-unavailable", { required: 2, achieved: 1 }), START);
    expect(probe.result).toMatchObject({ failure: { required: 2, achieved: 1 } });
    expect(asked(probe)).toBe("r1");
  });
});

describe("a 4xx means that the write was applied nowhere", () => {
  it("so it waits for those who may have minted: their success is the answer", () => {
    const { probe, router } = route();
    router.wake(START + HEDGE);
    // r2 sees what r1 has just written for this very request, and finds the condition broken.
    router.reply("r2", failure("precondition-failed"), START + HEDGE + 5);
    expect(codeOf(probe)).toBeUndefined();
    expect(asked(probe)).toBe("r1 r2+");
    router.reply("r1", done, START + HEDGE + 10);
    expect(codeOf(probe)).toBe("ok");
  });

  it("so it is the answer once all others have said that they did nothing", () => {
    for (const other of [failure("precondition-failed"), refused("overloaded")]) {
      const { probe, router } = route({ candidates: candidates("r1 r2") });
      router.wake(START + HEDGE);
      router.reply("r2", failure("precondition-failed"), START + HEDGE + 5);
      router.reply("r1", other, START + HEDGE + 10);
      expect(codeOf(probe)).toBe("precondition-failed");
    }
  });

  it("so it is not the answer when somebody stays silent, or broke off", () => {
    const { probe, router } = route();
    router.wake(START + HEDGE);
    router.reply("r2", failure("too-many-siblings"), START + HEDGE + 5);
    router.wake(START + TIMEOUT);
    expect(codeOf(probe)).toBe("quorum-timeout");
    const other = route();
    other.router.failed("r1", START, false);
    other.router.reply("r2", failure("precondition-failed"), START + 5);
    expect(codeOf(other.probe)).toBe("quorum-unavailable");
  });
});

describe("a write gives up", () => {
  it("at once when nobody can be reached, and says that it may have been applied", () => {
    const { probe, router } = route({ candidates: candidates("r1 r2") });
    router.failed("r1", START, false);
    router.failed("r2", START, false);
    expect(probe.result).toMatchObject({
      failure: { code: "quorum-unavailable", required: 1, achieved: 0 },
    });
  });

  it("when all refuse, again and again, for a second", () => {
    const { probe, router } = route({ candidates: candidates("r1 r2") });
    let now = START;
    while (codeOf(probe) === undefined) {
      router.reply("r1", refused("overloaded"), now);
      router.reply("r2", refused("overloaded"), now);
      if (codeOf(probe) !== undefined) break;
      expect(router.wakeAt).toBe(now + ASK_AGAIN_MS);
      now = router.wakeAt;
      router.wake(now);
    }
    expect([codeOf(probe), now]).toEqual(["quorum-unavailable", START + UNKNOWN_PATIENCE_MS]);
  });

  it("not when one that had refused takes it, right after a restart of all", () => {
    const { probe, router } = route({ candidates: candidates("r1 r2") });
    router.reply("r1", refused("overloaded"), START);
    router.reply("r2", refused("overloaded"), START);
    expect(codeOf(probe)).toBeUndefined();
    router.wake(START + ASK_AGAIN_MS);
    // As if it were the first: nothing was done anywhere.
    expect(asked(probe)).toBe("r1 r2 r1");
    router.reply("r1", done, START + ASK_AGAIN_MS);
    expect(codeOf(probe)).toBe("ok");
  });

  it("for want of room when every disk is full", () => {
    const { probe, router } = route({ candidates: candidates("r1 r2") });
    router.reply("r1", refused("insufficient-storage"), START);
    router.reply("r2", refused("insufficient-storage"), START);
    expect(codeOf(probe)).toBe("insufficient-storage");
  });

  it("at its deadline when those that were asked are silent", () => {
    const { probe, router } = route({ candidates: candidates("r1") });
    router.wake(START + HEDGE);
    expect(router.wakeAt).toBe(START + TIMEOUT);
    router.wake(START + TIMEOUT);
    expect(codeOf(probe)).toBe("quorum-timeout");
    router.failed("r1", START + TIMEOUT + 1, false);
    router.wake(START + TIMEOUT + 2);
    expect(probe.results).toHaveLength(1);
  });

  it("calls it unavailable when only those believed dead were silent", () => {
    const { probe, router } = route({ candidates: candidates("r1", { suspects: ["r1"] }) });
    router.wake(START + TIMEOUT);
    expect(codeOf(probe)).toBe("quorum-unavailable");
  });
});

describe("a write without a context", () => {
  const plain = { ...request, covers: null };
  const context = CausalContext.empty.with({ actor: "AAAAAAAA", counter: 1 });
  const fresh = { freshUntil: START + 5000, askedAt: 70_000, freshMs: 900 };
  const overdue: Reply = { kind: "overdue", context, ...fresh };
  /** What the last one was asked: until when it may mint, and over what. */
  const lastOf = ({ all }: Probe<WriteOutcome>) => {
    const [last] = all.slice(-1);
    if (last?.body.kind !== "coordinate") throw new Error("nobody was asked");
    const { isRetry, covers, freshUntil, askedAt, freshMs } = last.body;
    return { to: last.to, isRetry, covers, freshUntil, askedAt, freshMs };
  };

  it("may be minted until a second coordinator is asked", () => {
    // Another node is told times by the wall clock, wherever that stands.
    let wall = START + 3_600_000;
    const { probe, router } = route({ request: plain, wall: () => wall });
    expect(lastOf(probe)).toMatchObject({ to: "r1", freshUntil: wall + HEDGE });
    wall += HEDGE;
    router.wake(START + HEDGE);
    expect(lastOf(probe)).toMatchObject({ to: "r2", freshUntil: wall + HEDGE });
  });

  it("is asked for again with what the coordinator told, once", () => {
    const { probe, router } = route({ request: plain });
    router.wake(START + HEDGE);
    router.reply("r2", overdue, START + HEDGE + 1);
    const again = { to: "r2", isRetry: true, covers: context, ...fresh };
    expect(lastOf(probe)).toEqual(again);
    expect(asked(probe)).toBe("r1 r2+ r2+");
    router.reply("f3", overdue, START + HEDGE + 2);
    expect(asked(probe)).toBe("r1 r2+ r2+");
    router.reply("r2", done, START + HEDGE + 3);
    router.reply("r1", overdue, START + HEDGE + 4);
    expect(asked(probe)).toBe("r1 r2+ r2+");
    expect(codeOf(probe)).toBe("ok");
  });
});

describe("every write", () => {
  const lastOf = ({ all }: Probe<WriteOutcome>) => {
    const [last] = all.slice(-1);
    if (last?.body.kind !== "coordinate") throw new Error("nobody was asked");
    return last.body;
  };

  it("says until when nobody else was asked, and how old it is", () => {
    let wall = START + 3_600_000;
    const { probe, router } = route({ request: { ...request, ageMs: 100 }, wall: () => wall });
    expect(lastOf(probe)).toMatchObject({ freshUntil: wall + HEDGE, ageMs: 100 });
    wall += 5;
    router.wake(START + HEDGE);
    expect(lastOf(probe)).toMatchObject({ freshUntil: wall + HEDGE, ageMs: 100 + HEDGE });
  });

  it("tells each candidate when it was asked, in the time of that one's life", () => {
    const lives: Record<string, number> = { r1: 5000, r2: 0 };
    const lifeOf = (id: ReplicaId, now: Millis): number => (lives[id] ?? 0) + (now - START);
    const { probe, router } = route({ lifeOf });
    expect(lastOf(probe)).toMatchObject({ askedAt: 5000, freshMs: HEDGE });
    router.wake(START + HEDGE);
    expect(lastOf(probe)).toMatchObject({ askedAt: HEDGE, freshMs: HEDGE });
  });

  it("waits on for the others when one cannot say whether it was carried out", () => {
    const { probe, router } = route();
    router.wake(START + HEDGE);
    router.reply("r2", refused("quorum-unavailable"), START + HEDGE + 1);
    expect(asked(probe)).toBe("r1 r2+");
    router.reply("r1", done, START + HEDGE + 2);
    expect(codeOf(probe)).toBe("ok");
  });

  it("goes on to the next one when that was the last that was asked", () => {
    const { probe, router } = route();
    router.failed("r1", START, false);
    router.reply("r2", refused("quorum-unavailable"), START + 1);
    expect(asked(probe)).toBe("r1 r2+ f3+");
    router.reply("f3", refused("quorum-unavailable"), START + 2);
    expect(codeOf(probe)).toBe("quorum-unavailable");
  });
});
