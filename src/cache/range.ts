/** Ranges of a complete stored response (RFC 9110, 14). One range at a time, in bytes. */

/** Half open: from the first byte on, up to and without `to`. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

export type RangeVerdict =
  | { readonly kind: "whole" }
  | { readonly kind: "range"; readonly range: ByteRange }
  | { readonly kind: "unsatisfiable" };

const whole: RangeVerdict = { kind: "whole" };
const unsatisfiable: RangeVerdict = { kind: "unsatisfiable" };
const RANGE = /^bytes\s*=\s*(\d*)-(\d*)\s*$/i;

/** Several ranges, other units and what cannot be read are answered with the whole (14.2). */
export function readRange(text: string | null, length: number): RangeVerdict {
  const match = RANGE.exec(text ?? "");
  if (match === null) return whole;
  const [, first = "", last = ""] = match;
  if (first === "" && last === "") return whole;
  if (first === "") {
    const suffix = Math.min(Number(last), length);
    if (suffix === 0) return unsatisfiable;
    return { kind: "range", range: { from: length - suffix, to: length } };
  }
  const from = Number(first);
  if (last !== "" && Number(last) < from) return whole;
  if (from >= length) return unsatisfiable;
  const to = last === "" ? length : Math.min(Number(last) + 1, length);
  return { kind: "range", range: { from, to } };
}

export const contentRange = ({ from, to }: ByteRange, length: number): string =>
  `bytes ${from}-${to - 1}/${length}`;
