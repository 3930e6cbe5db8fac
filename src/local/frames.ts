/**
 * Frames on a stream: a length of four bytes, then as many bytes. The length is checked before
 * anything is kept.
 */
import type { Duplex } from "node:stream";

export class FrameError extends Error {
  override readonly name = "FrameError";
}

/** Cuts a stream of chunks into frames; the bound may change once the other side is trusted. */
export class FrameReader {
  readonly #bytesMax: () => number;
  readonly #onFrame: (frame: Uint8Array) => void;
  #chunks: Buffer[] = [];
  #byteCount = 0;

  constructor(bytesMax: () => number, onFrame: (frame: Uint8Array) => void) {
    this.#bytesMax = bytesMax;
    this.#onFrame = onFrame;
  }

  /** @throws FrameError when a frame is announced that is longer than allowed */
  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#byteCount += chunk.length;
    while (this.#byteCount >= 4) {
      const length = this.#firstOfAtLeast(4).readUInt32BE(0);
      if (length > this.#bytesMax()) throw new FrameError(`a frame of ${length} bytes`);
      if (this.#byteCount < 4 + length) return;
      const first = this.#firstOfAtLeast(4 + length);
      const rest = first.subarray(4 + length);
      if (rest.length > 0) this.#chunks[0] = rest;
      else this.#chunks.shift();
      this.#byteCount -= 4 + length;
      this.#onFrame(first.subarray(4, 4 + length));
    }
  }

  /** The first chunk, joined with the others only when it is too short by itself. */
  #firstOfAtLeast(length: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length >= length) return first;
    const joined = Buffer.concat(this.#chunks);
    this.#chunks = [joined];
    return joined;
  }
}

/** Gathers what one turn of the event loop sends and hands it to the socket in one go. */
export class FrameWriter {
  readonly #socket: Duplex;
  #queue: Uint8Array[] = [];
  #isScheduled = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Bytes that were handed over and have not left yet. */
  get bufferedByteCount(): number {
    return this.#socket.writableLength;
  }

  write(frame: Uint8Array): void {
    this.#queue.push(frame);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    const frames = this.#queue;
    this.#queue = [];
    if (this.#socket.destroyed) return;
    this.#socket.cork();
    for (const frame of frames) {
      const header = Buffer.allocUnsafe(4);
      header.writeUInt32BE(frame.length);
      this.#socket.write(header);
      this.#socket.write(frame);
    }
    this.#socket.uncork();
  }
}
