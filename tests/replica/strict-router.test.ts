/** Who carries out a strict write, as the frontend goes about it, and what was never sent. */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import type { Reply, RequestOf } from "../../core/messages.ts";
import { ASK_AGAIN_MS } from "../../replica/coordination.ts";
import { type WriteOutcome, WriteRouter } from "../../replica/write-router.ts";
import { RULES } from "../core/message-samples.ts";
import { candidates, KEY, Probe, refused, START } from "./probe.ts";

const HEDGE = 300;

const request: RequestOf<"coordinate"> = {
  ...{ kind: "coordinate", key: KEY, op: "op00000001", isRetry: false, ageMs: 0 },
  ...{ content: null, ttlMs: 0, covers: null, freshUntil: 0 },
  ...{ ifMatch: [], ifNoneMatch: [], unmodifiedSince: 0, rules: RULES, zone: "z1" },
};
const strict = { ...request, rules: { ...RULES, strict: true } };

const done: Reply = {
  ...{ kind: "coordinated", created: true, context: CausalContext.empty, siblingCount: 1 },
  sibling: {
    ...{ dot: { actor: "AAAAAAAA", counter: 1 }, time: 7, op: "op", expiresAt: 0, content: null },
  },
  tally: { n: 3, required: 2, answered: 2, primaries: 2, fallbacks: 0, durable: 2 },
};
const overdue: Reply = { kind: "overdue", context: CausalContext.empty, freshUntil: 1 };

function route(of: RequestOf<"coordinate">, before: readonly string[] = []) {
  const probe = new Probe<WriteOutcome>();
  const rest = {
    asked: before,
    timeoutMs: 2000,
    hedgeMs: HEDGE,
    wall: () => START,
    lifeOf: () => 0,
  };
  const router = new WriteRouter(
    { request: of, candidates: candidates("r1 r2 f3"), ...rest },
    probe,
  );
  router.start(START);
  return { probe, router };
}

/** Who was asked so far, with a `+` and the names of those whose word each needs. */
const asked = (probe: Probe<WriteOutcome>): string =>
  probe.all
    .map(({ to, body }) => {
      if (body.kind !== "coordinate" || !body.isRetry) return to;
      return `${to}+${(body.asked ?? []).join(",")}`;
    })
    .join(" ");
const codeOf = ({ result }: Probe<WriteOutcome>): string | undefined =>
  result === undefined ? undefined : result.ok ? "ok" : result.failure.code;

describe("a strict write", () => {
  it("is the first one's, also when that is late; the next one needs its word", () => {
    const { probe, router } = route(strict);
    router.wake(START + HEDGE);
    router.reply("r2", overdue, START + HEDGE + 1);
    router.reply("r2", refused("quorum-unavailable"), START + HEDGE + 1);
    // It wakes up, and asks whether anybody still waits: nobody else can have minted it.
    router.reply("r1", overdue, START + HEDGE + 2);
    expect(asked(probe)).toBe("r1 r2+r1 r2+r1 r1");
    router.reply("r1", done, START + HEDGE + 3);
    expect(codeOf(probe)).toBe("ok");
  });

  it("is the next one's without a word of those that did nothing", () => {
    const early = route(strict);
    early.router.reply("r1", refused("overloaded"), START);
    expect(asked(early.probe)).toBe("r1 r2");
    // Meanwhile the second one may have had the first one's word.
    const late = route(strict);
    late.router.wake(START + HEDGE);
    late.router.reply("r1", refused("overloaded"), START + HEDGE + 1);
    expect(asked(late.probe)).toBe("r1 r2+r1 f3+r2");
  });

  it("waits for the word of one that may have minted it, also where it does not know any more", () => {
    const { probe, router } = route(strict);
    router.failed("r1", START, false);
    router.reply("r2", refused("quorum-unavailable"), START);
    router.reply("f3", refused("quorum-unavailable"), START);
    expect([asked(probe), codeOf(probe)]).toEqual(["r1 r2+r1 f3+r1", "quorum-unavailable"]);
    expect(router.asked).toEqual(["r1"]);
    // It had minted it, asked what more to cover, and does not own the key any more.
    const other = route(strict);
    other.router.reply("r1", overdue, START);
    other.router.reply("r1", refused("overloaded"), START);
    expect(asked(other.probe)).toBe("r1 r1 r2+r1");
    // It comes back, and does not know what it did before.
    const again = route(strict);
    again.router.failed("r1", START, false);
    for (const id of ["r2", "f3"]) again.router.reply(id, refused("overloaded"), START);
    again.router.wake(START + ASK_AGAIN_MS);
    expect(asked(again.probe)).toBe("r1 r2+r1 f3+r1 r1+r1");
  });

  it("that is begun anew needs the word of those that were asked before", () => {
    const { probe } = route({ ...strict, isRetry: true }, ["r1", "x6"]);
    expect(asked(probe)).toBe("r1+r1");
    const other = route({ ...strict, isRetry: true }, ["x6"]);
    expect(asked(other.probe)).toBe("r1+x6");
    // That it does nothing now says nothing of what it did then.
    const refusing = route({ ...strict, isRetry: true }, ["r1"]);
    refusing.router.reply("r1", refused("overloaded"), START);
    expect(asked(refusing.probe)).toBe("r1+r1 r2+r1");
  });
});

it("is as if it had not been asked, a candidate that nothing was sent to", () => {
  const { probe, router } = route(request);
  router.failed("r1", START, true);
  expect([asked(probe), router.mayBeMinted]).toEqual(["r1 r2", false]);
  // What was asked of it before did come there.
  router.reply("r2", overdue, START);
  router.failed("r2", START, true);
  expect(asked(probe)).toBe("r1 r2 r2 f3+");
});
