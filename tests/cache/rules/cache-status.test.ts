/** What the door says of itself is a structured field (RFC 9211, RFC 9651). */
import fc from "fast-check";
import { parseList } from "structured-headers";
import { describe, expect, it } from "vitest";
import { cacheStatus, withCacheStatus } from "../../../src/cache/answering.ts";

const forwarded = fc.constantFrom("bypass", "uri-miss", "stale", "partial");
const status = fc.record(
  {
    hit: fc.boolean(),
    fwd: forwarded,
    fwdStatus: fc.integer({ min: 100, max: 599 }),
    ttl: fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    stored: fc.boolean(),
    collapsed: fc.boolean(),
    key: fc.string({ unit: fc.constantFrom(...'abc/?"\\ ~é\t'), maxLength: 12 }),
    detail: fc.constantFrom("no-store", "origin-503"),
  },
  { requiredKeys: [] },
);

describe("Cache-Status", () => {
  it("can be read by whoever reads structured fields, whatever it says", () => {
    fc.assert(
      fc.property(status, (said) => {
        const [[name, read] = ["", new Map()], ...others] = parseList(cacheStatus(said));
        expect([String(name), others]).toEqual(["starling", []]);
        const { key, ttl, fwdStatus, hit, stored, collapsed } = said;
        expect(read.get("hit")).toBe(hit === true ? true : undefined);
        expect(read.get("stored")).toBe(stored === true ? true : undefined);
        expect(read.get("collapsed")).toBe(collapsed === true ? true : undefined);
        expect(read.get("ttl")).toBe(ttl === undefined ? undefined : Math.floor(ttl) + 0);
        expect(read.get("fwd-status")).toBe(fwdStatus);
        expect(read.get("fwd")?.toString()).toBe(said.fwd);
        expect(read.get("detail")?.toString()).toBe(said.detail);
        // A key with other characters than a string may have is left out.
        expect(read.get("key")).toBe(/^[ -~]*$/.test(key ?? "") ? key : undefined);
      }),
    );
  });

  it("comes behind what caches nearer to the origin said", () => {
    const before = [
      ["cache-status", "inner; hit"],
      ["Cache-Status", "middle; fwd=miss"],
    ] as const;
    expect(withCacheStatus(before, { hit: true })).toEqual([
      ["Cache-Status", "inner; hit, middle; fwd=miss, starling;hit"],
    ]);
  });
});
