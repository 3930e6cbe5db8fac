import { describe, expect, it } from "vitest";
import { ownBytes } from "../../src/frontend/data/read-answers.ts";

const KIB = 1024;

describe("what an answer keeps of a record while its reader takes it", () => {
  it.each([10, 100 * KIB])(
    "is the value alone, also where that is a view of a Buffer: %i",
    (length) => {
      const record = Buffer.alloc(1024 * KIB, 7);
      for (const value of [
        record.subarray(3, 3 + length),
        new Uint8Array(record.buffer, 3, length),
      ]) {
        const own = ownBytes(value);
        expect(own.buffer.byteLength).toBe(length);
        expect(Buffer.compare(own, value)).toBe(0);
      }
    },
  );

  it("is the record where the value is most of it: a copy would cost more", () => {
    const record = Buffer.alloc(1024 * KIB, 7);
    const value = record.subarray(100);
    expect(ownBytes(value)).toBe(value);
  });
});
