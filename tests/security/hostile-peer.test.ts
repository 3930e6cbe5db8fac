/**
 * A peer that knows the secret and sends nonsense: whatever it says, in well-formed messages, the
 * node answers or stays silent, keeps nothing that no client could have written, and goes on.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CodecError } from "../../core/check.ts";
import { encode } from "../../core/codec.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  messageToList,
  type Reply,
  type Request,
} from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { encodeDocument } from "../../ring/cluster-document.ts";
import { agreedRing, bootstrapRing } from "../../ring/ring.ts";
import { moreReplies, moreRequests, replies, requests } from "../core/message-samples.ts";
import { Bench } from "../node/bench.ts";
import { conditionalWrite } from "../node/writes.ts";
import { KEY, written } from "../replica/probe.ts";
import { twisted } from "./twisted.ts";

const ACTOR = "AAAAAAAA";
const good = encodeEntry(written("value"), null);
const members = ["r1", "r2"].map((id) => ({ id, zone: "a", url: "", weight: 1 }));
const ringOf = (name: string, seed: string, partitions = 16) =>
  encodeDocument({
    ring: { ...bootstrapRing({ name, partitions, n: 2, members }, seed), version: 9 },
    namespaces: new Map(),
  });

const text = fc.oneof(
  fc.constantFrom("", KEY, "r1", "r2", "r2#1", "no-nul", "\0", "a\0", `a\0${"x".repeat(600)}`),
  fc.constantFrom("../../etc\0k", "quorum-unavailable", "disk", "a", "é\0k", "n\0\ud800"),
  fc.string({ maxLength: 12 }),
);
const count = fc.oneof(fc.nat(20), fc.constantFrom(Number.MAX_SAFE_INTEGER, 2 ** 31, 65_536));
const bytes = fc.oneof(
  fc.constantFrom(good, encode([]), encode("{}"), encode("[1]"), encode("null"), ringOf("x", "1")),
  fc.uint8Array({ maxLength: 40 }),
);
const scalar = fc.oneof(
  text,
  count,
  bytes,
  fc.boolean(),
  fc.constant(null),
  fc.double(),
  fc.integer(),
);
const list = fc.array(
  fc.oneof(
    scalar,
    fc.array(fc.oneof(scalar, fc.array(scalar, { maxLength: 4 })), { maxLength: 5 }),
  ),
  { maxLength: 6 },
);

/** Mostly something else of the same type: another type is refused at the door. */
const otherThan = fc
  .record({ text, count, bytes, list, any: scalar, isOfType: fc.nat(9).map((n) => n > 0) })
  .map((others) => (value: unknown): unknown => {
    if (!others.isOfType) return others.any;
    if (typeof value === "string") return others.text;
    if (typeof value === "number") return others.count;
    if (typeof value === "boolean") return !value;
    if (value instanceof Uint8Array) return others.bytes;
    return Array.isArray(value) ? others.list : others.any;
  });
const twists = fc.array(fc.tuple(fc.array(fc.nat(12), { maxLength: 5 }), otherThan), {
  maxLength: 3,
});

const askable: readonly Request[] = [
  ...Object.values({ ...requests, ...moreRequests }),
  ...[conditionalWrite, { ...conditionalWrite, ifNoneMatch: [] }],
  { kind: "read", key: KEY, digestOnly: false, durably: false },
  { kind: "store", key: KEY, entry: good, hintFor: null, ack: "durable", tells: true },
  { kind: "deliver", items: [[KEY, good]] },
  { ...requests.merge, key: KEY, entry: good },
];
const sayable: readonly Reply[] = [
  ...Object.values({ ...replies, ...moreReplies }),
  { ...replies.held, entry: good },
  { ...replies.fetched, items: [[KEY, good]] },
  { ...replies.inspected, entry: good },
  { ...replies.listed, entries: [["k", good]] },
];

