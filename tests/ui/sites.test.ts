/** The page's part on sites: what the cache spares an origin, what it makes anew, and purges. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startOrigin, type TestOrigin } from "../support/origin.ts";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";
import { hasBrowser, launch, openPage, type Watched } from "./browser.ts";

const patience = { timeout: 30_000, interval: 100 };

describe.skipIf(!hasBrowser)("the sites on the page", () => {
  let origin: TestOrigin;
  let cluster: ProcessCluster;
  let browser: Browser;
  let watched: Watched;
  let door: string;
  const statusOf = async (path: string): Promise<string> =>
    (await fetch(door + path)).headers.get("Cache-Status") ?? "";
  const cell = (page: Page, label: string): Promise<string | null> =>
    page.locator(`tr[data-site="default"] td[data-label="${label}"]`).textContent();

  beforeAll(async () => {
    origin = await startOrigin();
    const flags = ["--cache-listen", "http://127.0.0.1:0", "--origin", origin.url];
    [cluster, browser] = await Promise.all([startProcesses(3, { flags }), launch()]);
    const lines = cluster.linesOf("r1");
    door = String(lines.find(({ event }) => event === "cache-door-listening")?.["url"]);
    watched = await openPage(browser);
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await cluster.close();
    await origin.close();
  });

  it("say what came from the cache, and how long the origin takes", async () => {
    const { page, complaints } = watched;
    await expect.poll(async () => (await fetch(`${door}/up`)).status, patience).toBe(200);
    await page.goto(`${cluster.urlOf("r1")}/ui`);
    await page.getByRole("heading", { name: "Sites" }).waitFor();
    expect(await cell(page, "Origin")).toBe(origin.url);
    await fetch(`${door}/page`);
    await expect.poll(() => statusOf("/page"), patience).toContain("hit");
    for (let i = 0; i < 20; i++) await fetch(`${door}/page`);
    const ratio = async (): Promise<number> =>
      Number.parseFloat((await cell(page, "Hit ratio")) ?? "");
    await expect.poll(ratio, patience).toBeGreaterThan(70);
    expect(await cell(page, "Origin takes")).toMatch(/ms$/);
    expect(await cell(page, "Bytes saved")).toMatch(/^\d+ B$/);
    expect(await cell(page, "Refreshing")).toBe("0");
    expect(complaints).toEqual([]);
  });

  it("name what is made anew just now", async () => {
    const { page } = watched;
    const gate = Promise.withResolvers<void>();
    origin.answer = (_, response) => {
      response.setHeader("Cache-Control", "max-age=1, stale-while-revalidate=600");
      response.end("old");
    };
    await fetch(`${door}/slow`);
    await expect.poll(() => statusOf("/slow"), patience).toContain("hit");
    origin.answer = (_, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      void gate.promise.then(() => response.end("new"));
    };
    await expect.poll(() => statusOf("/slow"), patience).toMatch(/hit;ttl=-/);
    const names = page.locator("#refreshes");
    await expect.poll(() => names.textContent(), patience).toContain("/slowdefault, for");
    gate.resolve();
    await expect.poll(() => names.textContent(), patience).toContain("Nothing is being made anew");
  });

  it("are purged by the form, softly unless it says otherwise", async () => {
    const { page, complaints } = watched;
    origin.answer = (_, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      response.setHeader("Cache-Tag", "posts");
      response.end("tagged");
    };
    await fetch(`${door}/tagged`);
    await expect.poll(() => statusOf("/tagged"), patience).toContain("hit");
    await page.getByLabel("Named").fill("posts");
    await page.getByRole("button", { name: "Purge" }).click();
    await page.getByText(/ is stale; 3 of 3 members know\.$/).waitFor();
    expect(await statusOf("/tagged")).toContain("fwd=stale");
    await expect.poll(() => statusOf("/tagged"), patience).toContain("hit");
    await page.locator("#purge-what").selectOption("everything");
    await page.getByLabel("softly").uncheck();
    await page.getByRole("button", { name: "Purge" }).click();
    await page.getByText(/ is gone; 3 of 3 members know\.$/).waitFor();
    expect(await statusOf("/tagged")).toContain("fwd=uri-miss");
    expect(complaints).toEqual([]);
    const shot = process.env["SHOT"];
    if (shot !== undefined) await page.locator("#sites").screenshot({ path: shot });
  });
});
