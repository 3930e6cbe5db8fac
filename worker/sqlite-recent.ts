/**
 * What is known of records without asking SQL: those read or written lately, as a whole, and where
 * the one stands that was looked up last. A step asks for a record, then for its digest, and then
 * writes it: that is one look-up. Nobody else writes to the table, and a step that fails ends the
 * object and this with it, so what is here is what is stored.
 */
import type { Digest, StoreKey } from "../core/store.ts";
import { RecentRecords } from "../replica/recent-records.ts";

/** All of a record but its bytes. */
export interface Placed {
  readonly partition: number;
  readonly digest: Digest;
  readonly byteCount: number;
  readonly dueAt: number;
  readonly position: number;
}

interface Whole {
  readonly placed: Placed;
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** Several objects may share the 128 MB of an isolate. */
const RECENT_BYTES_MAX = 4 * 1024 * 1024;

export class SqliteRecent {
  readonly #records = new RecentRecords<Whole>(RECENT_BYTES_MAX);
  #lastKey: StoreKey | null = null;
  #last: Placed | null = null;

  /** null: there is no record; undefined: SQL has to be asked. */
  placed(key: StoreKey): Placed | null | undefined {
    const whole = this.#records.get(key);
    if (whole !== undefined) return whole.placed;
    return key === this.#lastKey ? this.#last : undefined;
  }

  bytes(key: StoreKey): Uint8Array | undefined {
    return this.#records.get(key)?.bytes;
  }

  /** @param placed null when there is no record */
  found(key: StoreKey, placed: Placed | null): void {
    this.#lastKey = key;
    this.#last = placed;
  }

  /** The record as it is stored now. */
  stands(key: StoreKey, placed: Placed, bytes: Uint8Array): void {
    this.found(key, placed);
    this.#records.put(key, { placed, bytes, length: bytes.length });
  }

  dropped(key: StoreKey): void {
    this.found(key, null);
    this.#records.drop(key);
  }
}
