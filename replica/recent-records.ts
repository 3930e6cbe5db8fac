/**
 * The bodies of records that were read or written lately, so that a hot key costs no read of the
 * disk. A record is verified when it is read and then kept as it is: who holds on to the same bytes
 * may keep with them what they decoded to.
 */
import { assert } from "../core/assert.ts";
import type { StoreKey } from "../core/store.ts";

/** What a record takes beside its bytes and its key, roughly: the map's and the objects' own. */
const OVERHEAD_BYTES = 200;
/**
 * A larger record is not kept: a long response that comes by in pieces would push out all small
 * ones, and reading so much at once costs little more than what is done with it.
 */
const RECORD_BYTES_MAX = 256 * 1024;

/** A record's bytes, or what holds them: its length is theirs. */
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
  /**
   * Stands before the oldest, because all that it has passed was deleted or put last. A new one
   * would walk over the holes of all that went since the map was last laid out anew.
   */
  #oldest: MapIterator<[StoreKey, Kept<Body>]> | null = null;

  /** @param byteCountMax 0 keeps nothing */
  constructor(byteCountMax: number) {
    this.#byteCountMax = byteCountMax;
  }

  get(key: StoreKey): Body | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    kept.isUsed = true;
    return kept.body;
  }

  /** Takes the place of what was kept for the key. A large body, or a fair part of all, is not. */
  put(key: StoreKey, body: Body): void {
    const size = sizeOf(key, body);
    if (size > Math.min(RECORD_BYTES_MAX, this.#byteCountMax / 8)) return this.drop(key);
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
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#kept.delete(key);
    this.#byteCount -= sizeOf(key, kept.body);
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
