/**
 * A peer that knows the secret and sends nonsense: whatever it says, in well-formed messages, the
 * node answers or stays silent, keeps nothing that no client could have written, and goes on.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { encode } from "../../core/codec.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type Reply,
  type Request,
} from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { encodeDocument } from "../../ring/cluster-document.ts";
import { agreedRing, bootstrapRing } from "../../ring/ring.ts";
import { Bench } from "../node/bench.ts";
import { conditionalWrite } from "../node/writes.ts";
import { KEY, written } from "../replica/probe.ts";

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
const context = fc.constantFrom(
  CausalContext.empty,
  CausalContext.decode([ACTOR, [1, Number.MAX_SAFE_INTEGER - 1]]),
);
const orNull = <T>(some: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof(some, fc.constant(null));
const flag = fc.boolean();

/** A body of that kind with fields of the right type and of any content. */
const bodyOf = (
  kind: string,
  fields: Record<string, fc.Arbitrary<unknown>>,
): fc.Arbitrary<unknown> => fc.record({ kind: fc.constant(kind), ...fields });

const coordinate = fc.record({
  content: fc.oneof(list, fc.constant(conditionalWrite.content)),
  rules: fc.oneof(list, fc.constant(conditionalWrite.rules)),
  ifMatch: list,
  ifNoneMatch: list,
  askedAt: count,
  freshMs: count,
  key: fc.oneof(text, fc.constant(KEY)),
});

const requests = fc.oneof(
  bodyOf("ping", {}),
  bodyOf("greet", { from: text, run: text, echo: text, life: count }),
  bodyOf("read", { key: text, digestOnly: flag, durably: flag }),
  bodyOf("store", { key: text, entry: bytes, hintFor: text, ack: count, tells: flag }),
  coordinate.map((hostile) => ({ ...conditionalWrite, ...hostile })),
  bodyOf("inspect", { key: text }),
  bodyOf("status", {}),
  bodyOf("document", { document: bytes }),
  bodyOf("deliver", { items: list }),
  bodyOf("roots", { trees: list }),
  bodyOf("leaves", { trees: list }),
  bodyOf("leafKeys", { leaves: list }),
  bodyOf("fetch", { keys: list, isJoined: flag, after: count }),
  bodyOf("arrivals", { from: text, run: count, after: count, isAnchor: flag }),
  bodyOf("exchange", {}),
  bodyOf("handoff", {}),
  bodyOf("confirm", { keys: list }),
  bodyOf("collect", { keys: list }),
  bodyOf("keys", { namespace: text, prefix: text, after: text, limit: count }),
  bodyOf("fault", { isChange: flag, fault: list }),
  bodyOf("clock", {}),
  bodyOf("swept", { through: count }),
  bodyOf("promise", { version: count, ballot: count }),
  bodyOf("accept", { ballot: count, document: bytes }),
) as fc.Arbitrary<Request>;

const replies = fc.oneof(
  bodyOf("pong", {}),
  bodyOf("greeted", {
    run: text,
    mark: text,
    rival: text,
    wall: count,
    arrived: list,
    life: count,
  }),
  bodyOf("held", { digest: count, entry: orNull(bytes), isUnknown: flag }),
  bodyOf("stored", { durable: flag }),
  bodyOf("coordinated", {
    created: flag,
    sibling: list,
    context,
    siblingCount: count,
    tally: list,
  }),
  bodyOf("failed", { code: text, detail: text, numbers: list, context: orNull(context) }),
  bodyOf("inspected", { entry: orNull(bytes), hints: list }),
  bodyOf("report", { report: list }),
  bodyOf("documented", { document: bytes }),
  bodyOf("listed", { keys: list, complete: flag }),
  bodyOf("stale", { document: bytes }),
  bodyOf("rootsDiffer", { trees: list }),
  bodyOf("leafSums", { trees: list }),
  bodyOf("keyDigests", { leaves: list }),
  bodyOf("fetched", { items: list, moved: list }),
  bodyOf("arrived", { run: count, through: count, isAtEnd: flag, keys: list, moved: list }),
  bodyOf("exchanged", { totals: list }),
  bodyOf("confirmed", { objections: list }),
  bodyOf("handedOff", { delivered: count, pending: count }),
  bodyOf("refused", { code: text }),
  bodyOf("faulted", { fault: list }),
  bodyOf("collected", {}),
  bodyOf("clocked", { time: count }),
  bodyOf("swept", { done: flag }),
  bodyOf("promised", { isGiven: flag, document: bytes }),
) as fc.Arbitrary<Reply>;

/** As it would come: through bytes. */
const travelled = (message: Message): Message => decodeMessage(encodeMessage(message));

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
    fc.assert(
      fc.property(requests, (body) => {
        const { stamp } = bench.knowledge;
        const header = { type: "request", call: 1, stamp, budgetMs: 2000, trace: "" } as const;
        const message = travelled({ ...header, body });
        expect(() => bench.step({ kind: "message", from: "r2#1", message })).not.toThrow();
      }),
      runs,
    );
    expect(bench.knowledge.ring.document.name).toBe("bench");
    expect(bench.ask({ kind: "ping" })).toEqual([{ kind: "pong" }]);
  });

  it("does no harm by its replies", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...operations),
        fc.array(replies, { maxLength: 12 }),
        (operation, said) => {
          const bench = new Bench();
          const open = [...bench.step({ kind: "client", token: 1, operation, trace: "" })];
          for (const body of said) {
            const next = open.find(
              (effect) => effect.kind === "send" && effect.message.type === "request",
            );
            if (next?.kind !== "send") break;
            open.splice(open.indexOf(next), 1);
            const message = travelled({ type: "reply", call: next.message.call, body });
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
        hintFor: "",
        ack: 1,
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

  it("is taken from who is to join, and its own file does not win", () => {
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
  it("is refused when no client could have written it", () => {
    const entry = encodeEntry(written("v"), null);
    for (const key of ["", "no-nul", "\0k", "ns\0", "-\0k", "a/b\0k", `ns\0${"x".repeat(513)}`]) {
      const bench = new Bench();
      bench.ask({ kind: "store", key, entry, hintFor: "", ack: 1, tells: false });
      bench.ask({ kind: "store", key, entry, hintFor: "r3", ack: 1, tells: false });
      bench.ask({ kind: "deliver", items: [[key, entry]] });
      bench.ask({ ...conditionalWrite, key });
      expect([key, bench.store.stats().keyCount, bench.store.hintCounts().size]).toEqual([
        key,
        0,
        0,
      ]);
    }
    const bench = new Bench();
    bench.ask({
      kind: "store",
      key: `ns\0${"x".repeat(512)}`,
      entry,
      hintFor: "",
      ack: 1,
      tells: false,
    });
    expect(bench.store.stats().keyCount).toBe(1);
  });
});
