/** Nodes of different versions: those next to each other work together, others refuse each other. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Request } from "../../core/messages.ts";
import type { Speech } from "../../core/version.ts";
import { answerAll, Net, type Peer, ping, repliesTo } from "./peers.ts";

/** As if this kind of request had come with protocol 4. */
vi.mock("../../core/messages.ts", async (importActual) => ({
  ...(await importActual<object>()),
  protocolOf: ({ kind }: Request) => (kind === "scrub" ? 4 : 1),
}));

let net: Net;
beforeEach(() => {
  net = new Net();
});
afterEach(() => net.close());

/** Of a version that speaks its own protocol and the one before. */
const speech = (protocol: number): Speech => ({
  protocol,
  least: protocol - 1,
  version: `${protocol}.0.0`,
});

/** `b` serves whoever it takes. */
async function pair(of: { a: number; b: number }): Promise<{ a: Peer; b: Peer }> {
  const limits = { redialMs: 0 };
  const a = await net.peer("a", { speech: speech(of.a), limits });
  const b = await net.peer("b", { speech: speech(of.b), limits });
  return { a, b };
}

describe("nodes of two versions", () => {
  it.each([
    { a: 3, b: 3 },
    { a: 3, b: 4 },
    { a: 4, b: 3 },
  ])("work together when they are equal or neighbours: %j", async (of) => {
    const { a, b } = await pair(of);
    a.transport.send("b", ping(1));
    await expect.poll(() => b.heard.length).toBe(1);
    answerAll(b);
    await expect.poll(() => repliesTo(a)).toEqual([1]);
    for (const { logged, refused } of [a, b]) expect([logged, refused]).toEqual([[], []]);
  });

  it.each([
    { a: 3, b: 5 },
    { a: 5, b: 3 },
  ])("refuse each other when they are further apart, and say it once: %j", async (of) => {
    const { a, b } = await pair(of);
    for (const call of [1, 2, 3]) {
      a.transport.send("b", ping(call));
      await expect.poll(() => a.unreachable).toContain(call);
    }
    b.transport.send("a", ping(1));
    await expect.poll(() => b.unreachable).toEqual([1]);
    for (const [peer, other, own, its] of [
      [a, "b", of.a, of.b],
      [b, "a", of.b, of.a],
    ] as const) {
      const said = { peer: other, version: `${its}.0.0`, protocol: its };
      const line = { ...said, ownVersion: `${own}.0.0`, ownProtocol: own };
      const about = peer.logged.filter((text) => text.includes("compatible"));
      expect(about).toEqual([`peer-incompatible ${JSON.stringify(line)}`]);
      expect(peer.refused).toEqual([[other, `${its}.0.0`]]);
      expect(peer.transport.refusedVersionCount).toBe(1);
      expect(peer.heard).toEqual([]);
    }
  });

  it.each([
    { a: 4, b: 3, isKnown: false },
    { a: 4, b: 4, isKnown: true },
    { a: 4, b: 5, isKnown: true },
  ])("ask each other only what both know: %j", async ({ isKnown, ...of }) => {
    const { a, b } = await pair(of);
    const scrub = (call: number) => ({ ...ping(call), body: { kind: "scrub" } as const });
    // One before there is a connection, and one on it.
    a.transport.send("b", scrub(1));
    await expect.poll(() => a.heard.length + b.heard.length).toBe(1);
    a.transport.send("b", scrub(2));
    await expect.poll(() => a.heard.length + b.heard.length).toBe(2);
    const refused = { kind: "refused", code: "unknown-request" };
    const replies = a.heard.map(({ from, message }) => [from, message.call, message.body]);
    const own = [1, 2].map((call) => ["b", call, refused]);
    expect([replies, b.heard.length]).toEqual(isKnown ? [[], 2] : [own, 0]);
    a.transport.send("b", ping(3));
    await expect.poll(() => b.heard.at(-1)?.message.call).toBe(3);
  });

  it("find together again when one of them is upgraded", async () => {
    const { a, b } = await pair({ a: 3, b: 5 });
    a.transport.send("b", ping(1));
    await expect.poll(() => a.unreachable).toEqual([1]);
    await b.close();
    const newer = await net.peer("b", { speech: speech(4), limits: { redialMs: 0 } });
    a.transport.send("b", ping(2));
    await expect.poll(() => newer.heard.length).toBe(1);
    expect(a.logged.at(-1)).toBe('peer-compatible {"peer":"b","version":"4.0.0","protocol":4}');
    expect(a.refused.at(-1)).toEqual(["b", null]);
    expect(a.transport.refusedVersionCount).toBe(0);
  });

  it("refuses who names no version, or none that could be shown", async () => {
    for (const [i, wrong] of [
      { protocol: 0, least: 1, version: "1.0.0" },
      { protocol: -1, least: 1, version: "1.0.0" },
      { protocol: 1.5, least: 1, version: "1.0.0" },
      { protocol: 1, least: 0, version: "1.0.0" },
      { protocol: 1, least: 1, version: "x y" },
      { protocol: 1, least: 1, version: "" },
    ].entries()) {
      const a = await net.peer(`a${i}`, { speech: wrong });
      const b = await net.peer(`b${i}`);
      a.transport.send(`b${i}`, ping(1));
      await expect.poll(() => a.unreachable).toEqual([1]);
      expect(b.refused).toEqual([[`a${i}`, "unknown"]]);
    }
  });
});
