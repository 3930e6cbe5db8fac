/** The map that a newcomer gets names every folder of the tree, and every file of the program. */
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

const sourcesIn = (path: string): readonly string[] =>
  readdirSync(join(ROOT, path), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map((name) => `${path}/${name}`);

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

  it("names every folder at the top and of tests, and those of bench", () => {
    const here = new Set([...parts.map((path) => path.split("/")[0]), "src"]);
    const top = foldersIn(".").filter((name) => !name.startsWith(".") && !here.has(name));
    // Folders that .gitignore names are made by the tools, or by the tutorial.
    const ignored = readFileSync(join(ROOT, ".gitignore"), "utf8").matchAll(/^\/?([\w-]+)\/$/gm);
    const unkept = ["build", ...[...ignored].map(([, name = ""]) => name)];
    const mirrored = new Set([...parts.map((path) => path.split("/").at(-1)), "testing"]);
    const rooms = foldersIn("tests").filter((name) => !mirrored.has(name));
    const names = [
      ...top.filter((name) => !unkept.includes(name)),
      ...rooms,
      ...foldersIn("bench"),
    ];
    expect(names.filter((name) => !map.includes(`\`${name}/\``))).toEqual([]);
  });

  it("names every file of the floors, of src and of the Workers host", () => {
    const floors = ["core", "ring", "replica", "antientropy", "src", "worker"];
    const isNamed = (name: string): boolean => new RegExp(`[\`/]${name}\``).test(map);
    const files = floors.flatMap((path) => sourcesIn(path));
    expect(files.filter((path) => !isNamed(path.split("/").at(-1) ?? ""))).toEqual([]);
  });
});
