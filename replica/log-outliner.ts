/**
 * Makes the outline of a closed segment in the background, a bounded stretch at a time. As it reads
 * every record anyway, it is also the first scrub of the segment: damage found here is known before
 * anybody asks for the value.
 */
import { assert } from "../core/assert.ts";
import type { DiskStep, LogDisk } from "./log-disk.ts";
import { type Checksum, encodeRecordHead, outlineFile, segmentFile } from "./log-format.ts";
import type { SegmentState } from "./log-index.ts";
import { encodeOutlineHead, OutlineBlock } from "./log-outline.ts";
import { LongBody } from "./long-body.ts";
import { type ScannedRecord, SegmentScan } from "./segment-scan.ts";

/** How much of a segment one step reads, in bytes. */
const STEP_BYTES = 256 * 1024;

const addTo = (block: OutlineBlock, { offset, header }: ScannedRecord): void =>
  block.add(offset, encodeRecordHead(header));

export class Outliner {
  readonly segment: SegmentState;
  readonly #checksum: Checksum;
  readonly #scan: SegmentScan;
  readonly #aside: string;
  /** A long record that is being read. */
  #long: LongBody | null = null;
  #room = new Uint8Array(0);
  #written = 0;
  #isDone = false;

  constructor(segment: SegmentState, options: { disk: LogDisk; checksum: Checksum }) {
    assert(segment.closed && !segment.damaged, "only a whole, closed segment gets an outline");
    this.segment = segment;
    this.#checksum = options.checksum;
    this.#aside = `${outlineFile(segment.id)}.new`;
    const { salt, byteCount, lastSequence } = segment;
    this.#scan = new SegmentScan({
      ...options,
      file: segmentFile(segment.id),
      salt,
      byteCount,
      aboveSequence: 0,
      lastSequence,
      windowByteCount: STEP_BYTES,
    });
  }

  get isDone(): boolean {
    return this.#isDone;
  }

  /** The next stretch; "damaged" when the segment does not verify. @throws DiskFailure */
  step(): readonly DiskStep[] | "damaged" {
    const block = new OutlineBlock();
    const long = this.#long?.step();
    if (long === null) return "damaged";
    if (long === "more") return [];
    if (this.#long !== null) addTo(block, this.#long.item);
    this.#long = null;
    const until = this.#scan.offset + STEP_BYTES;
    let isEnd = false;
    while (this.#scan.offset < until && block.byteCount < STEP_BYTES) {
      const item = this.#scan.next();
      isEnd = item === undefined;
      if (item === undefined) break;
      if (item.found === "gap") return "damaged";
      if (LongBody.isLong(item, STEP_BYTES)) {
        this.#long = this.#beginLong(item);
        break;
      }
      if (!this.#scan.isIntact(item)) return "damaged";
      addTo(block, item);
    }
    const chunks: Uint8Array[] = [];
    if (this.#written === 0) chunks.push(encodeOutlineHead(this.segment, this.#checksum));
    if (!block.isEmpty) chunks.push(block.encode(this.segment, this.#checksum));
    return [...this.#write(chunks), ...(isEnd ? this.#finish() : [])];
  }

  /** All of them go to one place: a body is needed no longer than it takes to verify it. */
  #beginLong(item: ScannedRecord): LongBody {
    const { bodyByteCount } = item.header;
    if (this.#room.length < bodyByteCount) this.#room = new Uint8Array(bodyByteCount);
    return new LongBody({ scan: this.#scan, item, into: this.#room }, STEP_BYTES);
  }

  #write(chunks: readonly Uint8Array[]): DiskStep[] {
    const steps: DiskStep[] = [];
    if (this.#written === 0) steps.push({ do: "create", file: this.#aside });
    steps.push({ do: "write", file: this.#aside, offset: this.#written, chunks });
    this.#written += chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    return steps;
  }

  /** No sync of the folder: an outline that a crash takes back is made again. */
  #finish(): DiskStep[] {
    this.#isDone = true;
    return [
      { do: "sync", file: this.#aside },
      { do: "rename", file: this.#aside, to: outlineFile(this.segment.id) },
    ];
  }
}
