/**
 * The index in memory: from a key to where its newest record lies, with no value in it.
 *
 * A million keys must cost at most 150 bytes each beyond the key itself. An object a key would cost
 * more than that and give the garbage collector a million things to trace; so a key maps to a slot
 * number, and what is known of the slot stands in typed columns. Slots of a list (a partition; for
 * hints, a target) are chained through two of the columns, so that a list is walked without
 * touching any other, in the order in which its keys came.
 */
import { assert, present } from "../core/assert.ts";
import { postponed } from "../core/expiry.ts";
import type { ArrivalOrder } from "./arrival-order.ts";
import { DueHeap } from "./due-heap.ts";
import { KeyMap, NO_SLOT } from "./key-map.ts";
import type { UsageTable } from "./usage.ts";

/** Where a record lies and what the index keeps of it. */
export interface IndexRow {
  readonly segment: number;
  readonly offset: number;
  readonly keyByteCount: number;
  readonly bodyByteCount: number;
  /** The list that the key belongs to. */
  readonly list: number;
  readonly digest: number;
  readonly dueAt: number;
  /** Of its last change; see `Arrival` in core/store.ts. */
  readonly position: number;
}

/** What is kept of a table's keys beside their rows, where somebody asks for it. */
export interface TableExtras {
  /** Where keys are counted by namespace, of a table whose keys have one. */
  readonly usage?: UsageTable;
  readonly arrivals?: ArrivalOrder;
}

const ROWS_COUNT_FIRST = 256;

type Column = Uint16Array | Uint32Array | Int32Array | Float64Array;

function grown<T extends Column>(column: T, length: number): T {
  const next = new (column.constructor as new (length: number) => T)(length);
  next.set(column);
  return next;
}

export class IndexTable {
  readonly #keys: KeyMap;
  /** How many slots were ever given out. */
  #slotsCount = 0;
  #segments = new Uint32Array(ROWS_COUNT_FIRST);
  #offsets = new Uint32Array(ROWS_COUNT_FIRST);
  #keyByteCounts = new Uint16Array(ROWS_COUNT_FIRST);
  #bodyByteCounts = new Uint32Array(ROWS_COUNT_FIRST);
  #digests = new Float64Array(ROWS_COUNT_FIRST);
  #lists = new Uint16Array(ROWS_COUNT_FIRST);
  /** The chain of a list; a free slot uses `#nexts` for the chain of free ones. */
  #nexts = new Int32Array(ROWS_COUNT_FIRST);
  #previous = new Int32Array(ROWS_COUNT_FIRST);
  readonly #heads: number[] = [];
  readonly #tails: number[] = [];
  readonly #counts: number[] = [];
  readonly #due = new DueHeap();
  #free = NO_SLOT;
  #count = 0;
  #bodyByteCountTotal = 0;
  readonly #usage: UsageTable | undefined;
  readonly #arrivals: ArrivalOrder | undefined;

  /** @param seed 32 random bits */
  constructor(seed: number, { usage, arrivals }: TableExtras = {}) {
    this.#keys = new KeyMap(seed);
    this.#usage = usage;
    this.#arrivals = arrivals;
  }

  get count(): number {
    return this.#count;
  }

  /** Bytes of all the records' bodies. */
  get bodyByteCount(): number {
    return this.#bodyByteCountTotal;
  }

