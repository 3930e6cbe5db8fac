/**
 * Changes as a source tells them, kept for a while: what was read and encoded for one feed is there
 * for the others that ask for it, of whatever prefix and from whichever frontend. Feeds that keep
 * up ask for the same changes within a moment, so few are kept.
 */
import type { StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";

/** Some thousands of changes without values, which is seconds of writes. */
const BYTES_MAX = 1024 * 1024;
/** A change that is longer is read again. */
const CHANGE_BYTES_MAX = 64 * 1024;
/** What an entry of a map takes up beside its bytes, roughly. */
const OVERHEAD_BYTES = 200;

export interface ToldChange {
  /** Where the key stood then: what stands at a position never becomes another. */
  readonly position: number;
  /** The encoded entry, with or without the values. */
  readonly bytes: Uint8Array;
  /** From then on nothing of it lives; 0 where nothing does, Infinity where it has no end. */
  readonly livesUntil: WallMillis;
}

export class ToldChanges {
  /** In the order in which they were made. */
  readonly #changes = new Map<string, ToldChange>();
  #byteCount = 0;
  #basis: readonly unknown[] = [];

  /** All is forgotten when what it is made by is not what it was: positions, or purges. */
  settle(basis: readonly unknown[]): void {
    if (basis.every((part, i) => part === this.#basis[i])) return;
    this.#basis = basis;
    this.#changes.clear();
    this.#byteCount = 0;
  }

  of(key: StoreKey, position: number, values: boolean): ToldChange | undefined {
    const change = this.#changes.get(nameOf(key, values));
    return change?.position === position ? change : undefined;
  }

  keep(key: StoreKey, change: ToldChange, values: boolean): void {
    if (change.bytes.length > CHANGE_BYTES_MAX) return;
    const name = nameOf(key, values);
    this.#drop(name);
    this.#changes.set(name, change);
    this.#byteCount += sizeOf(name, change);
    for (const oldest of this.#changes.keys()) {
      if (this.#byteCount <= BYTES_MAX) return;
      this.#drop(oldest);
    }
  }

  #drop(name: string): void {
    const change = this.#changes.get(name);
    if (change === undefined) return;
    this.#changes.delete(name);
    this.#byteCount -= sizeOf(name, change);
  }
}

const nameOf = (key: StoreKey, values: boolean): string => (values ? "v" : "k") + key;

const sizeOf = (name: string, { bytes }: ToldChange): number =>
  2 * name.length + bytes.length + OVERHEAD_BYTES;
