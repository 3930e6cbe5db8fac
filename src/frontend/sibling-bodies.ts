/** Several siblings in one answer: `multipart/mixed` (RFC 2046, 5.1) or JSON. */
import { etagOf, type Sibling } from "../../core/entry.ts";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { modifiedMs } from "./answers.ts";

const encoder = new TextEncoder();

export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  const step = 32_768;
  for (let i = 0; i < bytes.length; i += step) {
    binary += String.fromCharCode(...bytes.subarray(i, i + step));
  }
  return btoa(binary);
}

export function siblingsAsJson(siblings: readonly Sibling[], hash: KeyedHash): string {
  return JSON.stringify({
    siblings: siblings.map((sibling) => ({
      etag: etagOf([sibling], hash),
      lastModified: new Date(modifiedMs(sibling)).toUTCString(),
      contentType: sibling.content?.contentType,
      metadata: sibling.content?.metadata == null ? null : JSON.parse(sibling.content.metadata),
      value: toBase64(sibling.content?.value ?? new Uint8Array(0)),
    })),
  });
}

function partHead(sibling: Sibling, hash: KeyedHash): string {
  const { content } = sibling;
  const lines = [
    `Content-Type: ${content?.contentType}`,
    `Content-Length: ${content?.value.length}`,
    `ETag: ${etagOf([sibling], hash)}`,
    `Last-Modified: ${new Date(modifiedMs(sibling)).toUTCString()}`,
  ];
  if (content?.contentEncoding != null) lines.push(`Content-Encoding: ${content.contentEncoding}`);
  if (content?.contentLanguage != null) lines.push(`Content-Language: ${content.contentLanguage}`);
  if (content?.contentDisposition != null) {
    lines.push(`Content-Disposition: ${content.contentDisposition}`);
  }
  if (content?.metadata != null) lines.push(`Starling-Metadata: ${content.metadata}`);
  return lines.join("\r\n");
}

/** The boundary is the ETag of all: nobody who chose a value knew it. */
export function siblingsAsMultipart(
  siblings: readonly Sibling[],
  hash: KeyedHash,
): { readonly contentType: string; readonly body: Uint8Array } {
  const boundary = `starling-${etagOf(siblings, hash).replaceAll('"', "")}`;
  const pieces: Uint8Array[] = [];
  for (const sibling of siblings) {
    pieces.push(encoder.encode(`--${boundary}\r\n${partHead(sibling, hash)}\r\n\r\n`));
    pieces.push(sibling.content?.value ?? new Uint8Array(0), encoder.encode("\r\n"));
  }
  pieces.push(encoder.encode(`--${boundary}--\r\n`));
  const body = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return { contentType: `multipart/mixed; boundary="${boundary}"`, body };
}
