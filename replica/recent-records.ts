/**
 * The bodies of records that were read or written lately, so that a hot key costs no read of the
 * disk. A record is verified when it is read and then kept as it is: who holds on to the same bytes
 * may keep with them what they decoded to.
 */
import { assert } from "../core/assert.ts";
import type { StoreKey } from "../core/store.ts";

/** What a record takes beside its bytes and its key, roughly: the map's and the objects' own. */
const OVERHEAD_BYTES = 200;

const sizeOf = (key: StoreKey, body: Uint8Array): number =>
  OVERHEAD_BYTES + key.length + body.length;

/** The least recently used goes first: a `Map` keeps the order in which keys were put in. */
export class RecentRecords {
  readonly #byteCountMax: number;
  readonly #bodies = new Map<StoreKey, Uint8Array>();
  #byteCount = 0;

  /** @param byteCountMax 0 keeps nothing */
  constructor(byteCountMax: number) {
    this.#byteCountMax = byteCountMax;
  }

  get(key: StoreKey): Uint8Array | undefined {
    const body = this.#bodies.get(key);
    if (body === undefined) return undefined;
    this.#bodies.delete(key);
    this.#bodies.set(key, body);
    return body;
  }

  /** Takes the place of what was kept for the key. A body that is a fair part of it all is not. */
  put(key: StoreKey, body: Uint8Array): void {
    this.drop(key);
    const size = sizeOf(key, body);
    if (size > this.#byteCountMax / 8) return;
    this.#bodies.set(key, body);
    this.#byteCount += size;
    while (this.#byteCount > this.#byteCountMax) {
      const oldest = this.#bodies.keys().next();
      assert(oldest.done !== true, "bytes are counted only for what is kept");
      this.drop(oldest.value);
    }
  }

  drop(key: StoreKey): void {
    const body = this.#bodies.get(key);
    if (body === undefined) return;
    this.#bodies.delete(key);
    this.#byteCount -= sizeOf(key, body);
  }
}
