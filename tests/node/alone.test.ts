import { describe, expect, it } from "vitest";
import type { CausalContext } from "../../core/causal-context.ts";
import { contextShowing, emptyEntry, liveSiblings } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { Group, START, writeOf } from "./group.ts";

const NAME = "list";
const KEY = storeKey("demo", NAME);
const NOTHING = contextShowing(emptyEntry, [], START);
type Options = Extract<Operation, { kind: "get" }>["options"];

const isStore = ({ body }: Message): boolean => body.kind === "store" || body.kind === "storeAlone";

function write(
  group: Group,
  byteCount: number | null,
  context: CausalContext,
  options: Options = {},
): CausalContext {
  const result = group.execute("r1", {
    ...writeOf(NAME, byteCount, context),
    options,
  } as Operation);
  if (result.kind !== "written") throw new Error(JSON.stringify(result));
  return result.context;
}

const get = (group: Group, at: string, options: Options, session: CausalContext | null = null) =>
  group.execute(at, { kind: "get", key: KEY, options, session });

const lengthsIn = (result: Result): readonly number[] =>
  result.kind === "got"
    ? liveSiblings(result.entry, START)
        .map(({ content }) => content?.value.length ?? 0)
        .toSorted((a, b) => a - b)
    : [];

/** Three replicas, where every write with siblings goes alone, and the kinds of what they say. */
function heard(): { readonly group: Group; readonly kinds: string[] } {
  const group = new Group({ count: 3, aloneFrom: 0 });
  const kinds: string[] = [];
  group.loses = ({ body }) => {
    kinds.push(body.kind);
    return false;
  };
  return { group, kinds };
}

describe("a write beside siblings", () => {
  it("goes alone to replicas that have them, which then have all of the key", () => {
    const { group, kinds } = heard();
    const first = write(group, 10, NOTHING, { w: 3 });
    write(group, 20, first, { w: 3 });
    kinds.length = 0;
    write(group, 30, first, { w: 3 });
    expect(kinds.filter((kind) => kind === "storeAlone")).toHaveLength(2);
    expect(kinds).not.toContain("store");
    for (const id of group.ids) expect(lengthsIn(get(group, id, { r: 1 }))).toEqual([20, 30]);
  });

  it("comes with all of the key to a replica that lacks one of them, and is answered then", () => {
    const { group, kinds } = heard();
    const first = write(group, 10, NOTHING, { w: 3 });
    group.loses = (message, to) => isStore(message) && to === "r3";
    write(group, 20, first);
    const seen: string[] = [];
    group.loses = ({ body }, to, from) => {
      if ([to, from].includes("r3")) seen.push(body.kind);
      return false;
    };
    expect(kinds).not.toContain("lacking");
    write(group, 30, first, { w: 3 });
    expect(seen.filter((kind) => kind !== "stored")).toEqual(["storeAlone", "lacking", "store"]);
    for (const id of group.ids) expect(lengthsIn(get(group, id, { r: 1 }))).toEqual([20, 30]);
  });

  it("is kept whole as a hint for a replica that is away", () => {
    const { group } = heard();
    const first = write(group, 10, NOTHING, { w: 3 });
    group.stop("r3");
    write(group, 20, first);
    write(group, 30, first);
    group.start("r3");
    for (let i = 0; i < 5; i++) {
      group.pass(1000);
      group.runAll("handoff");
    }
    expect(lengthsIn(get(group, "r3", { r: 1 }))).toEqual([20, 30]);
  });
});

/**
 * 20 replaces 10, and all three have it. 30 replaces 20, and is on its way from r1. Somebody who has
 * seen the 10 alone writes 40 beside that, and deletes it with the context that its PUT was answered
 * with: that context names the 20, which is over at r1, and not the 30.
 */
function half(options: Options = {}) {
  const group = new Group({ count: 3, aloneFrom: 0 });
  const first = write(group, 10, NOTHING, options);
  const q = write(group, 20, first, { ...options, w: 3 });
  group.holdsBack = isStore;
  group.begin("r1", { ...writeOf(NAME, 30, q), options } as Operation);
  group.holdsBack = () => false;
  const p = write(group, 40, first, options);
  write(group, null, p, options);
  return { group, q };
}

describe("a value that all have, where only what is on its way replaces it", () => {
  const strict = { consistency: "strict" } as unknown as Options;

  it.each([
    ["a default read", {}, { r: 2 }],
    ["a strict one, where all was written so", strict, strict],
  ])("is not taken away by a write that goes alone: %s", (_, written, read) => {
    const { group } = half(written);
    expect(lengthsIn(get(group, "r2", read))).not.toEqual([]);
  });

  it("is there for its writer, who reads one replica with the context of that write", () => {
    const { group, q } = half();
    expect(lengthsIn(get(group, "r2", { r: 1 }, q))).not.toEqual([]);
  });

  it("outlives the one replica that had what replaced it", () => {
    const { group } = half();
    group.wipe("r1");
    group.start("r1");
    for (let i = 0; i < 20; i++) group.pass(500);
    group.runAll("exchange");
    for (let i = 0; i < 20; i++) group.pass(500);
    expect(lengthsIn(get(group, "r2", { r: 3 }))).not.toEqual([]);
  });
});

describe("the context of an answered write", () => {
  it("is reached by all that acknowledged it, when its coordinator is gone", () => {
    const group = new Group({ count: 3, aloneFrom: 0 });
    const first = write(group, 10, NOTHING);
    group.holdsBack = isStore;
    group.begin("r1", writeOf(NAME, null, first));
    group.holdsBack = () => false;
    const p = write(group, 40, first, { w: 3 });
    group.stop("r1");
    expect(lengthsIn(get(group, "r2", { r: 1 }, p))).toEqual([40]);
  });
});
