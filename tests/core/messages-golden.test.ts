/**
 * The bytes of each kind of message: `tests/golden/messages` was written by code from before the
 * table named the items of lists; later kinds were added when they came. Nodes of other versions
 * send and expect just these.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  decodeMessage,
  encodeMessage,
  type Message,
  type Reply,
  type Request,
} from "../../core/messages.ts";
import { moreReplies, moreRequests, replies, requests } from "./message-samples.ts";

type Golden = Readonly<Record<"requests" | "replies", Readonly<Record<string, string>>>>;
const golden = JSON.parse(
  readFileSync(new URL("../golden/messages/bytes.json", import.meta.url), "utf8"),
) as Golden;

const envelope = { type: "request", call: 1, stamp: 2, budgetMs: 3, trace: "t" } as const;
const requestOf = (body: Request): Message => ({ ...envelope, body });
const replyOf = (body: Reply): Message => ({ type: "reply", call: 2 ** 40, body });

const allRequests: Readonly<Record<string, Request>> = { ...requests, ...moreRequests };
const allReplies: Readonly<Record<string, Reply>> = { ...replies, ...moreReplies };
const messages: readonly (readonly [name: string, hex: string | undefined, message: Message])[] = [
  ...Object.entries(allRequests).map(
    ([name, body]) => [name, golden.requests[name], requestOf(body)] as const,
  ),
  ...Object.entries(allReplies).map(
    ([name, body]) => [name, golden.replies[name], replyOf(body)] as const,
  ),
];

describe("bytes on the wire", () => {
  it.each(messages)("are as they were, and say what they said: %s", (_, hex, message) => {
    expect(Buffer.from(encodeMessage(message)).toString("hex")).toBe(hex);
    const { body, ...rest } = decodeMessage(Uint8Array.from(Buffer.from(hex ?? "", "hex")));
    const { body: expected, ...envelopeOf } = message;
    expect(rest).toEqual(envelopeOf);
    // What came later is filled in where it is missing.
    expect(body).toMatchObject(expected);
  });

  it("are there for every name", () => {
    const names = (of: object): readonly string[] => Object.keys(of).sort();
    expect(names(golden.requests)).toEqual(names(allRequests));
    expect(names(golden.replies)).toEqual(names(allReplies));
  });
});
