/** The usual read, which decides nothing: as a coordinator would, whatever comes. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { present } from "../../core/assert.ts";
import type { Entry } from "../../core/entry.ts";
import type { Reply, ReplyOf, Request } from "../../core/messages.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import { AgreedRead, agreeing } from "../../replica/agreed-read.ts";
import type { Coordinator } from "../../replica/coordination.ts";
import { GetCoordinator } from "../../replica/get-coordinator.ts";
import type { GetOutcome, GetPlan } from "../../replica/get-plan.ts";
import { candidates, digest, held, nothing, Probe, refused, START, unknown } from "./probe.ts";
import { beside, HEDGE, next, old, outcome, planOf, tallyOf } from "./reading.ts";

const ownOf = (reply: Reply): ReplyOf<"held"> => {
  if (reply.kind !== "held") throw new Error("a replica holds something");
  return reply;
};

const ownPlanOf = (options: QuorumOptions, changes: Partial<GetPlan> = {}): GetPlan =>
  planOf(options, { own: ownOf(held(old)), ...changes });

function run(make: (probe: Probe<GetOutcome>) => Coordinator) {
  const probe = new Probe<GetOutcome>();
  const coordinator = make(probe);
  coordinator.start(START);
  return { probe, coordinator };
}

function usual(plan: GetPlan) {
  const found = agreeing(plan);
  if (found === null) throw new Error("this plan takes a coordinator from the start");
  return run((probe) => new AgreedRead(found, probe));
}

describe("a read whose replicas agree", () => {
  it("asks the others for digests alone, and is over with the last of them", () => {
    const { probe, coordinator } = usual(ownPlanOf({ r: 3 }));
    expect(probe.asked()).toEqual(["r2 digest", "r3 digest"]);
    coordinator.reply("r3", digest(old), START + 1);
    expect([outcome(probe), coordinator.isOver]).toEqual([undefined, false]);
    coordinator.reply("r2", digest(old), START + 2);
    expect([outcome(probe), coordinator.isOver]).toEqual([["old"], true]);
    expect(tallyOf(probe)).toMatchObject({ required: 3, answered: 3, primaries: 3, fallbacks: 0 });
    expect(coordinator.wakeAt).toBe(Infinity);
  });
});

const bound = { stamp: 1, memberCount: 5, maxStaleMs: 1000, staleW: 1 };
const suspected = candidates("r1 r2 r3", { suspects: ["r2"] });
const oneZone = candidates("r1 r2 r3", { zones: ["a", "a", "b"] });

describe("a read that takes a coordinator from the start", () => {
  const plans: readonly (readonly [string, GetPlan])[] = [
    ["nothing is known of the own replica", ownPlanOf({ r: 2 }, { own: null })],
    ["the own replica has nothing", ownPlanOf({ r: 2 }, { own: ownOf(nothing) })],
    ["the own replica does not know", ownPlanOf({ r: 2 }, { own: ownOf(unknown) })],
    ["one answer is enough", ownPlanOf({ r: 1 })],
    ["it is strict", ownPlanOf({ consistency: "strict" })],
    ["it has a session", ownPlanOf({ r: 2 }, { session: next.context })],
    ["it shows how stale it is", ownPlanOf({ r: 2 }, { bound })],
    ["a replica that it needs is suspected", ownPlanOf({ r: 2 }, { candidates: suspected })],
    [
      "those who come first are in too few zones",
      ownPlanOf({ r: 2, zones: 2 }, { candidates: oneZone }),
    ],
  ];
  it.each(plans)("since %s", (_why, plan) => {
    expect(agreeing(plan)).toBeNull();
  });
});

/** What may come of one question, as long as there are questions. */
const events = fc.array(
  fc.record({
    kind: fc.constantFrom("reply", "reply", "reply", "failed", "wake"),
    /** Which of the open questions it is about. */
    at: fc.nat(9),
    afterMs: fc.nat(2 * HEDGE),
    holds: fc.constantFrom<readonly Entry[]>([old], [old], [old], [next], [beside], []),
    says: fc.constantFrom("holds", "holds", "holds", "holds", "unsure", "unknown", "refused"),
  }),
  { maxLength: 14 },
);

const plans = fc.record({
  options: fc.constantFrom<QuorumOptions>(
    { r: 2 },
    { r: 3 },
    { r: 2, pr: 2 },
    { r: 2, pr: 1, sloppy: false },
    { r: 3, zones: 2 },
    { r: 2, notfoundOk: false },
    { r: 2, timeoutMs: 30 },
  ),
  own: fc.constantFrom(old, next, beside),
});

type Event = typeof events extends fc.Arbitrary<(infer One)[]> ? One : never;

/** One plan at work twice: as the usual read, and by a coordinator that is there from the start. */
class Both {
  readonly #both: readonly ReturnType<typeof run>[];
  readonly #answered = new Set<number>();
  #now = START;

  constructor(plan: GetPlan) {
    this.#both = [usual(plan), run((probe) => new GetCoordinator(plan, probe))];
  }

  get #mine() {
    return present(this.#both[0]);
  }

  /** How many questions were asked, and whether the read was answered with a value. */
  get end() {
    const { all, results } = this.#mine.probe;
    return { askedCount: all.length, isRead: results[0]?.ok === true };
  }

  compare(): void {
    const seen = this.#both.map(({ probe: { all, results }, coordinator }) => {
      const { isOver, wakeAt } = coordinator;
      return { all, results, isOver, wakeAt };
    });
    expect(seen[0]).toEqual(seen[1]);
  }

  take(event: Event): void {
    this.#now += event.afterMs;
    const { isOver, wakeAt } = this.#mine.coordinator;
    if (isOver) return;
    if (event.kind === "wake") {
      this.#now = Math.max(this.#now, wakeAt);
      for (const { coordinator } of this.#both) coordinator.wake(this.#now);
    } else this.#answer(event);
    this.compare();
  }

  #answer(event: Event): void {
    const { all } = this.#mine.probe;
    const open = [...all.keys()].filter((i) => !this.#answered.has(i));
    const index = open[event.at % open.length];
    // All have been answered, and it waits until it may ask again.
    if (index === undefined) return;
    this.#answered.add(index);
    const { to, body } = present(all[index]);
    for (const { coordinator } of this.#both) {
      if (event.kind === "failed") coordinator.failed(to, this.#now, false);
      else coordinator.reply(to, replyTo(body, event), this.#now);
    }
  }
}

describe("whatever comes", () => {
  it("it asks and answers as a coordinator does that was there from the start", () => {
    let agreedCount = 0;
    let decidedCount = 0;
    const law = fc.property(plans, events, ({ options, own }, all) => {
      const plan = ownPlanOf(options, { own: ownOf(held(own)) });
      const both = new Both(plan);
      both.compare();
      for (const event of all) both.take(event);
      const { askedCount, isRead } = both.end;
      if (isRead && askedCount === plan.rules.r - 1) agreedCount++;
      else decidedCount++;
    });
    fc.assert(law, { numRuns: 2000 });
    // Some 130 of 2,000 agree.
    expect(Math.min(agreedCount, decidedCount)).toBeGreaterThan(50);
  });
});

function replyTo(body: Request, { says, holds }: Event): Reply {
  if (body.kind === "store") return { kind: "stored", durable: true };
  if (says === "unknown") return unknown;
  if (says === "refused") return refused("overloaded");
  const [entry] = holds;
  if (entry === undefined) return nothing;
  // A hint is all that it has, and its own record is lost.
  if (says === "unsure") return { ...ownOf(digest(entry)), isUnknown: true };
  return body.kind === "read" && body.digestOnly ? digest(entry) : held(entry);
}
