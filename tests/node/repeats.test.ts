/**
 * A write takes effect at most once. Its coordinator has it brought to its owners, and its answer
 * is lost; somebody reads it and writes over it; then a second coordinator is asked.
 */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { contextShowing, liveSiblings } from "../../core/entry.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation, Precondition } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { Group, START, writeOf } from "./group.ts";
import { nameWhere } from "./keys.ts";

const HEDGE_OVER_MS = 600;

type WriteOperation = Extract<Operation, { kind: "write" }>;
const write = (
  key: string,
  byteCount: number | null,
  context: CausalContext | null = null,
  precondition: Precondition | null = null,
): Operation => ({ ...(writeOf(key, byteCount, context) as WriteOperation), precondition });

/** A key of which r4 is no owner, so that it has others coordinate. */
const foreignKey = (group: Group): string =>
  nameWhere(group.node("r4").knowledge.ring, (owners) => !owners.includes("r4"));
const ownersOf = (group: Group, key: string): readonly string[] => {
  const { ring } = group.node("r1").knowledge;
  return ring.primariesOf(ring.partitionOf(`demo\0${key}`), 3);
};

const lengthsOf = (group: Group, key: string, at = "r4"): readonly number[] =>
  liveSiblings(group.read(at, key, 3), START).map(({ content }) => content?.value.length ?? 0);
/** The same at each owner by itself: none must show again what was covered. */
const lengthsAt = (group: Group, key: string): readonly number[] =>
  ownersOf(group, key).flatMap((id) => {
    const { entry } = group.node(id).service?.keeper.hold(`demo\0${key}`) ?? {};
    const live = entry === undefined ? [] : liveSiblings(entry, START);
    return live.map(({ content }) => content?.value.length ?? 0);
  });
/** What a client that was shown everything may claim to have seen. */
function shown(group: Group, key: string, r = 3): CausalContext {
  const entry = group.read("r4", key, r);
  return contextShowing(entry, liveSiblings(entry, START), START);
}

const outcome = (result: Result | undefined): string | undefined =>
  result?.kind === "failed" ? result.failure.code : result?.kind;
const isCoordination = ({ type, body }: Message): boolean =>
  type === "request" && body.kind === "coordinate";
const isAnswer = ({ body }: Message): boolean => body.kind === "coordinated";
const isStore = ({ body }: Message): boolean => body.kind === "store";

/**
 * Begins a write at r4 whose first coordinator's answer is lost.
 *
 * @returns the token, and who coordinated it
 */
function withLostAnswer(group: Group, operation: Operation): { token: number; first: string } {
  const coordinators: string[] = [];
  group.loses = (message, to) => {
    if (isCoordination(message)) coordinators.push(to);
    return coordinators.length <= 1 && to === "r4" && isAnswer(message);
  };
  const token = group.begin("r4", operation);
  expect(group.answerOf(token)).toBeUndefined();
  return { token, first: coordinators[0] ?? "" };
}

describe.each([
  ["a write without a context", null],
  ["a write with a context", CausalContext.empty],
])("%s that is asked for again after it was overwritten", (_, context) => {
  it.each([
    ["by another value", 20, [20]],
    ["by a delete", null, []],
  ])("%s stays so, and is answered as done", (__, next, left) => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    const { token } = withLostAnswer(group, write(key, 10, context));
    expect(outcome(group.execute("r1", write(key, next, shown(group, key))))).toBe("written");
    group.pass(HEDGE_OVER_MS);
    expect(outcome(group.answerOf(token))).toBe("written");
    expect(lengthsAt(group, key)).not.toContain(10);
    expect(lengthsOf(group, key)).toEqual(left);
  });

  it("of a coordinator that has met neither the first version nor what covers it", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    // Whichever owner coordinates second: one of the two others never hears of the first version.
    const second: string[] = [];
    const coordinators: string[] = [];
    group.loses = (message, to) => {
      if (isCoordination(message)) coordinators.push(to);
      if (isStore(message) && second.length === 0) second.push(to);
      if (isStore(message) && to === second[0]) return true;
      return to === "r4" && isAnswer(message) && coordinators.length === 1;
    };
    const token = group.begin("r4", write(key, 10, context));
    const next = shown(group, key);
    const [first] = coordinators;
    const other = ownersOf(group, key).find((id) => id !== first && id !== second[0]) ?? "";
    expect(outcome(group.execute(other, write(key, 20, next)))).toBe("written");
    // The first one and the one that knows are not asked to coordinate: their answers are late.
    const before = group.loses;
    group.loses = (message, to, from) =>
      before(message, to, from) || (isCoordination(message) && to === other);
    for (let i = 0; i < 4; i++) group.pass(HEDGE_OVER_MS);
    expect(lengthsAt(group, key)).not.toContain(10);
    expect(lengthsOf(group, key)).toEqual([20]);
    expect(["written", "quorum-timeout"]).toContain(outcome(group.answerOf(token)));
  });

  it("is not minted either by the first coordinator, when it hears of it last", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    const asked: string[] = [];
    group.holdsBack = (message, to) => isCoordination(message) && asked.push(to) === 1;
    group.loses = (message, to) => isStore(message) && to === asked[0];
    const token = group.begin("r4", write(key, 10, context));
    group.pass(HEDGE_OVER_MS);
    expect(outcome(group.answerOf(token))).toBe("written");
    expect(outcome(group.execute("r4", write(key, 20, shown(group, key))))).toBe("written");
    group.letGo();
    expect(lengthsAt(group, key)).not.toContain(10);
    expect(lengthsOf(group, key)).toEqual([20]);
  });
});

