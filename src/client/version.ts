/** One stored version with its bytes at hand, and the forms in which bytes and words travel. */

export interface VersionParts {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  readonly contentType: string;
  readonly contentEncoding: string | null;
  readonly metadata: unknown;
  readonly lastModified: Date | null;
}

export class Version {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly etag: string;
  readonly contentType: string;
  /** What was stored with it; `bytes` are decoded all the same, as those of `get` are. */
  readonly contentEncoding: string | null;
  /** The JSON value that was stored with it; null when none was. */
  readonly metadata: unknown;
  /** When it was written, by its coordinator's clock. For display: no clock decides a winner. */
  readonly lastModified: Date | null;

  constructor(parts: VersionParts) {
    this.bytes = parts.bytes;
    this.etag = parts.etag;
    this.contentType = parts.contentType;
    this.contentEncoding = parts.contentEncoding;
    this.metadata = parts.metadata;
    this.lastModified = parts.lastModified;
  }

  text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /** @throws SyntaxError when the value is not JSON */
  json<T = unknown>(): T {
    return JSON.parse(this.text()) as T;
  }
}

export const toBytes = (value: string | Uint8Array): Uint8Array =>
  typeof value === "string" ? new TextEncoder().encode(value) : value;

/** Arguments of one call are limited by the engines' stacks. */
const CHARS_PER_CALL = 32_768;

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let i = 0; i < bytes.length; i += CHARS_PER_CALL) {
    binary += String.fromCharCode(...bytes.subarray(i, i + CHARS_PER_CALL));
  }
  return btoa(binary);
}

export const fromBase64 = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text), (char) => char.charCodeAt(0));

/** JSON for a header: what is not ASCII is written as an escape. */
export const headerJson = (value: unknown): string =>
  (JSON.stringify(value) ?? "null").replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** The date that a header or a document names; null for none. */
export function dateOf(text: unknown): Date | null {
  const ms = typeof text === "string" ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? null : new Date(ms);
}
