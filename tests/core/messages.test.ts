import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/check.ts";
import { decode, encode } from "../../core/codec.ts";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  messageFromList,
  messageToList,
  protocolOf,
  type Reply,
  type ReplyOf,
  type Request,
  type RequestOf,
} from "../../core/messages.ts";
import { PROTOCOL_VERSION } from "../../core/version.ts";

const context = CausalContext.empty.with({ actor: "AAAAAAAA", counter: 7 });
const bytes = new Uint8Array([1, 2, 3]);
const list = [1, "two", [3, null, true]];
const key = "demo\0é😀\0";

/** The compiler sees to it that no kind of request is left out. */
const requests: { readonly [Kind in Exclude<Request["kind"], "unknown">]: RequestOf<Kind> } = {
  ping: { kind: "ping" },
  read: { kind: "read", key, digestOnly: true, durably: false, isBounded: true },
  store: { kind: "store", key, entry: bytes, hintFor: "", ack: 2, tells: false },
  coordinate: {
    kind: "coordinate",
    key,
    op: "op00000001",
    isRetry: false,
    ageMs: 0,
    content: list,
    ttlMs: 1500,
    covers: context,
    freshUntil: 2 ** 52,
    ifMatch: ['"tag"'],
    ifNoneMatch: ["*"],
    unmodifiedSince: 1_767_225_600_000,
    rules: list,
    zone: "z1",
    askedAt: 2 ** 52,
    freshMs: 150,
  },
  inspect: { kind: "inspect", key },
  status: { kind: "status" },
  document: { kind: "document", document: bytes },
  deliver: { kind: "deliver", items: [[key, bytes]] },
  roots: { kind: "roots", trees: list },
  leaves: { kind: "leaves", trees: list },
  leafKeys: { kind: "leafKeys", leaves: list },
  fetch: { kind: "fetch", keys: [key], isJoined: true, after: 7 },
  exchange: { kind: "exchange" },
  handoff: { kind: "handoff" },
  confirm: { kind: "confirm", keys: [key, 9] },
  collect: { kind: "collect", keys: [] },
  keys: { kind: "keys", namespace: "demo", prefix: "a", after: "", limit: 1000 },
  fault: { kind: "fault", isChange: true, fault: ["slow", 100, 0, 1] },
  clock: { kind: "clock" },
  swept: { kind: "swept", through: 7 },
  promise: { kind: "promise", version: 3, ballot: 2 ** 52 },
  accept: { kind: "accept", ballot: 2 ** 52, document: bytes },
  touched: { kind: "touched", keys: [key] },
  greet: { kind: "greet", from: "r1", run: "0mbx3k2l9-1a2b3c", echo: "0mbx3k2l8-9z.7", life: 7 },
  recall: { kind: "recall", key, op: "op00000001", ageMs: 300, by: "r1" },
  homing: { kind: "homing", target: "r2" },
  acceptLoss: { kind: "acceptLoss" },
  lease: { kind: "lease", key, holder: "f1", ms: 3000, act: 0 },
  namespaces: { kind: "namespaces", after: "demo", limit: 1000 },
  changes: {
    ...{ kind: "changes", namespace: "n", prefix: "p/", layout: 2 ** 52, sources: ["r1", "r2"] },
    ...{ start: 0, run: 7, after: 2 ** 40, ended: 3, until: 0, values: true },
    ...{ limit: 1000, byteCountMax: 1e6, holdMs: 2000, feed: "f" },
  },
  merge: { kind: "merge", key, entry: new Uint8Array(2), rules: [[3], [true]], zone: "a" },
  scrub: { kind: "scrub" },
  arrivals: { kind: "arrivals", from: "r1", run: 7, after: 3, isAnchor: false },
  probe: { kind: "probe", key: "n\0k", seen: context, at: 12 },
  delays: { kind: "delays" },
};

