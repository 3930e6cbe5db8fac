/** Which site answers for a host. */
import { describe, expect, it } from "vitest";
import { siteSettings } from "../../src/frontend/admin/sites-plane.ts";
import { makeRig } from "./door-rig.ts";

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
