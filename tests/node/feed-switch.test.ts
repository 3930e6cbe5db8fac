/**
 * A change feed whose source goes away: another replica goes on from where it is known what was
 * told.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { ChangesOperation, ChangesResult, FeedChange, FeedPosition } from "../../core/feed.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { keyOf } from "../../core/keys.ts";
import { Group, writeOf } from "./group.ts";

const BEAT_MS = 1000;
const PATIENCE_MS = 3100;

let group: Group;

/** Heartbeats of all, so many times. */
function beat(count = 1): void {
  for (let i = 0; i < count; i++) {
    group.pass(BEAT_MS);
    group.runAll("heartbeat");
    group.runAll("collect");
  }
}

const changesFrom = (from: ChangesOperation["from"]): ChangesOperation => ({
  ...{ kind: "changes", namespace: "demo", prefix: "", from, values: false, limit: 7 },
  ...{ byteCountMax: 1e6, holdMs: 0, feed: "one" },
});

function look(at: ReplicaId, from: ChangesOperation["from"]): ChangesResult {
  const result = group.execute(at, changesFrom(from));
  if (result.kind !== "changes") throw new Error(JSON.stringify(result));
  return result;
}

/**
 * A reader that obeys the marks: its keys with their partitions, what it was told, and its place.
 */
class Reader {
  readonly keys = new Map<string, number>();
  words: string[] = [];
  from: FeedPosition | "now" | "beginning";

  constructor(from: "now" | "beginning") {
    this.from = from;
  }

  /** Looks until all is told. */
  follow(at: ReplicaId): void {
    this.words = [];
    for (let i = 0; i < 60; i++) {
      const found = look(at, this.from);
      for (const change of found.changes) this.#take(change);
      this.from = found.position;
      if (found.isCaughtUp) return;
    }
    throw new Error("never caught up");
  }

  get place(): FeedPosition {
    if (typeof this.from === "string") throw new Error("it has not begun");
    return this.from;
  }

  get source(): ReplicaId {
    return this.place.sources[0]?.id ?? "";
  }

  get names(): readonly string[] {
    return [...this.keys.keys()].sort();
  }

  #take(change: FeedChange): void {
    if (change.what === "purge") return;
    if (change.what !== "key") {
      this.words.push(change.what);
      if (change.what !== "resync") return;
      for (const [key, partition] of this.keys) {
        if (change.partitions.includes(partition)) this.keys.delete(key);
      }
      return;
    }
    const name = keyOf(change.key);
    const siblings = change.entry === null ? [] : change.entry.decoded.siblings;
    const isThere = siblings.some(({ content }) => content !== null);
    this.words.push(isThere ? name : `-${name}`);
    if (isThere) this.keys.set(name, change.partition);
    else this.keys.delete(name);
  }
}

const another = (id: ReplicaId): ReplicaId => group.ids.find((other) => other !== id) ?? "";

/** As many looks as it takes until the one that does not answer is given up. */
function losePatience(reader: Reader, at: ReplicaId): void {
  reader.from = look(at, reader.place).position;
  group.pass(PATIENCE_MS);
}

/** The source goes away, and the reader goes on at another member. */
function replaceSource(reader: Reader): { readonly dead: ReplicaId; readonly at: ReplicaId } {
  const dead = reader.source;
  const at = another(dead);
  group.stop(dead);
  losePatience(reader, at);
  reader.follow(at);
  return { dead, at };
}

