/**
 * The manifest: which segments make up the log, in the order in which they are to be read, and
 * whether the last run said goodbye.
 *
 * It is one small file, replaced whole by a rename, so that rolling to a new segment, exchanging
 * old segments for a compacted one, and a clean stop are each one atomic change. A missing or
 * foreign segment shows by it. It holds the same bytes twice, each half with its own checksum:
 * rot in one half costs nothing.
 */
import { assert } from "../core/assert.ts";
import { LogFolderError } from "./log-disk.ts";
import {
  type Checksum,
  FORMAT_VERSION,
  logIdAt,
  magicVersion,
  pageOf,
  putLogId,
  putMagic,
} from "./log-format.ts";

export interface ManifestSegment {
  readonly id: number;
  /** Repeated here so that a segment can be read when its own header is damaged. */
  readonly salt: number;
  /** An open segment is still written to: the numbers below are not known yet. */
  readonly closed: boolean;
  readonly compacted: boolean;
  readonly byteCount: number;
  readonly recordCount: number;
  readonly lastSequence: number;
  /** No record in it was superseded by one with a lower number than this. */
  readonly cleanSequence: number;
}

export interface Manifest {
  readonly logId: string;
  /** A clean stop: nothing was written after this manifest. The stop marker of the format. */
  readonly stopped: boolean;
  readonly nextSegment: number;
  /** The first number of the open segment or, where none is open, the next to be given. */
  readonly nextSequence: number;
  /** Oldest first. Only the last one can be open. */
  readonly segments: readonly ManifestSegment[];
}

const MAGIC = "STARMAN";
const HEAD_BYTES = 40;
const ROW_BYTES = 48;
const CHECKSUM_BYTES = 4;

export function encodeManifest(manifest: Manifest, checksum: Checksum): Uint8Array {
  const halfLength = HEAD_BYTES + ROW_BYTES * manifest.segments.length + CHECKSUM_BYTES;
  const { bytes, view } = pageOf(new Uint8Array(2 * halfLength));
  putMagic(bytes, MAGIC);
  putLogId(view, 8, manifest.logId);
  view.setFloat64(16, manifest.nextSequence, true);
  view.setUint32(24, manifest.nextSegment, true);
  view.setUint32(28, manifest.segments.length, true);
  view.setUint8(32, manifest.stopped ? 1 : 0);
  for (const [i, segment] of manifest.segments.entries()) {
    const at = HEAD_BYTES + ROW_BYTES * i;
    assert(segment.closed || i === manifest.segments.length - 1, "only the last can be open");
    view.setUint32(at, segment.id, true);
    view.setUint32(at + 4, segment.salt, true);
    view.setUint8(at + 8, (segment.closed ? 1 : 0) | (segment.compacted ? 2 : 0));
    view.setFloat64(at + 16, segment.byteCount, true);
    view.setFloat64(at + 24, segment.recordCount, true);
    view.setFloat64(at + 32, segment.lastSequence, true);
    view.setFloat64(at + 40, segment.cleanSequence, true);
  }
  const end = halfLength - CHECKSUM_BYTES;
  view.setUint32(end, checksum(bytes.subarray(0, end), 0), true);
  bytes.copyWithin(halfLength, 0, halfLength);
  return bytes;
}

/** @throws LogFolderError when neither half verifies, or the format is of a newer version */
export function decodeManifest(bytes: Uint8Array, checksum: Checksum): Manifest {
  const half = bytes.length / 2;
  for (const part of [bytes.subarray(0, half), bytes.subarray(half)]) {
    const manifest = decodeHalf(part, checksum);
    if (manifest !== undefined) return manifest;
  }
  // A newer format may have its checksum elsewhere: it is not damaged, and must not be thought so.
  const version = magicVersion(bytes, MAGIC) ?? 0;
  if (version > FORMAT_VERSION) throw otherFormat(version);
  throw new LogFolderError("both copies in the manifest are damaged: restore it or start anew");
}

function otherFormat(version: number): LogFolderError {
  const mend =
    version > FORMAT_VERSION ? "start the newer program again" : "start the older program again";
  return new LogFolderError(
    `the log has format version ${version}; this program reads version ${FORMAT_VERSION}: ${mend}`,
  );
}

function decodeHalf(bytes: Uint8Array, checksum: Checksum): Manifest | undefined {
  if (bytes.length < HEAD_BYTES + CHECKSUM_BYTES) return undefined;
  const { view } = pageOf(bytes);
  const end = bytes.length - CHECKSUM_BYTES;
  if (checksum(bytes.subarray(0, end), 0) !== view.getUint32(end, true)) return undefined;
  const version = magicVersion(bytes, MAGIC);
  if (version === undefined) return undefined;
  if (version !== FORMAT_VERSION) throw otherFormat(version);
  const count = view.getUint32(28, true);
  if (bytes.length !== HEAD_BYTES + ROW_BYTES * count + CHECKSUM_BYTES) return undefined;
  return {
    logId: logIdAt(view, 8),
    nextSequence: view.getFloat64(16, true),
    nextSegment: view.getUint32(24, true),
    stopped: view.getUint8(32) === 1,
    segments: Array.from({ length: count }, (_, i) => rowAt(view, HEAD_BYTES + ROW_BYTES * i)),
  };
}

function rowAt(view: DataView, at: number): ManifestSegment {
  const flags = view.getUint8(at + 8);
  return {
    id: view.getUint32(at, true),
    salt: view.getUint32(at + 4, true),
    closed: (flags & 1) !== 0,
    compacted: (flags & 2) !== 0,
    byteCount: view.getFloat64(at + 16, true),
    recordCount: view.getFloat64(at + 24, true),
    lastSequence: view.getFloat64(at + 32, true),
    cleanSequence: view.getFloat64(at + 40, true),
  };
}
