import { describe, expect, it } from "vitest";
import {
  base64Length,
  fromBase64,
  joinAsBase64,
  toBase64,
} from "../../src/frontend/http/base64.ts";

const bytesOf = (length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255);

describe("base64", () => {
  it("is that of Node's own, of any length, and back", () => {
    for (const length of [0, 1, 2, 3, 4, 5, 255, 256, 257, 65_537]) {
      const bytes = bytesOf(length);
      const text = toBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64"));
      expect(text).toHaveLength(base64Length(length));
      expect(fromBase64(text)).toEqual(bytes);
    }
    expect(() => fromBase64("?")).toThrow();
  });

  it("is joined with texts, in pieces between which others have their turn", async () => {
    const [large, small] = [bytesOf(3_000_001), bytesOf(7)];
    let turns = 0;
    const others = setInterval(() => turns++, 0);
    const joined = await joinAsBase64(['{"ü":"', large, '","b":"', small, '"}']);
    clearInterval(others);
    expect(turns).toBeGreaterThan(1);
    expect(JSON.parse(new TextDecoder().decode(joined))).toEqual({
      ü: Buffer.from(large).toString("base64"),
      b: Buffer.from(small).toString("base64"),
    });
  });
});
