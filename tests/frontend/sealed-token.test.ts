import { describe, expect, it } from "vitest";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { seal, unseal } from "../../src/frontend/http/sealed-token.ts";

const hash = new KeyedHash(new Uint8Array(16).fill(7), "realm");
const payloadOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 131 + length * 7) & 255);

describe("a sealed token", () => {
  it("is base64url of its payload and a tag, whatever its length", () => {
    for (const length of [...Array(20).keys(), 1000, 100_000]) {
      const payload = payloadOf(length);
      const token = seal(hash, "context a\0é", payload);
      const bytes = Buffer.from(token, "base64url");
      expect(bytes.toString("base64url")).toBe(token);
      expect([...bytes.subarray(0, -8)]).toEqual([...payload]);
    }
  });

  it("opens for what it was sealed for alone, whatever was sealed between", () => {
    const payload = payloadOf(30);
    const token = seal(hash, "context a", payload);
    seal(hash, "x".repeat(5000), payloadOf(3000));
    expect(unseal(hash, "context a", token)).toEqual(payload);
    expect(unseal(hash, "context b", token)).toBeNull();
    expect(unseal(hash, "context ", token)).toBeNull();
    // Tokens that clients carry from earlier releases still open.
    expect(seal(hash, "context a", Uint8Array.of(1, 2, 3))).toBe("AQIDN4WmIa-Xspg");
  });
});
