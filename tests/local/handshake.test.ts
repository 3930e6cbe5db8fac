import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { encode } from "../../core/codec.ts";
import { MESSAGE_BYTES_MAX } from "../../core/limits.ts";
import { encodeMessage, type Message } from "../../core/messages.ts";
import { ownSpeech } from "../../core/version.ts";
import { type Ends, helloHeaders, newNonce } from "../../src/local/identity/handshake.ts";
import { type Dialled, dial } from "../../src/local/peers/dial.ts";
import { STAMP_BYTES } from "../../src/local/peers/frames.ts";
import { rawRequest } from "../support/raw-http.ts";
import { answerAll, CLUSTER, type Heard, KEY, keyOf, Net, type Peer, ping } from "./peers.ts";

let net: Net;
beforeEach(() => {
  net = new Net();
});
afterEach(() => net.close());

const ends: Ends = { cluster: CLUSTER, from: "a", to: "b" };

/** A handshake done by hand, up to the proof that goes first. */
function dialled(to: Peer): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    dial({ url: to.url, ends, keys: [KEY], speech: ownSpeech, msMax: 1000 }, (outcome) => {
      if (typeof outcome === "string" || "refused" in outcome) reject(new Error(String(outcome)));
      else resolve(outcome);
    });
  });
}

function frame(bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(bytes.length);
  return Buffer.concat([header, bytes]);
}

async function closed(socket: { readonly destroyed: boolean }): Promise<void> {
  await expect.poll(() => socket.destroyed, { interval: 5 }).toBe(true);
}

const upgradeText = (headers: Record<string, string>, path = "/internal"): string => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return `${[`GET ${path} HTTP/1.1`, "Host: a", ...lines].join("\r\n")}\r\n\r\n`;
};

