/**
 * A write without a context that is minted twice, since nobody who was asked knows of it: one
 * primary is away, the other one has started anew and forgotten. Meanwhile somebody has written
 * over the first version. The second one must not pass that write: the first is over by it, and
 * where each ends the other nothing is left.
 */
import { expect, it } from "vitest";
import { liveSiblings, type Sibling } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import { Group, START, writeOf } from "./group.ts";

const NAME = "k";
const KEY = storeKey("demo", NAME);
const FIRST = 5;
const OVER = 16;

const until = (group: Group, isSo: () => boolean): void => group.passUntil(isSo, 3000);

const lengthOf = ({ content }: Sibling): number => content?.value.length ?? 0;
const isCoordinated = ({ body }: Message): boolean => body.kind === "coordinated";

/**
 * @param second who mints it once more: the primary that has forgotten, or a fallback
 * @returns the values that are shown at the end, by their length
 */
function shownAfter(second: "primary" | "fallback"): readonly number[] {
  const group = new Group({ count: 5, demo: { n: 2 }, heartbeatMs: 1000 });
  group.pass(1000);
  const { ring } = group.node("r1").knowledge;
  const [a = "", b = "", , , client = ""] = ring.preferenceList(ring.partitionOf(KEY));
  const asked: string[] = [];
  group.loses = (message, to) => {
    if (message.body.kind === "coordinate") asked.push(to);
    return to === client && isCoordinated(message);
  };
  const token = group.begin(client, writeOf(NAME, FIRST));
  const [first = ""] = asked;
  const other = first === a ? b : a;
  expect(group.execute(other, writeOf(NAME, OVER)).kind).toBe("written");
  group.stop(first);
  group.stop(other);
  group.start(other);
  group.loses = ({ body }, to) =>
    second === "fallback" && body.kind === "coordinate" && to === other;
  until(group, () => group.answerOf(token) !== undefined);
  expect(group.answerOf(token)).toBeDefined();
  group.loses = () => false;
  group.start(first);
  for (let i = 0; i < 5; i++) {
    group.pass(1000);
    group.runAll("handoff");
    group.runAll("exchange");
  }
  const { siblings } = group.read(client, NAME);
  expect(siblings.length).toBeGreaterThan(0);
  const { entry } = group.node(first).service?.keeper.hold(KEY) ?? {};
  return entry === undefined ? [] : liveSiblings(entry, START).map(lengthOf);
}

it.each(["primary", "fallback"] as const)(
  "a second version, minted by a %s, does not pass what has seen the first",
  (second) => {
    expect(shownAfter(second)).toContain(OVER);
  },
);
