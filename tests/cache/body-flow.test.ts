/** A body read once and given to many: nothing is lost, nobody is held up, memory is bounded. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Abandoned, BodyFlow, type PieceStore } from "../../src/door/body-flow.ts";
import type { Bytes, Garbage } from "../../src/door/ports.ts";

const limits = { bytesMax: 10_000, windowBytes: 100, pieceBytes: 64, inlineBytesMax: 32 };

class Pieces implements PieceStore {
  readonly written: Uint8Array[] = [];
  failsFrom = Infinity;

  async write(index: number, bytes: Uint8Array): Promise<void> {
    if (index >= this.failsFrom) throw new Error("full");
    this.written[index] = bytes.slice();
  }

  async read(index: number): Promise<Uint8Array> {
    const piece = this.written[index];
    if (piece === undefined) throw new Error("no such piece");
    return piece;
  }
}

/** Chunks with numbered bytes; tells how many were taken. */
function source(sizes: readonly number[]): {
  readonly bytes: Bytes;
  taken: number;
  ended: boolean;
} {
  const state = { taken: 0, ended: false };
  async function* chunks(): Bytes {
    let at = 0;
    try {
      for (const size of sizes) {
        state.taken += size;
        yield Uint8Array.from({ length: size }, (_, i) => (at + i) % 251);
        at += size;
      }
    } finally {
      state.ended = true;
    }
  }
  return Object.assign(state, { bytes: chunks() });
}

async function gather(bytes: Bytes): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return Buffer.concat(parts);
}

