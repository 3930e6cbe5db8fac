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

function route(of: RequestOf<"coordinate">) {
  const probe = new Probe<WriteOutcome>();
  const rest = { timeoutMs: 2000, hedgeMs: HEDGE, wall: () => START, lifeOf: () => 0 };
  const router = new WriteRouter(
    { request: of, candidates: candidates("r1 r2 f3"), ...rest },
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

describe("a strict write", () => {
  it("is minted by the first one alone, also when that is late: the next ones know it", () => {
    const { probe, router } = route(strict);
    router.wake(START + HEDGE);
    router.reply("r2", overdue, START + HEDGE + 1);
    router.reply("r2", refused("quorum-unavailable"), START + HEDGE + 1);
    // It wakes up, and asks whether anybody still waits: nobody else can have minted it.
    router.reply("r1", overdue, START + HEDGE + 2);
    expect(asked(probe)).toBe("r1 r2+ r2+ r1");
    router.reply("r1", done, START + HEDGE + 3);
    expect(codeOf(probe)).toBe("ok");
  });

  it("is the next one's where the first has said, however late, that it did nothing", () => {
    const { probe, router } = route(strict);
    router.wake(START + HEDGE);
    router.reply("r1", refused("overloaded"), START + HEDGE + 1);
    expect(asked(probe)).toBe("r1 r2+ f3");
  });

  it("is nobody's any more when the first one may have minted it", () => {
    const { probe, router } = route(strict);
    router.failed("r1", START, false);
    router.reply("r2", refused("quorum-unavailable"), START);
    router.reply("f3", refused("quorum-unavailable"), START);
    expect([asked(probe), codeOf(probe)]).toEqual(["r1 r2+ f3+", "quorum-unavailable"]);
    // It had minted it, asked what more to cover, and does not own the key any more.
    const other = route(strict);
    other.router.reply("r1", overdue, START);
    other.router.reply("r1", refused("overloaded"), START);
    expect(asked(other.probe)).toBe("r1 r1 r2+");
    // It comes back, and does not know what it did before.
    const again = route(strict);
    again.router.failed("r1", START, false);
    for (const id of ["r2", "f3"]) again.router.reply(id, refused("overloaded"), START);
    again.router.wake(START + ASK_AGAIN_MS);
    expect(asked(again.probe)).toBe("r1 r2+ f3+ r1+");
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
