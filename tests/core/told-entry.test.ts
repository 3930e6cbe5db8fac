/** Entries on their way from a source of the change feed to its frontend. */
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/check.ts";
import type { Content, Entry, Sibling } from "../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import { ToldEntry, withoutValue } from "../../core/told-entry.ts";

const MOST = Number.MAX_SAFE_INTEGER;

const plain: Content = {
  ...{ value: new Uint8Array(0), contentType: "text/plain", contentEncoding: null },
  ...{ contentLanguage: null, contentDisposition: null, metadata: null, tags: [] },
};
const full: Content = {
  ...{ value: new Uint8Array(300), contentType: "\u20ac".repeat(80), contentEncoding: "gzip" },
  ...{
    contentLanguage: "de, en",
    contentDisposition: "attachment",
    metadata: "\u20ac".repeat(600),
  },
  tags: Array.from({ length: 64 }, (_, i) => `\u20ac${i}`),
  cacheLife: { maxAge: MOST, sharedMaxAge: MOST },
};

function entryOf(contents: readonly (Content | null)[]): Entry {
  let context = CausalContext.empty;
  const siblings = contents.map((content, i): Sibling => {
    const dot = { actor: `actor${String(i).padStart(3, "0")}`, counter: MOST - 2 * i };
    context = context.with(dot).with({ ...dot, counter: 1 });
    return { dot, time: MOST, op: "\u20ac".repeat(22), expiresAt: MOST, content };
  });
  const retries = siblings.map(({ op, dot }) => ({ op, dot }));
  return { context, siblings, retries };
}

const entries: readonly (readonly [string, Entry])[] = [
  ["nothing", { context: CausalContext.empty, siblings: [], retries: [] }],
  ["a version", entryOf([plain])],
  ["a delete", entryOf([null])],
  ["one with all that is said of a version", entryOf([full])],
  ["26 siblings", entryOf(Array.from({ length: 26 }, (_, i) => (i % 2 === 0 ? full : plain)))],
];

describe("an entry that is told", () => {
  it.each(entries)("is in a message what it was, without its values: %s", (_, entry) => {
    const bare = { ...entry, siblings: entry.siblings.map(withoutValue) };
    const { bytes } = ToldEntry.withoutValues(entry);
    expect(bytes).toEqual(encodeEntry(bare, null));
    expect(ToldEntry.fromBytes(bytes).decoded).toEqual(bare);
    expect(decodeEntry(bytes).tenure).toBeNull();
  });

  it("keeps no long value until it is told", () => {
    const long = { ...plain, value: new Uint8Array(5000) };
    const { decoded } = ToldEntry.withoutValues(entryOf([plain, long, null]));
    expect(decoded).toEqual(entryOf([plain, plain, null]));
  });

  it.each(entries)(
    "counts for no less than its bytes, and these for what they are: %s",
    (_, entry) => {
      const told = ToldEntry.withoutValues(entry);
      expect(told.byteCount).toBeGreaterThanOrEqual(told.bytes.length);
      expect(ToldEntry.fromBytes(told.bytes).byteCount).toBe(told.bytes.length);
    },
  );

  it("is encoded once for all who ask, and not decoded where it was not sent", () => {
    const told = ToldEntry.withoutValues(entryOf([plain]));
    expect(told.bytes).toBe(told.bytes);
    expect(told.decoded).toBe(told.decoded);
  });

  it("may be nonsense when it came from a peer, which is said when it is looked at", () => {
    const told = ToldEntry.fromBytes(new Uint8Array([1, 2, 3]));
    expect(() => told.decoded).toThrow(CodecError);
  });
});
