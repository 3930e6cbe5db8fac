import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  isVersionText,
  ownSpeech,
  PROGRAM_VERSION,
  PROTOCOL_VERSION,
  spokenBy,
  unnamedSpeech,
} from "../../core/version.ts";

describe("versions", () => {
  it("are those of the package", () => {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    expect(PROGRAM_VERSION).toBe((JSON.parse(text) as { version: string }).version);
    expect(isVersionText(PROGRAM_VERSION)).toBe(true);
  });

  it("live together where both speak one protocol, and speak the newest of those", () => {
    const of = (least: number, protocol: number) => ({ protocol, least, version: "1.0.0" });
    const spoken = [of(1, 1), of(1, 2), of(2, 3), of(3, 4), of(4, 5), of(1, 9)].map((other) =>
      spokenBy(of(2, 3), other),
    );
    expect(spoken).toEqual([null, 2, 3, 3, null, 3]);
    expect(spokenBy(ownSpeech, ownSpeech)).toBe(PROTOCOL_VERSION);
    expect(spokenBy(of(1, 1), unnamedSpeech)).toBeNull();
    expect(spokenBy(unnamedSpeech, unnamedSpeech)).toBeNull();
  });

  it("are spoken the same whoever of the two dials", () => {
    const speech = fc.record({
      protocol: fc.integer({ min: 0, max: 6 }),
      least: fc.integer({ min: 0, max: 6 }),
      version: fc.constant("1.0.0"),
    });
    fc.assert(
      fc.property(speech, speech, (a, b) => {
        const spoken = spokenBy(a, b);
        expect(spokenBy(b, a)).toBe(spoken);
        if (spoken === null) return;
        for (const { least, protocol } of [a, b]) {
          expect(spoken >= least && spoken <= protocol).toBe(true);
        }
      }),
    );
  });
});
