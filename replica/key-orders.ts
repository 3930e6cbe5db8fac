/** Each namespace's keys in order, made when somebody asks for a page of them. */
import { namespaceOf } from "../core/keys.ts";
import type { Store, StoreKey } from "../core/store.ts";
import { KeyOrder } from "./key-order.ts";

export class KeyOrders {
  readonly #store: Store;
  readonly #partitionCount: () => number;
  readonly #orders = new Map<string, KeyOrder>();

  constructor(store: Store, partitionCount: () => number) {
    this.#store = store;
    this.#partitionCount = partitionCount;
  }

  /** Keys that start with the prefix, after one of them; a store that has an order is asked. */
  page(prefix: StoreKey, after: StoreKey, countMax: number): readonly StoreKey[] {
    const store = this.#store;
    if (store.keysAfter !== undefined) return store.keysAfter(prefix, after, countMax);
    const namespace = namespaceOf(prefix);
    let order = this.#orders.get(namespace);
    if (order === undefined) {
      order = new KeyOrder(this.#keysOf(namespace));
      this.#orders.set(namespace, order);
    }
    return order.page(prefix, after, countMax);
  }

  /** The store has a key that it did not have before. */
  add(key: StoreKey): void {
    this.#orders.get(namespaceOf(key))?.add(key);
  }

  drop(key: StoreKey): void {
    this.#orders.get(namespaceOf(key))?.drop(key);
  }

  *#keysOf(namespace: string): Iterable<StoreKey> {
    for (let partition = 0; partition < this.#partitionCount(); partition++) {
      for (const { key } of this.#store.entriesOf(partition)) {
        if (namespaceOf(key) === namespace) yield key;
      }
    }
  }
}
