/** All siblings of a key, as one answer lists them. */
import { decoded } from "./coding.ts";
import { dateOf, fromBase64, Version } from "./version.ts";

interface SiblingJson {
  readonly etag: string;
  readonly lastModified: string;
  readonly contentType: string;
  readonly contentEncoding?: string;
  readonly metadata: unknown;
  readonly value: string;
}

/** @param decompress whether they lose their content coding */
export async function versionsOf(
  answer: Uint8Array,
  decompress: boolean,
): Promise<readonly Version[]> {
  const { siblings } = JSON.parse(new TextDecoder().decode(answer)) as {
    siblings: readonly SiblingJson[];
  };
  const versions = siblings.map(async ({ value, lastModified, ...rest }) => {
    const { contentEncoding = null } = rest;
    const stored = fromBase64(value);
    const bytes = decompress ? await decoded(stored, contentEncoding) : stored;
    return new Version({ ...rest, contentEncoding, bytes, lastModified: dateOf(lastModified) });
  });
  return Promise.all(versions);
}
