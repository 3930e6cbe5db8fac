/**
 * Frames on a stream: a length of four bytes, then as many bytes. The length is checked before
 * anything is kept.
 */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { CodecError } from "../../../core/check.ts";
import { LONG_BYTES } from "../../../core/pieces.ts";

const HEADER_BYTES = 4;
/** How much longer a stamped frame is. */
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
  /** The first bytes of a header. */
  #header: Buffer = Buffer.alloc(0);
  /**
   * A frame that has begun, and how much of it has come. It has its buffer as soon as its length is
   * known, and is put there as it comes: to join it at its end would go over all of a long one in
   * one turn of the event loop, and over what has come behind a short one.
   */
  #begun: Buffer | null = null;
  #filledByteCount = 0;

  constructor(bytesMax: () => number, onFrame: (frame: Uint8Array) => void) {
    this.#bytesMax = bytesMax;
    this.#onFrame = onFrame;
  }

  /** @throws FrameError when a frame is announced that is longer than allowed */
  push(chunk: Buffer): void {
    let from = 0;
    let bytes = chunk;
    if (this.#begun !== null) from = this.#fill(this.#begun, chunk);
    else if (this.#header.length > 0) {
      bytes = Buffer.concat([this.#header, chunk]);
      this.#header = this.#header.subarray(0, 0);
    }
    while (bytes.length - from >= HEADER_BYTES) {
      const length = bytes.readUInt32BE(from);
      if (length > this.#bytesMax()) throw new FrameError(`a frame of ${length} bytes`);
      const start = from + HEADER_BYTES;
      from = start + length;
      if (from > bytes.length) return this.#begin(length, bytes.subarray(start));
      this.#onFrame(bytes.subarray(start, from));
    }
    if (from < bytes.length) this.#header = Buffer.from(bytes.subarray(from));
  }

  #begin(length: number, come: Buffer): void {
    this.#begun = Buffer.allocUnsafeSlow(length);
    this.#filledByteCount = come.copy(this.#begun);
  }

  /** @returns how much of the chunk belongs to the frame */
  #fill(frame: Buffer, chunk: Buffer): number {
    const count = chunk.copy(frame, this.#filledByteCount);
    this.#filledByteCount += count;
    if (this.#filledByteCount === frame.length) {
      this.#begun = null;
      this.#onFrame(frame);
    }
    return count;
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
  if (!Number.isFinite(sentAt)) throw new FrameError("a frame with a malformed time");
  return { sentAt, body: frame.subarray(STAMP_BYTES) };
}

/** Frames are put together in stretches of this many bytes; a longer one gets its own. */
const STRETCH_BYTES = 64 * 1024;

export function byteCountOf(pieces: readonly Uint8Array[]): number {
  let byteCount = 0;
  for (const { length } of pieces) byteCount += length;
  return byteCount;
}

type Judge = (piece: Uint8Array) => boolean;
const never: Judge = () => false;

/**
 * Gathers what one turn of the event loop sends and hands it to the socket in one go. What it is
 * given is copied, so that a batch of small frames is one buffer to the socket, not two for each. A
 * long piece that is lasting is not copied: nobody writes into it any more, and it is sent from
 * where it lies.
 */
export class FrameWriter {
  readonly #socket: Duplex;
  /** Stretches that are full, and the one that is being filled, from here to there. */
  #full: Buffer[] = [];
  #open: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;
  #queuedByteCount = 0;
  #isScheduled = false;

  constructor(socket: Duplex) {
    this.#socket = socket;
  }

  /** Bytes that were given to this writer and have not left the process yet. */
  get waitingByteCount(): number {
    return this.#queuedByteCount + this.#socket.writableLength;
  }

  /** @param pieces which make the frame one after the other */
  write(pieces: readonly Uint8Array[], isLasting = never): void {
    const at = this.#reserve(HEADER_BYTES);
    this.#open.writeUInt32BE(byteCountOf(pieces), at);
    this.#add(pieces, isLasting);
  }

  /** Writes a frame that `readStamped` takes apart again. */
  writeStamped(pieces: readonly Uint8Array[], sentAt: number, isLasting = never): void {
    const at = this.#reserve(HEADER_BYTES + STAMP_BYTES);
    this.#open.writeUInt32BE(STAMP_BYTES + byteCountOf(pieces), at);
    this.#open.writeDoubleBE(sentAt, at + HEADER_BYTES);
    this.#add(pieces, isLasting);
  }

  /** Where in the open stretch there is room. */
  #reserve(byteCount: number): number {
    if (this.#to + byteCount > this.#open.length) {
      this.#endStretch();
      this.#open = Buffer.allocUnsafeSlow(Math.max(STRETCH_BYTES, byteCount));
      this.#from = 0;
      this.#to = 0;
    }
    const at = this.#to;
    this.#to += byteCount;
    return at;
  }

  #endStretch(): void {
    if (this.#to > this.#from) this.#full.push(this.#open.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  #add(pieces: readonly Uint8Array[], isLasting: Judge): void {
    for (const piece of pieces) {
      const { buffer, byteOffset, length } = piece;
      if (length >= LONG_BYTES && isLasting(piece)) {
        this.#endStretch();
        this.#full.push(Buffer.from(buffer, byteOffset, length));
      } else {
        const at = this.#reserve(length);
        this.#open.set(piece, at);
      }
      this.#queuedByteCount += length;
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isScheduled = false;
    this.#endStretch();
    const stretches = this.#full;
    this.#full = [];
    this.#queuedByteCount = 0;
    if (this.#socket.destroyed) return;
    this.#socket.cork();
    for (const stretch of stretches) this.#socket.write(stretch);
    this.#socket.uncork();
  }
}

export interface FrameStream {
  /** What had come on the socket before it was handed over. */
  readonly head: Buffer;
  bytesMax(): number;
  /** Called for every frame. A FrameError or CodecError out of it closes the socket. */
  onFrame(frame: Uint8Array): void;
  /** Called after the frames that one read of the socket has brought, malformed ones included. */
  onRead?(): void;
  onMalformed(reason: string): void;
}

/** Reads frames from a socket for as long as it lives; anything else closes it. */
export function readFrames(socket: Duplex, stream: FrameStream): void {
  settle(socket);
  const reader = new FrameReader(stream.bytesMax, stream.onFrame);
  const take = (chunk: Buffer): void => {
    let fault: string | null = null;
    try {
      reader.push(chunk);
    } catch (error) {
      if (!(error instanceof FrameError) && !(error instanceof CodecError)) throw error;
      fault = error.message;
    }
    stream.onRead?.();
    if (fault === null) return;
    stream.onMalformed(fault);
    socket.destroy();
  };
  socket.on("data", take);
  socket.on("error", () => socket.destroy());
  // A listener's sockets stay half open, but a peer that has closed its side takes no reply either.
  socket.on("end", () => socket.destroy());
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
