import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  compareUtf8,
  isNamespace,
  keyOf,
  namespaceOf,
  storeKey,
  utf8Length,
} from "../../core/keys.ts";

const unicode = fc.string({ unit: "binary", maxLength: 12 });

describe("compareUtf8", () => {
  it("orders texts as their UTF-8 bytes are ordered", () => {
    // Few characters, so that long common beginnings are likely; some of each length in UTF-8.
    const near = fc.string({
      unit: fc.constantFrom("a", "\0", "é", "\ud7ff", "\uff5e", "😀", "𐀀"),
    });
    const text = fc.oneof(near, unicode);
    fc.assert(
      fc.property(text, text, (a, b) => {
        const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
        expect(Math.sign(compareUtf8(a, b))).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  it("differs from JavaScript's own order where it must", () => {
    expect("\uff5e" < "😀").toBe(false);
    expect(compareUtf8("\uff5e", "😀")).toBeLessThan(0);
  });
});

describe("store keys", () => {
  it("come apart again, whatever is in the key", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 200 }), (key) => {
        const joined = storeKey("a.b-c_1", key);
        expect([namespaceOf(joined), keyOf(joined)]).toEqual(["a.b-c_1", key]);
      }),
    );
    expect(keyOf(storeKey("demo", "\0a\0b"))).toBe("\0a\0b");
  });

  it.each(["", ".a", "-a", "a b", "a/b", "a\0", "é", "a".repeat(65)])(
    "take no namespace like %j",
    (namespace) => {
      expect(isNamespace(namespace)).toBe(false);
      expect(() => storeKey(namespace, "k")).toThrow(/namespace/);
    },
  );

  it.each(["a", "0", "A-_.9", "a".repeat(64), "__proto__".slice(2)])("take %j", (namespace) => {
    expect(isNamespace(namespace)).toBe(true);
  });

  it("are refused without a key", () => {
    expect(() => storeKey("demo", "")).toThrow(/key/);
  });

  it("are measured in bytes", () => {
    fc.assert(fc.property(unicode, (text) => utf8Length(text) === Buffer.byteLength(text)));
  });

  it.each(["\ud83d\ude00", "\ud83d", "\ude00\ud83d", "a\ud83d\ud83d\ude00é", "é".repeat(300)])(
    "are measured in bytes with what is no pair of surrogates: %j",
    (text) => expect(utf8Length(text)).toBe(Buffer.byteLength(text)),
  );
});
