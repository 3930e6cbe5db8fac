/**
 * A strict write that two coordinators mint. The second one asks a majority whether the write was
 * done; what one of these says is late; and meanwhile the first version comes there, is shown, and
 * is replaced by somebody who knew of it. The second version must not come back over that.
 */
import { expect, it } from "vitest";
import { liveSiblings } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { Group, START, writeOf } from "./group.ts";

const NAME = "k";
const KEY = storeKey("demo", NAME);
const options = { consistency: "strict" } as const;
const strict = (length: number | null): Operation =>
  ({ ...writeOf(NAME, length), options }) as Operation;

const until = (group: Group, isSo: () => boolean): void => group.passUntil(isSo, 600);

/** The length of the newest value that a strict read at this node shows; 0 for nothing. */
function shownAt(group: Group, id: string): number {
  const token = group.begin(id, { kind: "get", key: KEY, options, session: null });
  until(group, () => group.answerOf(token) !== undefined);
  const result = group.answerOf(token);
  if (result?.kind !== "got") throw new Error(`${result?.kind}`);
  return liveSiblings(result.entry, START)[0]?.content?.value.length ?? 0;
}

it.each([
  ["a delete", null],
  ["a value", 7],
])("%s that was shown and replaced does not come back", (_, length) => {
  const group = new Group({ count: 4, demo: { n: 3 }, heartbeatMs: 1000 });
  group.pass(1000);
  group.execute("r1", strict(5));
  const { ring } = group.node("r1").knowledge;
  const [, , , client = ""] = ring.preferenceList(ring.partitionOf(KEY));
  const asked: string[] = [];
  const note = ({ body }: Message, to: string): void => {
    if (body.kind === "coordinate" && !asked.includes(to)) asked.push(to);
  };
  // The first coordinator has minted it, and nobody hears of that yet.
  group.holdsBack = (message, to) => {
    note(message, to);
    return message.body.kind === "store" || message.body.kind === "coordinated";
  };
  const twice = group.begin(client, strict(length));
  // The second one asks the others; only the third answers, and the answer is late.
  const [first = ""] = asked;
  group.holdsBack = (message, to) => {
    note(message, to);
    const { kind } = message.body;
    const isLate = kind === "store" || kind === "coordinated" || kind === "recalled";
    return isLate || (kind === "recall" && to === first);
  };
  until(group, () => asked.length > 1);
  const [, second = ""] = asked;
  const third = ring.preferenceList(ring.partitionOf(KEY)).find((id) => !asked.includes(id)) ?? "";
  group.holdsBack = ({ body }, to) =>
    to === second || body.kind === "coordinated" || (body.kind === "recall" && to === first);
  group.letOneGo(({ body }, to) => body.kind === "store" && to === third);
  const shown = [shownAt(group, third)];
  // Somebody who may have seen that writes over it, and is done.
  const after = group.begin(third, strict(16));
  until(group, () => group.answerOf(after) !== undefined);
  expect(group.answerOf(after)?.kind).toBe("written");
  shown.push(shownAt(group, third));
  group.pass(50);
  // Now the first one is silent, and the second one has its late answer.
  group.holdsBack = ({ body }, to) => to === first || (body.kind === "store" && to === second);
  group.letOneGo(({ body }, to) => body.kind === "recalled" && to === second);
  until(group, () => group.answerOf(twice) !== undefined);
  group.holdsBack = (__, to) => to === first;
  shown.push(shownAt(group, client));
  expect(shown).toEqual([length ?? 0, 16, 16]);
});

/** A group, a frontend that owns nothing of the key, and the node that it asks first. */
function withFirst(): { readonly group: Group; readonly client: string; readonly first: string } {
  const group = new Group({ count: 4, demo: { n: 3 }, heartbeatMs: 1000 });
  group.pass(1000);
  const { ring } = group.node("r1").knowledge;
  const [, , , client = ""] = ring.preferenceList(ring.partitionOf(KEY));
  const asked: string[] = [];
  group.loses = ({ body }, to) => {
    if (body.kind === "coordinate") asked.push(to);
    return false;
  };
  group.execute(client, strict(5));
  group.loses = () => false;
  return { group, client, first: asked[0] ?? "" };
}

it("a strict write that never came to the first one is the second one's, by its word", () => {
  const { group, client, first } = withFirst();
  let lostCount = 0;
  group.loses = ({ body }, to) => body.kind === "coordinate" && to === first && lostCount++ === 0;
  const token = group.begin(client, strict(7));
  until(group, () => group.answerOf(token) !== undefined);
  expect([lostCount, group.answerOf(token)?.kind]).toEqual([1, "written"]);
  expect(shownAt(group, client)).toBe(7);
});

it("a strict write to a frozen node is done once, when that wakes", () => {
  const { group, client, first } = withFirst();
  group.freeze(first);
  const token = group.begin(client, strict(7));
  group.pass(1500);
  expect(group.answerOf(token)).toBeUndefined();
  group.wake(first);
  until(group, () => group.answerOf(token) !== undefined);
  expect(group.answerOf(token)?.kind).toBe("written");
  expect(shownAt(group, client)).toBe(7);
});

it("a strict write whose first node takes no connections is the next one's", () => {
  const { group, client, first } = withFirst();
  group.stop(first);
  const token = group.begin(client, strict(7));
  until(group, () => group.answerOf(token) !== undefined);
  expect(group.answerOf(token)?.kind).toBe("written");
  expect(shownAt(group, client)).toBe(7);
});
