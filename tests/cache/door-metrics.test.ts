import { describe, expect, it } from "vitest";
import { DoorMetrics } from "../../src/door/door-metrics.ts";

describe("what the door counts", () => {
  it("is bytes by where they came from, for all sites and for each, without its own problems", () => {
    const metrics = new DoorMetrics();
    metrics.sent({ from: "cache", site: "shop" }, 10);
    metrics.sent({ from: "cache", site: "blog" }, 3);
    metrics.sent({ from: "origin", site: "blog" }, 5);
    metrics.sent({ site: "blog" }, 100);
    const lines = metrics.text().split("\n");
    expect(lines).toContain('starling_cache_bytes_total{from="cache"} 13');
    expect(lines).toContain('starling_cache_site_bytes_total{site="shop",from="cache"} 10');
    expect(lines).toContain('starling_cache_site_bytes_total{site="blog",from="origin"} 5');
  });

  it("is what is made anew just now, and 0 where nothing is", () => {
    const metrics = new DoorMetrics();
    metrics.answered("blog", "hit");
    const over = metrics.refreshes({ site: "shop", url: "http://shop.test/", since: 1 });
    expect(metrics.text()).toContain('starling_cache_refreshes{site="shop"} 1');
    expect(metrics.text()).toContain('starling_cache_refreshes{site="blog"} 0');
    expect(metrics.underWay.map(({ url }) => url)).toEqual(["http://shop.test/"]);
    over();
    expect(metrics.underWay).toEqual([]);
  });
});