describe("a write that is asked for again of owners that have met only what replaced it", () => {
  const quick = (key: string, byteCount: number): Operation => ({
    ...(write(key, byteCount) as WriteOperation),
    options: { w: 1, dw: 1 },
  });
  const isRecalled = ({ body }: Message): boolean => body.kind === "recalled";

  /** A value of 10 bytes is minted at the first owner, which tells nobody that counts. */
  function atOneOwner(isLost: (to: string) => boolean) {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    const asked: string[] = [];
    const isOfFirst = (from: string): boolean => from === asked[0];
    const losesToOthers = (message: Message, to: string, from: string): boolean => {
      if (isCoordination(message)) asked.push(to);
      const isTold = to === "r4" && isOfFirst(from) && message.type === "reply";
      const isAnswered = isTold && (isAnswer(message) || message.body.kind === "failed");
      return isAnswered || (isOfFirst(from) && (isRecalled(message) || isToldOf(message, to)));
    };
    let isToldOf = (message: Message, to: string): boolean => isStore(message) && isLost(to);
    group.loses = losesToOthers;
    const token = group.begin("r4", write(key, 10));
    const [first = ""] = asked;
    const [second = "", third = ""] = ownersOf(group, key).filter((id) => id !== first);
    const loseOnly = (isSuch: typeof isToldOf): void => {
      isToldOf = isSuch;
    };
    return { group, key, token, first, second, third, loseOnly };
  }

  it("is not minted beside what they have covered by hearsay", () => {
    const { group, key, token, first, second } = atOneOwner(() => true);
    expect(outcome(group.execute(first, quick(key, 20)))).toBe("written");
    // It hears of the 20 bytes when the first owner acknowledges, and covers them unseen.
    expect(outcome(group.execute(second, write(key, 30)))).toBe("written");
    for (let i = 0; i < 4; i++) group.pass(HEDGE_OVER_MS);
    expect(lengthsAt(group, key)).not.toContain(10);
    expect(["quorum-timeout", "quorum-unavailable"]).toContain(outcome(group.answerOf(token)));
  });

  it("is not minted beside what came with its successor, by an owner that had missed it", () => {
    const missed: string[] = [];
    // One owner has it from the first, the other misses it, and so does the fallback.
    const isMissed = (to: string): boolean => {
      if (to !== "r4" && missed.length === 0) missed.push(to);
      return to === "r4" || missed.includes(to);
    };
    const { group, key, token, first } = atOneOwner(isMissed);
    const knowing = ownersOf(group, key).find((id) => ![first, missed[0]].includes(id)) ?? "";
    expect(outcome(group.execute(knowing, write(key, 20)))).toBe("written");
    expect(lengthsAt(group, key)).toEqual([20, 20, 20]);
    // Those that know fall silent; the one that met only the successor is asked, with the fallback.
    const before = group.loses;
    group.loses = (message, to, from) =>
      before(message, to, from) ||
      (from === knowing && isRecalled(message)) ||
      (to === knowing && isCoordination(message));
    for (let i = 0; i < 4; i++) group.pass(HEDGE_OVER_MS);
    expect(lengthsAt(group, key)).toEqual([20, 20, 20]);
    expect(["quorum-timeout", "quorum-unavailable"]).toContain(outcome(group.answerOf(token)));
  });

  it("is known to them as done, when a fallback's hint made up its quorum", () => {
    const { group, key, token, first, second, third, loseOnly } = atOneOwner((to) => to !== "r4");
    group.pass(HEDGE_OVER_MS / 4);
    loseOnly((message, to) => isStore(message) && to === third);
    expect(outcome(group.execute(first, quick(key, 20)))).toBe("written");
    expect(lengthsAt(group, key)).toEqual([20, 20]);
    expect(second).not.toBe("");
    for (let i = 0; i < 4; i++) group.pass(HEDGE_OVER_MS);
    expect(lengthsAt(group, key)).not.toContain(10);
    expect(lengthsOf(group, key)).toEqual([20]);
    expect(["written", "quorum-timeout"]).toContain(outcome(group.answerOf(token)));
  });
});

