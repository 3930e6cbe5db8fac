/** What a test stores when only the bytes matter. */
import type { Content } from "../../core/entry.ts";

export const plainContent = (value: Uint8Array | string): Content => ({
  value: typeof value === "string" ? new TextEncoder().encode(value) : value,
  contentType: "text/plain",
  contentEncoding: null,
  contentLanguage: null,
  contentDisposition: null,
  metadata: null,
  tags: [],
});
