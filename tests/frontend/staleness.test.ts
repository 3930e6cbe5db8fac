import { describe, expect, it } from "vitest";
import { forecast } from "../../src/staleness/forecast.ts";
import { makeApp, type TestApp, tokensOf } from "./support.ts";

interface Report {
  readonly model: { readonly samples: object; readonly assumed: readonly string[] };
  readonly choices: readonly {
    readonly n: number;
    readonly r: number;
    readonly w: number;
    readonly dw: number;
    readonly predicted: readonly { readonly t: number; readonly p: number }[];
    readonly measured: readonly unknown[];
    readonly latency: object;
  }[];
}

const reads = Array.from({ length: 200 }, (_, i) => (i % 20 === 0 ? 40 : 2 + (i % 10) / 10));
const stores = reads.map((ms) => ms + 1);

async function measuredApp(): Promise<TestApp> {
  const made = await makeApp();
  made.backend.measured = { reads, stores, windowMs: 600_000 };
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
    expect(report.choices.map(({ r, w }) => `${r}${w}`)).toEqual(
      "11 12 13 21 22 23 31 32 33".split(" "),
    );
    expect(report.model).toMatchObject({
      samples: { reads: 200, stores: 200 },
      window: 600,
      W: { p50: 1.25 },
      S: { p99: 20 },
    });
    for (const { n, r, w, dw, predicted, measured } of report.choices) {
      expect([n, dw, measured]).toEqual([3, 2, []]);
      expect(predicted.map(({ t }) => t)).toEqual([0, 1, 100]);
      expect(predicted.at(-1)?.p).toBe(1);
      if (r + w > n) expect(predicted[0]?.p).toBe(1);
    }
    expect(report.choices[0]?.predicted[0]?.p).toBeLessThan(1);
  });

  it("keeps to the pair that is asked for, also by a word", async () => {
    const app = await measuredApp();
    const one = await asked(app, "?r=1&w=quorum&from=same");
    expect(one.choices.map(({ r, w }) => [r, w])).toEqual([[1, 2]]);
    // The reader's nearest replica is the writer's coordinator.
    expect(one.choices[0]?.predicted[0]?.p).toBe(1);
  });

  it("promises nothing where too little was measured", async () => {
    const report = await asked(await makeApp(), "");
    expect(report.choices).toEqual([]);
    expect(report.model.assumed.length).toBeGreaterThan(2);
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

  it("is for admins", async () => {
    const auth = tokensOf([{ token: "reader-reader", role: "read" }]);
    const app = await makeApp({ auth, openOnLoopback: false });
    const headers = { Authorization: "Bearer reader-reader" };
    expect((await app.get("/v1/cluster/staleness", headers)).status).toBe(403);
  });
});

describe("the forecast", () => {
  const plan = { n: 3, dw: 2, from: "other", times: [0] } as const;
  const atOnce = (dw: number, r = 1, w = 1): number => {
    const { choices } = forecast({ reads, stores }, { ...plan, dw });
    return choices.find((choice) => choice.r === r && choice.w === w)?.predicted[0]?.p ?? -1;
  };

  it("knows that a write that waits for a disk is seen by more when it is answered", () => {
    expect(atOnce(1)).toBeGreaterThan(atOnce(0));
  });

  it("says the same of the same measurements", () => {
    expect(forecast({ reads, stores }, plan)).toEqual(forecast({ reads, stores }, plan));
  });
});
