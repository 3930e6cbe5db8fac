import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CodecError } from "../../core/check.ts";
import { decode, encode } from "../../core/codec.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { NAMESPACES_COUNT_MAX } from "../../core/limits.ts";
import type { NamespaceSettings } from "../../core/namespace-settings.ts";
import {
  type ClusterDocument,
  checkSettings,
  decodeDocument,
  encodeDocument,
  impossibleSettings,
  isFullWithout,
  isStill,
  mergeDocuments,
  sizesOf,
  stampOf,
  withNamespace,
} from "../../ring/cluster-document.ts";
import { bootstrapRing, type RingDocument } from "../../ring/ring.ts";
import { agreedRing } from "../../ring/ring-document.ts";

const hash = new KeyedHash(new Uint8Array(16));
const settings: NamespaceSettings = {
  n: 3,
  r: "quorum",
  w: "quorum",
  dw: "quorum",
  ttl: null,
  maxValueBytes: 1024,
  maxBytes: null,
  trustedContent: false,
};

const members = ["a", "b", "c"].map((zone, i) => ({ id: `r${i + 1}`, zone, url: "", weight: 1 }));
const ring = bootstrapRing({ name: "local", partitions: 8, n: 3, members }, "1");

const rings: fc.Arbitrary<RingDocument> = fc
  .record({ version: fc.integer({ min: 1, max: 3 }), weight: fc.integer({ min: 1, max: 2 }) })
  .map(({ version, weight }) => ({
    ...ring,
    version,
    members: members.map((member) => ({ ...member, weight })),
  }));

/** What a newer version says, and this one does not know. */
const carried = fc
  .dictionary(fc.constantFrom("newer", "__proto__", "keys"), fc.jsonValue({ maxDepth: 2 }))
  .map((members) => decodeDocument(withMembers(members)).carried);

function withMembers(members: object): Uint8Array {
  return encode(JSON.stringify({ ...members, ring, namespaces: [] }));
}

const plainDocuments = fc.record({
  ring: rings,
  namespaces: fc
    .array(
      fc.tuple(
        fc.constantFrom("demo", "other", "constructor"),
        fc.record({
          revision: fc.integer({ min: 1, max: 3 }),
          settings: fc.option(fc.integer({ min: 1, max: 3 }).map((n) => ({ ...settings, n }))),
        }),
      ),
      { maxLength: 4 },
    )
    .map((entries) => new Map(entries)),
});
const documents: fc.Arbitrary<ClusterDocument> = fc
  .tuple(plainDocuments, carried)
  .map(([document, more]) => ({ ...document, ...(more === undefined ? {} : { carried: more }) }));

const stamp = (document: ClusterDocument): number => stampOf(document, hash);

describe("mergeDocuments", () => {
  it("is a join: any order of gossip ends in one document", () => {
    fc.assert(
      fc.property(documents, documents, documents, (a, b, c) => {
        expect(stamp(mergeDocuments(a, b))).toBe(stamp(mergeDocuments(b, a)));
        const left = mergeDocuments(mergeDocuments(a, b), c);
        const right = mergeDocuments(a, mergeDocuments(b, c));
        expect(stamp(left)).toBe(stamp(right));
        expect(stamp(mergeDocuments(a, a))).toBe(stamp(a));
        expect(stamp(mergeDocuments(left, b))).toBe(stamp(left));
      }),
      { numRuns: 200 },
    );
  });

  it("keeps the higher revision of a namespace and the higher version of a ring", () => {
    const old = withNamespace({ ring, namespaces: new Map() }, "demo", settings);
    const changed = withNamespace(old, "demo", { ...settings, n: 1 });
    expect(mergeDocuments(changed, old).namespaces.get("demo")?.settings?.n).toBe(1);
    const deleted = withNamespace(changed, "demo", null);
    expect(mergeDocuments(changed, deleted).namespaces.get("demo")?.settings).toBeNull();
    expect(sizesOf(deleted)).toEqual([ring.n]);
    const again = withNamespace(deleted, "demo", settings);
    expect(mergeDocuments(again, deleted).namespaces.get("demo")?.settings).toEqual(settings);
    const newer = { ...old, ring: { ...ring, version: 2 } };
    expect(mergeDocuments(old, newer).ring.version).toBe(2);
  });

  it("is still the very same when it is joined with what it holds already", () => {
    const old = { ring: agreedRing(ring), namespaces: new Map() };
    const mine = withNamespace(old, "a", settings);
    expect(isStill(mine, mergeDocuments(mine, old))).toBe(true);
    expect(isStill(mine, mergeDocuments(mine, decodeDocument(encodeDocument(mine))))).toBe(true);
    expect(isStill(old, mergeDocuments(old, mine))).toBe(false);
    const changed = withNamespace(mine, "a", { ...settings, n: 2 });
    expect(isStill(mine, mergeDocuments(mine, changed))).toBe(false);
  });
});

