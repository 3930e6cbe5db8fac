import { describe, expect, it } from "vitest";
import { reportsOf } from "../staleness/reports.ts";
import { makeApp, type TestApp, tokensOf } from "./support.ts";

interface Report {
  readonly rmse: number | null;
  readonly lag: Readonly<Record<string, Readonly<Record<string, number | null>>>>;
  readonly model: { readonly samples: object; readonly assumed: readonly string[] };
  readonly choices: readonly {
    readonly n: number;
    readonly r: number;
    readonly w: number;
    readonly dw: number;
    readonly predicted: readonly { readonly t: number; readonly p: number }[];
    readonly measured: readonly { readonly t: number; readonly p: number }[];
    readonly latency: object;
  }[];
}

const PAIRS = "11 12 13 21 22 23 31 32 33".split(" ");

const reads = Array.from({ length: 200 }, (_, i) => (i % 20 === 0 ? 40 : 2 + (i % 10) / 10));
const stores = reads.map((ms) => ms + 1);

async function measuredApp(): Promise<TestApp> {
  const made = await makeApp();
  const canariesOf = (id: string) =>
    id === "r1" ? [{ reader: "r2", w: 1, t: 100, counts: [8, 8, 8], seen: [6, 8, 8] }] : [];
  const told = reportsOf(["r1", "r2", "r3"], () => ({ reads, stores }), canariesOf);
  for (const [id, report] of told) made.backend.delays.set(id, report);
  return made;
}

const asked = async (app: TestApp, query: string): Promise<Report> => {
  const answer = await app.get(`/v1/cluster/staleness${query}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  return (await answer.json()) as Report;
};

describe("GET /v1/cluster/staleness", () => {
  it("predicts every pair up to n, from what was measured", async () => {
    const report = await asked(await measuredApp(), "?t=0,1,100");
    expect(report.choices.map(({ r, w }) => `${r}${w}`)).toEqual(PAIRS);
    expect(report.model).toMatchObject({
      samples: { reads: 1200, stores: 1200 },
      window: 600,
      W: { p50: 1.196 },
    });
    for (const { n, r, w, dw, predicted, measured } of report.choices) {
      expect([n, dw]).toEqual([3, Math.min(2, w)]);
      const p = r === 1 ? 0.75 : 1;
      expect(measured).toEqual(w === 1 ? [{ t: 100, p, count: 8 }] : []);
      expect(predicted.map(({ t }) => t)).toEqual([0, 1, 100]);
      expect(predicted.at(-1)?.p).toBe(1);
      if (r + w > n) expect(predicted[0]?.p).toBe(1);
    }
    expect(report.choices[0]?.predicted[0]?.p).toBeLessThan(1);
    const errors = report.choices
      .slice(0, 1)
      .concat(report.choices[3] ?? [], report.choices[6] ?? []);
    const p = errors.map(({ predicted, measured }) => [predicted[2]?.p ?? 0, measured[0]?.p ?? 0]);
    const squares = p.map(([a = 0, b = 0]) => (a - b) ** 2);
    const mean = squares.reduce((sum, square) => sum + square, 0) / squares.length;
    expect(report.rmse).toBeCloseTo(Math.sqrt(mean), 9);
  });

  it("has nothing measured of a choice that canaries do not make", async () => {
    const app = await measuredApp();
    for (const query of ["?n=2", "?dw=0", "?from=same", "?w=2"]) {
      const { choices, rmse } = await asked(app, query);
      expect(choices.flatMap(({ measured }) => measured)).toEqual([]);
      expect(rmse).toBeNull();
    }
  });

  it("measures a pair that is asked for by itself as it does among all pairs", async () => {
    const app = await measuredApp();
    const all = await asked(app, "?t=100");
    for (const query of ["?r=1&w=1&t=100", "?w=1&dw=1&r=1&t=100", "?r=1&dw=1&t=100"]) {
      const [one] = (await asked(app, query)).choices;
      expect(one).toEqual(all.choices[0]);
    }
    expect((await asked(app, "?r=1&w=1&t=100")).rmse).toBeGreaterThan(0);
  });

  it("keeps to the pair that is asked for, also by a word", async () => {
    const app = await measuredApp();
    const one = await asked(app, "?r=1&w=quorum&from=same");
    expect(one.choices.map(({ r, w }) => [r, w])).toEqual([[1, 2]]);
    // The reader's nearest replica is the writer's coordinator.
    expect(one.choices[0]?.predicted[0]?.p).toBe(1);
  });

  it("names every choice before anything was measured, and predicts nothing", async () => {
    const report = await asked(await makeApp(), "");
    expect(report.choices.map(({ r, w }) => `${r}${w}`)).toEqual(PAIRS);
    for (const choice of report.choices) {
      expect(choice).toMatchObject({
        n: 3,
        dw: Math.min(2, choice.w),
        predicted: [],
        measured: [],
      });
      expect(choice.latency).toEqual({ read: null, write: null });
    }
    expect(report.model).toMatchObject({ W: null, A: null, R: null, S: null });
    expect(report.model.assumed.length).toBeGreaterThan(2);
    expect(report.rmse).toBeNull();
  });

  it("tells of a member that is away how old what the others know of it is", async () => {
    const made = await measuredApp();
    made.backend.delays.delete("r2");
    expect((await asked(made, "")).lag).toEqual({
      r1: { r2: 0.9, r3: null },
      r3: { r1: 0.9, r2: null },
    });
  });

  it("predicts from few round trips, and says that they are few", async () => {
    const made = await makeApp();
    const trips = { reads: [2], stores: [] };
    for (const [id, told] of reportsOf(["r1", "r2", "r3"], () => trips)) {
      made.backend.delays.set(id, told);
    }
    const report = await asked(made, "");
    expect(report.choices.map(({ r, w }) => `${r}${w}`)).toEqual(PAIRS);
    for (const { predicted } of report.choices) {
      expect(predicted.map(({ t }) => t)).toEqual([0, 1, 5, 10, 50, 100]);
    }
    expect(report.model).toMatchObject({ samples: { reads: 6, stores: 0 }, W: { p50: 1 } });
    expect(report.model.assumed.at(-1)).toMatch(/^6 reads and 0 stores .* are few/);
    const enough = await asked(await measuredApp(), "");
    expect(enough.model.assumed.join()).not.toContain("are few");
  });

  it.each([
    "x=1",
    "r=9",
    "r=1&r=2",
    "t=-1",
    "t=",
    "t=soon",
    "from=here",
    "namespace=_no",
    "w=1&dw=2",
    "n=0",
  ])("refuses ?%s", async (query) => {
    const answer = await (await makeApp()).get(`/v1/cluster/staleness?${query}`);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ code: "invalid-option" });
  });

  it("knows no namespace of a site", async () => {
    const answer = await (await makeApp()).get("/v1/cluster/staleness?namespace=_site.shop");
    expect(answer.status).toBe(404);
    expect(await answer.json()).toMatchObject({ code: "not-found" });
  });

  it("is for admins", async () => {
    const auth = tokensOf([{ token: "reader-reader", role: "read" }]);
    const app = await makeApp({ auth, openOnLoopback: false });
    const headers = { Authorization: "Bearer reader-reader" };
    expect((await app.get("/v1/cluster/staleness", headers)).status).toBe(403);
  });
});
