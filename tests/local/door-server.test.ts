/** What the door's host on Node does in its own way. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { portableDigest } from "../../src/door/kept.ts";
import { nodeDigest } from "../../src/local/cache/start-door.ts";

describe("names of stored responses", () => {
  it("are the same on all hosts", () => {
    expect(portableDigest("abc")).toMatch(/^ba7816bf8f01cfea/);
    const text = fc.string({ unit: "binary", maxLength: 200 });
    fc.assert(fc.property(text, (key) => nodeDigest(key) === portableDigest(key)));
  });
});
