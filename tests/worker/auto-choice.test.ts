/** `consistency=auto` on Workers, where each request has a store of its own. */
import { SELF } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";
import { messageFromList } from "../../core/messages.ts";
import { ReplicaObject } from "../../worker/index.ts";

const base = "http://localhost";
const IDS = ["r1", "r2", "r3", "r4", "r5"];

afterEach(() => {
  vi.restoreAllMocks();
});

describe("what a Worker knows of its members' delays", () => {
  it("is asked for once, and not for each read, and is in the metrics from then on", async () => {
    const exchange = vi.spyOn(ReplicaObject.prototype, "exchange");
    const askedOf = (): readonly string[] =>
      exchange.mock.calls
        .filter(([, wire]) => {
          const message = messageFromList(wire);
          return message.type === "request" && message.body.kind === "delays";
        })
        .map(([id]) => id);
    const chances = async (): Promise<number> => {
      const text = await (await SELF.fetch(`${base}/metrics`)).text();
      expect(text).toContain("# TYPE starling_staleness_probability gauge");
      return text.match(/^starling_staleness_probability\{/gm)?.length ?? 0;
    };
    // The model needs at least fifty round trips of a kind.
    for (let i = 0; i < 40; i++) {
      const url = `${base}/v1/kv/auto/k${i}`;
      await (await SELF.fetch(`${url}?w=all`, { method: "PUT", body: "v" })).text();
      await (await SELF.fetch(`${url}?r=all`)).text();
    }
    // A scraper wakes nobody.
    expect(await chances()).toBe(0);
    expect(askedOf()).toEqual([]);
    // A look at the page makes the frontend ask.
    expect((await SELF.fetch(`${base}/v1/cluster/staleness`)).status).toBe(200);
    expect(askedOf().toSorted()).toEqual(IDS);
    expect(await chances()).toBe(27);
    for (let i = 0; i < 4; i++) {
      const url = `${base}/v1/kv/auto/k${i}?consistency=auto&min_p=0.5`;
      expect((await SELF.fetch(url)).headers.get("starling-quorum")).toContain("predicted=");
    }
    expect(askedOf()).toHaveLength(IDS.length);
  });
});