const replies: { readonly [Kind in Reply["kind"]]: ReplyOf<Kind> } = {
  pong: { kind: "pong" },
  held: { kind: "held", digest: 2 ** 53 - 1, entry: bytes, isUnknown: false, ages: [7, 0, null] },
  stored: { kind: "stored", durable: true },
  coordinated: {
    kind: "coordinated",
    created: true,
    sibling: list,
    context,
    siblingCount: 2,
    tally: list,
  },
  failed: { kind: "failed", code: "overloaded", detail: "why", numbers: [1, null], context },
  inspected: { kind: "inspected", entry: null, hints: list },
  report: { kind: "report", report: list },
  documented: { kind: "documented", document: bytes },
  listed: { kind: "listed", keys: list, complete: false },
  stale: { kind: "stale", document: bytes },
  rootsDiffer: { kind: "rootsDiffer", trees: list },
  leafSums: { kind: "leafSums", trees: list },
  keyDigests: { kind: "keyDigests", leaves: list },
  fetched: { kind: "fetched", items: list, moved: ["r2"] },
  exchanged: { kind: "exchanged", totals: [1, 2] },
  confirmed: { kind: "confirmed", objections: [0, 7] },
  collected: { kind: "collected" },
  handedOff: { kind: "handedOff", delivered: 3, pending: 0 },
  refused: { kind: "refused", code: "insufficient-storage" },
  faulted: { kind: "faulted", fault: [] },
  clocked: { kind: "clocked", time: 7 },
  swept: { kind: "swept", done: true },
  promised: { kind: "promised", isGiven: true, document: bytes },
  touched: { kind: "touched", keys: [] },
  overdue: { kind: "overdue", context, freshUntil: 7, askedAt: 7, freshMs: 1000 },
  greeted: {
    kind: "greeted",
    run: "0mbx3k2l9-1a2b3c",
    mark: "0mbx3k2l9-1a2b3c.8",
    rival: "",
    wall: 7,
    arrived: [3, 7],
    life: 2 ** 52,
  },
  recalled: { kind: "recalled", done: ["actor", 3, 7], isUnknown: false, entry: new Uint8Array(2) },
  storedWith: { kind: "storedWith", durable: true, isBehind: true, beside: [["actor", 3, 7]] },
  accepted: { kind: "accepted", partitionCount: 3, waitedFor: ["r1"] },
  leased: { kind: "leased", state: 1, time: 7 },
  named: { kind: "named", names: ["demo"], complete: true, byteCounts: [7] },
  changed: {
    ...{ kind: "changed", run: 7, after: 2 ** 40, ended: 3, until: 0, isGone: false },
    ...{ isAtEnd: true, items: [["n\0k", 3, new Uint8Array([1])]] },
  },
  merged: { kind: "merged", wasKnown: true },
  scrubbed: { kind: "scrubbed", checks: true, records: 9, damaged: 2, mended: 1 },
  arrived: { kind: "arrived", run: 7, through: 9, isAtEnd: true, keys: [key, 1], moved: ["r2"] },
  probed: { kind: "probed", results: [true, false], cameAt: 5, readAt: 7, leftAt: 9 },
  delayed: { kind: "delayed", report: [1, [["r1", [2], [3]]], []] },
};

const envelope = { type: "request", call: 1, stamp: 2, budgetMs: 3, trace: "t" } as const;
const request = (body: Request): Message => ({ ...envelope, body });
const reply = (body: Reply): Message => ({ type: "reply", call: 2 ** 40, body });

