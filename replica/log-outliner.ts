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
import { SegmentScan } from "./segment-scan.ts";

/** How much of a segment one step reads, in bytes. */
const STEP_BYTES = 256 * 1024;

export class Outliner {
  readonly segment: SegmentState;
  readonly #checksum: Checksum;
  readonly #scan: SegmentScan;
  readonly #aside: string;
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
    const until = this.#scan.offset + STEP_BYTES;
    let isEnd = false;
    while (this.#scan.offset < until && block.byteCount < STEP_BYTES) {
      const item = this.#scan.next();
      isEnd = item === undefined;
      if (item === undefined) break;
      if (item.found === "gap" || !this.#scan.isIntact(item)) return "damaged";
      block.add(item.offset, encodeRecordHead(item.header));
    }
    const chunks: Uint8Array[] = [];
    if (this.#written === 0) chunks.push(encodeOutlineHead(this.segment, this.#checksum));
    if (!block.isEmpty) chunks.push(block.encode(this.segment, this.#checksum));
    return [...this.#write(chunks), ...(isEnd ? this.#finish() : [])];
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
