/**
 * A write without a context replaces what its coordinator holds. When a message is late, that may be
 * what somebody wrote after the write was answered.
 */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { liveSiblings } from "../../core/entry.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { Group, START, writeOf } from "./group.ts";
import { nameWhere } from "./keys.ts";

const HEDGE_OVER_MS = 600;
const TIMEOUT_OVER_MS = 2500;

/** A key of which r4 is no owner, so that it has others coordinate. */
const foreignKey = (group: Group): string =>
  nameWhere(group.node("r4").knowledge.ring, (owners) => !owners.includes("r4"));

function contextOf(answer: Result | undefined): CausalContext {
  if (answer?.kind !== "written") throw new Error("no answer");
  return answer.context;
}

/** How long the values are that a client finds. */
const lengthsOf = (group: Group, key: string): readonly number[] => lengthsAt(group, "r4", key, 2);
const lengthsAt = (group: Group, at: ReplicaId, key: string, r: number): readonly number[] =>
  liveSiblings(group.read(at, key, r), START).map(({ content }) => content?.value.length ?? 0);

/** The client writes again, and only then what was held back arrives. */
function putAndLetGo(group: Group, key: string): void {
  group.put("r4", key, 20);
  expect(group.has("r4", key)).toBe(true);
  group.letGo();
  group.pass(HEDGE_OVER_MS);
  expect(group.has("r4", key)).toBe(true);
}

const isCoordination = ({ type, body }: Message): boolean =>
  type === "request" && body.kind === "coordinate";
const isStore = ({ body }: Message): boolean => body.kind === "store";
const isAnswer = ({ body }: Message): boolean =>
  body.kind === "coordinated" || body.kind === "overdue";
const isCoordinated = ({ type, body }: Message): boolean =>
  type === "reply" && body.kind === "coordinated";

describe("a write without a context that comes late", () => {
  it("replaces nothing that was written after its answer, when it was the second asked", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.put("r4", key, 10);
    let asked = 0;
    group.holdsBack = (message, to) =>
      (to === "r4" && isCoordinated(message)) || (isCoordination(message) && ++asked > 1);
    group.begin("r4", writeOf(key, null));
    group.pass(HEDGE_OVER_MS);
    expect(asked).toBe(2);
    group.letOneGo();
    group.holdsBack = () => false;
    putAndLetGo(group, key);
  });

  it("replaces nothing either when it was the first", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.put("r4", key, 10);
    group.holdsBack = isCoordination;
    group.begin("r4", writeOf(key, null));
    group.holdsBack = () => false;
    group.pass(HEDGE_OVER_MS);
    expect(group.has("r4", key)).toBe(false);
    putAndLetGo(group, key);
  });

  it("replaces nothing when nobody waits for it any more", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.holdsBack = isCoordination;
    group.begin("r4", writeOf(key, null));
    group.pass(TIMEOUT_OVER_MS);
    group.holdsBack = () => false;
    putAndLetGo(group, key);
  });
});

describe("a write that comes late to a coordinator whose wall clock is behind", () => {
  /** r4 asks, all others are five seconds behind it; they have greeted each other. */
  function apart(): Group {
    const group = new Group({ count: 4, heartbeatMs: 1000 });
    for (const id of ["r1", "r2", "r3"]) group.wallOffMs.set(id, -5000);
    group.pass(5000);
    group.runAll("heartbeat");
    group.pass(1000);
    return group;
  }

  /**
   * The message to the first coordinator is held back, the second one answers, and the first misses
   * what that has minted.
   */
  function beginLate(group: Group, operation: Operation): { first: ReplicaId; answer: Result } {
    let first = "";
    group.holdsBack = (message, to) => {
      if (!isCoordination(message)) return false;
      first = to;
      return true;
    };
    const token = group.begin("r4", operation);
    group.holdsBack = () => false;
    group.loses = (message, to) => to === first && isStore(message);
    group.pass(HEDGE_OVER_MS);
    group.loses = () => false;
    const answer = group.answerOf(token);
    if (answer?.kind !== "written") throw new Error("no answer");
    return { first, answer };
  }

  it("replaces nothing that was written after its answer", () => {
    const group = apart();
    const key = foreignKey(group);
    group.put("r4", key, 10);
    beginLate(group, writeOf(key, null));
    putAndLetGo(group, key);
  });

  it("is not minted beside what replaced it", () => {
    const group = apart();
    const key = foreignKey(group);
    const { first, answer } = beginLate(group, writeOf(key, 10, CausalContext.empty));
    group.execute(first, writeOf(key, 20, contextOf(answer)));
    group.letGo();
    expect(lengthsAt(group, first, key, 1)).toEqual([20]);
  });
});

describe("a write without a context that a second coordinator is asked for, and has", () => {
  it("is not minted again", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.holdsBack = (message, to) => to === "r4" && isCoordinated(message);
    const token = group.begin("r4", writeOf(key, 10));
    group.pass(HEDGE_OVER_MS);
    group.letOneGo();
    group.holdsBack = () => false;
    group.execute("r4", writeOf(key, 20, contextOf(group.answerOf(token))));
    expect(lengthsOf(group, key)).toEqual([20]);
  });

  it("is not either when it came there after the question", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.holdsBack = (message, to) => (to === "r4" ? isAnswer(message) : isStore(message));
    const token = group.begin("r4", writeOf(key, 10));
    group.pass(HEDGE_OVER_MS);
    for (let i = 0; i < 2; i++) group.letOneGo(isStore);
    group.letOneGo(({ body }) => body.kind === "overdue");
    group.letOneGo(isCoordinated);
    group.holdsBack = () => false;
    group.execute("r4", writeOf(key, 20, contextOf(group.answerOf(token))));
    expect(lengthsOf(group, key)).toEqual([20]);
  });

  it("replaces nothing that came after it", () => {
    const group = new Group({ count: 4 });
    const key = foreignKey(group);
    group.holdsBack = (message, to) => to === "r4" && isCoordinated(message);
    const token = group.begin("r4", writeOf(key, 10));
    group.holdsBack = () => false;
    group.execute("r3", writeOf(key, 20, CausalContext.empty));
    group.pass(HEDGE_OVER_MS);
    expect(group.answerOf(token)?.kind).toBe("written");
    expect(lengthsOf(group, key)).toEqual([20, 10]);
    group.letGo();
    expect(lengthsOf(group, key)).toEqual([20, 10]);
  });
});
