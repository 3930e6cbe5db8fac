import { describe, expect, it } from "vitest";
import { encodeRecord, pageOf, recordByteCountMax, SPACES } from "../../replica/log-format.ts";
import { type ScannedRecord, SegmentScan } from "../../replica/segment-scan.ts";
import { MemoryDisk } from "./log-memory-disk.ts";
import { checksum } from "./log-run.ts";

const FILE = "0000000001.wal";
const HEADER_BYTES = 32;
const SALT = 7;
const bodyOf = (i: number): Uint8Array => new Uint8Array(20 + 30 * (i % 4)).fill(i);

/** A segment of so many records, and where their bodies end. */
function segmentOf(count: number): { readonly bytes: Uint8Array; readonly ends: number[] } {
  const page = pageOf(new Uint8Array(HEADER_BYTES + count * recordByteCountMax("key", bodyOf(3))));
  const ends: number[] = [];
  let at = HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    const of = { space: SPACES.entry, operation: 0, key: `k${i}`, sequence: i + 1 } as const;
    const fields = { ...of, partition: 0, digest: 1, dueAt: 0 };
    at += encodeRecord(page, at, { fields, body: bodyOf(i), salt: SALT, checksum });
    ends.push(at);
  }
  return { bytes: page.bytes.slice(0, at), ends };
}

function scanOf(bytes: Uint8Array, windowByteCount: number): SegmentScan {
  const disk = new MemoryDisk();
  disk.put(FILE, bytes);
  const of = { file: FILE, salt: SALT, byteCount: bytes.length, aboveSequence: 0 };
  return new SegmentScan({ disk, checksum, ...of, windowByteCount });
}

/** The bodies that are asked for, as they were at that moment; null where one is not intact. */
function bodiesIn(scan: SegmentScan, isAsked: (record: ScannedRecord) => boolean) {
  const found: [string, readonly number[] | null][] = [];
  for (let item = scan.next(); item !== undefined; item = scan.next()) {
    if (item.found === "gap" || !isAsked(item)) continue;
    const body = scan.intactBody(item);
    found.push([item.header.key, body === null ? null : [...body]]);
  }
  return found;
}

describe("a walk over a segment", () => {
  it.each([1, 64, 200, 4096])("gives all bodies, with windows of %d bytes", (windowByteCount) => {
    const { bytes } = segmentOf(24);
    const expected = Array.from({ length: 24 }, (_, i) => [`k${i}`, [...bodyOf(i)]]);
    expect(bodiesIn(scanOf(bytes, windowByteCount), () => true)).toEqual(expected);
  });

  it.each([64, 4096])("passes bodies that nobody asks for, with windows of %d", (windowBytes) => {
    const { bytes } = segmentOf(24);
    const isAsked = ({ header }: ScannedRecord) => header.sequence % 5 === 0;
    const expected = [4, 9, 14, 19].map((i) => [`k${i}`, [...bodyOf(i)]]);
    expect(bodiesIn(scanOf(bytes, windowBytes), isAsked)).toEqual(expected);
  });

  it("tells whoever asks that a body is damaged, or cut off, and goes on", () => {
    const { bytes, ends } = segmentOf(4);
    const middle = (ends[1] ?? 0) - 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    const found = bodiesIn(scanOf(bytes.slice(0, -1), 4096), () => true);
    expect(found.map(([key, body]) => [key, body !== null])).toEqual([
      ["k0", true],
      ["k1", false],
      ["k2", true],
      ["k3", false],
    ]);
  });
});
