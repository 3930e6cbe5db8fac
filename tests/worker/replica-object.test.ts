import { runDurableObjectAlarm, runInDurableObject, SELF } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import type { Env } from "../../worker/config.ts";

const { REPLICAS } = env as unknown as Env;
const base = "http://localhost";
const stubOf = (id: string) => REPLICAS.get(REPLICAS.idFromName(id));

describe("the Worker", () => {
  it("stores, reads and deletes through its Durable Objects", async () => {
    const url = `${base}/v1/kv/worker/a%2Fb`;
    expect((await SELF.fetch(url, { method: "PUT", body: "one" })).status).toBe(201);
    const got = await SELF.fetch(url);
    expect(await got.text()).toBe("one");
    expect(got.headers.get("starling-quorum")).toMatch(/^n=3, r=2, answered=2, primaries=2/);
    expect((await SELF.fetch(url, { method: "DELETE" })).status).toBe(204);
    const gone = await SELF.fetch(url);
    expect(gone.status).toBe(404);
    await gone.text();
  });

  it("keeps concurrent writes apart", async () => {
    const url = `${base}/v1/kv/worker/siblings`;
    const empty = (await SELF.fetch(url)).headers.get("starling-context") ?? "";
    for (const body of ["red", "blue"]) {
      await SELF.fetch(url, { method: "PUT", body, headers: { "Starling-Context": empty } });
    }
    const headers = { Accept: "application/json" };
    const all = await SELF.fetch(`${url}?siblings=all`, { headers });
    expect(all.status).toBe(300);
    const { siblings } = (await all.json()) as { siblings: { value: string }[] };
    expect(siblings.map(({ value }) => atob(value)).sort()).toEqual(["blue", "red"]);
  });

  it("refuses a strange Host on loopback", async () => {
    const answer = await SELF.fetch("http://evil.example/v1/kv/worker/a");
    expect(answer.status).toBe(421);
    await answer.text();
  });
});

describe("a replica's alarm", () => {
  it("rings after a write and falls silent on an idle deployment", async () => {
    const url = `${base}/v1/kv/worker/alarm?w=all`;
    await (await SELF.fetch(url, { method: "PUT", body: "v" })).text();
    const explain = await SELF.fetch(`${base}/v1/cluster/explain/worker/alarm`);
    const { preferenceList } = (await explain.json()) as { preferenceList: string[] };
    const stub = stubOf(preferenceList[0] ?? "");
    const hasAlarm = (): Promise<boolean> =>
      runInDurableObject(stub, async (_, state) => (await state.storage.getAlarm()) !== null);
    expect(await hasAlarm()).toBe(true);
    let rings = 0;
    while (rings < 20 && (await runDurableObjectAlarm(stub))) rings++;
    expect(rings).toBeGreaterThan(0);
    expect(rings).toBeLessThan(20);
    expect(await hasAlarm()).toBe(false);
  });
});
