import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  isVersionText,
  ownSpeech,
  PROGRAM_VERSION,
  speakTogether,
  unnamedSpeech,
} from "../../core/version.ts";

describe("versions", () => {
  it("are those of the package", () => {
    const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    expect(PROGRAM_VERSION).toBe((JSON.parse(text) as { version: string }).version);
    expect(isVersionText(PROGRAM_VERSION)).toBe(true);
  });

  it("live together when equal or neighbours, and never with one that names none", () => {
    const of = (protocol: number) => ({ protocol, version: "1.0.0" });
    expect([1, 2, 3, 4].map((protocol) => speakTogether(of(2), of(protocol)))).toEqual([
      ...[true, true, true, false],
    ]);
    expect(speakTogether(of(1), unnamedSpeech)).toBe(false);
    expect(speakTogether(unnamedSpeech, unnamedSpeech)).toBe(false);
    expect(speakTogether(ownSpeech, ownSpeech)).toBe(true);
  });
});
