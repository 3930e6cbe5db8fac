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
  ...{ antiEntropyMs: 500, canaryMs: 50 },
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

/** A browser complains of each 404, which a key that is not there gives too. */
const isNoAnswer = (text: string): boolean => !text.includes("status of 404");
const SAFE = "All 64 partitions have all their copies within reach; reads and writes are safe.";

async function chooseNamespace(page: Page, name: string): Promise<void> {
  await page.getByLabel("Another namespace").fill(name);
  await page.keyboard.press("Enter");
  await page.locator(`#namespaces [aria-current="true"]`).getByText(name).waitFor();
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
  const verdict = (): Promise<string> => textOf(watched.page, "#verdict-text");

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
    await expect.poll(verdict, patience).toBe(SAFE);
    expect(await textOf(page, "#verdict-word")).toBe("SAFE");
    expect(await page.locator("#ring path.slice").count()).toBe(5);
    expect(await page.locator("#ring").getAttribute("aria-label")).toContain("64 partitions");
    const shares = await page.locator('td[data-label="Share"]').allTextContents();
    const sum = shares.map((text) => Number.parseFloat(text)).reduce((a, b) => a + b, 0);
    expect(sum).toBeCloseTo(100, 0);
    await page.getByRole("button", { name: "r2" }).click();
    expect(await page.locator("#ring path.is-highlight").getAttribute("data-member")).toBe("r2");
  });

  it("teaches the first step while nothing is stored, and takes it", async () => {
    const { page, complaints } = await openPage(browser);
    await page.goto(url);
    expect(page.url()).toBe(`${url}/ui`);
    await page.getByRole("heading", { name: "Nothing is stored yet" }).waitFor();
    expect(await textOf(page, "#steps")).toContain(`curl '${url}/v1/kv/demo/hello'`);
    await page.getByRole("button", { name: "Write one here" }).click();
    await page.getByLabel("New value").fill("Hello, ring");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Saved. All 3 primaries hold the same.").waitFor();
    expect(await (await fetch(`${url}/v1/kv/demo/hello`)).text()).toBe("Hello, ring");
    expect(await page.locator("#namespaces button").allTextContents()).toContain("demo1 key");
    expect(complaints.filter(isNoAnswer)).toEqual([]);
    await page.context().close();
  });

  it("draws what the model predicts and what canaries measure, for the chosen r and w", async () => {
    const { page } = watched;
    for (let i = 0; i < 20; i++) {
      await fetch(`${url}/v1/kv/staleness/k${i}`, { method: "PUT", body: "v" });
    }
    await page.locator("#staleness-figures").waitFor({ state: "visible", timeout: 60_000 });
    const label = () => page.locator("#staleness-chart").getAttribute("aria-label");
    expect(await label()).toMatch(/^r=1, w=1: [\d.]+ % of reads/);
    expect(await page.locator("#staleness-chart path.line").count()).toBe(1);
    const dots = () => page.locator("#staleness-chart circle").count();
    await page.getByLabel("The reader uses").selectOption("same");
    await expect.poll(dots, patience).toBeGreaterThan(0);
    await page.getByRole("slider", { name: /^r/ }).fill("2");
    await page.getByRole("slider", { name: /^w/ }).fill("2");
    expect(await label()).toBe("r=2, w=2: 100 % of reads see a write that was just answered");
    expect(await page.locator("#staleness-points tr").count()).toBe(11);
    const lags = () => page.locator("#lag td.pair").allTextContents();
    await expect.poll(async () => (await lags()).length, patience).toBe(20);
    await expect.poll(async () => (await lags()).includes("?"), patience).toBe(false);
  });

  it("lists keys by prefix, and changes, uploads, expires and deletes them", async () => {
    const { page, complaints } = await openPage(browser);
    for (const name of ["tea/1", "tea/2", "mug"]) {
      const headers = { "Content-Type": "text/plain", "Starling-Metadata": metadata };
      await fetch(`${url}/v1/kv/stock/${encodeURIComponent(name)}?w=all`, {
        ...{ method: "PUT", headers, body: name },
      });
    }
    await page.goto(`${url}/ui/`);
    await chooseNamespace(page, "stock");
    const listed = (): Promise<string[]> => page.locator("#keys .name").allTextContents();
    await expect.poll(listed, patience).toEqual(["mug", "tea/1", "tea/2"]);
    await page.getByRole("button", { name: "Refresh" }).click();
    const size = (): Promise<string> => textOf(page, `#namespaces [aria-current="true"] .muted`);
    await expect.poll(size, patience).toMatch(/^3 keys · [0-9.]+ K?i?B$/);
    await page.getByLabel("Prefix or key").fill("tea");
    await expect.poll(listed, patience).toEqual(["tea/1", "tea/2"]);
    await page.getByRole("button", { name: "tea/1" }).click();
    await expect.poll(() => page.locator("#value").inputValue(), patience).toBe("tea/1");
    await page.locator("#value").fill("green");
    await page.getByLabel("Expires in seconds").fill("600");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(/^Saved\. /).waitFor();
    const saved = await fetch(`${url}/v1/kv/stock/tea%2F1?r=all`);
    expect([await saved.text(), saved.headers.get("Content-Type")]).toEqual([
      "green",
      "text/plain",
    ]);
    expect(saved.headers.get("Starling-TTL")).toMatch(/^5[0-9][0-9]/);
    expect(saved.headers.get("Starling-Metadata")).toContain("phone");
    const file = { name: "logo", mimeType: "image/png", buffer: Buffer.from([0, 1, 2, 255]) };
    await page.locator("#upload").setInputFiles(file);
    await page.getByText("1 file stored.").waitFor();
    const uploaded = await fetch(`${url}/v1/kv/stock/tealogo?r=all`);
    expect(uploaded.headers.get("Content-Type")).toBe("image/png");
    await page.getByRole("button", { name: "Delete …" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText(/^Deleted\. There is no value\. /).waitFor();
    expect((await fetch(`${url}/v1/kv/stock/tea%2F1?r=all`)).status).toBe(404);
    await expect.poll(listed, patience).toEqual(["tea/2", "tealogo"]);
    expect(complaints.filter(isNoAnswer)).toEqual([]);
    await page.context().close();
  });

  it("follows the key that is open, and keeps what its reader is typing", async () => {
    const { page, complaints } = await openPage(browser);
    const key = `${url}/v1/kv/follow/k`;
    const put = (body: string): Promise<Response> =>
      fetch(`${cluster.urlOf("r3")}/v1/kv/follow/k?w=all`, { method: "PUT", body });
    await put("one");
    await page.goto(`${url}/ui#key=follow/k`);
    const shown = (): Promise<string> => page.locator("#value").inputValue();
    await expect.poll(shown, patience).toBe("one");
    for (const body of ["two", "three"]) {
      await put(body);
      await expect.poll(shown, patience).toBe(body);
      expect(await textOf(page, "#entry-status")).toMatch(/^Just changed\. /);
    }
    await fetch(`${url}/v1/kv/follow/k-longer`, { method: "PUT", body: "another key" });
    await page.locator("#value").fill("mine");
    await put("theirs");
    await page.getByText("It has changed meanwhile.").waitFor();
    expect(await shown()).toBe("mine");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "2 siblings side by side" }).waitFor();
    await put("settled");
    await page.getByText(/^Just changed\. /).waitFor();
    await expect.poll(shown, patience).toBe("settled");
    await fetch(`${key}?w=all`, { method: "DELETE" });
    await page.getByText(/^Just changed\. There is no value\. /).waitFor();
    await page.locator("#value").fill("back");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText(/^Saved\. All 3/).waitFor();
    await page.locator("#value").fill("unsaved");
    await put("other");
    await page.getByRole("button", { name: "Show it" }).click();
    await expect.poll(shown, patience).toBe("other");
    expect(await textOf(page, "#entry-news")).toBe("");
    expect(complaints.filter(isNoAnswer)).toEqual([]);
    await page.context().close();
  });

  it("says when all records were last read for rot, and names who found some", async () => {
    const said = (): Promise<string> => textOf(watched.page, "#scrubs");
    await expect.poll(said, patience).toBe("Scrub: 5 members have yet to read all records.");
    const path = "/v1/cluster/scrub";
    expect((await fetch(url + path, { method: "POST", body: "{}" })).ok).toBe(true);
    await expect
      .poll(said, patience)
      .toMatch(/^Scrub: 5 members read all records for rot, the earliest \d+ s ago\.$/);
    const scrub = { last: { finishedAt: new Date().toISOString(), damaged: 2, mended: 1 } };
    const page = await browser.newPage();
    await page.route("**/v1/cluster", async (route) => {
      const body = (await (await route.fetch()).json()) as { members: object[] };
      body.members[1] = { ...body.members[1], scrub };
      await route.fulfill({ json: body });
    });
    await page.goto(`${url}/ui/`);
    await expect
      .poll(() => textOf(page, "#scrubs"), patience)
      .toContain("r2 found 2 damaged and mended 1");
    expect(await page.locator("#scrubs").getAttribute("class")).toContain("warn");
    await page.close();
  });

  it("shows live what all members answer, whichever a client asks", async () => {
    const reads = async (): Promise<number> => {
      for (let i = 0; i < 20; i++) await fetch(`${cluster.urlOf("r4")}/v1/kv/live/k`);
      return Number.parseFloat(await textOf(watched.page, "#reads-now"));
    };
    await expect.poll(reads, patience).toBeGreaterThan(0);
    expect(await textOf(watched.page, "#p99-now")).toMatch(/^[0-9.]+ m?s$/);
    expect(await textOf(watched.page, "#traffic-members")).toBe("");
  });

  it("shows that a node is killed, the hints for it, and that it comes back", async () => {
    await cluster.kill("r3");
    await expect
      .poll(verdict, patience)
      .toMatch(/^r3 .*away; .* down to 2 of 3 copies\. Reads and /);
    expect(await textOf(watched.page, "#verdict-word")).toBe("DEGRADED");
    expect(await state("r3")).toContain("away");
    expect(await state("r2")).toContain("up");
    const counted = (): Promise<string> => textOf(watched.page, "#traffic-members");
    await expect.poll(counted, patience).toBe("of 5 members, 1 silent");
    expect(await textOf(watched.page, "#members-summary")).toMatch(/^5, 4 reachable/);
    expect(await watched.page.locator("#ring path.away").getAttribute("data-member")).toBe("r3");
    for (let i = 0; i < 20; i++)
      await fetch(`${url}/v1/kv/away/k${i}`, { method: "PUT", body: "x" });
    const hints = (): Promise<string> => textOf(watched.page, "#verdict-more");
    await expect.poll(hints, patience).toMatch(/^\d+ hints? waiting for their owners$/);
    await cluster.start("r3");
    await expect.poll(verdict, patience).toMatch(/^All 64 partitions have all their copies/);
    expect(await state("r3")).toContain("up");
  });

  it("shows a key's siblings as text, side by side, and resolves them", async () => {
    const { page } = watched;
    const key = `${url}/v1/kv/shop/cart%2F%20%C3%A4`;
    await makeSiblings(key, [hostile, "tea, lemon"]);
    await chooseNamespace(page, "shop");
    await page.getByLabel("Prefix or key").fill("cart/ ä");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "2 siblings side by side" }).waitFor();
    expect(await textOf(page, "#entry-status")).toBe("All 3 primaries hold the same.");
    expect(await page.locator("#replicas tr.primary").count()).toBe(3);
    expect(await page.locator("#replicas tr.fallback").count()).toBe(2);
    const values = await page.locator(".sibling pre").allTextContents();
    expect(values.toSorted()).toEqual([hostile, "tea, lemon"]);
    const card = page.locator(".sibling").filter({ hasText: "onerror" });
    await card.getByRole("button", { name: "Keep this one" }).click();
    await expect.poll(() => textOf(page, "#entry-status"), patience).toMatch(/^Resolved/);
    await page.getByRole("heading", { name: "Value" }).waitFor();
    expect(await page.locator("#value").inputValue()).toBe(hostile);
    const answer = await fetch(`${key}?siblings=all&r=all`);
    expect([answer.status, await answer.text()]).toEqual([200, hostile]);
    expect(answer.headers.get("Content-Type")).toBe("text/html");
    const kept = JSON.parse(answer.headers.get("Starling-Metadata") ?? "");
    expect(kept).toEqual({ from: "a phone –" });
    expect(answer.headers.get("Starling-TTL")).toMatch(/^5[0-9][0-9](\.[0-9]+)?$/);
  });

  it("says of a key that no address can carry that it cannot", async () => {
    const { page } = watched;
    await chooseNamespace(page, "shop");
    for (const key of ["..", "."]) {
      await page.getByLabel("Prefix or key").fill(key);
      await page.keyboard.press("Enter");
      await expect.poll(() => textOf(page, "#entry-status"), patience).toContain(`the key ${key}:`);
    }
  });

  it("can be used by the keyboard alone, and opens a key from its address", async () => {
    const { page } = await openPage(browser);
    await page.goto(`${url}/ui#key=shop/cart%2F%20%C3%A4`);
    await page.getByRole("heading", { name: "Value" }).waitFor();
    await page.evaluate("document.activeElement.blur()");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.className")).toBe("skip");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.id")).toBe("refresh");
    const tabsMax = 60;
    for (let i = 0; i < tabsMax; i++) {
      if ((await page.evaluate("document.activeElement.id")) === "member-r1") break;
      await page.keyboard.press("Tab");
    }
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
      { token: "monitor-token", role: "monitor" },
    ];
    writeFileSync(tokensFile, JSON.stringify({ tokens }));
    [cluster, browser] = await Promise.all([startCluster(1, { tokensFile }), launch()]);
  });
  afterAll(async () => {
    await browser.close();
    await cluster.close();
    rmSync(dir, { recursive: true, force: true });
  });

  it("shows a reader the keys and a monitor the cluster, and says what each may not see", async () => {
    const { page } = await openPage(browser);
    const url = cluster.urls[0] ?? "";
    const headers = { Authorization: "Bearer admin-token" };
    await fetch(`${url}/v1/kv/shop/tea`, { method: "PUT", body: "green", headers });
    await page.goto(`${url}/ui`);
    const dialog = page.getByRole("dialog", { name: "Token" });
    const use = async (token: string): Promise<void> => {
      await dialog.getByLabel("Bearer token").fill(token);
      await dialog.getByRole("button", { name: "Use it" }).click();
    };
    await use("reader-token");
    await dialog.getByText("needs the token of an admin or a monitor").waitFor();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "tea" }).click();
    await expect.poll(() => page.locator("#value").inputValue(), patience).toBe("green");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("The token does not give the right to write").waitFor();
    await page.getByText("The cluster's part is closed: 403.").waitFor();
    await page.getByRole("button", { name: "Forget token" }).click();
    await use("monitor-token");
    await page.getByText("reads and writes are safe").waitFor();
    await page.getByText("The token does not give the right to read").first().waitFor();
    await page.context().close();
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
    await dialog.getByText("needs the token of an admin or a monitor").waitFor();
    await use("admin-token");
    await page.getByText("reads and writes are safe").waitFor();
    await page.reload();
    await page.getByText("reads and writes are safe").waitFor();
    expect(await page.evaluate("Object.keys(localStorage).length + document.cookie")).toBe("0");
    await page.getByRole("button", { name: "Forget token" }).click();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.evaluate("sessionStorage.length")).toBe(0);
    expect(await dialog.isVisible()).toBe(false);
  });
});
