import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parseClusterConfig, timingDefaults } from "../../ring/cluster-config.ts";
import { filesIn } from "../support/tree.ts";
import { makeApp } from "./support.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Every page of ours: of the root, and of the folders that have some. */
function pages(): readonly string[] {
  const within = (folder: string): readonly string[] =>
    filesIn(root, folder).filter((path) => path.endsWith(".md"));
  const ofRoot = readdirSync(root).filter((name) => name.endsWith(".md"));
  return [...ofRoot, ...["docs", "examples", "bench", "worker", "ring", "tests"].flatMap(within)];
}

describe("the docs", () => {
  it("link to what is there", () => {
    const links = pages().flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#\s]+)/g)].map(([, target = ""]) => ({ page, target })),
    );
    const broken = links.filter(
      ({ page, target }) =>
        !/^[a-z]+:/.test(target) && !existsSync(join(root, dirname(page), target)),
    );
    expect(links.length).toBeGreaterThan(50);
    expect(broken).toEqual([]);
  });

  it("name files of this tree that are there", () => {
    const file =
      /`((?:tests|src|worker|core|ring|replica|antientropy|scripts|bench|examples)\/[\w./-]+\.\w+)`/g;
    const named = pages().flatMap((page) =>
      [...read(page).matchAll(file)].map(([, path = ""]) => ({ page, path })),
    );
    expect(named.length).toBeGreaterThan(100);
    // What the bench writes is not in the tree.
    const inTree = named.filter(({ path }) => path !== "bench/results.json");
    expect(inTree.filter(({ path }) => !existsSync(join(root, path)))).toEqual([]);
  });

  it("link to headings that are there", () => {
    // As GitHub makes anchors of headings; what stands in a block of code is none.
    const anchorsOf = (page: string): ReadonlySet<string> => {
      const headings = read(page)
        .replace(/```.*?```/gs, "")
        .matchAll(/^#+ (.*)$/gm);
      const anchor = (text: string): string =>
        text
          .toLowerCase()
          .replace(/[^\p{L}\p{N}_\- ]/gu, "")
          .replaceAll(" ", "-");
      return new Set([...headings].map(([, text = ""]) => anchor(text)));
    };
    const links = pages().flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#\s:]*)#([^)\s]+)\)/g)].map(([, to = "", name = ""]) => ({
        page,
        target: to === "" ? page : join(dirname(page), to),
        name,
      })),
    );
    expect(links.length).toBeGreaterThan(50);
    const broken = links.filter(
      ({ target, name }) => target.endsWith(".md") && !anchorsOf(target).has(name),
    );
    expect(broken).toEqual([]);
  });

  it("show of `starling status` the columns that it prints", () => {
    const table = /\)\[\] = \[(.*?)\n {2}\];/s.exec(read("src/cli/status.ts"))?.[1] ?? "";
    const columns = [...table.matchAll(/^ {4,6}\[?"([a-z ]+)",/gm)].map(([, name = ""]) => name);
    expect(columns).toContain("version");
    // Columns that no member says anything in are left out; on Workers nobody tells since when it
    // runs.
    const optional = new Set(["since", "oldest hint", "scrubbed"]);
    const heads = pages().flatMap((page) =>
      [...read(page).matchAll(/^member {2,}zone.*$/gm)].map(([head]) => ({ page, head })),
    );
    expect(heads.length).toBeGreaterThan(4);
    for (const { page, head } of heads) {
      const shown = head.split(/ {2,}/);
      const all = columns.filter((name) => !optional.has(name) || shown.includes(name));
      expect([page, shown]).toEqual([page, all]);
    }
  });
});

it("docs/operations.md has every interval of a cluster file, with its default", () => {
  const section = /\n### The cluster file\n(.*?)\n##/s.exec(read("docs/operations.md"))?.[1] ?? "";
  const rows = [...section.matchAll(/^\| `([a-zA-Z]+Ms)` \| (\d+) \|/gm)];
  expect(rows.map(([, name, most]) => [name, Number(most)])).toEqual(
    Object.entries(timingDefaults),
  );
  const example = /```json\n(.*?)```/s.exec(section)?.[1] ?? "";
  expect(parseClusterConfig(example)).toMatchObject({ name: "prod", n: 3 });
});

