/** What a node does when the cluster document changes while something is on its way. */
import { describe, expect, it } from "vitest";
import { encodeEntry } from "../../core/entry-codec.ts";
import { defaultSettings } from "../../core/namespace-settings.ts";
import {
  type ClusterDocument,
  encodeDocument,
  withNamespace,
} from "../../ring/cluster-document.ts";
import { layoutAfter } from "../../ring/plan.ts";
import { beginChange, callOff } from "../../ring/ring-change.ts";
import { agreedRing } from "../../ring/ring-document.ts";
import type { Effect } from "../../src/node/peers/boundary.ts";
import { writeCandidates } from "../../src/node/peers/routes.ts";
import { KEY, START as WRITTEN_AT, written } from "../replica/probe.ts";
import { Bench, repliesIn } from "./bench.ts";
import { Group } from "./group.ts";
import { keyWhere } from "./keys.ts";
import { conditionalWrite } from "./writes.ts";

const sendsIn = (effects: readonly Effect[]) =>
  effects.flatMap((effect) =>
    effect.kind === "send" && effect.message.type === "request"
      ? [{ to: effect.to, call: effect.message.call, body: effect.message.body }]
      : [],
  );
const answersIn = (effects: readonly Effect[]) =>
  effects.flatMap((effect) => (effect.kind === "answer" ? [effect.result] : []));

/** The bench's document with one namespace more. */
const newer = ({ knowledge }: Bench): ClusterDocument =>
  withNamespace(knowledge.document, "another", defaultSettings(3));

/** A key of which r1 is a primary, or of which it is none. */
const keyOf = ({ knowledge }: Bench, isMine: boolean): string =>
  keyWhere(knowledge.ring, (owners) => owners.includes("r1") === isMine);

/**
 * A key, and a document in which the first replica that r1 would ask for it is no longer a member.
 */
function moved(bench: Bench): { readonly key: string; readonly document: ClusterDocument } {
  const { document } = bench.knowledge;
  const key = keyOf(bench, false);
  const gone = bench.knowledge.ring.primariesOf(bench.knowledge.ring.partitionOf(key), 3)[0];
  const members = document.ring.members.filter(({ id }) => id !== gone);
  const ring = { ...document.ring, ...layoutAfter(document.ring, members, 7), version: 2 };
  return { key, document: { ...document, ring } };
}

