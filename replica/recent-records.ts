/**
 * The bodies of records that were read or written lately, so that a hot key costs no read of the
 * disk. A record is verified when it is read and then kept as it is: a reader that holds on to the
 * same bytes may keep with them what they decoded to.
 */
import { assert } from "../core/assert.ts";
import type { StoreKey } from "../core/store.ts";

/** What a record takes beside its bytes and its key, roughly: the map's and the objects' own. */
const OVERHEAD_BYTES = 200;
/**
 * A longer record has no place among the others: a long response that comes by in pieces would push
 * out all of them. The last one is kept beside them, since a key that holds much is mostly asked
 * for again soon: a hundred reads of 26 MiB, or the next write to it, took 40 ms of the event loop
 * each for the disk and a checksum.
 */
const RECORD_BYTES_MAX = 256 * 1024;

/** A record's bytes, or something that holds them and has their length. */
interface Sized {
  readonly length: number;
}

const sizeOf = (key: StoreKey, body: Sized): number => OVERHEAD_BYTES + key.length + body.length;

interface Kept<Body> {
  body: Body;
  /** It was asked for since it was last passed over. */
  isUsed: boolean;
}

/**
 * The oldest goes first, unless it was used meanwhile: then it gets a second turn. So a record that
 * is used stays where it is, and only what has to go moves.
 */
export class RecentRecords<Body extends Sized = Uint8Array> {
  readonly #byteCountMax: number;
  /** In the order in which they came. */
  readonly #kept = new Map<StoreKey, Kept<Body>>();
  #byteCount = 0;
  #lastLong: { readonly key: StoreKey; readonly body: Body } | null = null;
  /**
   * Stands before the oldest, because all that it has passed was deleted or put last. A new
   * iterator would walk over the holes of all that went since the map was last laid out.
   */
  #oldest: MapIterator<[StoreKey, Kept<Body>]> | null = null;

  /** @param byteCountMax for all but the last long record, and again for that; 0 keeps nothing */
  constructor(byteCountMax: number) {
    this.#byteCountMax = byteCountMax;
  }

  get(key: StoreKey): Body | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return this.#longOf(key);
    kept.isUsed = true;
    return kept.body;
  }

  /**
   * Takes the place of what was kept for the key.
   *
   * @param mayBeLong whether one that is long, or a fair part of all, is worth its place
   */
  put(key: StoreKey, body: Body, mayBeLong = true): void {
    const size = sizeOf(key, body);
    if (size > Math.min(RECORD_BYTES_MAX, this.#byteCountMax / 8)) {
      this.drop(key);
      if (mayBeLong && size <= this.#byteCountMax) this.#lastLong = { key, body };
      return;
    }
    if (this.#longOf(key) !== undefined) this.#lastLong = null;
    const kept = this.#kept.get(key);
    if (kept === undefined) this.#kept.set(key, { body, isUsed: false });
    else {
      this.#byteCount -= sizeOf(key, kept.body);
      kept.body = body;
    }
    this.#byteCount += size;
    while (this.#byteCount > this.#byteCountMax) this.#evict();
  }

  drop(key: StoreKey): void {
    if (this.#longOf(key) !== undefined) this.#lastLong = null;
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#byteCount -= sizeOf(key, kept.body);
  }

  #longOf(key: StoreKey): Body | undefined {
    return this.#lastLong?.key === key ? this.#lastLong.body : undefined;
  }

  #evict(): void {
    for (;;) {
      this.#oldest ??= this.#kept.entries();
      const next = this.#oldest.next();
      assert(next.done !== true, "bytes are counted only for what is kept");
      const [key, kept] = next.value;
      this.#kept.delete(key);
      if (!kept.isUsed) {
        this.#byteCount -= sizeOf(key, kept.body);
        return;
      }
      kept.isUsed = false;
      this.#kept.set(key, kept);
    }
  }
}
