/** What becomes of hints whose owner stays away, by how many others there are to have the writes. */
import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import { Group } from "./group.ts";

const KEY = storeKey("demo", "k");
/** Longer than hints wait: half of what the group's tombstones are kept for. */
const WINDOW_OVER_MS = 31_000;

/** A value of which the last of its N owners has heard nothing for longer than hints wait. */
function groupWithHint(n: number) {
  const group = new Group({ count: 5, demo: { n } });
  const { ring } = group.node("r1").knowledge;
  const owners = ring.primariesOf(ring.partitionOf(KEY), n);
  const [first = "", absent = ""] = [owners[0], owners.at(-1)];
  const has = (id: string): boolean => group.members.get(id)?.store.summary(KEY) !== undefined;
  const waiting = (): readonly string[] =>
    group.ids.filter((id) => group.members.get(id)?.store.hintTargets(KEY).includes(absent));
  group.loses = (_, to) => to === absent;
  group.put(first, "k", 10);
  group.pass(1000);
  expect(waiting()).toHaveLength(1);
  group.pass(WINDOW_OVER_MS);
  // It refuses connections too: nobody tries it just now.
  for (const id of group.ids) group.node(id).knowledge.liveness.refused(absent, group.now);
  group.runAll("handoff");
  const comeBack = (): void => {
    group.loses = () => false;
    group.pass(WINDOW_OVER_MS);
    group.runAll("handoff");
  };
  return { first, absent, owners, has, waiting, comeBack };
}

describe("a hint whose owner stays away", () => {
  it("is given up where two other owners have the value", () => {
    const { absent, owners, has, waiting } = groupWithHint(3);
    expect(waiting()).toEqual([]);
    expect(owners.filter(has)).toEqual(owners.filter((id) => id !== absent));
  });

  // Else the value, acknowledged by two replicas, would be on one disk alone.
  it("stays where only one other has it, until its owner is back", () => {
    const { first, absent, owners, has, waiting, comeBack } = groupWithHint(2);
    expect([waiting().length, owners.filter(has)]).toEqual([1, [first]]);
    comeBack();
    expect([waiting(), has(absent)]).toEqual([[], true]);
  });
});
