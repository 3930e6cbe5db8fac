import { parseSync } from "vite";
import { describe, expect, it } from "vitest";
import { uiAssets } from "../../src/frontend/ui/assets.ts";
import { functions } from "../tidy/rules.ts";
import { makeApp } from "./support.ts";

const scripts = [...uiAssets].filter(([path]) => path.endsWith(".js"));

describe("the page's files", () => {
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
      expect([path, addresses.filter((url) => url !== "http://www.w3.org")]).toEqual([path, []]);
    }
    const page = uiAssets.get("/ui")?.text ?? "";
    expect(page).not.toMatch(/<style|\sstyle=|\son[a-z]+=|<script(?! type="module" src="\/ui\/)/);
    for (const [, path = ""] of page.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
      expect([path, uiAssets.has(path)]).toEqual([path, true]);
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