const numbered = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a body on its way", () => {
  it("comes whole to every reader and to the store, whatever the chunks", async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 150 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(3), async (chunks, others) => {
        const pieces = new Pieces();
        const flow = new BodyFlow(source(chunks).bytes, pieces, limits);
        const readers = [flow.read(), ...Array.from({ length: others }, () => flow.read())];
        const all = readers.map(gather);
        const end = await flow.run();
        const length = chunks.reduce((sum, size) => sum + size, 0);
        for (const bytes of await Promise.all(all))
          expect([...bytes]).toEqual([...numbered(length)]);
        expect([end.length, end.isStored]).toEqual([length, true]);
        const stored = end.bytes ?? Buffer.concat(pieces.written);
        expect([...stored]).toEqual([...numbered(length)]);
        expect(end.bytes === null).toBe(length > limits.inlineBytesMax);
      }),
    );
  });

  it("is read no faster than the fastest reader takes it", async () => {
    const from = source(Array.from({ length: 50 }, () => 40));
    const flow = new BodyFlow(from.bytes, new Pieces(), limits);
    const reader = flow.read();
    const done = flow.run();
    for (let i = 0; i < 20; i++) await turn();
    expect(from.taken).toBeLessThan(limits.windowBytes + 2 * 40);
    expect((await gather(reader)).length).toBe(2000);
    expect((await done).length).toBe(2000);
  });

  it("holds nobody up for a slow reader, who reads on from the pieces", async () => {
    const flow = new BodyFlow(
      source(Array.from({ length: 50 }, () => 40)).bytes,
      new Pieces(),
      limits,
    );
    const [slow, fast] = [flow.read(), flow.read()];
    const done = flow.run();
    const first = await slow.next();
    expect((await gather(fast)).length).toBe(2000);
    await done;
    const rest = await gather(slow);
    const whole = Buffer.concat([first.value as Uint8Array, rest]);
    expect([...whole]).toEqual([...numbered(2000)]);
  });

  it("goes on for the store when its readers leave, and ends when nothing is stored", async () => {
    const stored = source([200, 200, 200]);
    const flow = new BodyFlow(stored.bytes, new Pieces(), limits);
    await flow.read().return?.();
    expect(await flow.run()).toMatchObject({ length: 600, isStored: true });
    const passed = source([200, 200, 200]);
    const other = new BodyFlow(passed.bytes, null, limits);
    const reader = other.read();
    const done = other.run();
    await reader.next();
    await reader.return?.();
    await expect(done).rejects.toThrow(Abandoned);
    expect(passed.ended).toBe(true);
  });

  it("is given up at once when nobody is left, though its source is silent", async () => {
    const silence = Promise.withResolvers<IteratorResult<Uint8Array>>();
    const over = { done: true, value: undefined } as const;
    const end = async (): Promise<typeof over> => {
      silence.resolve(over);
      return over;
    };
    const silent = { next: () => silence.promise, return: end };
    const flow = new BodyFlow({ [Symbol.asyncIterator]: () => silent }, null, limits);
    const reader = flow.read();
    const done = flow.run();
    await reader.return?.();
    expect(flow.isOpen).toBe(false);
    await expect(done).rejects.toThrow(Abandoned);
  });

  it("is passed on and not stored when it is too long, or the store fails", async () => {
    const long = new BodyFlow(source([300, 300]).bytes, new Pieces(), { ...limits, bytesMax: 500 });
    const all = gather(long.read());
    expect(await long.run()).toMatchObject({ isStored: false });
    expect((await all).length).toBe(600);
    const pieces = new Pieces();
    pieces.failsFrom = 1;
    const failing = new BodyFlow(
      source(Array.from({ length: 20 }, () => 40)).bytes,
      pieces,
      limits,
    );
    const two = [gather(failing.read()), gather(failing.read())];
    expect(await failing.run()).toMatchObject({ isStored: false });
    for (const bytes of await Promise.all(two)) expect(bytes.length).toBe(800);
  });

  it("breaks off for its readers as it does for its source, and is not stored", async () => {
    const broken = (async function* () {
      yield numbered(40);
      throw new Error("cut off");
    })();
    const flow = new BodyFlow(broken, new Pieces(), limits);
    const reader = gather(flow.read());
    const run = flow.run();
    await expect(reader).rejects.toThrow("cut off");
    await expect(run).rejects.toThrow("cut off");
    expect(flow.isOpen).toBe(false);
  });

  it("goes on while some pieces are on their way to the ring, and no more than four", async () => {
    const pieces = new Pieces();
    const gates: (() => void)[] = [];
    const slow: PieceStore = {
      write: async (index, bytes) => {
        await new Promise<void>((resolve) => gates.push(resolve));
        await pieces.write(index, bytes);
      },
      read: (index) => pieces.read(index),
    };
    const flow = new BodyFlow(source(Array.from({ length: 16 }, () => 64)).bytes, slow, limits);
    const end = flow.run();
    await expect.poll(() => gates.length).toBe(4);
    for (let i = 0; i < 10; i++) await turn();
    expect(gates).toHaveLength(4);
    // The last of them is through first: a reader that comes then still gets all of it.
    for (const open of gates.splice(0).reverse()) open();
    const opening = setInterval(() => {
      for (const open of gates.splice(0)) open();
    }, 1);
    expect(await gather(flow.read())).toEqual(Buffer.from(numbered(1024)));
    expect(await end).toEqual({ length: 1024, bytes: null, isStored: true });
    clearInterval(opening);
    expect(Buffer.concat(pieces.written)).toEqual(Buffer.from(numbered(1024)));
  });

  it("has garbage collected each time so much of it was made, while no piece is on its way", async () => {
    const pieces = new Pieces();
    let underWay = 0;
    let made = 0;
    const looks: { readonly made: number; readonly underWay: number }[] = [];
    const garbage: Garbage = {
      made: (byteCount) => {
        made += byteCount;
        return made >= 2048;
      },
      collect: () => {
        looks.push({ made, underWay });
        made = 0;
      },
    };
    const slow: PieceStore = {
      write: async (index, bytes) => {
        underWay++;
        await turn();
        await pieces.write(index, bytes);
        underWay--;
      },
      read: (index) => pieces.read(index),
    };
    const chunks = Array.from({ length: 100 }, () => 40);
    const stored = new BodyFlow(source(chunks).bytes, slow, { ...limits, garbage });
    const [all] = await Promise.all([gather(stored.read()), stored.run()]);
    expect(all).toEqual(Buffer.from(numbered(4000)));
    // Four are made of each byte: 13 chunks of 40 come to 2080.
    expect(looks).toEqual(Array.from({ length: 7 }, () => ({ made: 2080, underWay: 0 })));
    looks.length = 0;
    made = 0;
    // One who comes after that reads pieces of 64, each of them two: 16 come to 2048.
    expect(await gather(stored.read())).toEqual(Buffer.from(numbered(4000)));
    expect(looks).toEqual(Array.from({ length: 3 }, () => ({ made: 2048, underWay: 0 })));
    looks.length = 0;
    made = 0;
    const passed = new BodyFlow(source(chunks).bytes, null, { ...limits, garbage });
    await Promise.all([gather(passed.read()), passed.run()]);
    expect(looks).toEqual(Array.from({ length: 3 }, () => ({ made: 2080, underWay: 0 })));
  });
});
