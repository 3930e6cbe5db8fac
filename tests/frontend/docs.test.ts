import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const read = (path: string): string =>
  readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

describe("docs/operations.md", () => {
  it("says of every error code, and of no other, what it asks of the operator", () => {
    const catalogue = /const CATALOGUE = \{(.*?)\n\}/s.exec(read("src/frontend/problems.ts"))?.[1];
    const inCatalogue = [...(catalogue ?? "").matchAll(/^ {2}"?([a-z-]+)"?: \[(\d{3}),/gm)];
    // What the Node host answers before there is a request.
    const onWire = read("src/local/http-server.ts").matchAll(
      /status: (\d{3}),[^}]*?code: "(.*?)"/g,
    );
    const codes = new Map([
      ...[...onWire].map(([, status = "", code = ""]) => [code, status] as const),
      ...inCatalogue.map(([, code = "", status = ""]) => [code, status] as const),
    ]);
    expect(codes.size).toBeGreaterThan(25);
    const section = /\n## What each error asks of you\n(.*?)\n## /s.exec(
      read("docs/operations.md"),
    );
    const rows = (section?.[1] ?? "").split("\n").filter((line) => line.startsWith("| `"));
    const explained = rows.flatMap((row) => {
      const [, names = "", statuses = ""] = row.split("|");
      return [...names.matchAll(/`([a-z-]+)`/g)].map(([, code]) => ({ code, statuses }));
    });
    expect(explained.map(({ code }) => code).sort()).toEqual([...codes.keys()].sort());
    for (const [code, status] of codes) {
      expect([code, explained.find((row) => row.code === code)?.statuses]).toEqual([
        code,
        expect.stringContaining(status),
      ]);
    }
  });
});
