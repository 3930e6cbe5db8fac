/** `starling get --siblings all`: every version of a key, to be read and as JSON. */
import { bold, counted, printable, say } from "./output.ts";

export interface ShownSibling {
  readonly etag: string | null;
  readonly lastModified: string | null;
  readonly contentType: string | null;
  readonly contentEncoding?: string;
  readonly metadata: unknown;
  /** In base64. */
  readonly value: string;
}

/** The siblings in an answer to a read that asked for all: one, or a document of several. */
export function siblingsOf(response: Response, body: Uint8Array): readonly ShownSibling[] {
  const { headers } = response;
  if (response.status === 300) {
    const text = new TextDecoder().decode(body);
    return (JSON.parse(text) as { siblings: readonly ShownSibling[] }).siblings;
  }
  const contentEncoding = headers.get("Content-Encoding");
  const metadata = headers.get("Starling-Metadata");
  const only = {
    etag: headers.get("ETag"),
    lastModified: headers.get("Last-Modified"),
    contentType: headers.get("Content-Type"),
    ...(contentEncoding === null ? {} : { contentEncoding }),
    metadata: metadata === null ? null : (JSON.parse(metadata) as unknown),
    value: Buffer.from(body).toString("base64"),
  };
  return [only];
}

/** A text as it is, without what a terminal would execute; of anything else its first bytes. */
function shown(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return text.split("\n").map(printable).join("\n");
  } catch {
    const start = Buffer.from(bytes.subarray(0, 48)).toString("base64");
    return `(no text; base64 ${start}${bytes.length > 48 ? "…" : ""}; --json has all of it)`;
  }
}

/** All of them, the newest first, each below a line that says what it is. */
export function saySiblings(siblings: readonly ShownSibling[]): void {
  const count = siblings.length;
  say(count === 1 ? "one version" : `${count} siblings, the newest first`);
  for (const [i, sibling] of siblings.entries()) {
    const bytes = Buffer.from(sibling.value, "base64");
    const facts = [
      `${i + 1}/${count}`,
      sibling.etag,
      sibling.lastModified,
      sibling.contentType,
      sibling.contentEncoding,
      counted(bytes.length, "byte"),
      sibling.metadata === null ? null : JSON.stringify(sibling.metadata),
    ].filter((fact) => fact !== null && fact !== undefined);
    say(bold(`--- ${facts.map(printable).join("  ")}`));
    say(shown(bytes));
  }
}
