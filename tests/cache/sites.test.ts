/** Which site answers for a host. */
import { describe, expect, it } from "vitest";
import { siteSettings } from "../../src/frontend/admin/sites-plane.ts";
import { makeRig, readAll } from "./door-rig.ts";

/** The origin that a request for a host goes to; a number: the status that it gets instead. */
async function answering(sites: Readonly<Record<string, readonly string[]>>, host: string) {
  const rig = await makeRig();
  rig.backend.namespaces.delete("_site.default");
  for (const [name, hosts] of Object.entries(sites)) {
    const settings = siteSettings({ origin: `http://${name}.origin`, hosts }, rig.backend.view());
    rig.backend.namespaces.set(`_site.${name}`, settings);
  }
  const { status } = await rig.get("/", { Host: host });
  return rig.asked[0]?.site.origin ?? status;
}

describe("A request's site", () => {
  it("is the one that names its host, exactly, else by the longest suffix, else by *", async () => {
    const sites = { all: ["*"], exact: ["x.a.test"], long: ["*.a.test"], short: ["*.test"] };
    expect(await answering(sites, "X.a.test")).toBe("http://exact.origin");
    expect(await answering(sites, "y.a.test")).toBe("http://long.origin");
    expect(await answering(sites, "y.test")).toBe("http://short.origin");
    expect(await answering(sites, "y.example")).toBe("http://all.origin");
    expect(await answering({ exact: ["x.a.test"] }, "y.example")).toBe(421);
  });

  it("is `default` of several that name the host, then the first by name", async () => {
    for (const host of ["*", "*.test", "x.test"]) {
      const others = { zebra: [host.toUpperCase()], apple: [host] };
      expect(await answering({ ...others, default: [host] }, "x.test")).toBe(
        "http://default.origin",
      );
      expect(await answering(others, "x.test")).toBe("http://apple.origin");
    }
  });

  it("is by a closer name before it is `default`", async () => {
    expect(await answering({ default: ["*"], shop: ["*.test"] }, "x.test")).toBe(
      "http://shop.origin",
    );
  });
});

describe("A client that sends the same fields again and again", () => {
  it("is asked for as if it were new, by the sites that there are", async () => {
    const rig = await makeRig();
    const { backend } = rig;
    const viewOf = backend.view.bind(backend);
    let view = viewOf();
    backend.view = () => view;
    const fields = [["Host", "x.test:8080"] as const, ["X-Real-IP", "1.2.3.4"] as const];
    const ask = async (target: string, isLasting = true) => {
      const { status, body } = await rig.raw({ target, fields, isLasting });
      await readAll(body);
      await rig.settled();
      return status;
    };
    for (const target of ["/a", "/b?c=1", "/b?c=2", "http://y.test/d"]) {
      expect(await ask(target)).toBe(200);
      expect(await ask(`${target}&once`, false)).toBe(200);
      const [often, once] = rig.asked.slice(-2);
      expect(once).toEqual({ ...often, target: `${often?.target}&once` });
    }
    // A target that names a host of its own is no word on the others.
    expect(await ask("/a")).toBe(200);
    expect(rig.asked).toHaveLength(8);
    expect(await ask("/a#b")).toBe(400);
    const settings = siteSettings({ origin: "http://other.test", hosts: ["x.test"] }, viewOf());
    backend.namespaces.set("_site.default", settings);
    view = viewOf();
    expect(await ask("/e")).toBe(200);
    expect(rig.asked.at(-1)?.site.origin).toBe("http://other.test");
    backend.namespaces.delete("_site.default");
    view = viewOf();
    expect(await ask("/e")).toBe(421);
  });
});
