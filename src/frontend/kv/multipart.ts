/**
 * `multipart/form-data` (RFC 7578) as bytes. The platforms' own `formData()` makes a text of every
 * part without a file name, and so garbles bytes that are not UTF-8.
 */
import { Problem } from "../http/problems.ts";

export interface Part {
  readonly name: string;
  /** null: the part names none. */
  readonly contentType: string | null;
  readonly value: Uint8Array;
}

const PARTS_COUNT_MAX = 16;
const BOUNDARY = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i;
const NAME = /;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i;
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const CRLF = encoder.encode("\r\n");
const BLANK_LINE = encoder.encode("\r\n\r\n");

const malformed = (detail: string): Problem => new Problem("invalid-request", detail);
const unreadable = (): Problem =>
  malformed("The body is not multipart/form-data with the boundary of its Content-Type.");

export const isMultipart = (contentType: string | null): boolean =>
  /^multipart\/form-data\s*(;|$)/i.test(contentType ?? "");

/** Where `needle` begins in `bytes`, from `from` on; -1 when it is not there. */
function indexOf(bytes: Uint8Array, needle: Uint8Array, from: number): number {
  const first = needle[0] as number;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let same = 1;
    while (same < needle.length && bytes[at + same] === needle[same]) same++;
    if (same === needle.length) return at;
  }
  return -1;
}

function partOf(bytes: Uint8Array): Part {
  const end = indexOf(bytes, BLANK_LINE, 0);
  if (end < 0) throw unreadable();
  const lines = decoder.decode(bytes.subarray(0, end)).split("\r\n");
  const header = (name: string): string | null => {
    const line = lines.find((text) => text.toLowerCase().startsWith(`${name}:`));
    return line === undefined ? null : line.slice(name.length + 1).trim();
  };
  const found = NAME.exec(header("content-disposition") ?? "");
  if (found === null) throw unreadable();
  const value = bytes.subarray(end + BLANK_LINE.length);
  return { name: found[1] ?? found[2] ?? "", contentType: header("content-type"), value };
}

/**
 * The parts in their order, with their bytes as they were sent.
 *
 * @throws Problem `invalid-request`
 */
export function readParts(contentType: string, bytes: Uint8Array): readonly Part[] {
  const found = BOUNDARY.exec(contentType);
  const boundary = found?.[1] ?? found?.[2];
  if (boundary === undefined) throw malformed("The Content-Type names no boundary.");
  const delimiter = encoder.encode(`\r\n--${boundary}`);
  const parts: Part[] = [];
  // The first delimiter may stand at the very beginning, without the line break before it.
  const opening = delimiter.subarray(CRLF.length);
  const startsAtOnce = indexOf(bytes.subarray(0, opening.length), opening, 0) === 0;
  let at = startsAtOnce ? -CRLF.length : indexOf(bytes, delimiter, 0);
  if (!startsAtOnce && at < 0) throw unreadable();
  for (;;) {
    const from = at + delimiter.length;
    const isLast = bytes[from] === 0x2d && bytes[from + 1] === 0x2d;
    if (isLast) return parts;
    // Blanks may follow a delimiter on its line (RFC 2046, 5.1.1).
    const line = indexOf(bytes, CRLF, from);
    at = indexOf(bytes, delimiter, from);
    if (line < 0 || at < line + CRLF.length || parts.length === PARTS_COUNT_MAX) throw unreadable();
    parts.push(partOf(bytes.subarray(line + CRLF.length, at)));
  }
}
