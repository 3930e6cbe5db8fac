/** What the suites of stores share. It runs inside workerd too: the language, and nothing else. */
import { type Bytes, wholeOf } from "../../core/pieces.ts";
import type { EntryRecord, Store } from "../../core/store.ts";

export interface StoreFixture {
  readonly store: Store;
  /** Makes all writes durable, ends this store and opens what it left behind. */
  reopen(): Store | Promise<Store>;
}

/** Hands a fresh, empty store to `use` and cleans up when that is done. */
export type StoreMaker = (
  use: (fixture: StoreFixture) => void | Promise<void>,
) => void | Promise<void>;

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

export const entry = (text: string, more: Partial<EntryRecord> = {}): EntryRecord => ({
  bytes: bytesOf(text),
  partition: 3,
  digest: 2 ** 52 + text.length,
  dueAt: 0,
  ...more,
});

/** What an index says of a value without an end. */
export const live = { dueAt: 0, holdsValue: true };
export const nothingDead = { deadKeyCount: 0, deadByteCount: 0 };

/** Plain numbers: a store may hand out a view of something larger. */
export const plain = (bytes: Bytes | undefined): number[] | undefined =>
  bytes === undefined ? undefined : [...wholeOf(bytes)];
export const readText = (store: Store, key: string): string | undefined => {
  const bytes = store.readEntry(key);
  return bytes === undefined ? undefined : new TextDecoder().decode(wholeOf(bytes));
};
export const keysOf = (store: Store, partition: number): string[] =>
  [...store.entriesOf(partition)].map((summary) => summary.key).sort();
