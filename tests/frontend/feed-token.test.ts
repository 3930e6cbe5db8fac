/** Tokens of change feeds: what they carry, how long they are, and those of release 0.2.0. */
import { describe, expect, it } from "vitest";
import { decode, encode } from "../../core/codec.ts";
import type { FeedPosition } from "../../core/feed.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { FEED_TOKEN_CHARS_MAX } from "../../core/limits.ts";
import { positionToToken, tokenToPosition } from "../../src/frontend/feed/feed-token.ts";
import { seal, unseal } from "../../src/frontend/http/sealed-token.ts";

const hash = new KeyedHash(new Uint8Array(16).fill(3));
const name = { namespace: "demo", prefix: "a/" };
const HIGH = 2 ** 40;
const WORD = 2 ** 31;
const idsOf = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `member-${i}.example`);

const there = (token: string, memberIds: readonly string[]): FeedPosition =>
  tokenToPosition(hash, name, { token, memberIds });

/** With three owners for each key, about a third of the members are sources. */
function wide(count: number): FeedPosition {
  const ids = idsOf(count);
  const sources = ids.slice(0, Math.ceil(count / 2)).map((id, i) => ({
    ...{ id, run: WORD - i, after: HIGH - i, ended: 2 ** 30 + i, until: 0, isResync: false },
  }));
  const through = HIGH - 2 ** 20;
  const proven = ids.map((id, i) => {
    const run = sources[i]?.run ?? WORD + i;
    return { id, run, through: through - i };
  });
  const left = ids.slice(-3).map((id, i) => ({ id, run: WORD + 7, through: HIGH + i }));
  const head = { layout: 2 ** 53 - 1, purgedThrough: 2 ** 53 - 1, dueThrough: 1_800_000_000_000 };
  return { ...head, sources, proven, left };
}

const places = [
  { id: "r1", run: 5, after: 9, ended: 0, until: 0, isResync: false },
  { id: "r2", run: 2 ** 32 - 1, after: 2 ** 53 - 1, ended: null, until: 0, isResync: false },
  { id: "r3", run: 0, after: 0, ended: 0, until: 0, isResync: true },
  { id: "r4", run: 8, after: 3, ended: 4, until: 2 ** 40, isResync: false },
  { id: "r5", run: 8, after: 0, ended: null, until: 7, isResync: true },
];

describe("a feed's token", () => {
  it("carries all that a position says", () => {
    const position: FeedPosition = {
      ...{ layout: 2 ** 52 + 1, purgedThrough: 12, dueThrough: 1_750_000_000_000 },
      sources: places,
      proven: [
        { id: "r1", run: 5, through: 9 },
        { id: "r2", run: 2 ** 32 - 1, through: 0 },
        { id: "r6", run: 77, through: 2 ** 40 },
      ],
      left: [
        { id: "r6", run: 78, through: 0 },
        { id: "r7", run: 79, through: 127 },
        { id: "r1", run: 4, through: 128 },
      ],
    };
    const ids = ["r7", "r6", "r5", "r4", "r3", "r2", "r1"];
    const found = there(positionToToken(hash, name, position), ids);
    const byId = <T extends { readonly id: string }>(list: readonly T[]): readonly T[] =>
      [...list].sort((a, b) => (a.id < b.id ? -1 : 1));
    expect(found.sources).toEqual(position.sources);
    expect(byId(found.proven)).toEqual(byId(position.proven));
    expect(byId(found.left)).toEqual(byId(position.left));
    expect({ ...found, sources: [], proven: [], left: [] }).toEqual({
      ...{ ...position, sources: [], proven: [], left: [] },
    });
  });

  it("has a source that had not begun begin with a resync, as its reader may have been told more", () => {
    const begun = { id: "r1", run: 5, after: 9, ended: 0, until: 40, isResync: false };
    const silent = { id: "r2", run: 0, after: 0, ended: 0, until: 0, isResync: false };
    const head = { layout: 1, purgedThrough: 0, dueThrough: 0, proven: [], left: [] };
    const token = positionToToken(hash, name, { ...head, sources: [begun, silent] });
    expect(there(token, ["r1", "r2"]).sources).toEqual([begun, { ...silent, isResync: true }]);
  });

  it("is within 2 KiB for fifty members at high positions, with all proofs", () => {
    const position = wide(50);
    const token = positionToToken(hash, name, position);
    expect(token.length).toBeLessThanOrEqual(FEED_TOKEN_CHARS_MAX);
    expect(there(token, idsOf(50)).proven).toHaveLength(50);
  });

  it("of very many members goes without proofs rather than being too long", () => {
    const token = positionToToken(hash, name, wide(100));
    expect(token.length).toBeLessThanOrEqual(FEED_TOKEN_CHARS_MAX);
    const found = there(token, idsOf(100));
    expect([found.proven, found.sources.length]).toEqual([[], 50]);
  });

  it("of release 0.2.0 is understood, as one without proofs", () => {
    // Written down as that release did: sources alone, by the first four bytes of a digest.
    const markOf = (id: string): number => hash.digest(`source ${id}`) % 2 ** 32;
    const rows = [markOf("r2"), 7, 2 ** 40, 3, 0, 0, markOf("gone"), 8, 1, 0, 5, 1];
    const token = seal(hash, "changes demo\0a/", encode([1, 2 ** 52, 9, rows]));
    expect(there(token, ["r1", "r2"])).toEqual({
      ...{ layout: 2 ** 52, purgedThrough: 9, dueThrough: 0, proven: [], left: [] },
      sources: [
        { id: "r2", run: 7, after: 2 ** 40, ended: 3, until: 0, isResync: false },
        { id: "", run: 8, after: 1, ended: 0, until: 5, isResync: true },
      ],
    });
  });

  it("is read by release 0.2.0 as one of a source that is no member", () => {
    const token = positionToToken(hash, name, wide(3));
    const [version, , , rows] = decode(unseal(hash, "changes demo\0a/", token) as Uint8Array) as [
      ...[number, number, number, unknown[]],
    ];
    expect([version, rows.length, typeof rows[0]]).toEqual([1, 6, "object"]);
  });

  it("is refused when it is cut short, of another prefix, or of a version to come", () => {
    const position = { ...wide(3) };
    const token = positionToToken(hash, name, position);
    const other = { ...name, prefix: "" };
    const sealed = (parts: readonly unknown[]): string =>
      seal(hash, "changes demo\0a/", encode(parts));
    const refused = { code: "invalid-token" };
    expect(() => there(token.slice(0, -1), idsOf(3))).toThrow(expect.objectContaining(refused));
    expect(() => tokenToPosition(hash, other, { token, memberIds: idsOf(3) })).toThrow(
      expect.objectContaining(refused),
    );
    for (const parts of [
      [3, 1, 1, new Uint8Array(0), 0],
      [2, 1, 1, new Uint8Array([1, 2]), 0],
    ]) {
      expect(() => there(sealed(parts), idsOf(3))).toThrow(expect.objectContaining(refused));
    }
  });
});
