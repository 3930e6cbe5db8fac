import { describe, expect, it } from "vitest";
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
  type Request,
} from "../../core/messages.ts";
import { PROTOCOL_VERSION } from "../../core/version.ts";
import { replies, requests } from "./message-samples.ts";

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

  it("take what is inside by its name, in whatever order that is written", () => {
    const { status } = replies.report;
    const reversed = (of: object): object => Object.fromEntries(Object.entries(of).reverse());
    const transfer = reversed(status.transfer ?? {}) as NonNullable<typeof status.transfer>;
    const written = { ...(reversed(status) as typeof status), transfer };
    const again = reply({ kind: "report", status: written });
    expect(encodeMessage(again)).toEqual(encodeMessage(reply(replies.report)));
    // @ts-expect-error Numbers without names do not say which is which.
    const numbers: typeof transfer = [7, 3, 100, 5000];
    // @ts-expect-error Nor does one name too few.
    const three: typeof transfer = { partitionsTotal: 7, partitionsDone: 3, keyCount: 100 };
    expect([numbers, three]).toHaveLength(2);
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
      expect(() => messageFromList([call, body.slice(0, -1), ...rest])).toThrow(
        /fields are missing/,
      );
    }
  });

  it("tell a failure of a newer code as one of which the outcome is unknown", () => {
    const failed = [4, "teapot", "why", [null, null, null], null];
    const read = messageFromList([7, failed]);
    expect(read.body).toMatchObject({ kind: "failed", code: "quorum-unavailable", detail: "why" });
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
  const key = "demo\0k";
  const bytes = new Uint8Array(3);
  const store = [2, key, bytes, "", 2, false];
  const numbers = [null, null, null];
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
    ["a field missing", [1, store.slice(0, 5), 2, 3, ""]],
    ["a key that is a number", [1, [2, 5, bytes, "", 2, false], 2, 3, ""]],
    ["an entry that is a text", [1, [2, key, "entry", "", 2, false], 2, 3, ""]],
    ["a flag that is a number", [1, [1, key, 1, false], 2, 3, ""]],
    ["a key that no client could write", [1, [1, "no-nul", true, false], 2, 3, ""]],
    ["an item that is half there", [1, [7, [[key]]], 2, 3, ""]],
    ["a node that a tree does not have", [1, [9, [[3, 2, [16]]]], 2, 3, ""]],
    ["too few sums", [1, [10, [[3, 2, [1, 2, 3], 0]]]]],
    ["a key without its digest", [1, [14, [key, 9, "n\0k"]], 2, 3, ""]],
    ["a reply whose count is negative", [1, [1, -1, null, false]]],
    [
      "a reply whose context is malformed",
      [1, [4, "overloaded", "d", numbers, ["AAAAAAAA", [2, 1]]]],
    ],
  ])("is refused: %s", (_, encoded) => {
    expect(() => decodeMessage(encode(encoded))).toThrow(CodecError);
  });
});
