import { describe, expect, it } from "vitest";
import type { Entry } from "../../core/entry.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import type { Message, Reply, Request } from "../../core/messages.ts";
import { defaultSettings } from "../../core/namespace-settings.ts";
import { noPurges, purgeName, withPurge } from "../../core/purges.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import {
  type ClusterDocument,
  encodeDocument,
  withNamespace,
} from "../../ring/cluster-document.ts";
import { layoutAfter } from "../../ring/plan.ts";
import { acknowledge, beginChange } from "../../ring/ring-change.ts";
import { agreedRing } from "../../ring/ring-document.ts";
import type { Effect, Input } from "../../src/node/peers/boundary.ts";
import { BEGUN_BYTES_MAX, STAGED_BYTES_MAX } from "../../src/node/serving/disk-room.ts";
import { RULES } from "../core/message-samples.ts";
import { KEY, START, written } from "../replica/probe.ts";
import { Bench, repliesIn } from "./bench.ts";
import { keyWhere } from "./keys.ts";
import { conditionalWrite } from "./writes.ts";

const requestOf = (bench: Bench, body: Request): Input => {
  const { stamp } = bench.knowledge;
  const message: Message = { type: "request", call: 1, stamp, budgetMs: 2000, trace: "", body };
  return { kind: "message", from: "r2#1", message };
};

const flushesIn = (effects: readonly Effect[]): readonly number[] =>
  effects.flatMap((effect) => (effect.kind === "flush" ? [effect.token] : []));

const requestsIn = (effects: readonly Effect[]): readonly string[] =>
  effects.flatMap((effect) =>
    effect.kind === "send" && effect.message.type === "request" ? [effect.message.body.kind] : [],
  );

function deleted(): Entry {
  const { siblings, ...rest } = written("gone");
  return { ...rest, siblings: siblings.map((sibling) => ({ ...sibling, content: null })) };
}

/** A key that r1 is the first to put up for collection. */
const firstOf = ({ knowledge }: Bench): string => keyWhere(knowledge.ring, ([id]) => id === "r1");

describe("a read for a strict quorum", () => {
  const read = { kind: "read", key: KEY, digestOnly: false, durably: true } as const;

  it("waits for a flush where something waits for the disk, or the disk has failed", () => {
    const flushCountOf = (stagedByteCount: number, hasFailed = false): number => {
      const bench = new Bench({ store: Object.assign(new MemoryStore(), { stagedByteCount }) });
      if (hasFailed) bench.store.setHealth("failed");
      const effects = bench.node.step(requestOf(bench, read), bench.clocks);
      const flushCount = flushesIn(effects).length;
      expect(repliesIn(effects)).toHaveLength(1 - flushCount);
      return flushCount;
    };
    expect([flushCountOf(0), flushCountOf(1), flushCountOf(0, true)]).toEqual([0, 1, 1]);
  });

  it("is answered when what it tells of is on stable storage, and refused when it never is", () => {
    for (const ok of [true, false]) {
      const bench = new Bench();
      const entry = encodeEntry(written("new"), null);
      const stored = {
        kind: "store",
        key: KEY,
        entry,
        hintFor: null,
        ack: "received",
        tells: false,
      } as const;
      bench.node.step(requestOf(bench, stored), bench.clocks);
      const effects = bench.node.step(requestOf(bench, read), bench.clocks);
      expect(repliesIn(effects)).toEqual([]);
      const [token] = flushesIn(effects);
      const later = bench.node.step({ kind: "flushed", token: token ?? 0, ok }, bench.clocks);
      expect(repliesIn(later).map(({ kind }) => kind)).toEqual([ok ? "held" : "refused"]);
    }
  });
});

