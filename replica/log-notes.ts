/**
 * A replica's notes to itself, by name: the number of its life, what it has promised, what it may
 * have lost. All of them are read when the log is opened, and kept in memory. A disk that fails for
 * a moment must not be taken for one without them: a life's number would be given a second time,
 * and its versions with it. Such a start ends, and the next one reads again.
 */
import { wholeOf } from "../core/pieces.ts";
import type { Recovery } from "../core/store.ts";
import type { IndexTable } from "./index-table.ts";
import type { LogReader } from "./log-reader.ts";

export class LogNotes {
  readonly #notes = new Map<string, Uint8Array>();
  /** Names of those that are damaged: as good as none, and an older one must not take its place. */
  readonly damaged: readonly string[];

  /** @throws DiskFailure when one cannot be read */
  constructor(table: IndexTable, reader: LogReader) {
    const damaged: string[] = [];
    for (const slot of table.liveSlots()) {
      const name = table.keyOf(slot);
      const bytes = reader.certainRecord(table, slot, name);
      if (bytes === undefined) damaged.push(name);
      else this.#notes.set(name, wholeOf(bytes));
    }
    this.damaged = damaged;
  }

  /** What the start found, with notes that are damaged: no start with such a loss is clean. */
  recoveryOf({ recovery }: { readonly recovery: Recovery }): Recovery {
    const { length } = this.damaged;
    if (length === 0) return recovery;
    return { ...recovery, clean: false, corruptCount: recovery.corruptCount + length };
  }

  read(name: string): Uint8Array | undefined {
    return this.#notes.get(name);
  }

  /** @param bytes are copied */
  write(name: string, bytes: Uint8Array): void {
    this.#notes.set(name, bytes.slice());
  }
}