describe("a feed whose source goes away", () => {
  beforeEach(() => {
    group = new Group({ count: 5, heartbeatMs: BEAT_MS });
    beat(3);
  });

  it("goes on with another one from a place that is proven, without a resync", () => {
    const reader = new Reader("beginning");
    for (let i = 0; i < 30; i++) group.put("r1", `k${i}`, 10);
    beat(2);
    reader.follow("r1");
    const dead = reader.source;
    const at = another(dead);
    group.stop(dead);
    group.put(at, "after", 10);
    group.remove(at, "k7");
    losePatience(reader, at);
    reader.follow(at);
    expect(reader.words).toContain("switch");
    expect(reader.words).not.toContain("resync");
    const expected = Array.from({ length: 30 }, (_, i) => `k${i}`).filter((key) => key !== "k7");
    expect(reader.names).toEqual([...expected, "after"].sort());
    // What was told before is not told again.
    expect(reader.words.filter((word) => word.startsWith("k"))).toEqual([]);
  });

  it("misses nothing of what the source had not told any more, nor what came meanwhile", () => {
    group = new Group({ count: 3, heartbeatMs: BEAT_MS });
    beat(3);
    const reader = new Reader("now");
    reader.follow("r1");
    for (let i = 0; i < 10; i++) group.put("r1", `early${i}`, 10);
    beat();
    const dead = reader.source;
    const at = another(dead);
    group.stop(dead);
    for (let i = 0; i < 10; i++) group.put(at, `late${i}`, 10);
    losePatience(reader, at);
    reader.follow(at);
    expect(reader.words).not.toContain("resync");
    expect(reader.names).toHaveLength(20);
  });

  it("tells which keys ended meanwhile that replicas forget by themselves", () => {
    const reader = new Reader("now");
    reader.follow("r1");
    for (let i = 0; i < 10; i++)
      group.execute("r1", { ...writeOf(`short${i}`, 5), ttlMs: 9000 } as never);
    group.execute("r1", { ...writeOf("gone", 5), ttlMs: 1000 } as never);
    beat(3);
    reader.follow("r1");
    expect(reader.names).toHaveLength(10);
    const dead = reader.source;
    const at = another(dead);
    group.stop(dead);
    beat(10);
    losePatience(reader, at);
    reader.follow(at);
    expect(reader.words).not.toContain("resync");
    expect(reader.names).toEqual([]);
    expect(reader.words).not.toContain("-gone");
  });

  it("forgets what the source alone had, when it comes back without it", () => {
    group = new Group({ count: 3, heartbeatMs: BEAT_MS });
    beat(3);
    const reader = new Reader("now");
    reader.follow("r1");
    beat();
    const dead = reader.source;
    const at = another(dead);
    group.loses = ({ body }, to, from) => body.kind === "store" && (from === dead || to !== dead);
    group.execute(dead, {
      ...writeOf("alone", 5),
      options: { w: 1, dw: 1, sloppy: false },
    } as never);
    reader.follow("r1");
    expect(reader.names).toEqual(["alone"]);
    group.stop(dead);
    group.loses = () => false;
    losePatience(reader, at);
    reader.follow(at);
    expect([reader.words.includes("resync"), reader.names]).toEqual([false, ["alone"]]);
    group.wipe(dead);
    group.start(dead);
    beat(15);
    for (let i = 0; i < 3; i++) group.run(dead, "exchange");
    reader.follow(at);
    expect(reader.words).toContain("resync");
    expect(reader.names).toEqual([]);
    expect(reader.place.left).toEqual([]);
  });

  it("lets go of a source that is back as it was, when its followers have what it told", () => {
    const reader = new Reader("now");
    reader.follow("r1");
    group.put("r1", "a", 10);
    beat();
    reader.follow("r1");
    const { dead, at } = replaceSource(reader);
    expect(reader.place.left.map(({ id }) => id)).toEqual([dead]);
    group.start(dead);
    beat(15);
    reader.follow(at);
    reader.follow(at);
    expect(reader.place.left).toEqual([]);
    expect(reader.words).not.toContain("resync");
  });

  it("goes on over one death after the other", () => {
    const reader = new Reader("now");
    reader.follow("r1");
    for (let round = 0; round < 6; round++) {
      beat(2);
      reader.follow(another(""));
      const dead = reader.source;
      const at = another(dead);
      group.put(at, `before${round}`, 10);
      group.stop(dead);
      group.put(at, `after${round}`, 10);
      losePatience(reader, at);
      reader.follow(at);
      expect(reader.words).not.toContain("resync");
      group.start(dead);
      beat(12);
      reader.follow(at);
      expect(reader.words).not.toContain("resync");
    }
    expect(reader.names).toHaveLength(12);
  });

  it("begins anew where no place is proven", () => {
    group = new Group({ count: 3 });
    group.put("r1", "a", 10);
    const reader = new Reader("beginning");
    reader.follow("r1");
    replaceSource(reader);
    expect(reader.words).toEqual(["switch", "resync", "a", "resync-end"]);
  });

  it("tells nothing of another layout before its token, though a source is waited for", () => {
    const reader = new Reader("beginning");
    for (let i = 0; i < 10; i++) group.put("r1", `k${i}`, 10);
    reader.follow("r1");
    group.resize("r1", 2);
    group.change(8);
    // Its token names sources that have told nothing yet.
    const { position } = look("r1", reader.place);
    const [silent = ""] = position.sources.map(({ id }) => id);
    const at = another(silent);
    group.loses = ({ body }, to) => to === silent && body.kind === "changes";
    const token = group.begin(at, changesFrom(position));
    group.resize(at, 3);
    for (let i = 0; i < 80 && group.answerOf(token) === undefined; i++) group.pass(25);
    expect(group.answerOf(token)).toMatchObject({ kind: "changes", changes: [], isStep: true });
  });

  it("tells nothing of a new beginning before its token, when one that never told is replaced", () => {
    group = new Group({ count: 7, heartbeatMs: BEAT_MS });
    for (let i = 0; i < 30; i++) group.put("r1", `k${i}`, 10);
    const reader = new Reader("beginning");
    reader.follow("r1");
    const { sources } = reader.place;
    let restarts = 0;
    for (const begun of sources) {
      for (const never of sources.filter(({ id }) => id !== begun.id)) {
        // The one is in the midst of its beginning, the other has not been there yet, and is away.
        const midst = { ...begun, isResync: true, after: begun.after - 1, until: begun.after };
        const unread = { ...never, run: 0, after: 0, ended: 0 };
        const places = sources.map((s) => (s === begun ? midst : s === never ? unread : s));
        const at = group.ids.find((id) => sources.every((source) => source.id !== id)) ?? "";
        group.stop(never.id);
        const from = { ...reader.place, proven: [], sources: places };
        const { changes, position } = look(at, from);
        group.start(never.id);
        const again = position.sources.find(({ id }) => id === begun.id);
        if (again?.run === 0) restarts++;
        const anew = changes.filter((c) => c.what === "resync" && c.run === begun.run);
        expect(anew).toEqual([]);
      }
    }
    expect(restarts).toBeGreaterThan(0);
  });
});
