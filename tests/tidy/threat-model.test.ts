/** The threat model says of each threat that is handled which test shows it: each must be there. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const at = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const NAMED = /`([a-z]+)\/([a-z/-]+): ([^`]+)`/g;

/** The titles of the HTTP contract's tests are in the suites that every host runs. */
const SUITES = ["values", "requests", "planes"].map((room) => `contract/${room}-suite.ts`);

const filesOf = (folder: string, name: string): readonly string[] =>
  `${folder}/${name}` === "hosts/node-http" ? SUITES : [`${folder}/${name}.test.ts`];

function problemsOf(text: string): string[] {
  const rows = text.split("\n").filter((line) => line.startsWith("| ") && !/^\| -+ /.test(line));
  const handled = rows.filter((row) => row.split(" | ").length === 3 && !row.includes("shown by"));
  const silent = handled.filter((row) => row.search(NAMED) < 0).map((row) => `no test: ${row}`);
  const missing = [...text.matchAll(NAMED)].flatMap(
    ([whole, folder = "", name = "", title = ""]) => {
      const files = filesOf(folder, name).map((file) => at(`tests/${file}`));
      const isIn = (file: string): boolean => readFileSync(file, "utf8").includes(`"${title}"`);
      return files.filter(existsSync).some(isIn) ? [] : [`not there: ${whole}`];
    },
  );
  return [...silent, ...missing];
}

describe("the threat model", () => {
  const text = readFileSync(at("docs/threat-model.md"), "utf8");

  it("names a test for each threat that it calls handled, and each of them exists", () => {
    expect(problemsOf(text)).toEqual([]);
    expect([...text.matchAll(NAMED)].length).toBeGreaterThan(40);
  });

  it("is not believed by its word (the canary)", () => {
    expect(problemsOf("| a | b | `hosts/auth: no such title` |")).toHaveLength(1);
    expect(problemsOf("| a | b | `hosts/none: x` |")).toHaveLength(1);
    expect(problemsOf("| a | b | nothing |")).toHaveLength(1);
  });
});
