/** Content codings (RFC 9110, 8.4.1) of values that come within another answer. */

/** What the platform's decoders are called. */
const FORMATS: Readonly<Record<string, string>> = {
  gzip: "gzip",
  "x-gzip": "gzip",
  deflate: "deflate",
  br: "brotli",
  zstd: "zstd",
};

function decoderFor(coding: string): DecompressionStream | null {
  try {
    const format = FORMATS[coding];
    return format === undefined ? null : new DecompressionStream(format as "gzip");
  } catch {
    // A coding that this host has no decoder for.
    return null;
  }
}

/**
 * The value as `fetch` would give it, were it the only one: without its codings. A value that
 * claims a coding that it does not have stays as it is stored, so that it can be seen and replaced.
 */
export async function decoded(
  bytes: Uint8Array<ArrayBuffer>,
  contentEncoding: string | null,
): Promise<Uint8Array<ArrayBuffer>> {
  const codings = (contentEncoding ?? "").toLowerCase().split(",").reverse();
  let value = bytes;
  for (const coding of codings.map((text) => text.trim())) {
    if (coding === "" || coding === "identity") continue;
    const decoder = decoderFor(coding);
    if (decoder === null) return bytes;
    try {
      const plain = new Blob([value]).stream().pipeThrough(decoder);
      value = new Uint8Array(await new Response(plain).arrayBuffer());
    } catch {
      return bytes;
    }
  }
  return value;
}
