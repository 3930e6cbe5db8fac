/**
 * A body on its way from the origin: read once, given to everybody who asked for it, and stored in
 * pieces as it comes.
 *
 * What came last is kept in memory, a window of a fixed size. A reader that falls behind it reads
 * what it missed from the pieces that are stored already: the slowest client holds up nobody, and
 * the memory does not grow with the body. The source is read as fast as the fastest reader takes
 * it; with nobody left it is read to its end if it is being stored, and is given up if not.
 */
import { assert } from "../../core/assert.ts";
import { INLINE_BYTES_MAX, PIECE_BYTES } from "../../core/limits.ts";
import type { Bytes, Garbage } from "./ports.ts";

/** Where the pieces go. */
export interface PieceStore {
  write(index: number, bytes: Uint8Array): Promise<void>;
  read(index: number): Promise<Uint8Array>;
}

export interface FlowLimits {
  /** A longer body is not stored. */
  readonly bytesMax: number;
  readonly windowBytes?: number;
  readonly pieceBytes?: number;
  readonly inlineBytesMax?: number;
  readonly garbage?: Garbage | undefined;
}

export interface FlowEnd {
  readonly length: number;
  /** The whole of a short one. */
  readonly bytes: Uint8Array | null;
  readonly isStored: boolean;
}

/** Nobody wants the body any more. */
export class Abandoned extends Error {
  override readonly name = "Abandoned";
}

const NOBODY = "nobody wants the body any more";
const WINDOW_BYTES = 1024 * 1024;
/** Pieces on their way to the ring: some share a flush of the disk, and all take up memory. */
const WRITES_AT_ONCE = 4;
/**
 * Bytes made for each byte that comes: as received and as sent; and, where it is stored, in its
 * piece, in the entry that other owners get, and in the record.
 */
const MADE_PASSED = 2;
const MADE_STORED = 4;
/** The same for each byte that is read from a piece: off the disk or a message, and as sent. */
export const MADE_READ = 2;

interface Chunk {
  readonly from: number;
  readonly bytes: Uint8Array;
}

interface Reader {
  at: number;
}

