/**
 * Compaction: a run of neighbouring segments is copied into one that holds only what is still
 * needed, and takes their place in the manifest by one atomic change.
 *
 * - A record is needed while the index points at it. The index runs ahead of the disk, so a record
 *   may be left out because of one that is not durable yet; the exchange in the manifest therefore
 *   goes into a flush behind everything that was written before it.
 * - A drop record is needed until no older segment can hold a record of its key. Each segment knows
 *   a number below which it holds nothing superseded (`cleanSequence`: for a compacted one the
 *   number at which its copying began, for any other 0). A drop may go once that number of every
 *   older segment lies above it, or once its key was written again.
 * - A needed record that is damaged leaves a `lost` record, so that no older one, and no "nothing",
 *   is ever taken for the newest.
 */
import { assert } from "../core/assert.ts";
import { NO_SLOT } from "./key-map.ts";
import type { DiskStep } from "./log-disk.ts";
import {
  OPERATIONS,
  type RecordFields,
  recordByteCount,
  SEGMENT_HEADER_BYTES,
  SPACES,
  type Space,
  segmentFile,
} from "./log-format.ts";
import type { SegmentState } from "./log-index.ts";
import { chunksOf, Staging } from "./log-staging.ts";
import type { LogState } from "./log-state.ts";
import { LongBody } from "./long-body.ts";
import { type ScannedRecord, SegmentScan } from "./segment-scan.ts";

/** How much of a segment one step reads, in bytes: about a millisecond's work. */
const STEP_BYTES = 256 * 1024;
/** Steps that a segment takes at least, however short it is: the index changes between them. */
const STEPS_COUNT_MIN = 2;

/** One copied record: where the index should point once the copy counts. */
interface Move {
  readonly space: Space;
  readonly slot: number;
  readonly victim: number;
  readonly from: number;
  readonly to: number;
  readonly lost: boolean;
}

export class Compaction {
  readonly victims: readonly SegmentState[];
  readonly #state: LogState;
  readonly #output: SegmentState;
  readonly #staging: Staging;
  readonly #stepByteCount: number;
  /** Every older segment is clean up to this number. */
  readonly #dropsNeededFrom: number;
  readonly #moves: Move[] = [];
  /** Hints and documents of our own that cannot be read: there is nothing to put in their place. */
  readonly #unreadable: { space: Space; slot: number; key: string }[] = [];
  #scan: SegmentScan | undefined;
  #long: LongBody | undefined;
  #victimAt = 0;
  #isCreated = false;
  #isReady = false;

  constructor(state: LogState, victims: readonly SegmentState[]) {
    const [first] = victims;
    assert(first !== undefined, "a compaction has something to compact");
    this.#state = state;
    this.#staging = new Staging(state.segmentByteCountMax);
    const shortStep = Math.ceil(state.segmentByteCountMax / STEPS_COUNT_MIN);
    this.#stepByteCount = Math.min(STEP_BYTES, shortStep);
    this.victims = victims;
    const older = state.segments.slice(0, state.segments.indexOf(first));
    this.#dropsNeededFrom = Math.min(...older.map((segment) => segment.cleanSequence), Infinity);
    this.#output = state.drawSegment({ compacted: true, cleanSequence: state.nextSequence });
    this.#output.closed = true;
    this.#output.byteCount = SEGMENT_HEADER_BYTES;
  }

  /** Everything is copied: the exchange may go into the next flush. */
  get isReady(): boolean {
    return this.#isReady;
  }