describe("a tombstone that is not on stable storage", () => {
  const tombstone = encodeEntry(deleted(), null);
  const stored = {
    kind: "store",
    key: KEY,
    entry: tombstone,
    hintFor: null,
    ack: "received",
    tells: false,
  } as const;

  // A crash would bring back what it covers, and nobody else would have a tombstone any more.
  it("is agreed on when it is, and never when it cannot be", () => {
    for (const ok of [true, false]) {
      const bench = new Bench();
      bench.node.step(requestOf(bench, stored), bench.clocks);
      const digest = bench.store.summary(KEY)?.digest ?? 0;
      const confirm = { kind: "confirm", keys: [[KEY, digest]] } as const;
      const effects = bench.node.step(requestOf(bench, confirm), bench.clocks);
      expect(repliesIn(effects)).toEqual([]);
      const [token = 0] = flushesIn(effects);
      const later = bench.node.step({ kind: "flushed", token, ok }, bench.clocks);
      expect(repliesIn(later)).toEqual([{ kind: "confirmed", objections: ok ? [] : [0] }]);
    }
  });

  it("is not put up for collection by a replica that has it in memory alone", () => {
    for (const ok of [true, false]) {
      const bench = new Bench();
      const key = firstOf(bench);
      bench.node.step(requestOf(bench, { ...stored, key }), bench.clocks);
      bench.now = START + 100_000;
      const effects = bench.node.step({ kind: "job", name: "collect" }, bench.clocks);
      expect(requestsIn(effects)).toEqual([]);
      const [token = 0] = flushesIn(effects);
      const later = bench.node.step({ kind: "flushed", token, ok }, bench.clocks);
      expect(requestsIn(later)).toEqual(ok ? ["confirm", "confirm", "confirm", "confirm"] : []);
    }
  });
});

describe("a purge of which the sweep is not on stable storage", () => {
  /** Sweeps, and gives what follows without carrying out a flush. */
  function swept(): Bench {
    const bench = new Bench();
    const { document } = bench.knowledge;
    const purges = withPurge(
      noPurges,
      [purgeName("demo", "everything", "")],
      hlcFromMillis(bench.now),
    );
    bench.knowledge.learn({ ...document, purges });
    bench.node.step({ kind: "job", name: "sweep" }, bench.clocks);
    return bench;
  }

  it("is not said to be swept", () => {
    for (const ok of [true, false]) {
      const bench = swept();
      const through = hlcFromMillis(bench.now);
      const effects = bench.node.step(requestOf(bench, { kind: "swept", through }), bench.clocks);
      expect(repliesIn(effects)).toEqual([]);
      const [token = 0] = flushesIn(effects);
      const later = bench.node.step({ kind: "flushed", token, ok }, bench.clocks);
      expect(repliesIn(later)).toEqual([{ kind: "swept", done: ok }]);
    }
  });

  it("has nobody else asked whether it is swept", () => {
    for (const ok of [true, false]) {
      const bench = swept();
      bench.now += 20 * 60_000;
      const effects = bench.node.step({ kind: "job", name: "sweep" }, bench.clocks);
      expect(requestsIn(effects)).toEqual([]);
      const [token = 0] = flushesIn(effects);
      const later = bench.node.step({ kind: "flushed", token, ok }, bench.clocks);
      expect(requestsIn(later)).toEqual(ok ? ["swept", "swept", "swept", "swept"] : []);
    }
  });
});

describe("a disk that fails while a precondition is read", () => {
  it("has the write refused, and nothing is thrown", () => {
    const bench = new Bench();
    const asked = bench.step(requestOf(bench, conditionalWrite));
    bench.store.setHealth("failed");
    const held = encodeEntry(written("there"), null);
    const body = { kind: "held", digest: 1, entry: held, isUnknown: false } as const;
    const later = asked.flatMap((effect) =>
      effect.kind !== "send"
        ? []
        : bench.step({
            kind: "message",
            from: effect.to,
            message: { type: "reply", call: effect.message.call, body },
          }),
    );
    expect(repliesIn(later)).toEqual([{ kind: "refused", code: "insufficient-storage" }]);
  });
});

describe("a cluster document that is learnt when the disk has failed", () => {
  // Two such nodes that tell each other of every question would never end.
  it("is told to the others once, however often they tell it", () => {
    const bench = new Bench();
    const { document } = bench.knowledge;
    const members = document.ring.members.filter(({ id }) => id !== "r5");
    const to = layoutAfter(document.ring, members, 7);
    const begun = beginChange(document.ring, to, { ballot: 7, forced: [] });
    const ring = acknowledge(begun, "r1", [3]);
    const told = encodeDocument({ ...document, ring });
    bench.store.setHealth("failed");
    const ask = (): readonly string[] =>
      requestsIn(bench.step(requestOf(bench, { kind: "document", document: told })));
    expect(ask()).toEqual(["document", "document", "document", "document"]);
    expect([ask(), ask()]).toEqual([[], []]);
  });
});

