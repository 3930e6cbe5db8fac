import { expect, it } from "vitest";
import { keepSite, siteSettings } from "../../src/frontend/admin/sites-plane.ts";
import { makeDefaultSite } from "../../src/local/cache/default-site.ts";
import { MemoryBackend } from "../frontend/memory-backend.ts";
import { testRing } from "../frontend/support.ts";

const isClosed = () => false;

it("a start with --origin leaves what was set of the site, and says anew where it is", async () => {
  const backend = new MemoryBackend(await testRing());
  const settings = () => backend.view().sites.get("default")?.settings;
  expect(await makeDefaultSite(backend, "http://127.0.0.1:1", isClosed)).toBe(true);
  const site = { origin: "http://127.0.0.1:1/", purgeMethod: true, defaultTtl: 5 };
  await keepSite(backend, "default", siteSettings(site, backend.view()));
  expect(await makeDefaultSite(backend, "http://127.0.0.1:1", isClosed)).toBe(false);
  expect(settings()).toMatchObject({ purgeMethod: true, defaultTtl: 5 });
  expect(await makeDefaultSite(backend, "http://127.0.0.1:2", isClosed)).toBe(true);
  const { origin } = settings() ?? {};
  expect(new URL(origin ?? "").port).toBe("2");
  expect(settings()).toMatchObject({ purgeMethod: true, defaultTtl: 5 });
});

it("goes by what the others know: a node whose disk is new has heard of no site", async () => {
  const backend = new MemoryBackend(await testRing());
  const site = { origin: "http://127.0.0.1:1", purgeMethod: true };
  const known = siteSettings(site, backend.view());
  const fresh = backend.freshView.bind(backend);
  backend.freshView = async () => {
    await keepSite(backend, "default", known);
    return fresh();
  };
  expect(await makeDefaultSite(backend, "http://127.0.0.1:1", isClosed)).toBe(false);
  expect(backend.view().sites.get("default")?.settings.purgeMethod).toBe(true);
});