/** A body, and what it is made into on its way. */
const hostile = <Body>(bodies: readonly Body[]) => fc.tuple(fc.constantFrom(...bodies), twists);

/** As it would come: through bytes, and with something else in its body; null: refused there. */
function twistedMessage(message: Message, changes: Twists): Message | null {
  const [call, body, ...rest] = messageToList(message);
  let changed = body;
  for (const [path, other] of changes) changed = twisted(changed, path, other);
  try {
    return decodeMessage(encode([call, changed, ...rest]));
  } catch (error) {
    if (error instanceof CodecError) return null;
    throw error;
  }
}
type Twists = readonly (readonly [readonly number[], (value: unknown) => unknown])[];

const operations: readonly Operation[] = [
  { kind: "get", key: KEY, options: {}, session: null },
  {
    kind: "write",
    key: KEY,
    options: {},
    content: null,
    ttlMs: 0,
    context: null,
    precondition: { ifMatch: [], ifNoneMatch: ["*"] },
  },
  { kind: "explain", key: KEY },
  { kind: "status" },
  { kind: "list", namespace: "ns", prefix: "", after: "", limit: 10 },
  { kind: "anti-entropy", replica: null },
  { kind: "anti-entropy", replica: "r1" },
  { kind: "handoff" },
  { kind: "fault", replica: null },
  { kind: "commit", change: { remove: ["r5"] } },
];

const runs = { numRuns: 3000, seed: 20_261_121 };

describe("a hostile peer", () => {
  it("does no harm by its requests", () => {
    const bench = new Bench({ takesFaults: false });
    let takenCount = 0;
    fc.assert(
      fc.property(hostile(askable), ([body, changes]) => {
        const { stamp } = bench.knowledge;
        const header = { type: "request", call: 1, stamp, budgetMs: 2000, trace: "" } as const;
        const message = twistedMessage({ ...header, body }, changes);
        if (message === null) return;
        takenCount++;
        expect(() => bench.step({ kind: "message", from: "r2#1", message })).not.toThrow();
      }),
      runs,
    );
    expect(takenCount).toBeGreaterThan(runs.numRuns / 3);
    expect(bench.knowledge.ring.document.name).toBe("bench");
    expect(bench.ask({ kind: "ping" })).toEqual([{ kind: "pong" }]);
  });

  it("does no harm by its replies", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...operations),
        fc.array(hostile(sayable), { maxLength: 12 }),
        (operation, said) => {
          const bench = new Bench();
          const open = [...bench.step({ kind: "client", token: 1, operation, trace: "" })];
          for (const [body, changes] of said) {
            const next = open.find(
              (effect) => effect.kind === "send" && effect.message.type === "request",
            );
            if (next?.kind !== "send") break;
            open.splice(open.indexOf(next), 1);
            const { call } = next.message;
            const message = twistedMessage({ type: "reply", call, body }, changes);
            if (message === null) continue;
            open.push(...bench.step({ kind: "message", from: next.to, message }));
          }
          bench.now += 5000;
          open.push(...bench.step({ kind: "tick" }));
          expect(bench.knowledge.ring.document.name).toBe("bench");
        },
      ),
      runs,
    );
  });
});

describe("an entry from a peer", () => {
  const sibling = (counter: number): unknown[] => [ACTOR, counter, 1, "op", 0, null];
  const entryOf = (siblings: unknown[], retries: unknown[] = []): Uint8Array =>
    encode([[ACTOR, [1, 9]], siblings, retries, null]);

  it("is refused with siblings or retries that are twice there, or out of order", () => {
    expect(decodeEntry(entryOf([sibling(1), sibling(2)])).entry.siblings).toHaveLength(2);
    for (const siblings of [
      [sibling(1), sibling(1)],
      [sibling(2), sibling(1)],
    ]) {
      expect(() => decodeEntry(entryOf(siblings))).toThrow(/siblings ascend/);
      const bench = new Bench();
      const entry = entryOf(siblings);
      const answer = bench.ask({
        kind: "store",
        key: KEY,
        entry,
        hintFor: null,
        ack: "durable",
        tells: false,
      });
      expect(answer).toEqual([{ kind: "refused", code: "malformed" }]);
      expect(bench.store.readEntry(KEY)).toBeUndefined();
    }
    const retry = ["op", ACTOR, 1];
    expect(() => decodeEntry(entryOf([], [retry, retry]))).toThrow(/retries ascend/);
  });

  it("is refused when it has not seen its own siblings", () => {
    expect(() => decodeEntry(encode([[ACTOR, [2, 9]], [sibling(1)], [], null]))).toThrow(/seen/);
  });
});

