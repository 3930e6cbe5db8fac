/** What the values of each namespace take up: counted at every write, never by a walk. */
import { assert } from "../core/assert.ts";
import { holdsValue } from "../core/expiry.ts";
import { namespaceOf } from "../core/keys.ts";
import type { StoreKey, StoreStats, Usage } from "../core/store.ts";

/** What one record counts for, if it holds a value. */
export const usedBytes = (key: StoreKey, byteCount: number): number => key.length + byteCount;

export class UsageTable {
  readonly #usages = new Map<string, { keyCount: number; byteCount: number }>();
  #deadKeyCount = 0;
  #deadByteCount = 0;

  get all(): ReadonlyMap<string, Usage> {
    return this.#usages;
  }

  /** Of all namespaces, the records without a body, and the bytes of those. */
  get dead(): Pick<StoreStats, "deadKeyCount" | "deadByteCount"> {
    return { deadKeyCount: this.#deadKeyCount, deadByteCount: this.#deadByteCount };
  }

  /** @param byteCount of the record's `bytes` */
  add(key: StoreKey, byteCount: number, dueAt: number): void {
    if (!holdsValue(dueAt)) {
      this.#deadKeyCount++;
      this.#deadByteCount += byteCount;
      return;
    }
    const namespace = namespaceOf(key);
    let usage = this.#usages.get(namespace);
    if (usage === undefined) {
      usage = { keyCount: 0, byteCount: 0 };
      this.#usages.set(namespace, usage);
    }
    usage.keyCount++;
    usage.byteCount += usedBytes(key, byteCount);
  }

  /** With the numbers with which it was added. */
  remove(key: StoreKey, byteCount: number, dueAt: number): void {
    if (!holdsValue(dueAt)) {
      this.#deadKeyCount--;
      this.#deadByteCount -= byteCount;
      assert(this.#deadKeyCount >= 0 && this.#deadByteCount >= 0, "no more goes than came");
      return;
    }
    const namespace = namespaceOf(key);
    const usage = this.#usages.get(namespace);
    assert(usage !== undefined, "what goes was counted when it came");
    usage.keyCount--;
    usage.byteCount -= usedBytes(key, byteCount);
    assert(usage.keyCount >= 0 && usage.byteCount >= 0, "no more goes than came");
    if (usage.keyCount === 0) this.#usages.delete(namespace);
  }
}
