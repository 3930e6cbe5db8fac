/**
 * Changes as a source tells them, kept for a while: what was written while feeds watched, read for
 * one, or encoded for one at another node, is there for all others that ask for it, whatever their
 * prefix and their frontend. Feeds that keep up ask for the same changes within a moment, so few
 * are kept.
 *
 * They are kept in two generations: when the younger one is full, the older one goes as a whole.
 * To let them go one by one, the oldest first, a map would have to walk over the holes that those
 * before it left.
 */
import type { StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { ToldEntry } from "../../../core/told-entry.ts";

/** Two thousand changes without values: what some hundred milliseconds of many writes tell. */
const BYTES_MAX = 2 * 1024 * 1024;
const GENERATION_BYTES_MAX = BYTES_MAX / 2;
/** A change that is longer is read again. */
const CHANGE_BYTES_MAX = 64 * 1024;
/** What an entry of a map takes up beside its bytes, or without any, roughly. */
const OVERHEAD_BYTES = 800;

export interface ToldChange {
  /** Where the key stood then: what stands at a position never becomes another. */
  readonly position: number;
  /** With or without the values. */
  readonly entry: ToldEntry;
  /** When nothing of it lives any more; 0 where nothing does, Infinity where it has no end. */
  readonly livesUntil: WallMillis;
}

class Generation {
  readonly #whole = new Map<StoreKey, ToldChange>();
  readonly #bare = new Map<StoreKey, ToldChange>();
  byteCount = 0;

  /** @param values whether to give changes with their values, or those without */
  of(values: boolean): Map<StoreKey, ToldChange> {
    return values ? this.#whole : this.#bare;
  }
}

export class ToldChanges {
  #young = new Generation();
  #old = new Generation();
  #basis: readonly unknown[] = [];

  /** All is forgotten when what it was made by has changed: positions, or purges. */
  settle(basis: readonly unknown[]): void {
    if (basis.every((part, i) => part === this.#basis[i])) return;
    this.#basis = basis;
    this.#young = new Generation();
    this.#old = new Generation();
  }

  of(key: StoreKey, position: number, values: boolean): ToldChange | undefined {
    const change = this.#young.of(values).get(key) ?? this.#old.of(values).get(key);
    return change?.position === position ? change : undefined;
  }

  keep(key: StoreKey, change: ToldChange, values: boolean): void {
    const { byteCount } = change.entry;
    if (byteCount > CHANGE_BYTES_MAX) return;
    const size = 2 * key.length + byteCount + OVERHEAD_BYTES;
    if (this.#young.byteCount + size > GENERATION_BYTES_MAX) {
      this.#old = this.#young;
      this.#young = new Generation();
    }
    // One that is kept again counts twice until its generation goes.
    this.#young.byteCount += size;
    this.#young.of(values).set(key, change);
  }
}
