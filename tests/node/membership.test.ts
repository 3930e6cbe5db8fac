import { describe, expect, it } from "vitest";
import type { Message, Reply } from "../../core/messages.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { encodeDocument } from "../../ring/cluster-document.ts";
import { layoutAfter } from "../../ring/plan.ts";
import { acknowledge, beginChange, callOff, takersOf } from "../../ring/ring-change.ts";
import { agreedRing, type RingDocument } from "../../ring/ring-document.ts";
import type { Effect } from "../../src/node/peers/boundary.ts";
import { Bench, repliesIn } from "./bench.ts";
import { conditionalWrite } from "./writes.ts";

const BALLOT = 50;
const newcomer = { id: "r6", zone: "a", url: "", weight: 1 };

/** The bench's ring on its way to a sixth member. */
function filling(bench: Bench): RingDocument {
  const ring = agreedRing(bench.knowledge.document.ring);
  const to = layoutAfter(ring, [...ring.members, newcomer], BALLOT);
  return beginChange(ring, to, { ballot: BALLOT, forced: [] });
}

const settling = (bench: Bench): RingDocument =>
  takersOf(filling(bench), [3]).reduce((ring, id) => acknowledge(ring, id, [3]), filling(bench));

/** Of a replica that ran before, and lost nothing. */
function usedStore(): MemoryStore {
  const store = new MemoryStore();
  new Bench({ store });
  store.flush();
  return store.crash();
}

const documentOf = (ring: RingDocument): Uint8Array =>
  encodeDocument({ ring, namespaces: new Map() });

const promise = (bench: Bench, ballot: number): unknown =>
  bench.ask({ kind: "promise", version: 1, ballot })[0];

const accept = (bench: Bench, ring: RingDocument, ballot: number): unknown =>
  bench.ask({ kind: "accept", ballot, document: documentOf(ring) })[0];

describe("a member that is asked to agree on a change", () => {
  it("promises only what is newer than what it promised, and keeps that through a crash", () => {
    const store = new MemoryStore();
    const bench = new Bench({ store });
    expect(promise(bench, 10)).toMatchObject({ kind: "promised", isGiven: true });
    expect(promise(bench, 9)).toMatchObject({ isGiven: false });
    const after = new Bench({ store });
    expect(promise(after, 9)).toMatchObject({ isGiven: false });
    expect(accept(after, filling(after), 9)).toEqual({ kind: "refused", code: "ring-conflict" });
    expect(accept(after, filling(after), 10)).toMatchObject({ kind: "documented" });
    expect(after.knowledge.document.ring.change?.ballot).toBe(BALLOT);
  });

  it("does not call a change off whose new owners it reads from", () => {
    for (const stage of [filling, settling]) {
      const bench = new Bench();
      expect(accept(bench, stage(bench), BALLOT)).toMatchObject({ kind: "documented" });
      const isSettling = bench.knowledge.document.ring.change?.phase === "settling";
      const off = callOff(bench.knowledge.document.ring, BALLOT + 1);
      const reply = accept(bench, off, BALLOT + 1);
      const refused = { kind: "refused", code: "ring-conflict" };
      expect(reply).toMatchObject(isSettling ? refused : { kind: "documented" });
      expect(bench.knowledge.document.ring.change?.to === null).toBe(!isSettling);
    }
  });
});

const asksIn = (effects: readonly Effect[], kind: string) =>
  effects.flatMap((effect) =>
    effect.kind === "send" && effect.message.type === "request" && effect.message.body.kind === kind
      ? [{ to: effect.to, call: effect.message.call }]
      : [],
  );

/** A key of r1's for which the newcomer is to take a copy. */
function movingKey(bench: Bench): string {
  const after = new Bench();
  after.knowledge.learn({ ring: filling(after), namespaces: new Map() });
  for (let i = 0; i < 10_000; i++) {
    const key = `n\0k${i}`;
    const partition = bench.knowledge.ring.partitionOf(key);
    const [first] = bench.knowledge.ring.preferenceList(partition);
    const pending = after.knowledge.pending(key, 3);
    if (first === "r1" && pending.some(({ id }) => id === "r6")) return key;
  }
  throw new Error("no such key");
}

const documented = (ring: RingDocument) =>
  ({ kind: "documented", document: documentOf(ring) }) as const;