export function concatenated(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export class BodyFlow {
  readonly #source: Bytes;
  readonly #window: Chunk[] = [];
  readonly #readers = new Set<Reader>();
  readonly #limits: Required<Omit<FlowLimits, "garbage">>;
  readonly #garbage: Garbage | undefined;
  readonly #store: PieceStore | null;
  #isStoring: boolean;
  #piece: Uint8Array[] = [];
  #pieceLength = 0;
  #pieceCount = 0;
  /** Writes of the pieces after those, in order. */
  readonly #writing: Promise<boolean>[] = [];
  #received = 0;
  #isDone = false;
  #failure: Error | null = null;
  #news = Promise.withResolvers<void>();
  /** Ends the source, while its next bytes are waited for too. */
  #endSource: () => void = () => undefined;

  /** @param store null: it is passed on, and not stored */
  constructor(source: Bytes, store: PieceStore | null, limits: FlowLimits) {
    this.#source = source;
    this.#store = store;
    this.#isStoring = store !== null;
    this.#garbage = limits.garbage;
    this.#limits = {
      windowBytes: WINDOW_BYTES,
      pieceBytes: PIECE_BYTES,
      inlineBytesMax: INLINE_BYTES_MAX,
      ...limits,
    };
  }

  /** Whether a new reader can still have all of it. */
  get isOpen(): boolean {
    if (this.#failure !== null) return false;
    const inMemoryFrom = this.#window[0]?.from ?? this.#received;
    return inMemoryFrom <= this.#storedTo;
  }

  get #isForNobody(): boolean {
    return this.#readers.size === 0 && !this.#isStoring && !this.#isDone;
  }

  /** Gives the source up at once: it may stay silent for long, and holds a connection. */
  #abandon(): void {
    this.#failure ??= new Abandoned(NOBODY);
    this.#endSource();
  }

  /** How many bytes from the beginning can be read from pieces. */
  get #storedTo(): number {
    return this.#pieceCount * this.#limits.pieceBytes;
  }

  /** Reads the source to its end. @throws what the source throws; Abandoned */
  async run(): Promise<FlowEnd> {
    const source = this.#source[Symbol.asyncIterator]();
    this.#endSource = () => void source.return?.().catch(() => undefined);
    try {
      for await (const bytes of { [Symbol.asyncIterator]: () => source }) {
        if (bytes.length === 0) continue;
        this.#window.push({ from: this.#received, bytes });
        this.#received += bytes.length;
        this.#wake();
        await this.#collect(bytes);
        this.#trim();
        await this.#tidy(bytes.length);
        await this.#room();
      }
      // A source that was ended on the way has not come to its end.
      if (this.#failure !== null) throw this.#failure;
      const end = await this.#finish();
      this.#isDone = true;
      return end;
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error("the body broke off");
      throw error;
    } finally {
      this.#wake();
    }
  }

  /** All of the body from its beginning, for one more reader, which counts from now on. */
  read(): AsyncIterableIterator<Uint8Array> {
    const reader: Reader = { at: 0 };
    this.#readers.add(reader);
    const leave = (): void => {
      this.#readers.delete(reader);
      this.#wake();
      if (this.#isForNobody) this.#abandon();
    };
    const over = { done: true, value: undefined } as const;
    const iterator: AsyncIterableIterator<Uint8Array> = {
      next: async () => {
        try {
          const bytes = this.#readers.has(reader) ? await this.#next(reader) : null;
          if (bytes === null) {
            leave();
            return over;
          }
          reader.at += bytes.length;
          this.#wake();
          return { done: false, value: bytes };
        } catch (error) {
          leave();
          throw error;
        }
      },
      return: async () => {
        leave();
        return over;
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  async #next(reader: Reader): Promise<Uint8Array | null> {
    for (;;) {
      const first = this.#window[0];
      if (first !== undefined && reader.at >= first.from && reader.at < this.#received) {
        const chunk = this.#window.find(({ from, bytes }) => reader.at < from + bytes.length);
        assert(chunk !== undefined, "the window has no holes");
        return chunk.bytes.subarray(reader.at - chunk.from);
      }
      if (reader.at < this.#received) return this.#fromPieces(reader.at);
      if (this.#failure !== null) throw this.#failure;
      if (this.#isDone) return null;
      await this.#news.promise;
    }
  }

  async #fromPieces(at: number): Promise<Uint8Array> {
    const { pieceBytes } = this.#limits;
    const index = Math.floor(at / pieceBytes);
    if (this.#store === null || index >= this.#pieceCount) {
      throw new Abandoned("what came before is not kept");
    }
    const bytes = await this.#store.read(index);
    if (this.#garbage?.made(bytes.length * MADE_READ) === true) this.#garbage.collect();
    return bytes.subarray(at - index * pieceBytes);
  }

  async #collect(bytes: Uint8Array): Promise<void> {
    if (!this.#isStoring) return;
    if (this.#received > this.#limits.bytesMax) return this.#stopStoring();
    let rest = bytes;
    while (rest.length > 0 && this.#isStoring) {
      const part = rest.subarray(0, this.#limits.pieceBytes - this.#pieceLength);
      this.#piece.push(part);
      this.#pieceLength += part.length;
      rest = rest.subarray(part.length);
      if (this.#pieceLength === this.#limits.pieceBytes) await this.#writePiece();
    }
  }

  async #writePiece(): Promise<void> {
    const bytes = concatenated(this.#piece, this.#pieceLength);
    this.#piece = [];
    this.#pieceLength = 0;
    const index = this.#pieceCount + this.#writing.length;
    const written = this.#store?.write(index, bytes).then(
      () => true,
      () => false,
    );
    if (written !== undefined) this.#writing.push(written);
    if (this.#writing.length >= WRITES_AT_ONCE) await this.#settleWrite();
  }

  /**
   * Has the host look for garbage in time, with no piece on its way: what is in use at one look and
   * again at the next is not looked at for long after that.
   */
  async #tidy(byteCount: number): Promise<void> {
    const made = byteCount * (this.#isStoring ? MADE_STORED : MADE_PASSED);
    if (this.#garbage?.made(made) !== true) return;
    while (this.#writing.length > 0) await this.#settleWrite();
    this.#trim();
    this.#garbage.collect();
  }

  /** Pieces count in their order, so that what is counted can be read. */
  async #settleWrite(): Promise<void> {
    const isWritten = await this.#writing[0];
    void this.#writing.shift();
    if (isWritten === true && this.#isStoring) this.#pieceCount++;
    // Readers of the body must not suffer: it is passed on, and not stored.
    else this.#stopStoring();
  }

  /** Pieces that are written stay readable for readers behind; no head will refer to them. */
  #stopStoring(): void {
    this.#isStoring = false;
    this.#piece = [];
    this.#pieceLength = 0;
  }

  async #finish(): Promise<FlowEnd> {
    const length = this.#received;
    const pieces = this.#pieceCount + this.#writing.length;
    if (this.#isStoring && pieces === 0 && length <= this.#limits.inlineBytesMax) {
      return { length, bytes: concatenated(this.#piece, length), isStored: true };
    }
    if (this.#isStoring && this.#pieceLength > 0) await this.#writePiece();
    while (this.#writing.length > 0) await this.#settleWrite();
    return { length, bytes: null, isStored: this.#isStoring };
  }

  /** Forgets bytes that every reader has, or that are stored and outside of the window. */
  #trim(): void {
    const slowest = Math.min(this.#received, ...[...this.#readers].map(({ at }) => at));
    const outOfWindow = this.#received - this.#limits.windowBytes;
    const mayGo = ({ from, bytes }: Chunk): boolean => {
      const end = from + bytes.length;
      if (end <= this.#storedTo && end <= outOfWindow) return true;
      // While it is being stored, somebody may still come who wants all of it.
      return end <= slowest && !this.#isStoring;
    };
    while (this.#window[0] !== undefined && mayGo(this.#window[0])) this.#window.shift();
  }

  /** Waits until somebody has taken what is there. */
  async #room(): Promise<void> {
    for (;;) {
      if (this.#readers.size === 0) {
        if (this.#isStoring) return;
        throw new Abandoned(NOBODY);
      }
      const places = [...this.#readers].map(({ at }) => at);
      const place = this.#isStoring ? Math.max(...places) : Math.min(...places);
      if (this.#received - place < this.#limits.windowBytes) return;
      await this.#news.promise;
      this.#trim();
    }
  }

  #wake(): void {
    const { resolve } = this.#news;
    this.#news = Promise.withResolvers<void>();
    resolve();
  }
}
