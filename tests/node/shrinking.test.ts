/**
 * What replicas claim of each other while N becomes smaller: requests count by the larger N until
 * that is done, and trees are of the smaller one alone.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { ChangesOperation, FeedPosition } from "../../core/feed.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { keyOf, storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
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

interface Told {
  /** What changes there were: the names of keys, and other words. */
  readonly words: readonly string[];
  readonly from: FeedPosition;
}

/** Looks once. */
function look(at: ReplicaId, from: ChangesOperation["from"]): Told & { isCaughtUp: boolean } {
  const result = group.execute(at, {
    ...{ kind: "changes", namespace: "demo", prefix: "", from, values: false, limit: 7 },
    ...{ byteCountMax: 1e6, holdMs: 0, feed: "one" },
  });
  if (result.kind !== "changes") throw new Error(JSON.stringify(result));
  const { changes, position, isCaughtUp } = result;
  const words = changes.map((change) => (change.what === "key" ? keyOf(change.key) : change.what));
  return { words, from: position, isCaughtUp };
}

/** Looks until all is told. */
function follow(at: ReplicaId, from: ChangesOperation["from"]): Told {
  const { isCaughtUp, ...first } = look(at, from);
  if (isCaughtUp) return first;
  const rest = follow(at, first.from);
  return { ...rest, words: [...first.words, ...rest.words] };
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
    const before = follow(source, "now");
    expect(before.from.sources.map(({ id }) => id)).toEqual([source]);
    writeThenShrink("needle", { by, to });
    const first = follow(source, before.from);
    group.stop(source);
    const waiting = look(to, first.from);
    group.pass(PATIENCE_MS);
    const second = follow(to, waiting.from);
    expect(second.from.sources.map(({ id }) => id)).toEqual([to]);
    const words = [...first.words, ...waiting.words, ...second.words];
    expect(words).toEqual(["needle", "switch"]);
  });
});
