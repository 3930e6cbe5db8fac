/** Rot of one record at rest, which a reader is then to meet. */
import type { Prng } from "../../core/prng.ts";
import type { StoreKey } from "../../core/store.ts";
import type { MemoryDisk } from "../replica/log-memory-disk.ts";

const encoder = new TextEncoder();
/** A record's body comes after its key, and is longer than this. */
const BODY_BYTES_MIN = 16;

const isDigit = (byte: number | undefined): boolean =>
  byte !== undefined && byte >= 0x30 && byte <= 0x39;

/** The last place in a file where the whole key stands; -1 for none. */
function lastPlaceOf(key: Uint8Array, bytes: Uint8Array): number {
  for (let at = bytes.length - key.length - BODY_BYTES_MIN; at >= 0; at--) {
    const isThere = key.every((byte, i) => bytes[at + i] === byte);
    if (isThere && !isDigit(bytes[at + key.length])) return at;
  }
  return -1;
}

/**
 * Flips a bit in the body of the key's newest record: its header still holds.
 *
 * @returns the file, or "nowhere"
 */
export function rotRecord(disk: MemoryDisk, key: StoreKey, prng: Prng): string {
  const name = encoder.encode(key);
  const segments = disk.list().filter((file) => file.endsWith(".wal"));
  for (const file of segments.sort().reverse()) {
    const bytes = disk.bytesOf(file);
    const at = lastPlaceOf(name, bytes);
    if (at < 0) continue;
    const place = at + name.length + prng.below(BODY_BYTES_MIN);
    bytes[place] = (bytes[place] as number) ^ (1 << prng.below(8));
    return file;
  }
  return "nowhere";
}
