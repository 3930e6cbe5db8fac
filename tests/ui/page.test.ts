import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";
import { hasBrowser, launch, openPage, type Watched } from "./browser.ts";

const timing = {
  ...{ handoffMs: 200, heartbeatMs: 100, suspectAfterMs: 600 },
  ...{ antiEntropyMs: 500 },
};
const patience = { timeout: 30_000, interval: 100 };
const hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>";

/** UTF-8, one char a byte, as headers are. */
const metadata = '{"from":"a phone \u00e2\u0080\u0093"}';

/** Two writes by clients that had both read the same nothing. */
async function makeSiblings(url: string, values: readonly string[]): Promise<void> {
  const absent = await fetch(url);
  const headers = {
    "Starling-Context": absent.headers.get("Starling-Context") ?? "",
    "Content-Type": "text/html",
    "Starling-Metadata": metadata,
  };
  for (const body of values) {
    expect((await fetch(`${url}?w=all&ttl=600`, { method: "PUT", body, headers })).ok).toBe(true);
  }
}

const textOf = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).textContent()) ?? "";

describe.skipIf(!hasBrowser)("the page in a browser", () => {
  let cluster: ProcessCluster;
  let browser: Browser;
  let watched: Watched;
  let url: string;
  const state = (id: string): Promise<string> =>
    textOf(watched.page, `tr[data-member="${id}"] td[data-label="State"]`);
  const verdict = (): Promise<string> => textOf(watched.page, "#verdict");

  beforeAll(async () => {
    [cluster, browser] = await Promise.all([startProcesses(5, { timing }), launch()]);
    url = cluster.urlOf("r1");
    watched = await openPage(browser);
    await watched.page.goto(`${url}/ui`);
  });
  afterAll(async () => {
    await browser.close();
    await cluster.close();
  });

  it("shows the ring, its members and their shares", async () => {
    const { page } = watched;
    await expect.poll(verdict, patience).toBe("All members answer and no hint waits.");
    expect(await page.locator("#ring path.slice").count()).toBe(5);
    expect(await page.locator("#ring").getAttribute("aria-label")).toContain("64 partitions");
    const shares = await page.locator('td[data-label="Share"]').allTextContents();
    const sum = shares.map((text) => Number.parseFloat(text)).reduce((a, b) => a + b, 0);
    expect(sum).toBeCloseTo(100, 0);
    await page.getByRole("button", { name: "r2" }).click();
    expect(await page.locator("#ring path.is-highlight").getAttribute("data-member")).toBe("r2");
  });

  it("shows live what this frontend answers", async () => {
    const reads = async (): Promise<number> => {
      for (let i = 0; i < 20; i++) await fetch(`${url}/v1/kv/live/k`);
      return Number.parseFloat(await textOf(watched.page, "#reads-now"));
    };
    await expect.poll(reads, patience).toBeGreaterThan(0);
    expect(await textOf(watched.page, "#p99-now")).toMatch(/^[0-9.]+ m?s$/);
  });

  it("shows that a node is killed, the hints for it, and that it comes back", async () => {
    await cluster.kill("r3");
    await expect.poll(verdict, patience).toBe("r3 does not answer.");
    expect(await state("r3")).toContain("away");
    expect(await state("r2")).toContain("up");
    expect(await textOf(watched.page, "#ring .ring-count")).toBe("4/5");
    expect(await watched.page.locator("#ring path.away").getAttribute("data-member")).toBe("r3");
    for (let i = 0; i < 20; i++)
      await fetch(`${url}/v1/kv/away/k${i}`, { method: "PUT", body: "x" });
    const hints = async (): Promise<number> => Number(await textOf(watched.page, "#figure-hints"));
    await expect.poll(hints, patience).toBeGreaterThan(0);
    await cluster.start("r3");
    await expect.poll(verdict, patience).toBe("All members answer and no hint waits.");
    expect(await state("r3")).toContain("up");
  });

  it("shows a key's siblings as text, side by side, and resolves them", async () => {
    const { page } = watched;
    const key = `${url}/v1/kv/shop/cart%2F%20%C3%A4`;
    await makeSiblings(key, [hostile, "tea, lemon"]);
    await page.getByLabel("Namespace").fill("shop");
    await page.getByLabel("Key", { exact: true }).fill("cart/ ä");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "2 siblings side by side" }).waitFor();
    expect(await textOf(page, "#lookup-status")).toBe("All 3 primaries hold the same.");
    expect(await page.locator("#replicas tr.primary").count()).toBe(3);
    expect(await page.locator("#replicas tr.fallback").count()).toBe(2);
    const values = await page.locator(".sibling pre").allTextContents();
    expect(values.toSorted()).toEqual([hostile, "tea, lemon"]);
    const card = page.locator(".sibling").filter({ hasText: "onerror" });
    await card.getByRole("button", { name: "Keep this one" }).click();
    await expect.poll(() => textOf(page, "#lookup-status"), patience).toMatch(/^Resolved/);
    expect(await page.locator(".sibling pre").allTextContents()).toEqual([hostile]);
    const answer = await fetch(`${key}?siblings=all&r=all`);
    expect([answer.status, await answer.text()]).toEqual([200, hostile]);
    expect(answer.headers.get("Content-Type")).toBe("text/html");
    const kept = JSON.parse(answer.headers.get("Starling-Metadata") ?? "");
    expect(kept).toEqual({ from: "a phone –" });
    expect(answer.headers.get("Starling-TTL")).toMatch(/^5[0-9][0-9](\.[0-9]+)?$/);
  });

  it("says of a key that no address can carry that it cannot", async () => {
    const { page } = watched;
    await page.getByLabel("Namespace").fill("shop");
    for (const key of ["..", "."]) {
      await page.getByLabel("Key", { exact: true }).fill(key);
      await page.keyboard.press("Enter");
      await expect
        .poll(() => textOf(page, "#lookup-status"), patience)
        .toContain(`the key ${key}:`);
    }
  });

  it("can be used by the keyboard alone, and opens a key from its address", async () => {
    const { page } = await openPage(browser);
    await page.goto(`${url}/ui#key=shop/cart%2F%20%C3%A4`);
    await page.getByRole("heading", { name: "Value" }).waitFor();
    await page.evaluate("document.activeElement.blur()");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.className")).toBe("skip");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.id")).toBe("member-r1");
    await page.keyboard.press("Enter");
    expect(await page.getByRole("button", { name: "r1" }).getAttribute("aria-pressed")).toBe(
      "true",
    );
    await page.context().close();
  });

  it("fits a narrow screen, and is dark where the reader likes it so", async () => {
    const viewport = { width: 360, height: 740 };
    const { page } = await openPage(browser, { viewport, colorScheme: "dark" });
    await page.goto(`${url}/ui#key=shop/cart%2F%20%C3%A4`);
    await page.getByRole("heading", { name: "Value" }).waitFor();
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    const ground = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(ground).toBe("rgb(16, 18, 22)");
    await page.context().close();
  });

  it("never complained: no script error, nothing that its policy forbids", () => {
    expect(watched.complaints).toEqual([]);
  });
});

