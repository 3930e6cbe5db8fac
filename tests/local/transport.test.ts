import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Transport } from "../../src/local/peers/transport.ts";
import { answerAll, bulky, CLUSTER, KEY, Net, type Peer, ping, pong, repliesTo } from "./peers.ts";

let net: Net;
beforeEach(() => {
  net = new Net();
});
afterEach(() => net.close());

async function hears(peer: Peer, count: number): Promise<void> {
  await expect.poll(() => peer.heard.length, { interval: 2 }).toBe(count);
}

const countTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

describe("a transport", () => {
  it("carries requests there and replies back, many at a time, long ones too", async () => {
    const [a, b] = [await net.peer("a"), await net.peer("b")];
    for (const call of countTo(50)) a.transport.send("b", ping(call));
    a.transport.send("b", bulky(51, 3_000_000));
    a.transport.send("b", ping(52));
    await hears(b, 52);
    const calls = b.heard.map(({ message }) => message.call);
    const short = countTo(52).filter((call) => call !== 51);
    expect(calls.filter((call) => call !== 51)).toEqual(short);
    expect(b.heard.every(({ from }) => /^a#[0-9]+$/.test(from))).toBe(true);
    answerAll(b);
    await hears(a, 52);
    expect(a.heard.every(({ from }) => from === "b")).toBe(true);
    expect(repliesTo(a).sort((one, other) => one - other)).toEqual(countTo(52));
    expect([a.transport.connectedCount, b.transport.connectedCount]).toEqual([1, 0]);
    b.transport.send("a", ping(1));
    await hears(a, 53);
    expect(a.unreachable).toEqual([]);
  });

  it("carries short requests past a long one that does not get through, and replies too", async () => {
    const [a, b] = [await net.peer("a"), await net.peer("b")];
    const cable = await net.cable(b.url);
    cable.connectionBytesMax = 1_000_000;
    net.urls.set("b", cable.url);
    a.transport.send("b", bulky(1, 3_000_000));
    await expect.poll(() => cable.tapped.length).toBeGreaterThan(10);
    for (const call of [2, 3, 4]) a.transport.send("b", ping(call));
    await hears(b, 3);
    answerAll(b);
    await hears(a, 3);
    expect(repliesTo(a)).toEqual([2, 3, 4]);
    expect(a.transport.connectedCount).toBe(1);
    expect(a.unreachable).toEqual([]);
  });

  it("tells in its log which of its two connections to a peer it is about", async () => {
    const a = await net.peer("a");
    const gone = await net.peer("b");
    await gone.close();
    a.transport.send("b", bulky(1, 100_000));
    await expect.poll(() => a.unreachable).toEqual([1]);
    const fields = { peer: "b", reason: "ECONNREFUSED", requests: "long" };
    expect(a.logged).toEqual([`peer-unreachable ${JSON.stringify(fields)}`]);
  });

  it("gives a caller that came back nothing that was meant for its former life", async () => {
    const [first, b] = [await net.peer("a"), await net.peer("b")];
    first.transport.send("b", ping(1));
    await hears(b, 1);
    await first.close();
    const second = await net.peer("a");
    second.transport.send("b", bulky(1, 10));
    await hears(b, 2);
    const [late, current] = b.heard;
    b.transport.send(late?.from ?? "", { type: "reply", call: 1, body: { kind: "pong" } });
    const stored = { kind: "stored", durable: true } as const;
    b.transport.send(current?.from ?? "", { type: "reply", call: 1, body: stored });
    await hears(second, 1);
    expect(second.heard[0]?.message.body).toEqual(stored);
  });

  it("says at once who cannot be reached, once in its log, and tries again", async () => {
    const a = await net.peer("a");
    const gone = await net.peer("b");
    await gone.close();
    for (const call of countTo(20)) a.transport.send("b", ping(call));
    await expect.poll(() => a.unreachable.length).toBe(20);
    a.transport.send("b", ping(21));
    a.transport.send("nobody", ping(22));
    await expect.poll(() => a.unreachable.length).toBe(22);
    expect(a.logged.filter((line) => line.includes('"b"'))).toEqual([
      'peer-unreachable {"peer":"b","reason":"ECONNREFUSED"}',
    ]);
    const b = await net.peer("b");
    let call = 100;
    const isThrough = (): boolean => {
      a.transport.send("b", ping(++call));
      return b.heard.length > 0;
    };
    await expect.poll(isThrough, { interval: 20 }).toBe(true);
    expect(a.logged.at(-1)).toBe('peer-connected {"peer":"b"}');
  });

  it("tells of every open call when the connection breaks, and of none after it is closed", async () => {
    const [a, b] = [await net.peer("a"), await net.peer("b")];
    for (const call of countTo(5)) a.transport.send("b", ping(call));
    await hears(b, 5);
    b.transport.send(b.heard[1]?.from ?? "", pong(2));
    await hears(a, 1);
    await b.close();
    await expect.poll(() => a.unreachable).toEqual([1, 3, 4, 5]);
    const c = await net.peer("c");
    a.transport.send("c", ping(6));
    await hears(c, 1);
    await a.close();
    expect(a.unreachable).toEqual([1, 3, 4, 5]);
  });

  it("counts both replies of a store that answers twice", async () => {
    const [a, b] = [await net.peer("a"), await net.peer("b")];
    const store = bulky(1, 10);
    a.transport.send("b", { ...store, body: { ...store.body, ack: "both" } as typeof store.body });
    await hears(b, 1);
    const from = b.heard[0]?.from ?? "";
    b.transport.send(from, { type: "reply", call: 1, body: { kind: "stored", durable: false } });
    await hears(a, 1);
    await b.close();
    await expect.poll(() => a.unreachable).toEqual([1]);
  });

  it("bounds what waits for a peer, in both directions", async () => {
    const limits = { backlogBytesMax: 1_000_000 };
    const [a, b] = [await net.peer("a", { limits }), await net.peer("b", { limits })];
    // A single message may be longer than the bound.
    for (const call of countTo(8)) a.transport.send("b", bulky(call, 2_000_000));
    await hears(b, 1);
    await expect.poll(() => a.unreachable).toEqual(countTo(8).slice(1));
    a.transport.send("b", ping(9));
    await hears(b, 2);
    const entry = new Uint8Array(2_000_000);
    const body = { kind: "held", digest: 1, entry, isUnknown: false } as const;
    const from = b.heard[1]?.from ?? "";
    for (let i = 0; i < 4; i++) b.transport.send(from, { type: "reply", call: 9, body });
    await hears(a, 1);
    expect(b.transport.droppedCount).toBe(3);
  });
});

describe("a transport whose network fails in silence", () => {
  it("gives a black hole no more than the time for dialling", async () => {
    const a = await net.peer("a", { limits: { dialMsMax: 100 } });
    net.urls.set("hole", await net.listener(() => {}));
    a.transport.send("hole", ping(1));
    await expect.poll(() => a.unreachable).toEqual([1]);
    expect(a.logged).toEqual(['peer-unreachable {"peer":"hole","reason":"no answer in time"}']);
  });

  it("gives up a connection on which nothing is heard, and finds the peer again", async () => {
    const a = await net.peer("a", { limits: { silenceMsMax: 200 } });
    const b = await net.peer("b");
    const cable = await net.cable(b.url);
    net.urls.set("b", cable.url);
    a.transport.send("b", ping(1));
    await hears(b, 1);
    answerAll(b);
    await hears(a, 1);
    cable.isCut = true;
    a.transport.send("b", ping(2));
    await expect.poll(() => a.unreachable).toEqual([2]);
    expect(a.logged.some((line) => line.startsWith("peer-silent"))).toBe(true);
    cable.isCut = false;
    let call = 2;
    const isThrough = (): boolean => {
      a.transport.send("b", ping(++call));
      return b.heard.length > 0;
    };
    await expect.poll(isThrough, { interval: 20 }).toBe(true);
  });

  it("keeps a connection on which others are answered, however slow one call is", async () => {
    const a = await net.peer("a", { limits: { silenceMsMax: 150 } });
    const b = await net.peer("b");
    a.transport.send("b", ping(1));
    await hears(b, 1);
    const slow = b.heard.splice(0);
    const startedAt = performance.now();
    for (let call = 2; performance.now() - startedAt < 500; call++) {
      a.transport.send("b", ping(call));
      await hears(b, 1);
      answerAll(b);
    }
    b.transport.send(slow[0]?.from ?? "", pong(1));
    await expect.poll(() => repliesTo(a).includes(1)).toBe(true);
    expect(a.unreachable).toEqual([]);
  });

  it("gives a peer whose url is none up at once", async () => {
    const a = await net.peer("a");
    net.urls.set("b", "http://999.999.999.999:1");
    a.transport.send("b", ping(1));
    await expect.poll(() => a.unreachable).toEqual([1]);
  });
});

describe("a request that gets no reply", () => {
  it("was sent where there was a connection, and was not where there was none", async () => {
    const a = await net.peer("a");
    const b = await net.peer("b");
    a.transport.send("b", ping(1));
    await hears(b, 1);
    await b.close();
    await expect.poll(() => a.unreachable).toEqual([1]);
    a.transport.send("b", ping(2));
    await expect.poll(() => a.unreachable).toEqual([1, 2]);
    // Once the wait after a failed dial is over, it is refused.
    await expect
      .poll(() => {
        a.transport.send("b", ping(3));
        return a.unreachable.length;
      })
      .toBeGreaterThan(6);
    expect(a.unsent).toEqual(a.unreachable.slice(1));
  });
});

describe("a transport that is closed", () => {
  it("takes nobody in, and tells nobody", async () => {
    const told: number[] = [];
    const transport = new Transport({
      self: "a",
      cluster: CLUSTER,
      keys: () => [KEY],
      urlOf: () => "http://127.0.0.1:1",
      onMessages: () => {},
      onUnreachable: (_, call) => void told.push(call),
      log: () => {},
    });
    transport.send("b", ping(1));
    transport.close();
    transport.send("b", ping(2));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(told).toEqual([]);
  });
});
