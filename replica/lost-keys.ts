/**
 * Keys whose record does not count: it cannot be read, or its body was given up too early.
 *
 * A record that rotted is **unsure** until enough other owners were asked for the key (see
 * src/node/jobs/refill.ts): what one of them brings may be older than what was lost, which may be
 * counted in a quorum that the older version has no part in. After that whatever is brought makes
 * the key count again. What was lost at a start is not unsure: the whole replica compares itself
 * with the others then (src/node/jobs/lost-past.ts).
 */
import type { StoreKey } from "../core/store.ts";

interface Loss {
  isUnsure: boolean;
  /** Something was stored since: that can be lost in turn. */
  isRewritten: boolean;
}

export class LostKeys {
  readonly #losses = new Map<StoreKey, Loss>();
  /** How many keys are unsure. */
  unsureCount = 0;

  /** @param atStart what was found damaged at the start */
  constructor(atStart: Iterable<StoreKey>) {
    for (const key of atStart) this.#losses.set(key, { isUnsure: false, isRewritten: false });
  }

  get size(): number {
    return this.#losses.size;
  }

  has(key: StoreKey): boolean {
    return this.#losses.has(key);
  }

  keys(): Iterable<StoreKey> {
    return this.#losses.keys();
  }

  isUnsure(key: StoreKey): boolean {
    return this.#losses.get(key)?.isUnsure === true;
  }

  /** Only the body is missing: all else of the record can be read, and is known. */
  addWithoutBody(key: StoreKey): void {
    if (!this.has(key)) this.#losses.set(key, { isUnsure: false, isRewritten: true });
  }

  /**
   * The record cannot be read.
   *
   * @param hasOthers whether there are other owners to ask
   * @returns whether that is news: it could be read before, or was stored anew since
   */
  addDamaged(key: StoreKey, hasOthers: boolean): boolean {
    const known = this.#losses.get(key);
    if (known?.isRewritten === false) return false;
    this.delete(key);
    this.#losses.set(key, { isUnsure: hasOthers, isRewritten: false });
    if (hasOthers) this.unsureCount++;
    return true;
  }

  /** The key's record was stored anew. */
  rewritten(key: StoreKey): void {
    const loss = this.#losses.get(key);
    if (loss !== undefined) loss.isRewritten = true;
  }

  /** Enough other owners were asked. */
  settle(key: StoreKey): void {
    const loss = this.#losses.get(key);
    if (loss?.isUnsure !== true) return;
    loss.isUnsure = false;
    this.unsureCount--;
  }

  /** @returns whether it was lost */
  delete(key: StoreKey): boolean {
    if (this.isUnsure(key)) this.unsureCount--;
    return this.#losses.delete(key);
  }

  clear(): void {
    this.#losses.clear();
    this.unsureCount = 0;
  }
}
