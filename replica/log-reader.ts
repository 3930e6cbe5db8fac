/** Reads records of the log: what is staged from memory, and all else from the disk. */
import type { Bytes } from "../core/pieces.ts";
import { StoreCorruption } from "../core/store.ts";
import type { IndexTable } from "./index-table.ts";
import { DiskFailure } from "./log-disk.ts";
import {
  decodeRecordHeader,
  isBody,
  isRecordHeaderAt,
  OPERATIONS,
  pageOf,
  RECORD_HEADER_BYTES,
  recordByteCount,
  segmentFile,
} from "./log-format.ts";
import type { LogState } from "./log-state.ts";
import type { LogWriter } from "./log-writer.ts";

const ANY_SEQUENCE = { above: 0, atMost: Number.POSITIVE_INFINITY };

export class LogReader {
  readonly #state: LogState;
  readonly #writer: LogWriter;

  constructor(state: LogState, writer: LogWriter) {
    this.#state = state;
    this.#writer = writer;
  }

  /**
   * `undefined` also when the disk does not give it back: as bad as a checksum that fails.
   *
   * Nothing of a record that the disk gives back is believed unless it verifies, and it must be the
   * one looked for. A staged body has not left this memory since it was written: its checksum,
   * which for a large one takes longer than all the rest, would find nothing.
   */
  record(table: IndexTable, slot: number, key: string): Bytes | undefined {
    try {
      return this.certainRecord(table, slot, key);
    } catch (error) {
      if (error instanceof DiskFailure) return undefined;
      throw error;
    }
  }

  /**
   * The same for a record that may be readable later. @throws StoreCorruption when the disk fails
   */
  recordNow(table: IndexTable, slot: number, key: string): Bytes | undefined {
    try {
      return this.certainRecord(table, slot, key);
    } catch (error) {
      if (error instanceof DiskFailure) throw new StoreCorruption(error.message);
      throw error;
    }
  }

  /** The same, where the disk gives bytes back, right or wrong. @throws DiskFailure */
  certainRecord(table: IndexTable, slot: number, key: string): Bytes | undefined {
    const row = table.row(slot);
    const byteCount = recordByteCount(row);
    const staged = this.#writer.readStaged(row.segment, row.offset, byteCount);
    const bytes = staged?.bytes ?? this.#onDisk(row.segment, row.offset, byteCount);
    const salt = this.#state.index.segment(row.segment).salt;
    const expected = { salt, checksum: this.#state.checksum, bounds: ANY_SEQUENCE };
    if (bytes === undefined) return undefined;
    const page = pageOf(bytes);
    if (!isRecordHeaderAt(page, 0, expected)) return undefined;
    const header = decodeRecordHeader(page, 0);
    const isEmptied = header.operation === OPERATIONS.lost && header.bodyByteCount === 0;
    if (header.key !== key || header.operation === OPERATIONS.drop || isEmptied) return undefined;
    const found = bytes.subarray(RECORD_HEADER_BYTES + header.keyByteCount);
    const body = staged?.body ?? found;
    if (body.length !== header.bodyByteCount) return undefined;
    return staged !== undefined || isBody(found, header, expected) ? body : undefined;
  }

  /** @throws DiskFailure */
  #onDisk(segment: number, offset: number, byteCount: number): Uint8Array | undefined {
    const bytes = new Uint8Array(byteCount);
    const readCount = this.#state.disk.read(segmentFile(segment), offset, bytes);
    return readCount === byteCount ? bytes : undefined;
  }
}