describe("messages", () => {
  it.each(Object.values(requests))("a request of kind $kind comes back equal", (body) => {
    expect(decodeMessage(encodeMessage(request(body)))).toEqual(request(body));
  });

  it.each(Object.values(replies))("a reply of kind $kind comes back equal", (body) => {
    expect(decodeMessage(encodeMessage(reply(body)))).toEqual(reply(body));
  });

  it("carry null where a context or bytes may be missing", () => {
    const bodies = [
      reply({ ...replies.held, entry: null }),
      reply({ ...replies.failed, context: null }),
      request({ ...requests.coordinate, covers: null }),
    ];
    for (const body of bodies) expect(decodeMessage(encodeMessage(body))).toEqual(body);
  });

  it("may carry fields of a newer version behind those that are known, and no fewer", () => {
    const bodies = [request(requests.store), reply(replies.stored)];
    for (const message of bodies) {
      const [call, body, ...rest] = messageToList(message) as [number, unknown[], ...unknown[]];
      expect(messageFromList([call, [...body, "new", 7], ...rest])).toEqual(message);
      expect(() => messageFromList([call, body.slice(0, -1), ...rest])).toThrow(/not a message/);
    }
  });

  it("of a newer kind are known as that, and are refused, not malformed", () => {
    const unknown = request({ kind: "unknown" });
    expect(messageFromList([1, [99, "whatever", [7]], 2, 3, "t"])).toEqual(unknown);
    expect(messageFromList([1, [99], 2, 3, "t", "more of a newer version"])).toEqual(unknown);
    const refusal = reply({ kind: "refused", code: "unknown-reply" });
    expect(messageFromList([2 ** 40, [99, 7]])).toEqual(refusal);
    expect(() => encodeMessage(unknown)).toThrow();
  });

  it("are known of by protocol 1 up to those that 0.2.0 had, and name theirs behind", () => {
    const laterThan = (bodies: readonly (Request | Reply)[], count: number): readonly number[] =>
      bodies.slice(count).map(protocolOf);
    const [asked, answered] = [Object.values(requests), Object.values(replies)];
    for (const body of [...asked.slice(0, 32), ...answered.slice(0, 34)]) {
      expect([body.kind, protocolOf(body)]).toEqual([body.kind, 1]);
    }
    for (const protocol of [...laterThan(asked, 32), ...laterThan(answered, 34)]) {
      expect(protocol).toBeGreaterThan(1);
      expect(protocol).toBeLessThanOrEqual(PROTOCOL_VERSION);
    }
  });

  it("number their kinds in the order in which they came to be: new ones only at the end", () => {
    const codeOf = (message: Message): unknown =>
      (decode(encodeMessage(message)) as [number, [number]])[1][0];
    const codes = Object.values(requests).map((body) => codeOf(request(body)));
    expect(codes).toEqual(codes.map((_, i) => i));
    const replyCodes = Object.values(replies).map((body) => codeOf(reply(body)));
    expect(replyCodes).toEqual(replyCodes.map((_, i) => i));
    expect(codeOf(request(requests.keys))).toBe(16);
    expect(codeOf(reply(replies.refused))).toBe(18);
  });
});

describe("what is no message", () => {
  const store = [2, key, bytes, "", 2];
  it.each<[string, unknown]>([
    ["no list", 1],
    ["an empty list", []],
    ["four parts", [1, store, 2, 3]],
    ["a negative call", [-1, store, 2, 3, ""]],
    ["a call that is a fraction", [1.5, store, 2, 3, ""]],
    ["a stamp that is a text", [1, store, "2", 3, ""]],
    ["no trace", [1, store, 2, 3, null]],
    ["a kind that is a fraction", [1, [0.5], 2, 3, ""]],
    ["a negative kind", [1, [-1], 2, 3, ""]],
    ["a kind that is a text", [1, ["length"], 2, 3, ""]],
    ["a body without a kind", [1, [], 2, 3, ""]],
    ["a field missing", [1, store.slice(0, 4), 2, 3, ""]],
    ["a field too many", [1, [...store, 0], 2, 3, ""]],
    ["a key that is a number", [1, [2, 5, bytes, "", 2], 2, 3, ""]],
    ["an entry that is a text", [1, [2, key, "entry", "", 2], 2, 3, ""]],
    ["a flag that is a number", [1, [1, key, 1], 2, 3, ""]],
    ["a reply whose count is negative", [1, [1, -1, null, false]]],
    ["a reply whose context is malformed", [1, [4, "c", "d", [], ["AAAAAAAA", [2, 1]]]]],
  ])("is refused: %s", (_, encoded) => {
    expect(() => decodeMessage(encode(encoded))).toThrow(CodecError);
  });
});
