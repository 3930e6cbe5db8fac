/**
 * Frames on a stream: a length of four bytes, then as many bytes. The length is checked before
 * anything is kept.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { assert } from "../../core/assert.ts";
import { CodecError } from "../../core/codec.ts";

const HEADER_BYTES = 4;
/** What a stamped frame is longer by. */
export const STAMP_BYTES = 8;
/** An idle connection is looked after this often. */
const KEEP_ALIVE_MS = 10_000;

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
    while (this.#byteCount >= HEADER_BYTES) {
      const length = this.#firstOfAtLeast(HEADER_BYTES).readUInt32BE(0);
      if (length > this.#bytesMax()) throw new FrameError(`a frame of ${length} bytes`);
      const end = HEADER_BYTES + length;
      if (this.#byteCount < end) return;
      const first = this.#firstOfAtLeast(end);
      const rest = first.subarray(end);
      if (rest.length > 0) this.#chunks[0] = rest;
      else this.#chunks.shift();
      this.#byteCount -= end;
      assert(this.#byteCount >= rest.length, "what is left holds the rest of the chunk");
      this.#onFrame(first.subarray(HEADER_BYTES, end));
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

/**
 * A frame that says first when it was sent, in ms of the sender's own clock.
 *
 * @throws FrameError when it does not
 */
export function readStamped(frame: Uint8Array): { sentAt: number; body: Uint8Array } {
  if (frame.length < STAMP_BYTES) throw new FrameError("a frame without its time");
  const sentAt = new DataView(frame.buffer, frame.byteOffset).getFloat64(0);
  if (!Number.isFinite(sentAt)) throw new FrameError("a frame with a time that is none");
  return { sentAt, body: frame.subarray(STAMP_BYTES) };
}

/** Gathers what one turn of the event loop sends and hands it to the socket in one go. */
export class FrameWriter {
  readonly #socket: Duplex;
  #queue: { readonly header: Buffer; readonly frame: Uint8Array }[] = [];
  #queuedByteCount = 0;
  #isScheduled = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Bytes that were given to this writer and have not left the process yet. */
  get waitingByteCount(): number {
    return this.#queuedByteCount + this.#socket.writableLength;
  }

  write(frame: Uint8Array): void {
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32BE(frame.length);
    this.#add(header, frame);
  }

  /** Writes a frame that `readStamped` takes apart again. */
  writeStamped(frame: Uint8Array, sentAt: number): void {
    const header = Buffer.allocUnsafe(HEADER_BYTES + STAMP_BYTES);
    header.writeUInt32BE(STAMP_BYTES + frame.length);
    header.writeDoubleBE(sentAt, HEADER_BYTES);
    this.#add(header, frame);
  }

  #add(header: Buffer, frame: Uint8Array): void {
    this.#queue.push({ header, frame });
    this.#queuedByteCount += frame.length;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    const frames = this.#queue;
    this.#queue = [];
    this.#queuedByteCount = 0;
    if (this.#socket.destroyed) return;
    this.#socket.cork();
    for (const { header, frame } of frames) {
      this.#socket.write(header);
      this.#socket.write(frame);
    }
    this.#socket.uncork();
  }
}

export interface FrameStream {
  /** What had come on the socket before it was handed over. */
  readonly head: Buffer;
  bytesMax(): number;
  /** Called for every frame. A FrameError or CodecError out of it closes the socket. */
  onFrame(frame: Uint8Array): void;
  onMalformed(reason: string): void;
}

/** Reads frames from a socket for as long as it lives; what is none closes it. */
export function readFrames(socket: Duplex, stream: FrameStream): void {
  settle(socket);
  const reader = new FrameReader(stream.bytesMax, stream.onFrame);
  const take = (chunk: Buffer): void => {
    try {
      reader.push(chunk);
    } catch (error) {
      if (!(error instanceof FrameError) && !(error instanceof CodecError)) throw error;
      stream.onMalformed(error.message);
      socket.destroy();
    }
  };
  socket.on("data", take);
  socket.on("error", () => socket.destroy());
  if (stream.head.length > 0) take(stream.head);
}

/** Node hands sockets of upgraded requests over as streams, and they still are sockets. */
function settle(socket: Duplex): void {
  if (!(socket instanceof Socket)) return;
  socket.setNoDelay(true);
  socket.setTimeout(0);
  // Finds out in the end that the other machine is gone without having said so.
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
}
