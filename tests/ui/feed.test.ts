/** A browser's own EventSource on the change feed, through a restart of all nodes. */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";
import { hasBrowser, launch, openPage } from "./browser.ts";

const patience = { timeout: 60_000, interval: 200 };
const IDS = ["r1", "r2", "r3"] as const;

/** What a page would do, and no more: reconnecting is the browser's own business. */
const FOLLOW = `() => {
  window.seen = [];
  window.source = new EventSource("/v1/changes/demo?since=beginning&include=value");
  window.source.onmessage = ({ data }) => window.seen.push(JSON.parse(data));
}`;

interface Told {
  readonly key?: string;
  readonly type?: string;
  readonly value?: string;
}

describe.skipIf(!hasBrowser)("an EventSource in a browser", () => {
  let cluster: ProcessCluster;
  let browser: Browser;
  beforeAll(async () => {
    [cluster, browser] = await Promise.all([startProcesses(3), launch()]);
  });
  afterAll(async () => {
    await browser.close();
    await cluster.close();
  });

  it("follows a namespace across a restart of all nodes", async () => {
    const put = async (key: string, body: string): Promise<void> => {
      const target = `${cluster.urlOf("r2")}/v1/kv/demo/${key}?w=all`;
      // Nodes that have just started find each other first.
      await expect
        .poll(async () => (await fetch(target, { method: "PUT", body })).ok, patience)
        .toBe(true);
    };
    for (let i = 0; i < 20; i++) await put(`k${i}`, "before");
    const { page } = await openPage(browser);
    await page.goto(`${cluster.urlOf("r1")}/ui`);
    await page.evaluate(`(${FOLLOW})()`);
    const valuesOf = async (): Promise<Record<string, string>> => {
      const seen = (await page.evaluate("window.seen")) as readonly Told[];
      const values: Record<string, string> = {};
      for (const { key, type, value } of seen) {
        if (key === undefined) continue;
        if (type === "put") values[key] = atob(value ?? "");
        else delete values[key];
      }
      return values;
    };
    const expected: Record<string, string> = {};
    for (let i = 0; i < 20; i++) expected[`k${i}`] = "before";
    await expect.poll(valuesOf, patience).toEqual(expected);
    for (let round = 1; round <= 2; round++) {
      // Written, and not told yet, when all of them are gone.
      await put("k0", `round ${round}`);
      await Promise.all(IDS.map((id) => cluster.kill(id)));
      await Promise.all(IDS.map((id) => cluster.start(id)));
      await put("k1", `round ${round}`);
      await put(`new${round}`, "v");
      const gone = await fetch(`${cluster.urlOf("r3")}/v1/kv/demo/k${round + 1}?w=all`, {
        method: "DELETE",
      });
      expect(gone.ok).toBe(true);
      delete expected[`k${round + 1}`];
      Object.assign(expected, { k0: `round ${round}`, k1: `round ${round}`, [`new${round}`]: "v" });
      await expect.poll(valuesOf, patience).toEqual(expected);
    }
    // It never gave up, and nobody made another one.
    expect(await page.evaluate("window.source.readyState")).toBe(1);
    await page.context().close();
  });
});
