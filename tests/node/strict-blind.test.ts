/**
 * Strict reads never go back in time, even where two strict writes without a context have met. The
 * one with the earlier time is minted again above the other one only where that may have been
 * answered before it began: all owners of the key together tell that.
 */
import { describe, expect, it } from "vitest";
import type { Entry } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
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

  it("is minted again above it, when all owners have said that they had it", () => {
    const { group, token } = behind();
    group.holdsBack = (message, to) => to === "r2" && isAck(message);
    group.letOneGo(isHeldTo("r2"));
    group.holdsBack = () => false;
    group.letOneGo(isAck);
    expect(group.answerOf(token)).toBeUndefined();
    group.letGo();
    expect(group.answerOf(token)?.kind).toBe("written");
    expect(readStrictly(group, "r3")).toEqual([7]);
  });

  it("is refused where one of them does not say, and ends nothing", () => {
    const { group, token } = behind();
    group.loses = (message, to) => to === "r3" && isStore(message);
    group.letOneGo(isHeldTo("r2"));
    expect(group.answerOf(token)).toBeUndefined();
    group.pass(2500);
    const code = "quorum-timeout";
    expect(group.answerOf(token)).toMatchObject({ kind: "failed", failure: { code } });
    expect(heldBy(group, "r1")).toContain(5);
    group.loses = () => false;
    group.letGo();
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
  it("is not called done by a second one that cannot tell whether it replaces what is there", () => {
    const group = new Group({ count: 3 });
    group.holdsBack = isHeldTo("r3");
    const token = group.begin("r3", strictly(7));
    group.loses = (message, to) => to === "r3" && isStore(message);
    expect(group.execute("r1", strictly(5)).kind).toBe("written");
    // r3 lacks that, and is not told of it by those that store the next one beside it.
    group.loses = (message, to) => to === "r3" && isAck(message);
    group.letOneGo(isHeldTo("r3"));
    group.holdsBack = () => false;
    for (let i = 0; i < 50; i++) group.pass(50);
    expect(heldBy(group, "r1")).toContain(7);
    expect(group.answerOf(token)).toMatchObject({ kind: "failed" });
    group.loses = () => false;
    expect(group.execute("r3", strictly(9)).kind).toBe("written");
    expect(readStrictly(group, "r1")).toEqual([9]);
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