describe("when the cluster document changes, a node", () => {
  it("asks nobody as an owner that was one only by the document before", () => {
    for (const isHedged of [false, true]) {
      const bench = new Bench();
      const { key, document } = moved(bench);
      const operation = { kind: "get", key, options: { r: 2, pr: 2 }, session: null } as const;
      const read = (token: number) =>
        sendsIn(bench.step({ kind: "client", token, operation, trace: "" }));
      const [[first], second] = [read(1), read(2)];
      const stale = { kind: "stale", document: encodeDocument(document) } as const;
      const tell = (asked = first) =>
        sendsIn(
          bench.step({
            kind: "message",
            from: asked?.to ?? "",
            message: { type: "reply", call: asked?.call ?? 0, body: stale },
          }),
        );
      tell();
      const { ring } = bench.knowledge;
      const owners = ring.primariesOf(ring.partitionOf(key), 3);
      bench.now += 1000;
      const later = isHedged ? sendsIn(bench.step({ kind: "tick" })) : second.flatMap(tell);
      const asked = later.filter(({ body }) => body.kind === "read").map(({ to }) => to);
      expect(asked).not.toEqual([]);
      expect(asked.filter((to) => !owners.includes(to))).toEqual([]);
    }
  });

  it("has a write on its way wait for the new owners as well, if it missed the change", () => {
    const bench = new Bench();
    const key = keyOf(bench, true);
    const { document, stamp } = bench.knowledge;
    const request = { type: "request", call: 1, stamp, budgetMs: 5000, trace: "" } as const;
    const message = { ...request, body: { ...conditionalWrite, key, ifNoneMatch: [] } };
    const before = sendsIn(bench.step({ kind: "message", from: "r2#1", message }));
    const gone = before.map(({ to }) => to);
    const members = document.ring.members.filter(({ id }) => !gone.includes(id));
    const ring = { ...document.ring, ...layoutAfter(document.ring, members, 7), version: 2 };
    const newest = encodeDocument({ ...document, ring });
    const after = sendsIn(
      bench.step({
        kind: "message",
        from: "r3#1",
        message: { ...request, call: 2, body: { kind: "document", document: newest } },
      }),
    );
    const stores = after.filter(({ body }) => body.kind === "store").map(({ to }) => to);
    expect(stores.toSorted()).toEqual(members.map(({ id }) => id).filter((id) => id !== "r1"));
    const acknowledge = (asked: typeof before) =>
      asked.flatMap(({ to, call }) => {
        const body = { kind: "stored", durable: true } as const;
        return bench.step({ kind: "message", from: to, message: { type: "reply", call, body } });
      });
    expect(repliesIn(acknowledge(before))).toEqual([]);
    expect(repliesIn(acknowledge(after)).map(({ kind }) => kind)).toEqual(["coordinated"]);
  });

  it("begins nothing anew that its client was answered already", () => {
    const bench = new Bench();
    const key = keyOf(bench, false);
    const operation = { kind: "get", key, options: { r: 1 }, session: null } as const;
    const [first] = sendsIn(bench.step({ kind: "client", token: 1, operation, trace: "" }));
    bench.now += 1000;
    const [hedged] = sendsIn(bench.step({ kind: "tick" }));
    if (first === undefined || hedged === undefined) throw new Error("two replicas are asked");
    const body = { kind: "held", digest: 0, entry: null, isUnknown: false } as const;
    const held = { type: "reply", call: first.call, body } as const;
    const answered = bench.step({ kind: "message", from: first.to, message: held });
    expect(answersIn(answered)).toHaveLength(1);
    const stale = { kind: "stale", document: encodeDocument(newer(bench)) } as const;
    const late = { type: "reply", call: hedged.call, body: stale } as const;
    const after = bench.step({ kind: "message", from: hedged.to, message: late });
    bench.now += 5000;
    expect(answersIn([...after, ...bench.step({ kind: "tick" })])).toEqual([]);
  });

  it("mints nothing for a precondition that it read by the document before", () => {
    const bench = new Bench();
    const { stamp } = bench.knowledge;
    const request = { type: "request", call: 1, stamp, budgetMs: 500, trace: "" } as const;
    const message = { ...request, body: conditionalWrite };
    const reads = sendsIn(bench.step({ kind: "message", from: "r2#1", message }));
    bench.ask({ kind: "document", document: encodeDocument(newer(bench)) });
    const body = { kind: "held", digest: 0, entry: null, isUnknown: false } as const;
    const later = reads.flatMap(({ to, call }) =>
      bench.step({ kind: "message", from: to, message: { type: "reply", call, body } }),
    );
    expect(repliesIn(later).map(({ kind }) => kind)).toEqual(["refused"]);
    expect(bench.store.stats().keyCount + bench.store.hintCounts().size).toBe(0);
  });

  it("coordinates nothing once it is no member, and says so", () => {
    const bench = new Bench();
    const { document } = bench.knowledge;
    const members = document.ring.members.filter(({ id }) => id !== "r1");
    const ring = { ...document.ring, ...layoutAfter(document.ring, members, 7), version: 2 };
    bench.knowledge.learn({ ...document, ring });
    const body = { ...conditionalWrite, ifNoneMatch: [] };
    expect(bench.ask(body)).toEqual([{ kind: "refused", code: "overloaded" }]);
  });

  it("gives a hint for a member that left to all owners, itself among them, before it forgets it", () => {
    const bench = new Bench();
    const key = keyOf(bench, true);
    bench.store.writeHint("r9", key, encodeEntry(written("kept"), null));
    const sent = sendsIn(bench.step({ kind: "job", name: "handoff" }));
    const delivered = sent.filter(({ body }) => body.kind === "deliver");
    expect(delivered).toHaveLength(2);
    for (const { to, call } of delivered) {
      expect(bench.store.readHint("r9", key)).toBeDefined();
      const body = { kind: "stored", durable: true } as const;
      bench.step({ kind: "message", from: to, message: { type: "reply", call, body } });
    }
    expect(bench.store.readHint("r9", key)).toBeUndefined();
    expect(bench.store.readEntry(key)).toBeDefined();
  });

  it("gives back what it got for a change that was called off", () => {
    const bench = new Bench();
    const { knowledge } = bench;
    const key = keyOf(bench, false);
    bench.step({ kind: "job", name: "change" });
    const entry = encodeEntry(written("moved"), null);
    bench.ask({ kind: "store", key, entry, hintFor: null, ack: "durable", tells: false });
    const ring = callOff(agreedRing(knowledge.document.ring), 7);
    bench.ask({ kind: "document", document: encodeDocument({ ...knowledge.document, ring }) });
    let sent = sendsIn(bench.step({ kind: "job", name: "change" }));
    expect(sent.map(({ body }) => body.kind)).toEqual(["roots"]);
    for (let i = 0; i < 3; i++) {
      const body = { kind: "rootsDiffer", trees: [] } as const;
      sent = sent.flatMap(({ to, call }) =>
        sendsIn(bench.step({ kind: "message", from: to, message: { type: "reply", call, body } })),
      );
    }
    expect(bench.store.readEntry(key)).toBeDefined();
    bench.step({ kind: "job", name: "change" });
    expect(bench.store.readEntry(key)).toBeUndefined();
  });

  it("gives to the owners what a late repair brought it though it is none, and forgets it", () => {
    const bench = new Bench();
    const { knowledge } = bench;
    const key = keyOf(bench, false);
    knowledge.learn({ ...knowledge.document, ring: agreedRing(knowledge.document.ring) });
    const peers = () =>
      sendsIn(bench.step({ kind: "job", name: "change" }))
        .filter(({ body }) => body.kind === "roots")
        .map(({ to }) => to);
    expect(peers()).toEqual([]);
    const entry = encodeEntry(written("late"), null);
    bench.ask({ kind: "store", key, entry, hintFor: null, ack: "received", tells: false });
    const { ring } = knowledge;
    expect(ring.primariesOf(ring.partitionOf(key), 3)).toContain(peers()[0]);
  });

  it("gives nothing more of what it held before it was removed, whatever was begun", () => {
    for (const isBack of [false, true]) {
      const bench = new Bench();
      const { knowledge } = bench;
      bench.store.writeHint("r2", KEY, encodeEntry(written("old"), null));
      const handoff = sendsIn(bench.step({ kind: "job", name: "handoff" }));
      expect(handoff.map(({ body }) => body.kind)).toEqual(["deliver"]);
      const { document } = knowledge;
      const { members } = document.ring;
      const staying = members.filter(({ id }) => id !== "r1");
      const without = { ...agreedRing(document.ring), ...layoutAfter(document.ring, staying, 7) };
      const ring = isBack ? { ...without, ...layoutAfter(without, members, 8) } : without;
      const newest = encodeDocument({ ...document, ring: { ...ring, version: 3 } });
      const stale = { kind: "stale", document: newest } as const;
      const after = handoff.flatMap(({ to, call }) =>
        bench.step({
          kind: "message",
          from: to,
          message: { type: "reply", call, body: stale },
        }),
      );
      expect(knowledge.ring.member("r1")?.joined).toBe(isBack ? 8 : undefined);
      expect(sendsIn(after).filter(({ body }) => body.kind === "deliver")).toEqual([]);
      bench.now += 60_000;
      const later = [
        ...bench.step({ kind: "tick" }),
        ...bench.step({ kind: "job", name: "handoff" }),
      ];
      expect(sendsIn(later).filter(({ body }) => body.kind === "deliver")).toEqual([]);
    }
  });

  it("forgets nothing with the word of those alone who were members by the document before", () => {
    const bench = new Bench();
    const { document, ring } = bench.knowledge;
    const keys = Array.from({ length: 100 }, (_, i) => `demo\0${i}`);
    const key = keys.find((k) => ring.preferenceList(ring.partitionOf(k))[0] === "r1") ?? "";
    const { siblings, ...rest } = written("gone");
    const tombstone = { ...rest, siblings: siblings.map((s) => ({ ...s, content: null })) };
    const entry = encodeEntry(tombstone, null);
    bench.ask({ kind: "store", key, entry, hintFor: null, ack: "received", tells: false });
    bench.now = WRITTEN_AT + 100_000;
    const asked = sendsIn(bench.step({ kind: "job", name: "collect" }));
    expect(asked.map(({ body }) => body.kind)).toEqual(Array(4).fill("confirm"));
    const joining = { id: "r9", zone: "a", url: "", weight: 1 };
    const to = layoutAfter(document.ring, [...document.ring.members, joining], 7);
    const grown = beginChange(document.ring, to, { ballot: 7, forced: [] });
    const newest = encodeDocument({ ...document, ring: grown });
    const stale = { kind: "stale", document: newest } as const;
    const later = asked.flatMap(({ to: from, call }) =>
      sendsIn(bench.step({ kind: "message", from, message: { type: "reply", call, body: stale } })),
    );
    const kinds = later.map(({ body }) => body.kind);
    expect(kinds.filter((kind) => kind === "confirm" || kind === "collect")).toEqual([]);
  });

  it("coordinates as an owner where it is one by the other layout alone", () => {
    const bench = new Bench();
    const { knowledge } = bench;
    const members = knowledge.document.ring.members.map((member) =>
      member.id === "r1" ? { ...member, weight: 3 } : member,
    );
    const to = layoutAfter(knowledge.document.ring, members, 7);
    const ring = beginChange(knowledge.document.ring, to, { ballot: 7, forced: [] });
    knowledge.learn({ ...knowledge.document, ring });
    const keys = Array.from({ length: 200 }, (_, i) => `demo\0${i}`);
    const isPending = (key: string): boolean =>
      knowledge.pending(key, 3).some(({ id }) => id === "r1");
    const key = keys.find(isPending);
    if (key === undefined) throw new Error("r1 gains something");
    const body = { ...conditionalWrite, key };
    const route = writeCandidates(knowledge, { id: "r1", body, now: bench.now });
    expect(route.primaries.map(({ id }) => id)).not.toContain("r1");
    expect(route.self.isPrimary).toBe(true);
    expect(route.hintFor).toBe(null);
  });
});

describe("while the cluster document changes step by step", () => {
  it("a write goes through, though each answer is that of an older document", () => {
    const group = new Group({ count: 3 });
    let newsCount = 0;
    // What a change of members does when all of its steps are taken at once.
    group.loses = (message, to) => {
      const isStore = message.type === "request" && message.body.kind === "store";
      if (!isStore || newsCount === 12) return false;
      const { knowledge } = group.node(to);
      knowledge.learn(withNamespace(knowledge.document, `n${newsCount++}`, defaultSettings(3)));
      return false;
    };
    expect(group.put("r1", "k", 10).kind).toBe("written");
    expect(newsCount).toBe(12);
  });
});