describe("a peer's cluster document", () => {
  it.each([
    ["another name", ringOf("other", "42")],
    ["another seed", ringOf("bench", "43")],
    ["other partitions", ringOf("bench", "42", 32)],
    ["nonsense", encode("{}")],
    ["no text", encode(7)],
  ])("is refused with %s, asked for or not, whatever its version", (_, document) => {
    const bench = new Bench();
    const { stamp } = bench.knowledge;
    expect(bench.ask({ kind: "document", document })).toEqual([
      { kind: "refused", code: "malformed" },
    ]);
    const sent = bench.step({
      kind: "client",
      token: 1,
      operation: operations[0] as Operation,
      trace: "",
    });
    for (const effect of sent) {
      if (effect.kind !== "send") continue;
      const { call } = effect.message;
      const message: Message = { type: "reply", call, body: { kind: "stale", document } };
      bench.step({ kind: "message", from: effect.to, message });
    }
    expect(bench.knowledge.stamp).toBe(stamp);
    expect(bench.knowledge.ring.document.seed).toBe("42");
  });

  it("is taken with the same name, seed and partitions", () => {
    const bench = new Bench();
    const answers = bench.ask({ kind: "document", document: ringOf("bench", "42") });
    expect(answers.map(({ kind }) => kind)).toEqual(["documented"]);
    expect(bench.knowledge.ring.document.version).toBe(9);
  });

  it("is taken from a member that is to join, and its own file does not win", () => {
    const bench = new Bench();
    const { ring, namespaces } = bench.knowledge.document;
    bench.knowledge.learn({ ring: agreedRing(ring), namespaces });
    const joined = [...ring.members, { id: "r6", zone: "z", url: "", weight: 1 }];
    const file = bootstrapRing({ ...ring, members: joined }, ring.seed);
    const document = encodeDocument({ ring: file, namespaces });
    const answers = bench.ask({ kind: "document", document });
    expect(answers.map(({ kind }) => kind)).toEqual(["documented"]);
    expect(bench.knowledge.ring.member("r6")).toBeUndefined();
  });
});

describe("a key from a peer", () => {
  const entry = encodeEntry(written("v"), null);
  const store = (key: string, hintFor: string): Request => ({
    ...{ kind: "store", key, entry, hintFor, ack: "durable", tells: false },
  });
  const header = { type: "request", call: 1, stamp: 1, budgetMs: 2000, trace: "" } as const;

  it("is refused at the door when no client could have written it", () => {
    for (const key of ["", "no-nul", "\0k", "ns\0", "-\0k", "a/b\0k", `ns\0${"x".repeat(513)}`]) {
      const bodies: readonly Request[] = [
        ...[store(key, ""), store(key, "r3")],
        ...[{ kind: "deliver", items: [[key, entry]] } as const, { ...conditionalWrite, key }],
      ];
      for (const body of bodies) {
        const bytes = encodeMessage({ ...header, body });
        expect(() => decodeMessage(bytes)).toThrow(CodecError);
      }
    }
    const longest = encodeMessage({ ...header, body: store(`ns\0${"x".repeat(512)}`, "") });
    const bench = new Bench();
    const { body } = decodeMessage(longest);
    bench.ask(body as Request);
    expect(bench.store.stats().keyCount).toBe(1);
  });
});