describe.skipIf(!hasBrowser)("the page of a deployment with tokens", () => {
  let cluster: TestCluster;
  let browser: Browser;
  let dir = "";
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "starling-test-"));
    const tokensFile = join(dir, "tokens.json");
    const tokens = [
      { token: "reader-token", role: "read" },
      { token: "admin-token", role: "admin" },
    ];
    writeFileSync(tokensFile, JSON.stringify({ tokens }));
    [cluster, browser] = await Promise.all([startCluster(1, { tokensFile }), launch()]);
  });
  afterAll(async () => {
    await browser.close();
    await cluster.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it("asks for an admin's, keeps it for the tab, and forgets it", async () => {
    const { page } = await openPage(browser);
    await page.goto(`${cluster.urls[0]}/ui`);
    const dialog = page.getByRole("dialog", { name: "Token" });
    const use = async (token: string): Promise<void> => {
      await dialog.getByLabel("Bearer token").fill(token);
      await dialog.getByRole("button", { name: "Use it" }).click();
    };
    await use("reader-token");
    await dialog.getByText("needs an admin token").waitFor();
    await use("admin-token");
    await page.getByText("All members answer and no hint waits.").waitFor();
    await page.reload();
    await page.getByText("All members answer and no hint waits.").waitFor();
    expect(await page.evaluate("Object.keys(localStorage).length + document.cookie")).toBe("0");
    await page.getByRole("button", { name: "Forget token" }).click();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.evaluate("sessionStorage.length")).toBe(0);
    expect(await dialog.isVisible()).toBe(false);
  });
});