describe("a cluster document that is learnt while the disk is full", () => {
  const learn = (bench: Bench, document: ClusterDocument): void => {
    bench.ask({ kind: "document", document: encodeDocument(document) });
  };

  it("is on stable storage once there is room, before anything that is written by it", () => {
    const bench = new Bench();
    const { document } = bench.knowledge;
    bench.store.setHealth("full");
    learn(bench, withNamespace(document, "demo", defaultSettings(2)));
    bench.store.setHealth("writable");
    const stored = { kind: "store", key: KEY, hintFor: null, ack: "both", tells: false } as const;
    bench.ask({ ...stored, entry: encodeEntry(written("new"), null) });
    for (let count = 0; count <= bench.store.writtenCount; count++) {
      const after = new Bench({ store: bench.store.crash(count) });
      if (count === bench.store.writtenCount) expect(after.store.summary(KEY)).toBeDefined();
      if (after.store.summary(KEY) === undefined) continue;
      expect(after.knowledge.settingsOf("demo").n).toBe(2);
    }
  });

  it("has a replica that is a member again forget its former life before it takes anything", () => {
    const bench = new Bench();
    const stored = { kind: "store", hintFor: null, ack: "both", tells: false } as const;
    const entry = encodeEntry(written("new"), null);
    bench.ask({ ...stored, key: KEY, entry });
    const { document } = bench.knowledge;
    const members = document.ring.members.map((member) =>
      member.id === "r1" ? { ...member, joined: 7 } : member,
    );
    const ring = { ...agreedRing(document.ring), members, version: 3 };
    bench.store.setHealth("full");
    learn(bench, { ...document, ring });
    bench.store.setHealth("writable");
    bench.ask({ ...stored, key: `${KEY} later`, entry });
    // As for any change of the document: what came since must not be taken for former life.
    learn(bench, withNamespace(bench.knowledge.document, "demo", defaultSettings(2)));
    expect(bench.store.summary(KEY)).toBeUndefined();
    expect(bench.store.summary(`${KEY} later`)).toBeDefined();
    const after = new Bench({ store: bench.store.crash(bench.store.writtenCount) });
    expect(after.store.summary(`${KEY} later`)).toBeDefined();
  });
});

describe("a disk that is behind", () => {
  const MIB = 1024 * 1024;
  const entry = encodeEntry(written("new"), null);
  const store = { kind: "store", key: KEY, entry, hintFor: null, ack: "received" } as const;
  const behindBy = (stagedByteCount: number): Bench =>
    new Bench({ store: Object.assign(new MemoryStore(), { stagedByteCount }) });
  const firstReply = (bench: Bench, body: Request): Reply | undefined => bench.ask(body)[0];

  it("has clients' writes told to come again, of which nothing was done", () => {
    const bench = behindBy(BEGUN_BYTES_MAX + 1);
    const key = firstOf(bench);
    const write: Request = { ...conditionalWrite, key, ifNoneMatch: [], rules: { ...RULES, w: 1 } };
    const merge: Request = { kind: "merge", key, entry, rules: RULES, zone: "a" };
    for (const body of [write, merge]) {
      expect(firstReply(bench, body)).toMatchObject({ kind: "failed", code: "overloaded" });
    }
    expect(bench.store.stats().keyCount).toBe(0);
    // It must not count as done yet; when there is room, it is done.
    Object.assign(bench.store, { stagedByteCount: BEGUN_BYTES_MAX });
    bench.ask(write);
    expect(bench.store.stats().keyCount).toBe(1);
  });

  it("takes what was minted elsewhere until there is three times as much", () => {
    const deliver = { kind: "deliver", items: [[KEY, entry]] } as const;
    for (const body of [{ ...store, tells: false }, deliver]) {
      expect(firstReply(behindBy(STAGED_BYTES_MAX), body)).toMatchObject({ kind: "stored" });
      const full = behindBy(STAGED_BYTES_MAX + 1);
      expect(firstReply(full, body)).toEqual({ kind: "refused", code: "overloaded" });
      expect(full.store.stats().keyCount).toBe(0);
    }
  });

  it("keeps no hint of what others did not take, and counts it", () => {
    for (const [staged, counts] of [
      [0, { hintsStored: 2, hintsNotKept: 0 }],
      [200 * MIB, { hintsStored: 0, hintsNotKept: 2 }],
    ] as const) {
      const bench = behindBy(0);
      const key = firstOf(bench);
      const rules = { ...RULES, w: 1, sloppy: false };
      const write: Request = { ...conditionalWrite, key, ifNoneMatch: [], rules };
      const effects = bench.step(requestOf(bench, write));
      Object.assign(bench.store, { stagedByteCount: staged });
      for (const effect of effects) {
        if (effect.kind !== "send" || effect.message.type !== "request") continue;
        bench.step({ kind: "unreachable", to: effect.to, call: effect.message.call });
      }
      expect(bench.knowledge.counters).toMatchObject(counts);
    }
  });
});