describe("the number of namespaces", () => {
  it("is bounded, deleted ones counted, and those that are there can still be changed", () => {
    const names = Array.from({ length: NAMESPACES_COUNT_MAX }, (_, i) => `n${i}`);
    const record = { revision: 1, settings: null };
    const full = { ring, namespaces: new Map(names.map((name) => [name, record])) };
    expect(isFullWithout(full, "one-more")).toBe(true);
    expect(isFullWithout(full, "n7")).toBe(false);
    full.namespaces.delete("n7");
    expect(isFullWithout(full, "one-more")).toBe(false);
  });
});

describe("a document on its way", () => {
  it("arrives as it left", () => {
    fc.assert(
      fc.property(documents, (document) => {
        const copy = decodeDocument(encodeDocument(document));
        expect(copy).toEqual(document);
        expect(stamp(copy)).toBe(stamp(document));
      }),
      { numRuns: 100 },
    );
  });

  it("carries what a newer version says in it, and stays what that version takes it for", () => {
    const said = { newer: { b: [1, { c: null }], a: "text" }, revisions: 7 };
    const there = decodeDocument(withMembers(said));
    const empty = { ring: there.ring, namespaces: new Map() };
    for (const merged of [mergeDocuments(there, empty), mergeDocuments(empty, there)]) {
      const text = decode(encodeDocument(merged)) as string;
      expect(JSON.parse(text)).toMatchObject(said);
      expect(stamp(merged)).toBe(stamp(there));
    }
    expect(stamp(there)).not.toBe(stamp(empty));
    expect(isStill(there, mergeDocuments(there, empty))).toBe(true);
    expect(isStill(empty, mergeDocuments(empty, there))).toBe(false);
  });

  it("carries a little, and not whatever comes", () => {
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`m${i}`, i]));
    for (const members of [many, { long: "x".repeat(70_000) }]) {
      expect(() => decodeDocument(withMembers(members))).toThrow(CodecError);
    }
  });

  it("is refused when its ring is none", () => {
    const broken = { ring: { ...ring, n: 9 }, namespaces: new Map() };
    expect(() => decodeDocument(encodeDocument(broken))).toThrow(`"n" must be`);
  });
});

describe("checkSettings", () => {
  const bad: [change: object, message: string][] = [
    [{ n: 4 }, `"n"`],
    [{ n: 0 }, `"n"`],
    [{ r: 4 }, `"r"`],
    [{ w: "most" }, `"w"`],
    [{ dw: -1 }, `"dw"`],
    [{ ttl: 0 }, `"ttl"`],
    [{ maxValueBytes: -1 }, `"maxValueBytes"`],
    [{ maxBytes: 0 }, `"maxBytes"`],
    [{ trustedContent: "yes" }, `"trustedContent"`],
  ];

  it("takes what is right", () => {
    expect(checkSettings({ ...settings, r: 1, w: "all", dw: 0, ttl: 60 }, 3)).toBeTypeOf("object");
    expect(checkSettings({ ...settings, title: "My sessions" }, 3)).toBeTypeOf("object");
    expect(() => checkSettings({ ...settings, title: "" }, 3)).toThrow('"title" must be');
  });

  it.each<[object, boolean]>([
    [{ w: 1, dw: 2 }, false],
    [{ w: "one", dw: 2 }, false],
    [{ w: "quorum", dw: 3 }, false],
    [{ w: 1, dw: "all" }, false],
    [{ w: 1, dw: "quorum" }, true],
    [{ w: 2, dw: 2 }, true],
    [{ w: "all", dw: "all" }, true],
    [{ w: 1, dw: 0 }, true],
  ])("knows what can be met: %j", (change, isPossible) => {
    const asked = checkSettings({ ...settings, n: 3, ...change }, 3);
    expect(impossibleSettings(asked) === null).toBe(isPossible);
  });

  it.each(bad)("refuses %j by name", (change, message) => {
    expect(() => checkSettings({ ...settings, ...change }, 3)).toThrow(message);
  });
});