describe("a write without a context that two coordinators have minted", () => {
  it("does not cover the other version of itself: it would be gone", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    const asked: string[] = [];
    group.loses = (message, to, from) => {
      if (isCoordination(message)) asked.push(to);
      // By the clock of the second one the first version is the later one.
      if (asked.length === 2) group.wallOffMs.set(asked[1] ?? "", -5000);
      return message.body.kind === "recalled" && from === asked[0];
    };
    group.holdsBack = (message) => isStore(message) && asked.length === 1;
    const token = group.begin("r4", write(key, 10));
    for (let i = 0; i < 2; i++) group.pass(HEDGE_OVER_MS);
    expect(outcome(group.answerOf(token))).toBe("written");
    group.letGo();
    group.pass(HEDGE_OVER_MS);
    expect(lengthsAt(group, key)).toEqual([10, 10, 10]);
    expect(lengthsOf(group, key)).toEqual([10]);
  });
});

describe("a write without a context that was minted twice, before and after another one", () => {
  const isRecalled = ({ body }: Message): boolean => body.kind === "recalled";
  const isAck = ({ body }: Message): boolean => body.kind.startsWith("stored");

  /** The first coordinator mints, and nobody hears of that until it acknowledges another write. */
  function mintedUnheard() {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    const asked: string[] = [];
    group.loses = ({ type, body }, to, from) => {
      if (type === "request" && body.kind === "coordinate" && from === "r4") asked.push(to);
      return from === asked[0] && body.kind !== "storedWith";
    };
    const twice = group.begin("r4", write(key, 10));
    return { group, key, asked, twice };
  }

  it.each([
    ["in time", 0],
    ["late", HEDGE_OVER_MS],
  ])("leaves something to be read: that one hears of it %s", (_, tellsAfterMs) => {
    const { group, key, asked, twice } = mintedUnheard();
    // The second one begins another write before it hears that it may mint the first.
    group.holdsBack = (message) => isRecalled(message) || isAck(message);
    for (let i = 0; i < 2; i++) group.pass(HEDGE_OVER_MS);
    const [, second = ""] = asked;
    const other = group.begin(second, write(key, 20));
    group.letOneGo(isRecalled);
    group.pass(tellsAfterMs);
    // The other write is told of the first version, and covers it; the second one finds the other.
    group.letGo();
    group.loses = () => false;
    expect(outcome(group.answerOf(twice))).toBe("written");
    expect(outcome(group.answerOf(other))).toBe("written");
    expect(lengthsOf(group, key)).toEqual([10]);
    expect(lengthsAt(group, key)).toEqual([10, 10, 10]);
  });

  it("leaves something to be read: its second coordinator held that one when it was asked", () => {
    const { group, key, asked, twice } = mintedUnheard();
    const isOverdue = ({ body }: Message): boolean => body.kind === "overdue";
    group.holdsBack = (message) =>
      isAck(message) || isRecalled(message) || isOverdue(message) || isCoordination(message);
    group.pass(HEDGE_OVER_MS);
    // The second one has begun another write, and says that the first would cover it.
    const other = group.begin(asked[1] ?? "", write(key, 20));
    group.letOneGo(isCoordination);
    group.holdsBack = (message) => isAck(message) || isRecalled(message);
    group.letOneGo(isOverdue);
    group.pass(HEDGE_OVER_MS / 4);
    group.letOneGo(isRecalled);
    group.letGo();
    group.loses = () => false;
    for (let i = 0; i < 4; i++) group.pass(HEDGE_OVER_MS);
    for (const token of [twice, other]) expect(outcome(group.answerOf(token))).toBe("written");
    expect(lengthsOf(group, key)).toEqual([10]);
  });
});

describe("a conditional write that is asked for again", () => {
  const ifNew: Precondition = { ifMatch: [], ifNoneMatch: ["*"] };

  it("is not refused for its own first version", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    const { token } = withLostAnswer(group, write(key, 10, null, ifNew));
    group.pass(HEDGE_OVER_MS);
    const result = group.answerOf(token);
    expect(result).toMatchObject({ kind: "written", created: true, siblingCount: 1 });
    expect(lengthsOf(group, key)).toEqual([10]);
  });

  it("is not refused for what has covered its own first version", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    const { token } = withLostAnswer(group, write(key, 10, null, ifNew));
    group.execute("r1", write(key, 20, shown(group, key)));
    group.pass(HEDGE_OVER_MS);
    expect(outcome(group.answerOf(token))).toBe("written");
    expect(lengthsOf(group, key)).toEqual([20]);
  });
});
