/** Several siblings in one answer: `multipart/mixed` (RFC 2046, 5.1) or JSON. */
import { present } from "../../../core/assert.ts";
import { type Content, etagOf, type Sibling } from "../../../core/entry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { joinAsBase64 } from "../http/base64.ts";
import { httpDate } from "../http/http-date.ts";
import { contentHeaders, modifiedMs } from "./answers.ts";

const encoder = new TextEncoder();

/** A live sibling: it has a content. */
export type LiveSibling = Sibling & { readonly content: Content };

/**
 * How much an `Accept` header wants a media type that it names itself (RFC 9110, 12.5.1): 0 to 1.
 * Ranges such as "*" ask for nothing in particular, so a plain GET gets a plain answer.
 */
export function qualityOf(accept: string | null, type: string): number {
  if (accept === null || accept === "*/*") return 0;
  for (const part of accept.toLowerCase().split(",")) {
    const [name, ...parameters] = part.split(";").map((text) => text.trim());
    if (name !== type) continue;
    const weight = parameters.find((text) => text.startsWith("q="));
    const quality = weight === undefined ? 1 : Number(weight.slice(2));
    return quality >= 0 && quality <= 1 ? quality : 0;
  }
  return 0;
}

/** The coding of the bytes, for a form without headers: they are given as stored. */
export const encodingOf = ({ contentEncoding }: Content): { readonly contentEncoding?: string } =>
  contentEncoding === null ? {} : { contentEncoding };

export interface SiblingsBody {
  readonly contentType: string;
  readonly body: Uint8Array;
}

/** In pieces: base64 of a hundred large siblings takes longer than others should wait. */
export async function siblingsAsJson(
  siblings: readonly LiveSibling[],
  hash: KeyedHash,
): Promise<SiblingsBody> {
  const parts: (string | Uint8Array)[] = [];
  for (const sibling of siblings) {
    const { content } = sibling;
    const described = JSON.stringify({
      etag: etagOf([sibling], hash),
      lastModified: httpDate(modifiedMs(sibling)),
      contentType: content.contentType,
      ...encodingOf(content),
      metadata: content.metadata === null ? null : JSON.parse(content.metadata),
    });
    const opening = parts.length === 0 ? '{"siblings":[' : ",";
    parts.push(`${opening}${described.slice(0, -1)},"value":"`, content.value, '"}');
  }
  return { contentType: "application/json", body: await joinAsBase64([...parts, "]}"]) };
}

/**
 * Header texts are one char a byte; where a host decoded them as UTF-8, chars may be larger than a
 * byte.
 */
function headBytes(text: string): Uint8Array {
  const codes = Array.from(text, (char) => present(char.codePointAt(0)));
  return codes.every((code) => code < 256) ? Uint8Array.from(codes) : encoder.encode(text);
}

function partHead(sibling: LiveSibling, hash: KeyedHash): string {
  const headers = {
    ...contentHeaders(sibling.content),
    "Content-Length": String(sibling.content.value.length),
    ETag: etagOf([sibling], hash),
    "Last-Modified": httpDate(modifiedMs(sibling)),
    // A client that writes one of them back can give it the time that it had left.
    ...(sibling.expiresAt === 0 ? {} : { Expires: httpDate(sibling.expiresAt) }),
  };
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\r\n");
}

/** The boundary is the ETag of all: nobody knew it when choosing a value. */
export function siblingsAsMultipart(
  siblings: readonly LiveSibling[],
  hash: KeyedHash,
): SiblingsBody {
  const boundary = `starling-${etagOf(siblings, hash).replaceAll('"', "")}`;
  const pieces: Uint8Array[] = [];
  for (const sibling of siblings) {
    pieces.push(headBytes(`--${boundary}\r\n${partHead(sibling, hash)}\r\n\r\n`));
    pieces.push(sibling.content.value, encoder.encode("\r\n"));
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
