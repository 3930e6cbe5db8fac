/** A condition names what its client was shown, and a write without a context replaces that alone. */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { etagOf, liveSiblings, type Sibling } from "../../core/entry.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation, Precondition } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { Group, START, writeOf } from "./group.ts";

const KEY = "list";
const ifNew: Precondition = { ifMatch: [], ifNoneMatch: ["*"] };
const ifMatch = (...tags: readonly string[]): Precondition => ({ ifMatch: tags, ifNoneMatch: [] });

const conditional = (precondition: Precondition, byteCount: number | null): Operation => ({
  ...(writeOf(KEY, byteCount) as Extract<Operation, { kind: "write" }>),
  precondition,
});

const liveIn = (group: Group): readonly Sibling[] => liveSiblings(group.read("r1", KEY, 3), START);
/** How long the values are that a client finds, the newest first. */
const lengthsIn = (group: Group): readonly number[] =>
  liveIn(group).map(({ content }) => content?.value.length ?? 0);
const etagIn = (group: Group, shown: readonly Sibling[]): string =>
  etagOf(shown, group.node("r1").knowledge.hash);
const outcome = (result: Result): string =>
  result.kind === "failed" ? result.failure.code : result.kind;

/** A key with two siblings of 10 and 20 bytes, the latter being the newest. */
function withTwo(): Group {
  const group = new Group({ count: 3 });
  group.execute("r1", writeOf(KEY, 10, CausalContext.empty));
  group.execute("r1", writeOf(KEY, 20, CausalContext.empty));
  expect(lengthsIn(group)).toEqual([20, 10]);
  return group;
}

const isAnswer = ({ body }: Message): boolean => body.kind === "held";
const isStore = ({ body }: Message): boolean => body.kind === "store";

/** All read what there is, then all write, and only then hear of each other. */
function atOnce(group: Group, operations: readonly Operation[]): readonly Result[] {
  group.holdsBack = (message) => isAnswer(message) || isStore(message);
  const tokens = operations.map((operation, i) => group.begin(`r${i + 1}`, operation));
  for (const _ of tokens) group.letOneGo(isAnswer);
  group.letGo();
  return tokens.flatMap((token) => group.answerOf(token) ?? []);
}

describe("a write with If-Match and no context", () => {
  it("replaces the version that a plain read showed, and leaves its sibling", () => {
    const group = withTwo();
    const tag = etagIn(group, liveIn(group).slice(0, 1));
    expect(outcome(group.execute("r2", conditional(ifMatch('"other"', tag), 30)))).toBe("written");
    expect(lengthsIn(group)).toEqual([30, 10]);
  });

  it("deletes that version alone", () => {
    const group = withTwo();
    const tag = etagIn(group, liveIn(group).slice(0, 1));
    expect(outcome(group.execute("r2", conditional(ifMatch(tag), null)))).toBe("written");
    expect(lengthsIn(group)).toEqual([10]);
  });

  it("replaces all siblings by the tag of all, or by *", () => {
    for (const tagOf of [etagIn, () => "*"]) {
      const group = withTwo();
      const tag = tagOf(group, liveIn(group));
      expect(outcome(group.execute("r2", conditional(ifMatch(tag), 30)))).toBe("written");
      expect(lengthsIn(group)).toEqual([30]);
    }
  });

  it("replaces an older sibling by its own tag, and leaves the newest", () => {
    const group = withTwo();
    const tag = etagIn(group, liveIn(group).slice(1));
    expect(outcome(group.execute("r2", conditional(ifMatch(tag), 30)))).toBe("written");
    expect(lengthsIn(group)).toEqual([30, 20]);
  });

  it("deletes an older sibling alone", () => {
    const group = withTwo();
    const tag = etagIn(group, liveIn(group).slice(1));
    expect(outcome(group.execute("r2", conditional(ifMatch(tag), null)))).toBe("written");
    expect(lengthsIn(group)).toEqual([20]);
  });

  it("replaces each sibling whose own tag is listed", () => {
    const group = withTwo();
    const tags = liveIn(group).map((sibling) => etagIn(group, [sibling]));
    expect(outcome(group.execute("r2", conditional(ifMatch(...tags), 30)))).toBe("written");
    expect(lengthsIn(group)).toEqual([30]);
  });

  it("is refused for a version that was replaced", () => {
    const group = withTwo();
    const tag = etagIn(group, liveIn(group).slice(1));
    group.execute("r1", conditional(ifMatch(tag), 30));
    expect(outcome(group.execute("r2", conditional(ifMatch(tag), 40)))).toBe("precondition-failed");
    expect(lengthsIn(group)).toEqual([30, 20]);
  });

  it("takes nothing along that was written between its read and its minting", () => {
    const group = new Group({ count: 3 });
    group.put("r1", KEY, 10);
    const tag = etagIn(group, liveIn(group));
    const writes = [20, 30, 40].map((byteCount) => conditional(ifMatch(tag), byteCount));
    const told = atOnce(group, writes).map(outcome);
    expect(told).toEqual(["written", "written", "written"]);
    // A reader is told that there are three, and is shown them.
    expect([...lengthsIn(group)].sort()).toEqual([20, 30, 40]);
  });
});

