import { describe, expect, it } from "vitest";
import { emptyEntry } from "../../core/entry.ts";
import { LastWritten } from "../../replica/last-written.ts";

const nothing = { entry: emptyEntry, tenure: null };

describe("LastWritten", () => {
  it("knows what the very bytes hold that were written, and nothing of equal ones", () => {
    const last = new LastWritten();
    const bytes = Uint8Array.of(1, 2, 3);
    last.put(bytes, nothing);
    expect(last.get(bytes)).toBe(nothing);
    expect(last.get(Uint8Array.of(1, 2, 3))).toBeUndefined();
  });

  it("forgets the oldest, so that it keeps no more than a few messages", () => {
    const last = new LastWritten();
    const records = Array.from({ length: 100 }, () => new Uint8Array(10));
    for (const bytes of records) last.put(bytes, nothing);
    const known = records.map((bytes) => last.get(bytes) !== undefined);
    expect(known.indexOf(true)).toBe(36);
    expect(known.filter(Boolean)).toHaveLength(64);
  });

  it("does not keep a large one", () => {
    const last = new LastWritten();
    const bytes = new Uint8Array(100_000);
    last.put(bytes, nothing);
    expect(last.get(bytes)).toBeUndefined();
  });
});
