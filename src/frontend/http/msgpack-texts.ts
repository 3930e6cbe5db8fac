/**
 * MessagePack from outside, with its texts as they were sent. The package's own decoder takes any
 * bytes for a text, and of one with more than 200 bytes it drops a U+FEFF at the beginning: either
 * way a key becomes another key. So it is asked for texts as bytes, which are decoded here.
 *
 * It then gives texts and bytes as the same: views of its input. Which of them a view is shows in
 * what stands before it, and a head and a length of a text are never those of bytes.
 */
import { Decoder, type DecoderOptions, ExtData } from "@msgpack/msgpack";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Names of members are always texts, and are short as a rule. */
const keyDecoder = {
  canBeCached: (): boolean => true,
  decode: (bytes: Uint8Array, from: number, byteCount: number): string =>
    utf8.decode(bytes.subarray(from, from + byteCount)),
};

const [FIXED_TEXT, FIXED_TEXT_MAX] = [0xa0, 31];
const TEXT_HEADS: ReadonlySet<number> = new Set([0xd9, 0xda, 0xdb]);

/**
 * Whether a view of MessagePack is one of its texts. The bytes before the view are a head, and
 * behind it the view's length in one, two or four bytes. In a longer field than the length needs
 * there are zeros where a head would be otherwise, and no head is zero.
 */
function isText({ byteOffset, length }: Uint8Array, all: Uint8Array): boolean {
  const before = (count: number): number => all[byteOffset - all.byteOffset - count] ?? 0;
  if (length <= FIXED_TEXT_MAX && before(1) === FIXED_TEXT + length) return true;
  if (length < 2 ** 8 && before(2) !== 0) return TEXT_HEADS.has(before(2));
  if (length < 2 ** 16 && before(3) !== 0) return TEXT_HEADS.has(before(3));
  return TEXT_HEADS.has(before(5));
}

/**
 * The one value that the bytes are. Bytes in it are views of them.
 *
 * @throws Error where they are anything else, or a text is not UTF-8
 */
export function decodeWithTexts(
  bytes: Uint8Array,
  options: DecoderOptions<undefined> = {},
): unknown {
  const textsIn = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return isText(value, bytes) ? utf8.decode(value) : value;
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof ExtData) throw new RangeError("extension types are not taken");
    // Nobody else has it, and it may have a million members: they are replaced where they are.
    const members = value as Record<string, unknown>;
    for (const name of Object.keys(members)) members[name] = textsIn(members[name]);
    return value;
  };
  return textsIn(new Decoder({ ...options, rawStrings: true, keyDecoder }).decode(bytes));
}