it("docs/deploy.md has every variable of the Worker, and no other", () => {
  const env = /export interface Env \{(.*?)\n\}/s.exec(read("worker/config.ts"))?.[1] ?? "";
  const names = [...env.matchAll(/readonly (STARLING_[A-Z_]+)/g)].map(([, name]) => name);
  const section = /\n### Variables\n(.*?)\n##/s.exec(read("docs/deploy.md"))?.[1] ?? "";
  const cells = [...section.matchAll(/^\| (`STARLING.*?) \|/gm)].map(([, cell = ""]) => cell);
  const named = cells.flatMap((cell) => cell.match(/STARLING_[A-Z_]+/g) ?? []);
  expect(named.sort()).toEqual(names.sort());
});

it("tests/README.md names every folder of the tests", () => {
  const entries = readdirSync(join(root, "tests"), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  const rows = [...read("tests/README.md").matchAll(/^\| (`.*?`) \|/gm)];
  const named = rows.flatMap(([, cell = ""]) => cell.replaceAll("`", "").split(", "));
  expect(named.sort()).toEqual(folders.sort());
});

describe("docs/operations.md", () => {
  it("says of every error code, and of no other, what it asks of the operator", () => {
    const catalogue = /const CATALOGUE = \{(.*?)\n\}/s.exec(
      read("src/frontend/http/problems.ts"),
    )?.[1];
    const inCatalogue = [...(catalogue ?? "").matchAll(/^ {2}"?([a-z-]+)"?: \[(\d{3}),/gm)];
    // What the Node host answers before there is a request.
    const onWire = read("src/local/http/refusals.ts").matchAll(/= refusal\(\s*(\d{3}),\s*"(.*?)"/g);
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

  it("explains every event that a Node host logs", () => {
    const files = readdirSync(join(root, "src/local"), { recursive: true, encoding: "utf8" });
    const sources = files.filter((name) => name.endsWith(".ts")).map((name) => `src/local/${name}`);
    const events = sources.flatMap((name) =>
      [...read(name).matchAll(/\blog\("([a-z-]+)"/g)].map(([, event = ""]) => event),
    );
    expect(events.length).toBeGreaterThan(7);
    const section = read("docs/operations.md").split("\n## What the log says\n")[1] ?? "";
    const explained = [...section.matchAll(/`([a-z-]+)`/g)].map(([, event]) => event);
    expect(events.filter((event) => !explained.includes(event))).toEqual([]);
  });
});

describe("docs/http.md", () => {
  it("names every route, and no other; those for Workers KV are of docs/kv.md", async () => {
    const { app } = await makeApp();
    // Hono's `:name{pattern}text` as docs have it; the batch and the ticket end behind a colon.
    const shown = (path: string): string =>
      path.replace(/:([a-z]+)(?:\{(.*?)\}(?=\/|$))?/g, (_, name: string, pattern = "") => {
        const suffix = /\](\*:[a-z]+)$/.exec(pattern)?.[1]?.slice(1) ?? "";
        return `{${name}}${suffix}`;
      });
    const isElsewhere = /^\/(client\/v4|v1\/workerd-kv|ui)\//;
    const routes = app.routes
      .filter(({ method, path }) => method !== "ALL" && !isElsewhere.test(path))
      .map(({ method, path }) => `${method} ${shown(path)}`);
    expect(routes).toContain("POST /v1/kv/{namespace}:batch");
    const table = /\n## Routes\n(.*?)\n## /s.exec(read("docs/http.md"))?.[1] ?? "";
    const named = [...table.matchAll(/^\| `([A-Z]+ \/[^`]*)`/gm)].map(([, route]) => route);
    expect(named.sort()).toEqual([...new Set(routes)].sort());
  });
});