  /** Makes room for so many keys at once. */
  reserve(count: number): void {
    if (count > this.#segments.length) this.#grow(count);
    this.#keys.reserve(count);
  }

  /** The slot of a key, or `NO_SLOT`. */
  find(key: string): number {
    return this.#keys.find(key);
  }

  /** 0 for a key that is not there. */
  digestOf(key: string): number {
    const slot = this.#keys.find(key);
    return slot === NO_SLOT ? 0 : present(this.#digests[slot]);
  }

  /** 0 for a key that is not there. */
  bodyByteCountOf(key: string): number {
    const slot = this.#keys.find(key);
    return slot === NO_SLOT ? 0 : present(this.#bodyByteCounts[slot]);
  }

  /** Adds a key that has no slot yet. */
  insert(key: string, row: IndexRow): number {
    assert(row.list >= 0 && row.list <= 0xffff, "lists are numbered with 16 bits");
    const slot = this.#take();
    this.#keys.add(slot, key);
    this.#count++;
    this.#link(slot, row.list);
    this.#fill(slot, row);
    this.#usage?.add(key, row.bodyByteCount, row.dueAt);
    return slot;
  }

  /** The key keeps its slot and, unless it goes to another list, its place within the list. */
  replace(slot: number, row: IndexRow): void {
    assert(row.list >= 0 && row.list <= 0xffff, "lists are numbered with 16 bits");
    this.#bodyByteCountTotal -= present(this.#bodyByteCounts[slot]);
    this.#uncount(slot);
    if (this.#lists[slot] !== row.list) {
      this.#unlink(slot);
      this.#link(slot, row.list);
    }
    this.#fill(slot, row);
    this.#usage?.add(this.keyOf(slot), row.bodyByteCount, row.dueAt);
  }

  remove(slot: number): void {
    this.#uncount(slot);
    this.#keys.remove(slot);
    this.#unlink(slot);
    this.#due.remove(slot);
    this.#arrivals?.remove(slot);
    this.#bodyByteCountTotal -= present(this.#bodyByteCounts[slot]);
    this.#nexts[slot] = this.#free;
    this.#free = slot;
    this.#count--;
    assert(this.#count >= 0, "more keys were removed than were there");
  }

  /** Points a slot elsewhere: the same record, moved by compaction. */
  move(slot: number, segment: number, offset: number): void {
    this.#segments[slot] = segment;
    this.#offsets[slot] = offset;
  }

  /** Bytes of a slot's key and body on disk. */
  payloadByteCount(slot: number): number {
    return present(this.#keyByteCounts[slot]) + present(this.#bodyByteCounts[slot]);
  }

  segmentOf(slot: number): number {
    return present(this.#segments[slot]);
  }

  isLive(slot: number): boolean {
    return this.#keys.keyOf(slot) !== undefined;
  }

  /** Whether a live slot points at exactly this record. */
  isAt(slot: number, segment: number, offset: number): boolean {
    return this.#offsets[slot] === offset && this.#segments[slot] === segment && this.isLive(slot);
  }

  keyOf(slot: number): string {
    const key = this.#keys.keyOf(slot);
    assert(key !== undefined, "a slot that is free has no key");
    return key;
  }

  row(slot: number): IndexRow {
    return {
      segment: present(this.#segments[slot]),
      offset: present(this.#offsets[slot]),
      keyByteCount: present(this.#keyByteCounts[slot]),
      bodyByteCount: present(this.#bodyByteCounts[slot]),
      list: present(this.#lists[slot]),
      digest: present(this.#digests[slot]),
      dueAt: this.#due.dueAt(slot),
      position: this.#arrivals?.positionOf(slot) ?? 0,
    };
  }

  listCount(list: number): number {
    return this.#counts[list] ?? 0;
  }

  /** Up to `countMax` slots of a list, oldest key first: a copy, so that writing may go on. */
  listSlots(list: number, countMax: number = this.listCount(list)): Int32Array {
    const slots = new Int32Array(Math.min(countMax, this.listCount(list)));
    let slot = this.#heads[list] ?? NO_SLOT;
    for (let i = 0; i < slots.length; i++) {
      assert(slot !== NO_SLOT, "a list is as long as its count");
      slots[i] = slot;
      slot = present(this.#nexts[slot]);
    }
    return slots;
  }

  /** Keys due at or before an instant, earliest first. */
  due(before: number, countMax: number): string[] {
    return this.#due.first(before, countMax).map((slot) => this.keyOf(slot));
  }

  /** When the first of all keys is due; Infinity when none ever is. */
  get earliestDue(): number {
    return this.#due.earliest;
  }

  /** Puts off when a key is due, until it is written again. */
  postpone(key: string, until: number): void {
    const slot = this.find(key);
    const due = slot === NO_SLOT ? 0 : this.#due.dueAt(slot);
    if (due > 0) this.#due.set(slot, postponed(due, until));
  }

  /** Every live slot. For rare work: it walks the whole table. */
  *liveSlots(): Iterable<number> {
    for (let slot = 0; slot < this.#slotsCount; slot++) if (this.isLive(slot)) yield slot;
  }

  #fill(slot: number, row: IndexRow): void {
    this.#segments[slot] = row.segment;
    this.#offsets[slot] = row.offset;
    this.#keyByteCounts[slot] = row.keyByteCount;
    this.#bodyByteCounts[slot] = row.bodyByteCount;
    this.#digests[slot] = row.digest;
    this.#bodyByteCountTotal += row.bodyByteCount;
    if (row.position > 0) this.#arrivals?.set(slot, row.position);
    if (row.dueAt > 0) this.#due.set(slot, row.dueAt);
    else this.#due.remove(slot);
  }

  #uncount(slot: number): void {
    const byteCount = present(this.#bodyByteCounts[slot]);
    this.#usage?.remove(this.keyOf(slot), byteCount, this.#due.dueAt(slot));
  }

  #take(): number {
    if (this.#free !== NO_SLOT) {
      const slot = this.#free;
      this.#free = present(this.#nexts[slot]);
      return slot;
    }
    const slot = this.#slotsCount++;
    if (slot === this.#segments.length) this.#grow(Math.ceil(slot * 1.25));
    return slot;
  }

  #grow(length: number): void {
    this.#segments = grown(this.#segments, length);
    this.#offsets = grown(this.#offsets, length);
    this.#keyByteCounts = grown(this.#keyByteCounts, length);
    this.#bodyByteCounts = grown(this.#bodyByteCounts, length);
    this.#digests = grown(this.#digests, length);
    this.#lists = grown(this.#lists, length);
    this.#nexts = grown(this.#nexts, length);
    this.#previous = grown(this.#previous, length);
  }

  #link(slot: number, list: number): void {
    while (this.#heads.length <= list) {
      this.#heads.push(NO_SLOT);
      this.#tails.push(NO_SLOT);
      this.#counts.push(0);
    }
    const tail = present(this.#tails[list]);
    if (tail === NO_SLOT) this.#heads[list] = slot;
    else this.#nexts[tail] = slot;
    this.#previous[slot] = tail;
    this.#nexts[slot] = NO_SLOT;
    this.#tails[list] = slot;
    this.#lists[slot] = list;
    this.#counts[list] = this.listCount(list) + 1;
  }

  #unlink(slot: number): void {
    const list = present(this.#lists[slot]);
    const next = present(this.#nexts[slot]);
    const previous = present(this.#previous[slot]);
    if (previous === NO_SLOT) this.#heads[list] = next;
    else this.#nexts[previous] = next;
    if (next === NO_SLOT) this.#tails[list] = previous;
    else this.#previous[next] = previous;
    this.#counts[list] = this.listCount(list) - 1;
  }
}
