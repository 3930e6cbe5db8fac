/** The map that a newcomer gets names every folder of the program. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readProjects } from "./projects.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const map = readFileSync(join(ROOT, "docs/architecture.md"), "utf8");
const parts = readProjects(ROOT).map(({ path }) => path);

const foldersIn = (path: string): readonly string[] =>
  readdirSync(join(ROOT, path), { withFileTypes: true })
    .filter((item) => item.isDirectory())
    .map(({ name }) => name);

describe("docs/architecture.md", () => {
  it("has a line for every part of the tree", () => {
    const named = parts.filter((path) => !/^(bench|tests)\/|\/page$|^src$/.test(path));
    expect(named.filter((path) => !map.includes(`\`${path}/\``))).toEqual([]);
  });

  it("names the folders inside of parts that have some", () => {
    const inside = ["src/node", "src/local"].flatMap((path) =>
      foldersIn(path).map((folder) => `${path}/${folder}`),
    );
    const isNamed = (path: string): boolean => map.includes(`\`${path.split("/").at(-1)}\``);
    expect(inside.filter((path) => !isNamed(path))).toEqual([]);
  });
});