describe("a handshake", () => {
  it.each([
    ["another secret", { keys: [keyOf("some other secret")] }, "refused with status 404"],
    ["another cluster", { cluster: "other" }, "refused with status 404"],
  ])("is refused to %s", async (_, options, reason) => {
    net.urls.set("a", "http://127.0.0.1:1");
    const b = await net.peer("b");
    const a = await net.peer("a", options);
    a.transport.send("b", ping(1));
    await expect.poll(() => a.unreachable).toEqual([1]);
    expect(a.logged).toEqual([`peer-unreachable {"peer":"b","reason":"${reason}"}`]);
    expect(b.heard).toEqual([]);
  });

  it("ends with its caller, also one that has only closed its own side", async () => {
    const b = await net.peer("b");
    const { socket, first } = await dialled(b);
    socket.resume();
    socket.end(frame(first));
    await closed(socket);
  });

  it.each([
    ["the callee takes the caller's first", ["new", "old"], ["new"]],
    ["the callee takes the caller's second", ["new", "old"], ["old"]],
    ["the callee has learnt of another one", ["old"], ["new", "old"]],
    ["the callee puts the other one first", ["old", "new"], ["new", "old"]],
  ])("is done while one secret gives way to another: %s", async (_, calling, called) => {
    const [a, b] = [
      await net.peer("a", { keys: calling.map(keyOf) }),
      await net.peer("b", { keys: called.map(keyOf) }),
    ];
    a.transport.send("b", ping(1));
    await expect.poll(() => b.heard.length).toBe(1);
    expect([a.logged, b.logged]).toEqual([[], []]);
  });

  it("looks at two proofs and no more", async () => {
    const keys = ["one", "two", "three"].map(keyOf);
    const a = await net.peer("a", { keys });
    await net.peer("b", { keys: keys.slice(2) });
    a.transport.send("b", ping(1));
    await expect.poll(() => a.unreachable).toEqual([1]);
  });

  it("is refused to whoever asks for another node, or names none", async () => {
    const b = await net.peer("b");
    const from = (id: string, to: string): string =>
      upgradeText(
        helloHeaders(
          [KEY],
          { cluster: CLUSTER, from: id, to },
          { nonce: newNonce(), speech: ownSpeech },
        ),
      );
    net.urls.set("a", "http://127.0.0.1:1");
    for (const [id, to] of [
      ["no id!", "b"],
      ["b", "b"],
      ["a", "c"],
      ["", ""],
    ] as const) {
      expect([id, to, (await rawRequest(b.url, from(id, to))).status]).toEqual([id, to, 404]);
    }
    const fine = connect(Number(new URL(b.url).port), "127.0.0.1");
    fine.write(from("a", "b"));
    const [answer] = (await once(fine, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 /);
    fine.destroy();
  });

  it("shows those without the secret what any unknown route shows", async () => {
    net.urls.set("a", "http://127.0.0.1:1");
    const b = await net.peer("b");
    const right = helloHeaders([KEY], ends, { nonce: newNonce(), speech: ownSpeech });
    const bare = (text: string): string => text.replace(/date: [^\r]*/i, "");
    const unknown = await rawRequest(b.url, upgradeText({}, "/internal-not"));
    for (const headers of [
      {},
      { ...right, "Starling-Proof": "" },
      { ...right, "Starling-Proof": "A".repeat(43) },
      { ...right, "Starling-Nonce": newNonce() },
      { ...right, "Starling-Nonce": "" },
      helloHeaders([keyOf("a guessed secret")], ends, { nonce: newNonce(), speech: ownSpeech }),
    ]) {
      const answer = await rawRequest(b.url, upgradeText(headers));
      expect(bare(answer.head)).toBe(bare(unknown.head));
      expect(answer.body).toBe(unknown.body);
    }
  });

  it("cannot be recorded and sent again", async () => {
    const [a, b] = [await net.peer("a"), await net.peer("b")];
    const cable = await net.cable(b.url);
    net.urls.set("b", cable.url);
    a.transport.send("b", ping(1));
    await expect.poll(() => b.heard.length).toBe(1);
    const thief: Socket = connect(Number(new URL(b.url).port), "127.0.0.1");
    thief.write(Buffer.concat(cable.tapped));
    const [answer] = (await once(thief, "data")) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 101 /);
    thief.resume();
    await closed(thief);
    expect(b.heard.length).toBe(1);
    expect(b.transport.malformedCount).toBe(1);
  });

  it("is not finished by an impostor who listens where a member should", async () => {
    const received: string[] = [];
    const impostor = await net.listener((socket) => {
      socket.on("data", (bytes: Buffer) => {
        received.push(bytes.toString("latin1"));
        if (received.length > 1) return;
        const headers = "Connection: Upgrade\r\nUpgrade: starling-internal/1\r\n";
        const proof = `Starling-Nonce: ${newNonce()}\r\nStarling-Proof: ${"A".repeat(43)}\r\n`;
        socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers}${proof}\r\n`);
      });
    });
    net.urls.set("b", impostor);
    const a = await net.peer("a");
    a.transport.send("b", ping(1));
    await expect.poll(() => a.unreachable).toEqual([1]);
    expect(a.logged.join()).toContain("does not know the cluster's secret");
    expect(received.length).toBe(1);
  });

  it("has little time, and takes no frame longer than the proof", async () => {
    net.urls.set("a", "http://127.0.0.1:1");
    const b = await net.peer("b", { limits: { proofMsMax: 100 } });
    const silent = await dialled(b);
    silent.socket.resume();
    await closed(silent.socket);
    for (const bytes of [lengthOnly(33), frame(new Uint8Array(32)), lengthOnly(0)]) {
      const { socket } = await dialled(b);
      socket.resume();
      socket.write(bytes);
      await closed(socket);
    }
    expect(b.transport.malformedCount).toBe(3);
    expect(b.heard).toEqual([]);
  });
});

describe("a peer that sends garbage again and again", () => {
  it("is counted each time, and fills no disk with lines", async () => {
    const b = await net.peer("b");
    for (let i = 0; i < 25; i++) {
      const { socket } = await dialled(b);
      socket.resume();
      socket.write(frame(new Uint8Array(32)));
      await closed(socket);
    }
    expect(b.transport.malformedCount).toBe(25);
    expect(b.logged.filter((line) => line.startsWith("malformed-frame"))).toHaveLength(10);
  });
});

describe("a proven connection", () => {
  it.each([
    ["bytes that are no message", frame(Buffer.from("12345678nonsense"))],
    ["a frame without its time", frame(Buffer.from("1234567"))],
    ["a reply", stamped({ type: "reply", call: 1, body: { kind: "pong" } })],
    ["a frame that is too long", Buffer.from(Uint32Array.of(0xffffffff).buffer)],
    ["a frame of one byte too many", lengthOnly(STAMP_BYTES + MESSAGE_BYTES_MAX + 1)],
  ])("is closed for %s, and the node goes on", async (_, bytes) => {
    const [a, b] = [await net.peer("a"), await net.peer("b")];
    const { socket, first } = await dialled(b);
    socket.resume();
    socket.write(Buffer.concat([frame(first), stamped(ping(7))]));
    await expect.poll(() => b.heard.length).toBe(1);
    socket.write(bytes);
    await closed(socket);
    expect(b.transport.malformedCount).toBe(1);
    a.transport.send("b", ping(8));
    await expect.poll(() => b.heard.length).toBe(2);
    answerAll(b);
    await expect.poll(() => a.heard.length).toBe(1);
  });

  it("goes on for a request of a kind that only a newer version knows", async () => {
    net.urls.set("a", "http://127.0.0.1:1");
    const b = await net.peer("b");
    const { socket, first } = await dialled(b);
    const newer = frame(
      Buffer.concat([Buffer.alloc(STAMP_BYTES), encode([7, [999, 1], 1, 9, ""])]),
    );
    socket.write(Buffer.concat([frame(first), newer, stamped(ping(8))]));
    await expect.poll(() => b.heard.length).toBe(2);
    const { message } = b.heard[0] as Heard;
    expect([message.call, message.body, b.transport.malformedCount]).toEqual([
      ...[7, { kind: "unknown" }, 0],
    ]);
    socket.destroy();
  });

  it("may bring its frames in any pieces", async () => {
    net.urls.set("a", "http://127.0.0.1:1");
    const b = await net.peer("b");
    const { socket, first } = await dialled(b);
    const bytes = Buffer.concat([frame(first), stamped(ping(1))]);
    for (const byte of bytes) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => b.heard.length).toBe(1);
    socket.destroy();
  });
});

/** A message as it travels: when it was sent, and then itself. */
function stamped(message: Message): Buffer {
  return frame(Buffer.concat([Buffer.alloc(STAMP_BYTES), encodeMessage(message)]));
}

function lengthOnly(length: number): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(length);
  return header;
}
