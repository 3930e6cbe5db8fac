/**
 * Strict reads never go back in time, even where two strict writes without a context have met: a
 * PUT that finds a later one stays below it, and a DELETE ends only what most owners had before it.
 */
import { describe, expect, it } from "vitest";
import type { Entry } from "../../core/entry.ts";
import { decodeEntry } from "../../core/entry-codec.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import type { Result } from "../../core/results.ts";
import { Group, writeOf } from "./group.ts";

/** How long one waits for what r1 might say. */
const HEDGE_MS = 200;
const KEY = storeKey("demo", "k");
const options = { consistency: "strict" } as const;
const strictly = (byteCount: number): Operation =>
  ({ ...writeOf("k", byteCount), options }) as Operation;
const isStore = ({ body }: Message): boolean => body.kind === "store";
/**
 * The reply to the read that a write begins with: it is held back, so the write knows nothing
 * later.
 */
const isHeld = ({ body }: Message): boolean => body.kind === "held";
const isHeldTo = (id: string) => (message: Message, to: string) => to === id && isHeld(message);
const isAck = ({ body }: Message): boolean => body.kind === "stored" || body.kind === "storedWith";
const lengthsOf = (entry: Entry | undefined): readonly number[] =>
  (entry?.siblings ?? []).flatMap(({ content }) => (content ? [content.value.length] : []));
const heldBy = (group: Group, id: string): readonly number[] =>
  lengthsOf(group.node(id).service?.keeper.hold(KEY).entry);

const isStoreOf = ({ body }: Message, length: number): boolean =>
  body.kind === "store" && lengthsOf(decodeEntry(body.entry).entry).includes(length);
const isStoreOfNothing = ({ body }: Message): boolean =>
  body.kind === "store" && lengthsOf(decodeEntry(body.entry).entry).length === 0;
const entryOf = (result: Result | undefined): Entry | undefined =>
  result?.kind === "got" ? result.entry : undefined;

function readStrictly(group: Group, at: string): readonly number[] {
  const got = group.execute(at, { kind: "get", key: KEY, options, session: null });
  return got.kind === "got" ? lengthsOf(got.entry) : [];
}

/**
 * r1's write is at r3, and was shown by a strict read. It comes to r2 when that has minted another
 * one, with a later time. That one is answered, as r3 has told of the first; then r1 hears of it
 * from r2.
 */
function shownAndReplaced(): { group: Group; first: number } {
  const group = new Group({ count: 3 });
  group.holdsBack = isHeldTo("r2");
  const second = group.begin("r2", strictly(7));
  group.holdsBack = (message, to) =>
    (to === "r2" && (isStore(message) || isHeld(message))) || (to === "r1" && isAck(message));
  const first = group.begin("r1", strictly(5));
  expect(readStrictly(group, "r3")).toEqual([5]);
  group.now += 3;
  group.loses = (message, to, from) => isStore(message) && to === "r1" && from === "r2";
  group.holdsBack = (message, to) => isStore(message) || (to === "r1" && isAck(message));
  group.letOneGo(isHeldTo("r2"));
  group.holdsBack = (message, to) => to === "r1" && isAck(message);
  group.letOneGo(isStore);
  expect(heldBy(group, "r2")).toEqual([5, 7]);
  group.letOneGo(isStore);
  group.pass(HEDGE_MS);
  expect(group.answerOf(second)?.kind).toBe("written");
  return { group, first };
}

describe("a strict write without a context that a strict read has shown before another one came", () => {
  it("does not come back above that one", () => {
    const { group, first } = shownAndReplaced();
    // First r2 says that it has the other one, then r3 says that it had nothing.
    group.holdsBack = () => false;
    group.letOneGo(({ body }) => body.kind === "storedWith" && body.beside.length > 0);
    group.letGo();
    expect(group.answerOf(first)?.kind).toBe("written");
    expect(readStrictly(group, "r3")).toEqual([7]);
  });
});

