/**
 * Reads MessagePack that msgpack-scan.ts has judged: nothing is checked here a second time.
 *
 * The bytes are walked once, and what is allocated is the result and nothing else. A general
 * decoder keeps a stack of its own and an array of code units for each text, which was a sixth of
 * all that a write allocates.
 */
const TEXT_UNITS_MAX = 64;
/** Code units of a short text, by its length, to be made into a string in one call. */
const unitsByLength: number[][] = [];
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

const nothing = new Uint8Array(0);
/** What is being read, and from where on. One reading runs at a time: nothing in it can wait. */
let bytes: Uint8Array = nothing;
let at = 0;

/** Of so many bytes, most significant first; beyond 2^53 the nearest number that there is. */
function unsigned(size: number): number {
  if (size === 8) return unsigned(4) * 2 ** 32 + unsigned(4);
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + (bytes[at++] as number);
  return value;
}

function signed(size: number): number {
  if (size === 8) return signed(4) * 2 ** 32 + unsigned(4);
  const value = unsigned(size);
  return value < 2 ** (8 * size - 1) ? value : value - 2 ** (8 * size);
}

function float(size: 4 | 8): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, size);
  at += size;
  return size === 4 ? view.getFloat32(0) : view.getFloat64(0);
}

function binary(length: number): Uint8Array {
  at += length;
  return bytes.subarray(at - length, at);
}

function text(length: number): string {
  if (length > TEXT_UNITS_MAX) return utf8.decode(binary(length));
  unitsByLength[length] ??= new Array<number>(length).fill(0);
  const units = unitsByLength[length] as number[];
  for (let i = 0; i < length; i++) {
    const unit = bytes[at + i] as number;
    if (unit >= 0x80) return utf8.decode(binary(length));
    units[i] = unit;
  }
  at += length;
  return String.fromCharCode.apply(null, units);
}

function list(length: number): unknown[] {
  // The scan has seen as many; one that grows by itself would begin with room for 17.
  const items = new Array<unknown>(length);
  for (let i = 0; i < length; i++) items[i] = value();
  return items;
}

function value(): unknown {
  const head = bytes[at++] as number;
  if (head < 0x80) return head;
  if (head >= 0xe0) return head - 0x100;
  if (head < 0xa0) return list(head - 0x90);
  if (head < 0xc0) return text(head - 0xa0);
  return headed(head);
}

/** The table of https://github.com/msgpack/msgpack/blob/master/spec.md from 0xc0 on. */
function headed(head: number): unknown {
  if (head >= 0xd9) return head < 0xdc ? text(unsigned(1 << (head - 0xd9))) : longList(head);
  if (head >= 0xd0) return signed(1 << (head - 0xd0));
  if (head >= 0xcc) return unsigned(1 << (head - 0xcc));
  if (head >= 0xca) return float(head === 0xca ? 4 : 8);
  if (head >= 0xc4) return binary(unsigned(1 << (head - 0xc4)));
  return head === 0xc0 ? null : head === 0xc3;
}

const longList = (head: number): unknown[] => list(unsigned(head === 0xdc ? 2 : 4));

/** The one value that the bytes are. Bytes in it are views of them, not copies. */
export function readScanned(scanned: Uint8Array): unknown {
  bytes = scanned;
  at = 0;
  const read = value();
  bytes = nothing;
  return read;
}
