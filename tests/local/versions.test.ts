/** Nodes of different versions: those next to each other work together, others refuse each other. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Speech } from "../../core/version.ts";
import { answerAll, Net, type Peer, ping, repliesTo } from "./peers.ts";

let net: Net;
beforeEach(() => {
  net = new Net();
});
afterEach(() => net.close());

const speech = (protocol: number): Speech => ({ protocol, version: `${protocol}.0.0` });

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
      { protocol: 0, version: "1.0.0" },
      { protocol: -1, version: "1.0.0" },
      { protocol: 1.5, version: "1.0.0" },
      { protocol: 1, version: "x y" },
      { protocol: 1, version: "" },
    ].entries()) {
      const a = await net.peer(`a${i}`, { speech: wrong });
      const b = await net.peer(`b${i}`);
      a.transport.send(`b${i}`, ping(1));
      await expect.poll(() => a.unreachable).toEqual([1]);
      expect(b.refused).toEqual([[`a${i}`, "unknown"]]);
    }
  });
});