describe("two strict writes without a context, of which each is shown", () => {
  it("do not go back, though the earlier one finds the later one at most owners", () => {
    const group = new Group({ count: 3 });
    group.holdsBack = isHeldTo("r3");
    const second = group.begin("r3", strictly(7));
    // The first one is at r1 alone, where a strict read by r2 finds it: r2 itself has nothing yet.
    group.holdsBack = (message, to) => isStore(message) || isHeldTo("r2")(message, to);
    const first = group.begin("r1", strictly(5));
    const isReadOfR3 = ({ body }: Message, to: string): boolean =>
      body.kind === "read" && to === "r3";
    group.loses = isReadOfR3;
    const reading = group.begin("r2", { kind: "get", key: KEY, options, session: null });
    group.pass(HEDGE_MS);
    // Both come to r2, the second one first, before r2 hears what r1 has.
    group.loses = (message, to, from) => isStore(message) && to === "r1" && from === "r3";
    group.letOneGo(isHeldTo("r3"));
    group.letOneGo((message) => isStoreOf(message, 7));
    group.holdsBack = (message, to) => isStore(message) || (to === "r1" && isAck(message));
    group.letOneGo((message, to) => isStoreOf(message, 5) && to === "r2");
    group.letOneGo(isHeldTo("r2"));
    const shown = [lengthsOf(entryOf(group.answerOf(reading)))];
    expect(group.answerOf(second)?.kind).toBe("written");
    expect(group.answerOf(first)).toBeUndefined();
    // r1 and r2 show it, so r3 does not hear of the first one.
    group.loses = isReadOfR3;
    group.holdsBack = (message, to) =>
      (isStoreOf(message, 5) && to === "r3") || (to === "r1" && message.body.kind === "storedWith");
    shown.push(readStrictly(group, "r2").slice(0, 1));
    group.loses = () => false;
    group.letGo();
    group.pass(HEDGE_MS);
    expect(group.answerOf(first)).toBeDefined();
    shown.push(readStrictly(group, "r3").slice(0, 1));
    expect(shown).toEqual([[5], [7], [7]]);
  });
});

describe("a strict write without a context that its coordinator minted below another one", () => {
  /** r2 has missed what the others have answered, also since it asked them, and its clock is behind. */
  function behind(): { group: Group; token: number } {
    const group = new Group({ count: 3 });
    group.wallOffMs.set("r2", -5000);
    group.holdsBack = isHeldTo("r2");
    const token = group.begin("r2", strictly(7));
    group.loses = (message, to) => to === "r2" && isStore(message);
    group.execute("r1", strictly(5));
    group.loses = () => false;
    return { group, token };
  }

  it.each([
    ["all owners have said that they had it", 0],
    ["two owners have said", 1],
  ])("stays below it, as they were on their way together: %s", (_, silentCount) => {
    const { group, token } = behind();
    group.loses = (message, to) => silentCount > 0 && to === "r3" && isStore(message);
    group.letOneGo(isHeldTo("r2"));
    group.letGo();
    group.pass(HEDGE_MS);
    expect(group.answerOf(token)?.kind).toBe("written");
    expect(readStrictly(group, "r2")).toEqual([5, 7]);
    group.loses = () => false;
    expect(group.execute("r2", strictly(9)).kind).toBe("written");
    expect(readStrictly(group, "r3")).toEqual([9]);
  });

  it("is minted above what it finds when it asks, though its clock is behind", () => {
    const group = new Group({ count: 3 });
    group.loses = (message, to) => to === "r2" && isStore(message);
    group.execute("r1", strictly(5));
    group.wallOffMs.set("r2", -5000);
    // Nobody tells it what the others store: that it asks them first is enough.
    group.loses = (message, to) => to === "r3" && isStore(message);
    expect(group.execute("r2", strictly(7)).kind).toBe("written");
    expect(readStrictly(group, "r3")).toEqual([7]);
  });
});

describe("a strict write without a context whose coordinator hears of nothing", () => {
  it("is called done by a second one, which ends nothing that came meanwhile", () => {
    const group = new Group({ count: 3 });
    group.holdsBack = isHeldTo("r3");
    const token = group.begin("r3", strictly(7));
    group.loses = (message, to) => to === "r3" && isStore(message);
    expect(group.execute("r1", strictly(5)).kind).toBe("written");
    // r3 lacks that, and is not told of it by those that store the next one beside it.
    group.loses = (message, to) => to === "r3" && isAck(message);
    group.letOneGo(isHeldTo("r3"));
    group.holdsBack = () => false;
    group.passUntil(() => group.answerOf(token) !== undefined, 2500);
    expect(group.answerOf(token)?.kind).toBe("written");
    const shown = readStrictly(group, "r1");
    expect([...shown].sort()).toEqual([5, 7]);
    group.loses = () => false;
    expect(readStrictly(group, "r3")).toEqual(shown);
    expect(group.execute("r3", strictly(9)).kind).toBe("written");
    expect(readStrictly(group, "r1")).toEqual([9]);
  });
});

