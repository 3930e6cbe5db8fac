/**
 * What replicas claim of each other while N becomes smaller: requests count by the larger N until
 * that is done, and trees are of the smaller one alone.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import { followIn, lookIn, wordsOf } from "./feed-looks.ts";
import { Group, writeOf } from "./group.ts";

const BEAT_MS = 1000;
/** After that a source that does not answer is given up. */
const PATIENCE_MS = 3100;
let group: Group;

function beat(count: number): void {
  for (let i = 0; i < count; i++) {
    group.pass(BEAT_MS);
    group.runAll("heartbeat");
  }
}

const listOf = (name: string): readonly ReplicaId[] => {
  const { ring } = group.node("r1").knowledge;
  return ring.preferenceList(ring.partitionOf(storeKey("demo", name)));
};

/**
 * A write that two have acknowledged, the coordinator and one other. The coordinator's process ends
 * before it has told anybody else, so the change to N = 3 waits for it. Nobody follows the other
 * before that change has begun, and those who are to own the key fill up from others.
 */
function writeThenShrink(name: string, { by, to }: { by: ReplicaId; to: ReplicaId }): void {
  const isFollowing = ({ body }: Message): boolean => ["greet", "arrivals"].includes(body.kind);
  group.loses = (message, at) =>
    isFollowing(message) || (message.body.kind === "store" && at !== to);
  const write = { ...writeOf(name, 33), options: { w: 2, dw: 2 } } as never;
  expect(group.execute(by, write).kind).toBe("written");
  group.stop(by);
  group.loses = (message) => isFollowing(message) || message.body.kind === "roots";
  const [at = ""] = group.ids;
  expect(group.resize(at, 3).kind).toBe("configured");
  const { ring } = group.node(at).knowledge;
  const partition = ring.partitionOf(storeKey("demo", name));
  group.loses = ({ body }, asked) =>
    asked === to &&
    body.kind === "roots" &&
    body.trees.some((tree) => tree.partition === partition);
  const held = group.ids.filter((id) => group.digests(id).has(storeKey("demo", name)));
  expect(held).toEqual([to]);
  beat(9);
  for (const id of group.ids) {
    const change = group.node(id).knowledge.changes.get("demo");
    expect(change).toMatchObject({ phase: "filling", from: 5 });
  }
}

describe("while N becomes smaller", () => {
  beforeEach(() => {
    group = new Group({ count: 5, demo: { n: 5 }, heartbeatMs: BEAT_MS });
    beat(8);
  });

  it("a bounded read finds what only owners of before have acknowledged", () => {
    const [at = "", , , by = "", to = ""] = listOf("needle");
    writeThenShrink("needle", { by, to });
    const options = { r: 1, maxStaleMs: 1000, staleW: 2 };
    const key = storeKey("demo", "needle");
    const result = group.execute(at, { kind: "get", key, options, session: null });
    if (result.kind !== "got") throw new Error(JSON.stringify(result));
    expect([result.tally.answered, result.staleW]).toEqual([1, 2]);
    expect(result.entry.siblings.map(({ content }) => content?.value.length)).toEqual([33]);
  });

  it("a feed that goes on with one of them misses nothing of what came to that one alone", () => {
    const [source = "", , , by = "", to = ""] = listOf("needle");
    const before = followIn(group, source, "now");
    expect(before.position.sources.map(({ id }) => id)).toEqual([source]);
    writeThenShrink("needle", { by, to });
    const first = followIn(group, source, before.position);
    group.stop(source);
    const waiting = lookIn(group, to, { from: first.position });
    group.pass(PATIENCE_MS);
    const second = followIn(group, to, waiting.position);
    expect(second.position.sources.map(({ id }) => id)).toEqual([to]);
    const words = [first, waiting, second].flatMap(wordsOf);
    expect(words).toEqual(["needle", "switch"]);
  });
});
