import { readdirSync, readFileSync } from "node:fs";
import { parseSync } from "vite";
import { describe, expect, it } from "vitest";
import { uiAssets } from "../../src/frontend/ui/assets.ts";
import { files } from "../../src/frontend/ui/files.ts";
import { functions } from "../tidy/rules.ts";
import { makeApp } from "./support.ts";

const PAGE = new URL("../../src/frontend/ui/page/", import.meta.url);
/** Where links may lead: the package's own page, from which its docs are reached. */
const LINKS = ["http://www.w3.org", "https://www.npmjs.com"];
const scripts = [...uiAssets].filter(([path]) => path.endsWith(".js"));

describe("the page's files", () => {
  it("are what the program carries: after a change run npm run page", () => {
    const names = readdirSync(PAGE).filter((name) => name !== "tsconfig.json");
    expect(Object.keys(files)).toEqual(names.sort());
    for (const [name, text] of Object.entries(files)) {
      expect([name, text]).toEqual([name, readFileSync(new URL(name, PAGE), "utf8")]);
    }
  });

  it("are found by a browser at the root, and by no program", async () => {
    const app = await makeApp({ openOnLoopback: true });
    const accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    const led = await app.get("/", { Accept: accept });
    expect([led.status, led.headers.get("Location")]).toEqual([302, "ui"]);
    expect(led.headers.get("Vary")).toBe("Accept");
    const slash = await app.get("/ui/");
    expect([slash.status, slash.headers.get("Location")]).toEqual([308, "../ui"]);
    const headers: readonly Record<string, string>[] = [
      {},
      { Accept: "*/*" },
      { Accept: "application/json" },
    ];
    for (const header of headers) {
      const answer = await app.get("/", header);
      expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining("/ui")]);
    }
  });

  it("are served to everybody, under a policy that lets nothing else in", async () => {
    const app = await makeApp({ openOnLoopback: true });
    for (const [path, { type, text }] of uiAssets) {
      const answer = await app.get(path);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(answer.headers.get("Content-Type")).toBe(type);
      expect(await answer.text()).toBe(text);
      const policy = answer.headers.get("Content-Security-Policy") ?? "";
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
      expect(policy).not.toContain("unsafe");
      expect(answer.headers.get("X-Content-Type-Options")).toBe("nosniff");
    }
    expect((await app.call("POST", "/ui")).status).toBe(405);
    expect((await app.get("/ui/other.js")).status).toBe(404);
  });

  it("need nothing from anywhere else, and have no code or style within the markup", () => {
    for (const [path, { text }] of uiAssets) {
      const addresses = text.match(/(?:https?:)?\/\/[a-z][a-z0-9.-]+\.[a-z]+/g) ?? [];
      expect([path, addresses.filter((url) => !LINKS.includes(url))]).toEqual([path, []]);
    }
    const page = uiAssets.get("/ui")?.text ?? "";
    expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?! type="module" src="ui\/)/);
    for (const [, path = ""] of page.matchAll(/(?:src|href)="([^"#:]+)"/g)) {
      expect([path, uiAssets.has(`/${path}`)]).toEqual([path, true]);
    }
  });

  it("are scripts that parse, import each other, and never make markup or code of a text", () => {
    expect(scripts.length).toBeGreaterThan(5);
    for (const [path, { text }] of scripts) {
      const { errors } = parseSync(path, text, { sourceType: "module" });
      expect([path, errors]).toEqual([path, []]);
      expect(functions({ path, text })).toEqual([]);
      expect(text).not.toMatch(
        /innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(/,
      );
      for (const [, target = ""] of text.matchAll(/from "\.\/([^"]+)"/g)) {
        expect([path, target, uiAssets.has(`/ui/${target}`)]).toEqual([path, target, true]);
      }
    }
  });
});