describe("a write with If-None-Match and no context", () => {
  it("replaces no value that another created at the same time", () => {
    const group = new Group({ count: 3 });
    const told = atOnce(group, [conditional(ifNew, 10), conditional(ifNew, 20)]).map(outcome);
    expect(told).toEqual(["written", "written"]);
    expect([...lengthsIn(group)].sort()).toEqual([10, 20]);
  });

  it("is ordered after the delete that it found", () => {
    const group = new Group({ count: 3 });
    group.put("r1", KEY, 10);
    group.remove("r1", KEY);
    expect(outcome(group.execute("r2", conditional(ifNew, 20)))).toBe("written");
    expect(group.read("r3", KEY, 3).siblings).toHaveLength(1);
  });

  it("is refused for the tag of any sibling that is stored", () => {
    const group = withTwo();
    for (const sibling of liveIn(group)) {
      const other: Precondition = { ifMatch: [], ifNoneMatch: [etagIn(group, [sibling])] };
      const told = outcome(group.execute("r2", conditional(other, 30)));
      expect(told).toBe("precondition-failed");
    }
    expect(lengthsIn(group)).toEqual([20, 10]);
  });

  it("of other versions than the one that is there replaces what is there", () => {
    const group = withTwo();
    const other: Precondition = { ifMatch: [], ifNoneMatch: ['"other"'] };
    expect(outcome(group.execute("r2", conditional(other, 30)))).toBe("written");
    expect(lengthsIn(group)).toEqual([30]);
  });
});

describe("a write with If-Unmodified-Since and no context", () => {
  const since = (ms: number): Precondition => ({
    ifMatch: [],
    ifNoneMatch: [],
    unmodifiedSince: ms,
  });

  it("replaces the newest version where that is no newer, and leaves its sibling", () => {
    const group = withTwo();
    expect(outcome(group.execute("r2", conditional(since(START), 30)))).toBe("written");
    expect(lengthsIn(group)).toEqual([30, 10]);
  });

  it("is refused where the newest is newer, a delete too", () => {
    const group = withTwo();
    const earlier = since(START - 1000);
    for (const byteCount of [30, null]) {
      const told = outcome(group.execute("r2", conditional(earlier, byteCount)));
      expect(told).toBe("precondition-failed");
    }
    expect(lengthsIn(group)).toEqual([20, 10]);
  });

  it("asks nothing where there is nothing", () => {
    const group = new Group({ count: 3 });
    expect(outcome(group.execute("r1", conditional(since(1), 10)))).toBe("written");
  });
});
