/**
 * An answer that is whole, as it goes onto its connection: in the words that Node would write. Most
 * of its fields are those of the answer before it, and need not be judged and joined again.
 */
import { STATUS_CODES } from "node:http";
import { httpDate } from "../../frontend/http/http-date.ts";

export interface WholeAnswer {
  readonly status: number;
  /** One name and one value after the other. */
  readonly fields: readonly string[];
  readonly body: Uint8Array | string | null;
}

/** What names and values are made of (RFC 9110, 5.1 and 5.5). */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const UNSENDABLE = /[^\t -~\x80-\xff]/;

/** A field as a line, and what an answer has to know of it. */
interface Line {
  readonly name: string;
  readonly value: string;
  readonly text: string;
  readonly isDate: boolean;
  readonly isLength: boolean;
}

/** Those of the last answer, by their place. */
const lines: Line[] = [];
const LINES_COUNT_MAX = 64;

const isNamed = (name: string, lower: string): boolean =>
  name.length === lower.length && name.toLowerCase() === lower;

/** @returns null when it cannot be sent */
function lineOf(name: string, value: string, place: number): Line | null {
  const last = lines[place];
  if (last !== undefined && last.name === name && last.value === value) return last;
  // A name that was there before is sound.
  if ((last?.name !== name && !NAME.test(name)) || UNSENDABLE.test(value)) return null;
  const isDate = isNamed(name, "date");
  const isLength = isNamed(name, "content-length");
  const line = { name, value, text: `${name}: ${value}\r\n`, isDate, isLength };
  if (place < LINES_COUNT_MAX) lines[place] = line;
  return line;
}

/** These have no body, and need no length for that (RFC 9110, 8.6). */
const isBodiless = (status: number): boolean => status === 204 || status === 304;

const byteCountOf = (body: WholeAnswer["body"]): number => {
  if (body === null) return 0;
  return typeof body === "string" ? Buffer.byteLength(body) : body.length;
};

/**
 * A body of more bytes is sent from where it lies, as a piece of its own. To copy a shorter one
 * costs less than a second piece; to copy 16 KiB makes so much garbage outside of V8's heap that
 * it looks through the whole heap, again and again.
 */
const COPIED_BYTES_MAX = 4096;

/**
 * @param connection the fields that say what becomes of the connection, as lines
 * @returns all of its bytes, in one piece or in two; null when it has a field that cannot be sent
 */
export function piecesOfAnswer(
  { status, fields, body }: WholeAnswer,
  connection: string,
): readonly Uint8Array[] | null {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "unknown"}\r\n`;
  let hasDate = false;
  let hasLength = false;
  for (let i = 0; i < fields.length; i += 2) {
    const line = lineOf(fields[i] as string, fields[i + 1] as string, i >> 1);
    if (line === null) return null;
    hasDate ||= line.isDate;
    hasLength ||= line.isLength;
    head += line.text;
  }
  if (!hasDate) head += `Date: ${httpDate(Date.now())}\r\n`;
  head += connection;
  const byteCount = isBodiless(status) ? 0 : byteCountOf(body);
  if (!hasLength && !isBodiless(status)) head += `Content-Length: ${byteCount}\r\n`;
  head += "\r\n";
  if (body instanceof Uint8Array && byteCount > COPIED_BYTES_MAX) {
    return [Buffer.from(head, "latin1"), body];
  }
  const out = Buffer.allocUnsafe(head.length + byteCount);
  out.write(head, 0, "latin1");
  if (byteCount === 0 || body === null) return [out];
  if (typeof body === "string") out.write(body, head.length);
  else out.set(body, head.length);
  return [out];
}
