/** One request after the other on a connection of the quick lane, whose reader is slow or gone. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { QuickLane, type Turn } from "../../src/local/http/quick-lane.ts";

const GET = Buffer.from("GET /k HTTP/1.1\r\nHost: a\r\n\r\n");
const answer = (text: string) => ({ status: 200, fields: ["X", text], body: text });
/** Its body is sent from where it lies, behind its head. */
const longer = { ...answer("long"), body: Buffer.alloc(5000, "l") };
const turnOfTheLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A connection whose reader takes what is written when it is told to. */
class Held extends Duplex {
  readonly written: string[] = [];
  readonly #taking: (() => void)[] = [];
  isReading = true;

  constructor() {
    super({ writableHighWaterMark: 50, allowHalfOpen: true });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.written.push(chunk.toString("latin1"));
    if (this.isReading) done();
    else this.#taking.push(done);
  }

  readOn(): void {
    this.isReading = true;
    for (const done of this.#taking.splice(0)) done();
  }
}

let held: Held;
let turns: Turn[];
let work: { atWorkCount: number };
let handedOver: Socket[];

beforeEach(() => {
  held = new Held();
  turns = [];
  const counted = { atWorkCount: 0 };
  work = counted;
  handedOver = [];
  const lane = new QuickLane({
    take: (_, turn) => turns.push(turn) > 0,
    handOver: (socket) => handedOver.push(socket),
    places: {
      enter: () => ++counted.atWorkCount > 0,
      leave: () => void counted.atWorkCount--,
      isStopping: false,
    },
    limits: { headersMsMax: 1e6, keepAliveMsMax: 1e6, inactiveMsMax: 1e6 },
  });
  lane.take(held as unknown as Socket);
});
afterEach(() => void held.destroy());

async function ask(): Promise<Turn | undefined> {
  held.push(GET);
  await turnOfTheLoop();
  return turns.at(-1);
}

describe("a turn of the quick lane", () => {
  it.each([
    ["a short", answer("one")],
    ["a longer", longer],
  ])("lasts until its reader has taken %s answer: nothing is read before", async (_, given) => {
    const first = await ask();
    held.isReading = false;
    expect(first?.send(given)).toBe(true);
    await ask();
    await ask();
    expect(turns).toHaveLength(1);
    expect(work.atWorkCount).toBe(1);
    held.readOn();
    await expect.poll(() => turns.length).toBe(2);
    expect(work.atWorkCount).toBe(1);
  });

  it("is over with its answer: what comes later is of nobody", async () => {
    const first = await ask();
    first?.send(answer("one"));
    expect(work.atWorkCount).toBe(0);
    const late = first?.response;
    expect(late?.destroyed).toBe(true);
    const second = await ask();
    late?.writeEarlyHints({ link: "</a.css>; rel=preload" });
    expect(first?.response.destroyed).toBe(true);
    expect(first?.send(answer("again"))).toBe(true);
    expect(second?.response.destroyed).toBe(false);
    second?.response.writeHead(200, ["Content-Length", "3"]).end("two");
    await expect.poll(() => work.atWorkCount).toBe(0);
    expect(held.written.join("")).not.toMatch(/103|again/);
    expect(held.written.join("")).toMatch(/one[\s\S]*two$/);
    expect(await ask()).not.toBe(second);
  });

  it("goes on through the response that it began with, and leaves nothing of it behind", async () => {
    const first = await ask();
    first?.response.writeEarlyHints({ link: "</a.css>; rel=preload" });
    expect(first?.send(answer("one"))).toBe(false);
    first?.response.writeHead(200, ["Content-Length", "3"]).end("one");
    await expect.poll(() => work.atWorkCount).toBe(0);
    expect(held.written.join("")).toMatch(/^HTTP\/1\.1 103 [\s\S]*HTTP\/1\.1 200 [\s\S]*one$/);
    expect(held.listenerCount("drain")).toBe(0);
    expect(held).not.toHaveProperty("_httpMessage", expect.anything());
    held.push(Buffer.from("HEAD /k HTTP/1.1\r\nHost: a\r\n\r\n"));
    await expect.poll(() => handedOver.length).toBe(1);
  });

  it("is over when its client has gone, once", async () => {
    const first = await ask();
    held.isReading = false;
    first?.send(answer("one"));
    held.destroy();
    await expect.poll(() => work.atWorkCount).toBe(0);
    held.readOn();
    await turnOfTheLoop();
    expect(work.atWorkCount).toBe(0);
    expect(first?.send(answer("two"))).toBe(true);
    expect(first?.response.destroyed).toBe(true);
  });
});
