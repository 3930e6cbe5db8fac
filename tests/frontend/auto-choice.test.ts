/** `consistency=auto`: the least r that meets what the request asks for, and a safe one else. */
import { describe, expect, it, vi } from "vitest";
import { around, reportsOf } from "../staleness/reports.ts";
import { makeApp, type TestApp } from "./support.ts";

const KEY = "/v1/kv/ns/k";

/** Every pair of members is so far apart, in ms there and back. */
async function apart(ms: number, count = 200): Promise<TestApp> {
  const app = await makeApp();
  measure(app, ms, count);
  return app;
}

function measure(app: TestApp, ms: number, count: number): void {
  const trips = { reads: around(ms, count), stores: around(ms, count) };
  for (const [id, report] of reportsOf(["r1", "r2", "r3"], () => trips)) {
    app.backend.delays.set(id, report);
  }
}

const askedR = (app: TestApp): unknown => {
  const { last } = app.backend;
  return last?.kind === "get" ? last.options.r : "no read";
};

describe("starling_staleness_probability", () => {
  const linesOf = async (app: TestApp): Promise<readonly string[]> =>
    (await (await app.get("/metrics")).text())
      .split("\n")
      .filter((line) => line.startsWith("starling_staleness_probability{"));

  it("says what the model does, for each r and w of the deployment's n", async () => {
    const app = await apart(40);
    const lines = await linesOf(app);
    expect(lines).toHaveLength(27);
    expect(lines).toContain('starling_staleness_probability{r="1",w="1",t="0"} 0');
    expect(lines).toContain('starling_staleness_probability{r="1",w="1",t="100"} 1');
    expect(lines).toContain('starling_staleness_probability{r="2",w="2",t="0"} 1');
  });

  it("goes by few round trips too, which auto does not", async () => {
    const app = await apart(40, 1);
    expect(await linesOf(app)).toHaveLength(27);
    const answer = await app.get(`${KEY}?consistency=auto&min_p=0.01`);
    expect(answer.headers.get("starling-quorum")).not.toContain("predicted");
  });

  it("asks again soon while little is known, and every half minute after that", async () => {
    const clock = vi.spyOn(performance, "now").mockReturnValue(1_000_000);
    try {
      const app = await makeApp();
      expect(await linesOf(app)).toEqual([]);
      measure(app, 40, 200);
      const soon = 'starling_staleness_probability{r="1",w="1",t="10"} 0';
      const at = async (ms: number): Promise<readonly string[]> => {
        clock.mockReturnValue(1_000_000 + ms);
        await linesOf(app);
        return linesOf(app);
      };
      expect(await at(6000)).toContain(soon);
      measure(app, 1, 200);
      expect(await at(30_000)).toContain(soon);
      expect(await at(40_000)).not.toContain(soon);
    } finally {
      clock.mockRestore();
    }
  });

  it("has no series while nothing is known", async () => {
    expect(await linesOf(await makeApp())).toEqual([]);
  });
});

describe("consistency=auto", () => {
  it("takes the least r that the model is sure enough of", async () => {
    const app = await apart(40);
    // The default w of 2 is answered after 40 ms: by then the third has it, or nearly.
    for (const [query, r] of [
      ["max_stale=0.1", 1],
      ["min_p=0.01&w=1", 2],
      ["min_p=0.9&w=1", 3],
      ["min_p=0.999&max_stale=0.1&w=1", 1],
      ["min_p=0.999&w=all", 1],
    ] as const) {
      const answer = await app.get(`${KEY}?consistency=auto&${query}`);
      expect(answer.status).toBe(404);
      expect(askedR(app), query).toBe(r);
      expect(answer.headers.get("starling-quorum")).toMatch(/, predicted=(1\.0|0\.\d+)/);
    }
  });

  it("asks members for their delays once, and not for each read", async () => {
    const app = await apart(40);
    for (let i = 0; i < 3; i++) await app.get(`${KEY}?consistency=auto&min_p=0.9`);
    const kinds = app.backend.operations.map(({ kind }) => kind);
    expect(kinds).toEqual(["staleness", "get", "get", "get"]);
  });

  it("is safe where nothing is known, and says no chance", async () => {
    const app = await makeApp();
    const answer = await app.get(`${KEY}?consistency=auto&min_p=0.5&w=1`);
    expect(answer.status).toBe(404);
    // No r: the node takes n - w + 1.
    expect(askedR(app)).toBeUndefined();
    expect(app.backend.last).toMatchObject({ options: { consistency: "auto", w: 1 } });
    expect(answer.headers.get("starling-quorum")).not.toContain("predicted");
  });

  it("yields to an r that is named, and works in a batch", async () => {
    const app = await apart(40);
    await app.get(`${KEY}?consistency=auto&min_p=0.5&r=2`);
    expect(askedR(app)).toBe(2);
    const body = JSON.stringify({ ops: [{ op: "get", key: "k" }] });
    await app.call("POST", "/v1/kv/ns:batch?consistency=auto&max_stale=0.1", { body });
    expect(askedR(app)).toBe(1);
  });

  it("means nothing to a write", async () => {
    const app = await apart(40);
    const headers = { "Starling-Quorum": "w=1" };
    const answer = await app.put(`${KEY}?consistency=auto&min_p=0.5`, "v", headers);
    expect(answer.status).toBe(201);
    expect(app.backend.last).toMatchObject({ options: { w: 1 } });
  });

  it.each([
    ["consistency=auto", "consistency"],
    ["min_p=0.9", "min_p"],
    ["consistency=one&min_p=0.9", "min_p"],
    ["consistency=auto&min_p=0", "min_p"],
    ["consistency=auto&min_p=1.1", "min_p"],
    ["consistency=auto&min_p=most", "min_p"],
  ])("refuses ?%s", async (query, option) => {
    const answer = await (await makeApp()).get(`${KEY}?${query}`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: "invalid-option", option });
  });

  it("is read from the header too", async () => {
    const app = await apart(40);
    const headers = { "Starling-Quorum": "consistency=auto, min-p=0.999, max-stale=0.1" };
    await app.get(KEY, headers);
    expect(askedR(app)).toBe(1);
  });
});