  get #aside(): string {
    return `${segmentFile(this.#output.id)}.new`;
  }

  /** Copies the next stretch. @throws DiskFailure when a segment cannot be read */
  step(): readonly DiskStep[] {
    assert(!this.#isReady, "what is copied is not copied again");
    const victim = this.#nextVictim();
    if (victim === undefined) {
      this.#replaceUnvisited();
      this.#isReady = true;
    } else {
      this.#copy(victim);
    }
    return this.#write();
  }

  /** The list of segments with the copy in the place of the run. */
  exchanged(segments: readonly SegmentState[]): SegmentState[] {
    const output = this.#isEmpty ? [] : [this.#output];
    const [first] = this.victims;
    return segments.flatMap((segment) => {
      if (segment === first) return output;
      return this.victims.includes(segment) ? [] : [segment];
    });
  }

  /** The steps that must be done before the manifest may list the copy. */
  publishSteps(): readonly DiskStep[] {
    if (this.#isEmpty) return [];
    const to = segmentFile(this.#output.id);
    return [{ do: "rename", file: this.#aside, to }, { do: "sync-folder" }];
  }

  /** The exchange is durable: the index points at the copies from now on. */
  finish(): void {
    const { index } = this.#state;
    for (const move of this.#moves) {
      if (!index.table(move.space).isAt(move.slot, move.victim, move.from)) continue;
      const to = { segment: this.#output, offset: move.to };
      if (move.lost) index.moveLost(move.slot, to);
      else index.move(move.space, move.slot, to);
    }
    for (const { space, slot, key } of this.#unreadable) {
      const table = index.table(space);
      if (table.find(key) === slot && this.#isVictim(table.segmentOf(slot))) {
        index.forget(space, key);
      }
    }
    for (const victim of this.victims) {
      assert(victim.liveByteCount === 0, "nothing points into a segment that is removed");
      index.removeSegment(victim.id);
    }
    if (this.#isEmpty) index.removeSegment(this.#output.id);
  }

  /** Gives up: the copy is as if it had never been begun. */
  abandonSteps(): readonly DiskStep[] {
    this.#state.index.removeSegment(this.#output.id);
    return this.#isCreated ? [{ do: "remove", file: this.#aside }] : [];
  }

  get #isEmpty(): boolean {
    return this.#output.recordCount === 0;
  }

  #isVictim(id: number): boolean {
    return this.victims.some((victim) => victim.id === id);
  }

  /**
   * Nothing of a segment has to be read to know that nothing of it is needed. That may come out
   * when some of it was read: the next one is read from its own beginning.
   */
  #nextVictim(): SegmentState | undefined {
    for (;;) {
      const victim = this.victims[this.#victimAt];
      if (victim === undefined || victim.liveByteCount > 0 || this.#hasDrops(victim)) return victim;
      this.#leaveVictim();
    }
  }

  #leaveVictim(): void {
    this.#scan = undefined;
    this.#long = undefined;
    this.#victimAt++;
  }

  #hasDrops({ dropByteCount, lastDropSequence }: SegmentState): boolean {
    return dropByteCount > 0 && lastDropSequence >= this.#dropsNeededFrom;
  }

  #copy(victim: SegmentState): void {
    const { disk, checksum } = this.#state;
    const { salt, byteCount, lastSequence } = victim;
    this.#scan ??= new SegmentScan({
      disk,
      checksum,
      file: segmentFile(victim.id),
      salt,
      byteCount,
      aboveSequence: 0,
      lastSequence,
      windowByteCount: this.#stepByteCount,
    });
    const scan = this.#scan;
    if (this.#long !== undefined) return this.#copyLong(victim, this.#long);
    const until = scan.offset + this.#stepByteCount;
    while (scan.offset < until && this.#long === undefined) {
      const item = scan.next();
      if (item === undefined) return this.#leaveVictim();
      if (item.found === "record") this.#copyRecord(victim, item, scan);
    }
  }

  /** Where the index points at the record; NO_SLOT where it does not: nobody needs it. */
  #slotOf(victim: SegmentState, { header, offset }: ScannedRecord): number {
    const table = this.#state.index.table(header.space);
    const slot = table.find(header.key);
    return slot !== NO_SLOT && table.isAt(slot, victim.id, offset) ? slot : NO_SLOT;
  }

  #copyRecord(victim: SegmentState, item: ScannedRecord, scan: SegmentScan): void {
    const { header } = item;
    if (header.operation === OPERATIONS.drop) {
      const slot = this.#state.index.table(header.space).find(header.key);
      const isNeeded = slot === NO_SLOT && header.sequence >= this.#dropsNeededFrom;
      if (isNeeded) this.#append(header, new Uint8Array(0));
      return;
    }
    const slot = this.#slotOf(victim, item);
    if (slot === NO_SLOT) return;
    if (LongBody.isLong(item, this.#stepByteCount)) {
      const into = new Uint8Array(header.bodyByteCount);
      this.#long = new LongBody({ scan, item, into }, this.#stepByteCount);
      return;
    }
    const body = scan.intactBody(item);
    // A record that is needed but not intact is found again when all the others are copied.
    if (body === null) return;
    // What the walk has read lies where its next read goes.
    const kept = this.#staging.isLong(header.key, body) ? body.slice() : body;
    this.#move({ victim, item, slot }, kept);
  }

  #copyLong(victim: SegmentState, long: LongBody): void {
    this.#long = undefined;
    const { item } = long;
    const slot = this.#slotOf(victim, item);
    if (slot === NO_SLOT) return;
    const body = long.step();
    if (body === "more") this.#long = long;
    else if (body !== null) this.#move({ victim, item, slot }, body);
  }

  #move(of: { victim: SegmentState; item: ScannedRecord; slot: number }, body: Uint8Array): void {
    const { victim, item, slot } = of;
    const { header, offset: from } = item;
    const to = this.#append(header, body);
    this.#moves.push({ space: header.space, slot, victim: victim.id, from, to, lost: false });
  }

  /** Finds what the index still needs of the run and the walk did not find intact. */
  #replaceUnvisited(): void {
    const { index } = this.#state;
    let copiedByteCount = 0;
    const copied = new Map<Space, Set<number>>();
    for (const { space, slot, victim, from } of this.#moves) {
      const table = index.table(space);
      if (!table.isAt(slot, victim, from)) continue;
      copiedByteCount += recordByteCount(table.row(slot));
      copied.set(space, (copied.get(space) ?? new Set()).add(slot));
    }
    const neededByteCount = this.victims.reduce((sum, victim) => sum + victim.liveByteCount, 0);
    assert(copiedByteCount <= neededByteCount, "no more is copied than is needed");
    if (copiedByteCount === neededByteCount) return;
    for (const space of Object.values(SPACES)) {
      for (const slot of index.table(space).liveSlots()) {
        if (!this.#isVictim(index.table(space).segmentOf(slot))) continue;
        if (copied.get(space)?.has(slot) !== true) this.#replaceLost(space, slot);
      }
    }
  }

  #replaceLost(space: Space, slot: number): void {
    const table = this.#state.index.table(space);
    const key = table.keyOf(slot);
    if (space !== SPACES.entry) {
      this.#unreadable.push({ space, slot, key });
      return;
    }
    const row = table.row(slot);
    const sequence = this.#output.lastSequence + 1;
    const operation = OPERATIONS.lost;
    const { list: partition, digest, dueAt } = row;
    const fields = { space, operation, key, sequence, partition, digest, dueAt };
    const to = this.#append(fields, new Uint8Array(0));
    this.#moves.push({ space, slot, victim: row.segment, from: row.offset, to, lost: true });
  }

  #append(fields: RecordFields, body: Uint8Array): number {
    const output = this.#output;
    const offset = output.byteCount;
    const byteCount = this.#staging.add(
      { segment: output.id, offset },
      { fields, body, salt: output.salt, checksum: this.#state.checksum },
    );
    output.byteCount += byteCount;
    output.recordCount++;
    output.lastSequence = fields.sequence;
    if (fields.operation === OPERATIONS.drop) {
      output.dropByteCount += byteCount;
      output.lastDropSequence = fields.sequence;
    }
    return offset;
  }

  #write(): DiskStep[] {
    const pages = this.#staging.take();
    const [first] = pages;
    if (first === undefined) return [];
    const file = this.#aside;
    const chunks = pages.flatMap(chunksOf);
    const steps: DiskStep[] = [];
    if (!this.#isCreated) {
      steps.push({ do: "create", file });
      const header = this.#state.segmentHeader(this.#output);
      steps.push({ do: "write", file, offset: 0, chunks: [header] });
      this.#isCreated = true;
    }
    steps.push({ do: "write", file, offset: first.offset, chunks }, { do: "sync", file });
    return steps;
  }

  /** The steps of the last stretch were carried out. */
  written(): void {
    this.#staging.release();
  }
}
