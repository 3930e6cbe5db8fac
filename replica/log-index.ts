/**
 * What the log knows without reading it: for each space an index, for each segment how much of it
 * is still needed. Replaying the records oldest first, or the writes as they come, gives the same.
 */
import { assert } from "../core/assert.ts";
import { ArrivalOrder } from "./arrival-order.ts";
import { IndexTable } from "./index-table.ts";
import { NO_SLOT } from "./key-map.ts";
import {
  OPERATIONS,
  RECORD_HEADER_BYTES,
  type RecordFields,
  type RecordHeader,
  recordByteCount,
  SPACES,
  type Space,
} from "./log-format.ts";
import type { ManifestSegment } from "./log-manifest.ts";
import { UsageTable } from "./usage.ts";

/** A segment as the running log knows it: the manifest's row, kept up to date, and more. */
export interface SegmentState {
  readonly id: number;
  readonly salt: number;
  readonly compacted: boolean;
  readonly cleanSequence: number;
  /** The number of its first record; known for segments that this run began. */
  readonly firstSequence: number;
  closed: boolean;
  /** The header's bytes included. */
  byteCount: number;
  recordCount: number;
  lastSequence: number;
  /** Bytes of records that the index points at. */
  liveByteCount: number;
  /** Bytes of drop records, which are needed as long as an older segment may hold the key. */
  dropByteCount: number;
  lastDropSequence: number;
  /** Some of its records cannot be read and nobody knows which keys they were of. */
  damaged: boolean;
  outlined: boolean;
  /** Some of it does not verify, but it is known what: a copy is whole again. */
  worn: boolean;
}

export function newSegment(
  row: Pick<ManifestSegment, "id" | "salt" | "compacted" | "cleanSequence"> & Partial<SegmentState>,
): SegmentState {
  return {
    firstSequence: 0,
    closed: false,
    byteCount: 0,
    recordCount: 0,
    lastSequence: 0,
    liveByteCount: 0,
    dropByteCount: 0,
    lastDropSequence: 0,
    damaged: false,
    outlined: false,
    worn: false,
    ...row,
  };
}

/** A hint's key in the index: target ids have no NUL, so the first one ends the target. */
export const hintKey = (target: string, key: string): string => `${target}\0${key}`;

export class LogIndex {
  readonly usage = new UsageTable();
  /** The order of the entries' last changes, whose positions are the numbers of their records. */
  readonly arrivals = new ArrivalOrder();
  /** The same for hints: the records of both are numbered in one sequence. */
  readonly hintArrivals = new ArrivalOrder();
  readonly #entries: IndexTable;
  readonly #hints: IndexTable;
  readonly #meta: IndexTable;
  readonly #segments = new Map<number, SegmentState>();
  /** Each target's list in the table of hints. At most one a member that ever was. */
  readonly #targets = new Map<string, number>();

  /** @param seed 32 random bits, for the hash tables */
  constructor(seed: number) {
    this.#entries = new IndexTable(seed, { usage: this.usage, arrivals: this.arrivals });
    this.#hints = new IndexTable(seed, { arrivals: this.hintArrivals });
    this.#meta = new IndexTable(seed);
  }

  get entries(): IndexTable {
    return this.#entries;
  }

  get hints(): IndexTable {
    return this.#hints;
  }

  get meta(): IndexTable {
    return this.#meta;
  }

  table(space: Space): IndexTable {
    if (space === SPACES.entry) return this.#entries;
    if (space === SPACES.hint) return this.#hints;
    assert(space === SPACES.meta, "there are three spaces");
    return this.#meta;
  }

  /** Names every target that ever had a hint with its list. */
  targets(): ReadonlyMap<string, number> {
    return this.#targets;
  }

  addSegment(segment: SegmentState): void {
    this.#segments.set(segment.id, segment);
  }

  segment(id: number): SegmentState {
    const segment = this.#segments.get(id);
    assert(segment !== undefined, "the index points into a segment of the log");
    return segment;
  }

  removeSegment(id: number): void {
    this.#segments.delete(id);
  }

  /** Takes account of one record at the end of a segment. */
  apply(
    header: RecordFields,
    sizes: Pick<RecordHeader, "keyByteCount" | "bodyByteCount">,
    { segment, offset }: { readonly segment: SegmentState; readonly offset: number },
  ): void {
    const table = this.table(header.space);
    const byteCount = recordByteCount(sizes);
    segment.recordCount++;
    segment.lastSequence = header.sequence;
    const slot = table.find(header.key);
    if (slot !== NO_SLOT) this.#supersede(table, slot);
    if (header.operation === OPERATIONS.drop) {
      if (slot !== NO_SLOT) table.remove(slot);
      segment.dropByteCount += byteCount;
      segment.lastDropSequence = header.sequence;
      return;
    }
    const row = {
      segment: segment.id,
      offset,
      keyByteCount: sizes.keyByteCount,
      bodyByteCount: sizes.bodyByteCount,
      list: this.#listOf(header),
      digest: header.digest,
      dueAt: header.dueAt,
      position: header.sequence,
    };
    if (slot === NO_SLOT) table.insert(header.key, row);
    else table.replace(slot, row);
    segment.liveByteCount += byteCount;
  }

  /** A key whose newest record is gone for good, and with it what the index knew. */
  forget(space: Space, key: string): void {
    const table = this.table(space);
    const slot = table.find(key);
    if (slot === NO_SLOT) return;
    this.#supersede(table, slot);
    table.remove(slot);
  }

  /** Points a slot at a copy of its record in another segment. */
  move(space: Space, slot: number, to: { segment: SegmentState; offset: number }): void {
    const table = this.table(space);
    this.#supersede(table, slot);
    table.move(slot, to.segment.id, to.offset);
    to.segment.liveByteCount += RECORD_HEADER_BYTES + table.payloadByteCount(slot);
  }

  /** The same for a key whose record was found damaged: what stands there now has no body. */
  moveLost(slot: number, to: { segment: SegmentState; offset: number }): void {
    const table = this.#entries;
    this.#supersede(table, slot);
    const row = table.row(slot);
    table.replace(slot, { ...row, segment: to.segment.id, offset: to.offset, bodyByteCount: 0 });
    to.segment.liveByteCount += RECORD_HEADER_BYTES + row.keyByteCount;
  }

  #supersede(table: IndexTable, slot: number): void {
    const segment = this.segment(table.segmentOf(slot));
    segment.liveByteCount -= RECORD_HEADER_BYTES + table.payloadByteCount(slot);
    assert(segment.liveByteCount >= 0, "a segment holds what the index points at");
  }

  #listOf(header: RecordFields): number {
    if (header.space === SPACES.entry) return header.partition;
    if (header.space === SPACES.meta) return 0;
    const target = header.key.slice(0, header.key.indexOf("\0"));
    const list = this.#targets.get(target) ?? this.#targets.size;
    this.#targets.set(target, list);
    return list;
  }
}
