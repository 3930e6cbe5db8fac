/**
 * MessagePack from outside, with its texts as they were sent. The package's own decoder takes any
 * bytes for a text, and of one with more than 200 bytes it drops a U+FEFF at the beginning: either
 * way a key becomes another key. So it is asked for texts as bytes, which are decoded here.
 */
import { Decoder, type DecoderOptions } from "@msgpack/msgpack";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The one value that the bytes are.
 *
 * @param bytesName the member that is bytes, wherever it is; all other texts and bytes are texts
 * @throws Error where they are anything else, or a text is not UTF-8
 */
export function decodeWithTexts(
  bytes: ArrayLike<number> | ArrayBuffer,
  bytesName: string,
  options: DecoderOptions<undefined> = {},
): unknown {
  const textsIn = (value: unknown): unknown => {
    if (value instanceof Uint8Array) return utf8.decode(value);
    if (Array.isArray(value)) return value.map(textsIn);
    if (typeof value !== "object" || value === null) return value;
    const members = Object.entries(value).map(([name, member]) => [
      name,
      name === bytesName ? member : textsIn(member),
    ]);
    return Object.fromEntries(members) as unknown;
  };
  return textsIn(new Decoder({ ...options, rawStrings: true }).decode(bytes));
}
