/** The app as a part of somebody else's hono app. */
import { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { makeApp, tokensOf } from "./support.ts";

async function mounted(place: string, token = "") {
  const auth = token === "" ? {} : { auth: tokensOf([{ token, role: "read" }]) };
  const { app } = await makeApp({ openOnLoopback: token === "", ...auth });
  const outer = new Hono();
  outer.get("/", (call) => call.text("mine"));
  outer.route(place, app);
  return outer;
}

const ask = (app: Hono, method: string, path: string, init: RequestInit = {}) =>
  app.request(`http://localhost${path}`, { ...init, method });

describe("the app, mounted in another one", () => {
  it("serves keys below its place, and leaves the rest alone", async () => {
    const outer = await mounted("/cache");
    const key = "/cache/v1/kv/ns/a%2Fb%20%C3%A9%25";
    expect((await ask(outer, "PUT", key, { body: "value" })).status).toBe(201);
    expect(await (await ask(outer, "GET", key)).text()).toBe("value");
    const listed = await (await ask(outer, "GET", "/cache/v1/kv/ns")).json();
    expect(listed).toMatchObject({ keys: [{ name: "a/b é%" }] });
    expect(await (await ask(outer, "GET", "/")).text()).toBe("mine");
    expect((await ask(outer, "GET", "/v1/kv/ns/k")).status).toBe(404);
  });

  it("stands below a parameter too", async () => {
    const outer = await mounted("/:tenant/cache");
    expect((await ask(outer, "PUT", "/some/cache/v1/kv/ns/k", { body: "v" })).status).toBe(201);
    expect(await (await ask(outer, "GET", "/other/cache/v1/kv/ns/k")).text()).toBe("v");
  });

  it("answers its own problems in its own words", async () => {
    const outer = await mounted("/cache");
    const nowhere = await ask(outer, "GET", "/cache/v1/nowhere");
    expect(nowhere.status).toBe(404);
    expect(await nowhere.json()).toMatchObject({ code: "no-such-route" });
    const posted = await ask(outer, "POST", "/cache/v1/kv/ns/k");
    expect(posted.status).toBe(405);
    expect(posted.headers.get("allow")).toBe("GET, HEAD, PUT, DELETE");
    const kv = await ask(
      outer,
      "GET",
      "/cache/client/v4/accounts/a/storage/kv/namespaces/ns/values/k",
    );
    expect(await kv.json()).toMatchObject({ success: false, errors: [{ code: 10009 }] });
  });

  it("asks for its own tokens", async () => {
    const outer = await mounted("/cache", "a-token-of-this-app");
    expect((await ask(outer, "GET", "/cache/v1/kv/ns/k")).status).toBe(401);
    const headers = { Authorization: "Bearer a-token-of-this-app" };
    expect((await ask(outer, "GET", "/cache/v1/kv/ns/k", { headers })).status).toBe(404);
  });
});

describe("the page's files", () => {
  it("come again only when they have changed", async () => {
    const { app } = await makeApp();
    const first = await ask(app as unknown as Hono, "GET", "/ui/app.js");
    const tag = first.headers.get("etag") ?? "";
    expect(tag).not.toBe("");
    const headers = { "If-None-Match": tag };
    const again = await ask(app as unknown as Hono, "GET", "/ui/app.js", { headers });
    expect(again.status).toBe(304);
    expect(again.headers.get("content-security-policy")).toContain("default-src 'none'");
  });
});
