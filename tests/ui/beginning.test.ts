import { expect, it } from "vitest";
import { startCluster } from "../support/cluster.ts";
import { hasBrowser, launch } from "./browser.ts";

it.skipIf(!hasBrowser)(
  "the page asks again for what is stored where a cluster that begins cannot say",
  async () => {
    const [cluster, browser] = await Promise.all([startCluster(3), launch()]);
    try {
      const page = await browser.newPage();
      let asked = 0;
      await page.route("**/v1/namespaces", (route) =>
        asked++ === 0
          ? route.fulfill({ status: 503, json: { detail: "Too few." } })
          : route.continue(),
      );
      await page.goto(`${cluster.urls[0]}/ui/`);
      await page.getByRole("heading", { name: "Nothing is stored yet" }).waitFor();
      const said = (): Promise<string | null> => page.locator("#namespaces-status").textContent();
      await expect.poll(said).toBe("");
      expect(asked).toBeGreaterThan(1);
    } finally {
      await Promise.all([browser.close(), cluster.close()]);
    }
  },
  60_000,
);