describe("a strict delete without a context", () => {
  it("does not end what was shown after it, though its time is the later one", () => {
    const group = new Group({ count: 3 });
    group.holdsBack = isHeldTo("r1");
    const remove = group.begin("r1", { ...writeOf("k", null), options } as Operation);
    group.holdsBack = (message) => isStore(message);
    group.begin("r2", strictly(5));
    group.now += 3;
    // The delete comes to r3, where a read shows it, and then to r2; r1 hears nothing of that.
    group.holdsBack = (message, to) =>
      (isStore(message) && to !== "r3") || (to === "r1" && isAck(message));
    group.letOneGo(isHeldTo("r1"));
    const without = (id: string) => {
      group.loses = ({ body }, to) => body.kind === "read" && to === id;
    };
    without("r2");
    const shown = [readStrictly(group, "r3")];
    without("r1");
    group.letOneGo((message, to) => isStoreOfNothing(message) && to === "r2");
    shown.push(readStrictly(group, "r3"));
    group.loses = () => false;
    group.letOneGo(({ body }, to) => to === "r1" && body.kind === "storedWith");
    group.pass(HEDGE_MS);
    group.letGo();
    expect(group.answerOf(remove)?.kind).toBe("written");
    shown.push(readStrictly(group, "r3"));
    expect(shown).toEqual([[], [5], [5]]);
  });
});

describe("a strict write without a context while a fourth owner is added", () => {
  it("does not come back above one that has replaced it, since the fourth met that one first", () => {
    const group = new Group({ count: 4 });
    const { ring } = group.node("r1").knowledge;
    const [a = "", b = "", c = "", fourth = ""] = ring.preferenceList(ring.partitionOf(KEY));
    group.put("r1", "another", 1);
    // The fourth is not filled meanwhile.
    const isFilling = ({ body }: Message): boolean => body.kind === "roots";
    group.loses = isFilling;
    expect(group.resize("r1", 4).kind).toBe("configured");
    const among =
      (...ids: readonly string[]) =>
      (message: Message, to: string) =>
        isStore(message) && ids.includes(to);
    const isAckTo = (message: Message, to: string): boolean => to === a && isAck(message);

    // The first one is at two of the three, the second one at the third and at the fourth.
    group.holdsBack = isHeldTo(c);
    const second = group.begin(c, strictly(7));
    group.holdsBack = (message, to) => among(c, fourth)(message, to) || isAckTo(message, to);
    const first = group.begin(a, strictly(5));
    group.now += 3;
    group.loses = (message, to) => isFilling(message) || among(a)(message, to);
    group.holdsBack = (message, to) => among(b)(message, to);
    group.letOneGo(isHeldTo(c));
    group.holdsBack = isAckTo;
    group.letOneGo(among(fourth));
    expect([a, b, c, fourth].map((id) => [...heldBy(group, id)].sort())).toEqual([
      [5],
      [5],
      [7],
      [5, 7],
    ]);

    group.loses = ({ body }, to) =>
      body.kind === "roots" || (body.kind === "read" && [c, fourth].includes(to));
    expect(readStrictly(group, b)).toEqual([5]);
    group.loses = (message, to) => isFilling(message) || among(a)(message, to);
    group.letOneGo(among(b));
    group.pass(HEDGE_MS);
    expect(group.answerOf(second)?.kind).toBe("written");

    group.loses = isFilling;
    group.holdsBack = () => false;
    // First of all the fourth says what it has.
    group.letOneGo(({ body }) => body.kind === "storedWith" && body.beside.length > 0);
    group.letGo();
    group.pass(HEDGE_MS);
    group.pass(2500);
    expect(group.answerOf(first)).toBeDefined();
    expect(readStrictly(group, b)).toEqual([7]);
  });
});
