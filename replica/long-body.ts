/**
 * The body of a record that is too long for one step of background work: it is read a stretch a
 * step, and then verified. 26 MiB at once are a tenth of a second in which nothing else is done.
 */
import type { ScannedRecord, SegmentScan } from "./segment-scan.ts";

/** How many steps' reading one stretch is. */
const STRETCH_STEPS = 4;

export class LongBody {
  readonly item: ScannedRecord;
  readonly #scan: SegmentScan;
  readonly #stretchByteCount: number;
  readonly #bytes: Uint8Array;
  #readByteCount = 0;

  /** @param stepByteCount how much a step of the background reads */
  static isLong({ header }: ScannedRecord, stepByteCount: number): boolean {
    return header.bodyByteCount > STRETCH_STEPS * stepByteCount;
  }

  /**
   * @param item the record that the scan has returned last
   * @param into where the body goes; at least as long
   */
  constructor(
    { scan, item, into }: { scan: SegmentScan; item: ScannedRecord; into: Uint8Array },
    stepByteCount: number,
  ) {
    this.#scan = scan;
    this.item = item;
    this.#stretchByteCount = STRETCH_STEPS * stepByteCount;
    this.#bytes = into.subarray(0, item.header.bodyByteCount);
  }

  /**
   * Reads on, or verifies what was read.
   *
   * @returns the body; null where it is not all there, or does not verify
   * @throws DiskFailure when the file cannot be read
   */
  step(): "more" | Uint8Array | null {
    const from = this.#readByteCount;
    const stretch = this.#bytes.subarray(from, from + this.#stretchByteCount);
    if (stretch.length === 0) {
      return this.#scan.isBodyOf(this.item, this.#bytes) ? this.#bytes : null;
    }
    this.#readByteCount += stretch.length;
    return this.#scan.readsBody(this.item, from, stretch) ? "more" : null;
  }
}
