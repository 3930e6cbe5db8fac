import { PassThrough } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  FrameError,
  FrameReader,
  FrameWriter,
  readFrames,
  readStamped,
} from "../../src/local/peers/frames.ts";

/** The bytes that a writer puts on the wire. */
async function written(frames: readonly Uint8Array[]): Promise<Buffer> {
  const wire = new PassThrough();
  const writer = new FrameWriter(wire);
  for (const frame of frames) writer.write([frame]);
  await new Promise((resolve) => setImmediate(resolve));
  wire.end();
  return Buffer.concat(await wire.toArray());
}

/** Cuts bytes at the given places, in any order and as often as one likes. */
function* pieces(bytes: Buffer, cuts: readonly number[]): Iterable<Buffer> {
  const places = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
  let from = 0;
  for (const to of places.sort((a, b) => a - b)) {
    yield bytes.subarray(from, to);
    from = to;
  }
}

describe("frames", () => {
  it("come out as they went in, however the stream is cut", async () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 });
    const cuts = fc.array(fc.nat(5000), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(frames, cuts, async (sent, places) => {
        const received: Uint8Array[] = [];
        const reader = new FrameReader(
          () => 300,
          (frame) => received.push(Uint8Array.from(frame)),
        );
        for (const piece of pieces(await written(sent), places)) reader.push(piece);
        expect(received).toEqual(sent.map((frame) => Uint8Array.from(frame)));
      }),
    );
  });

  it("have their place when they are long, and are put there as they come", async () => {
    const lengths = fc.constantFrom(0, 5, 65_536, 65_537, 200_000);
    const frames = fc.array(lengths, { maxLength: 4 });
    const cuts = fc.array(fc.nat(900_000), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(frames, cuts, async (sizes, places) => {
        const sent = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
        const received: Buffer[] = [];
        const reader = new FrameReader(
          () => 200_000,
          (frame) => received.push(Buffer.from(frame)),
        );
        for (const piece of pieces(await written(sent), places)) reader.push(piece);
        expect(received.map((frame) => frame.length)).toEqual(sizes);
        for (const [i, frame] of received.entries())
          expect(frame.equals(sent[i] ?? frame)).toBe(true);
      }),
      { numRuns: 50 },
    );
    const received: Uint8Array[] = [];
    const reader = new FrameReader(
      () => 200_000,
      (frame) => received.push(frame),
    );
    for (const piece of pieces(await written([new Uint8Array(200_000).fill(7)]), [70_000])) {
      const once = Buffer.from(piece);
      reader.push(once);
      // Nothing of what came first is kept until the end.
      if (received.length === 0) once.fill(0);
    }
    expect(received[0]?.every((byte) => byte === 7)).toBe(true);
  });

  it("are told of together when they came together, those before a malformed one too", async () => {
    const heard: string[] = [];
    const wire = new PassThrough();
    readFrames(wire, {
      head: Buffer.of(0, 0, 0, 1, 1),
      bytesMax: () => 1,
      onFrame: ([byte]) => void heard.push(`frame ${byte}`),
      onRead: () => void heard.push("read"),
      onMalformed: (reason) => void heard.push(reason),
    });
    wire.write(Buffer.of(0, 0, 0, 1, 2, 0, 0, 0, 1, 3, 0, 0));
    wire.write(Buffer.of(0, 1, 4, 0, 0, 0, 9));
    await expect.poll(() => wire.destroyed).toBe(true);
    const malformed = ["frame 4", "read", "a frame of 9 bytes"];
    expect(heard).toEqual(["frame 1", "read", "frame 2", "frame 3", "read", ...malformed]);
  });

  it("are refused by their announced length, before anything of them has come", () => {
    const reader = new FrameReader(
      () => 5,
      () => {},
    );
    reader.push(Buffer.of(0, 0, 0, 5, 1, 2, 3, 4, 5));
    expect(() => reader.push(Buffer.of(0, 0, 0, 6))).toThrow(FrameError);
  });

  it("follow a bound that changes from one frame to the next", () => {
    let bound = 1;
    const reader = new FrameReader(
      () => bound,
      () => {
        bound = 2;
      },
    );
    reader.push(Buffer.of(0, 0, 0, 1, 9, 0, 0, 0, 2, 9, 9));
    expect(() => reader.push(Buffer.of(0, 0, 0, 3))).toThrow(FrameError);
  });

  it("are copied, so that their bytes may be used again, however long they are", async () => {
    const lengths = [3, 70_000, 40_000, 40_000, 0, 200_000, 5];
    const wire = new PassThrough({ highWaterMark: 1_000_000 });
    const writer = new FrameWriter(wire);
    const bytes = new Uint8Array(200_000);
    for (const [i, length] of lengths.entries()) writer.write([bytes.fill(i).subarray(0, length)]);
    await new Promise((resolve) => setImmediate(resolve));
    const received: (readonly [number, number])[] = [];
    const reader = new FrameReader(
      () => 200_000,
      (frame) => {
        expect(frame.every((byte) => byte === frame[0])).toBe(true);
        received.push([frame.length, frame[0] ?? -1]);
      },
    );
    wire.end();
    for await (const chunk of wire) reader.push(chunk as Buffer);
    expect(received).toEqual(lengths.map((length, i) => [length, length === 0 ? -1 : i]));
  });

  it("are not copied where a piece is lasting and long, and come in their order", async () => {
    const wire = new PassThrough({ highWaterMark: 1e6 });
    const writer = new FrameWriter(wire);
    const chunks: Buffer[] = [];
    wire.on("data", (chunk: Buffer) => chunks.push(chunk));
    const long = new Uint8Array(100_000).fill(2);
    const brief = Uint8Array.of(4, 5);
    const isLasting = (piece: Uint8Array): boolean => piece !== brief;
    writer.write([Uint8Array.of(1)]);
    writer.write([long], isLasting);
    writer.writeStamped([brief, long, brief], 5, isLasting);
    writer.write([Uint8Array.of(3)]);
    expect(writer.waitingByteCount).toBe(200_006);
    brief.fill(0);
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => wire.end().once("end", resolve));
    expect(chunks.filter(({ buffer }) => buffer === long.buffer)).toHaveLength(2);
    const received: Uint8Array[] = [];
    const reader = new FrameReader(
      () => 200_000,
      (frame) => received.push(Uint8Array.from(frame)),
    );
    for (const chunk of chunks) reader.push(chunk);
    const [first, plain, stamped, last] = received;
    expect([first, last]).toEqual([Uint8Array.of(1), Uint8Array.of(3)]);
    expect(plain).toEqual(long);
    const body = Uint8Array.of(4, 5, ...long, 4, 5);
    expect(readStamped(stamped ?? long)).toEqual({ sentAt: 5, body });
  });

  it("count as waiting until they have left", async () => {
    const wire = new PassThrough({ highWaterMark: 1 });
    const writer = new FrameWriter(wire);
    writer.write([new Uint8Array(1000)]);
    expect(writer.waitingByteCount).toBe(1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(writer.waitingByteCount).toBeGreaterThan(0);
    wire.resume();
    await expect.poll(() => writer.waitingByteCount).toBe(0);
  });

  it("say when they were sent, if they are to, and are refused when they cannot have", async () => {
    const wire = new PassThrough();
    const writer = new FrameWriter(wire);
    writer.writeStamped([Uint8Array.of(7, 8)], 1234.5);
    await new Promise((resolve) => setImmediate(resolve));
    const stamped: { sentAt: number; body: Uint8Array }[] = [];
    const reader = new FrameReader(
      () => 10,
      (frame) => stamped.push(readStamped(frame)),
    );
    reader.push(wire.read() as Buffer);
    expect(stamped).toEqual([{ sentAt: 1234.5, body: Buffer.of(7, 8) }]);
    expect(() => readStamped(new Uint8Array(7))).toThrow(FrameError);
    expect(() => readStamped(new Uint8Array(8).fill(0xff))).toThrow(FrameError);
  });
});
