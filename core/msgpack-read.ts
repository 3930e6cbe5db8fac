/**
 * Reads MessagePack that `scanFault` found nothing wrong with: numbers, texts, bytes, booleans, nil
 * and lists of these. Because the scan has judged every length, nothing is checked here. A library
 * that can do everything takes three times as long over the small messages that nodes exchange;
 * tests/core/msgpack.test.ts holds this one to it.
 */

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Shorter texts are put together here; calling the decoder costs more than that. */
const SHORT_BYTES_MAX = 40;
const TWO_32 = 2 ** 32;

/** One read runs at a time: nothing in it can wait. */
let source: Uint8Array = new Uint8Array(0);
let view: DataView = new DataView(source.buffer);
let at = 0;

/** The value that the bytes are. Bytes in it are views of them, not copies. */
export function readValue(bytes: Uint8Array): unknown {
  source = bytes;
  view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  at = 0;
  return read();
}

function read(): unknown {
  const head = source[at++] as number;
  if (head < 0x80) return head;
  if (head >= 0xe0) return head - 0x100;
  if (head < 0xa0) return list(head & 0x0f);
  if (head < 0xc0) return text(head & 0x1f);
  return head < 0xca || (head >= 0xd9 && head < 0xe0) ? sized(head) : number(head);
}

function unsigned(size: 1 | 2 | 4): number {
  const from = at;
  at += size;
  if (size === 1) return view.getUint8(from);
  return size === 2 ? view.getUint16(from) : view.getUint32(from);
}

/** Constants, and what has its length in front. */
function sized(head: number): unknown {
  switch (head) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
      return bytesOf(unsigned(1));
    case 0xc5:
      return bytesOf(unsigned(2));
    case 0xc6:
      return bytesOf(unsigned(4));
    case 0xd9:
      return text(unsigned(1));
    case 0xda:
      return text(unsigned(2));
    case 0xdb:
      return text(unsigned(4));
    case 0xdc:
      return list(unsigned(2));
    default:
      return list(unsigned(4));
  }
}

function number(head: number): number {
  const from = at;
  switch (head) {
    case 0xca:
      at += 4;
      return view.getFloat32(from);
    case 0xcb:
      at += 8;
      return view.getFloat64(from);
    case 0xcc:
      return unsigned(1);
    case 0xcd:
      return unsigned(2);
    case 0xce:
      return unsigned(4);
    case 0xd0:
      at += 1;
      return view.getInt8(from);
    case 0xd1:
      at += 2;
      return view.getInt16(from);
    case 0xd2:
      at += 4;
      return view.getInt32(from);
    default: {
      at += 8;
      const high = head === 0xcf ? view.getUint32(from) : view.getInt32(from);
      return high * TWO_32 + view.getUint32(from + 4);
    }
  }
}

function bytesOf(length: number): Uint8Array {
  const from = at;
  at += length;
  return source.subarray(from, at);
}

function list(count: number): unknown[] {
  const items: unknown[] = [];
  for (let i = 0; i < count; i++) items.push(read());
  return items;
}

function text(length: number): string {
  const from = at;
  at += length;
  if (length > SHORT_BYTES_MAX) return decoder.decode(source.subarray(from, at));
  const units: number[] = [];
  for (let i = from; i < at; i++) {
    const byte = source[i] as number;
    if (byte > 127) return decoder.decode(source.subarray(from, at));
    units.push(byte);
  }
  return String.fromCharCode.apply(null, units);
}