describe("a node that starts with a ring of its own file", () => {
  it("mints nothing before its peers have told of theirs", () => {
    for (const isMember of [true, false]) {
      const bench = new Bench({ heartbeatMs: 1000, store: usedStore() });
      const { stamp, document } = bench.knowledge;
      const { ring } = document;
      const write = { ...conditionalWrite, ifNoneMatch: [] };
      const message: Message = {
        ...{ type: "request", call: 99, stamp, budgetMs: 2000, trace: "" },
        body: write,
      };
      const effects = bench.step({ kind: "message", from: "r2#1", message });
      expect(asksIn(effects, "store")).toEqual([]);
      // The others' ring has no r1, or is the same.
      const members = ring.members.filter(({ id }) => isMember || id !== "r1");
      const agreed = agreedRing(ring);
      const theirs: RingDocument = { ...agreed, ...layoutAfter(agreed, members, 1) };
      const asked = asksIn(effects, "document");
      expect(asked.map(({ to }) => to)).toEqual(["r2", "r3", "r4", "r5"]);
      const replyTo = ({ to, call }: { to: string; call: number }, body: Reply) =>
        bench.step({ kind: "message", from: to, message: { type: "reply", call, body } });
      const none = { kind: "handedOff", delivered: 0, pending: 0 } as const;
      for (const ask of asksIn(effects, "homing")) replyTo(ask, none);
      const later = asked.flatMap((ask) => replyTo(ask, documented(theirs)));
      expect(asksIn(later, "store").length > 0).toBe(isMember);
      const answers = repliesIn(later).map(({ kind }) => kind);
      expect(answers).toEqual(isMember ? [] : ["refused"]);
    }
  });
});

/** Begins a write at r1 of a key for which the newcomer is to take a copy; who is asked to store. */
function beginWrite(bench: Bench) {
  const write = { ...conditionalWrite, key: movingKey(bench), ifNoneMatch: [] };
  const { stamp } = bench.knowledge;
  const message: Message = {
    ...{ type: "request", call: 99, stamp, budgetMs: 2000, trace: "" },
    body: write,
  };
  const stores = asksIn(bench.step({ kind: "message", from: "r2#1", message }), "store");
  expect(stores).toHaveLength(2);
  return stores;
}

/** Who else is asked to store, as the node hears of the change. */
function hearOfChange(bench: Bench) {
  const effects = bench.step({
    kind: "message",
    from: "r3#1",
    message: {
      ...{ type: "request", call: 5, stamp: 0, budgetMs: 2000, trace: "" },
      body: { kind: "document", document: documentOf(filling(bench)) },
    },
  });
  return asksIn(effects, "store").filter(({ to }) => to === "r6");
}

function stored(bench: Bench, ask: { to: string; call: number } | undefined): readonly Effect[] {
  const body = { kind: "stored", durable: true } as const;
  const message = { type: "reply", call: ask?.call ?? 0, body } as const;
  return bench.step({ kind: "message", from: ask?.to ?? "", message });
}

describe("a write that is on its way when members begin to change", () => {
  it("goes to the new owner too, and waits for one acknowledgement more", () => {
    const bench = new Bench();
    const stores = beginWrite(bench);
    const widened = hearOfChange(bench);
    expect(widened).toHaveLength(1);
    // Its own copy and one other would have been enough before.
    const first = repliesIn(stored(bench, stores[0]));
    expect(first.filter(({ kind }) => kind === "coordinated")).toEqual([]);
    const second = repliesIn(stored(bench, widened[0]));
    expect(second.map(({ kind }) => kind)).toEqual(["coordinated"]);
  });

  it("goes to the new owner though the client was answered, while one owner may lack it", () => {
    // The new owner may fetch its data from the very one that lacks the write.
    const bench = new Bench();
    const stores = beginWrite(bench);
    const answer = repliesIn(stored(bench, stores[0]));
    expect(answer.map(({ kind }) => kind)).toEqual(["coordinated"]);
    const widened = hearOfChange(bench);
    expect(widened).toHaveLength(1);
    expect(repliesIn(stored(bench, widened[0]))).toEqual([]);
  });

  it("is over when all have it: the new owner fetches it from any of them", () => {
    const bench = new Bench();
    for (const store of beginWrite(bench)) stored(bench, store);
    expect(hearOfChange(bench)).toEqual([]);
  });
});
