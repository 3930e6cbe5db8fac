import { expect, it } from "vitest";
import { makeApp } from "./support.ts";

const bodyOf = (body: unknown): RequestInit => ({ body: JSON.stringify(body) });
const problemIn = async (answer: Response): Promise<unknown> => {
  const { code } = (await answer.json()) as { code: string };
  return [answer.status, code];
};

it("hands on which ring a commit is for, and how long it is waited for", async () => {
  const { backend, call } = await makeApp();
  backend.failure = { code: "ring-conflict", detail: "another" };
  const body = { remove: ["r2"], from: 7, timeout: 5000 };
  const answer = await call("POST", "/v1/cluster/commit", bodyOf(body));
  expect(await problemIn(answer)).toEqual([409, "ring-conflict"]);
  const change = { remove: ["r2"] };
  expect(backend.operations).toEqual([{ kind: "commit", change, from: 7, timeoutMs: 5000 }]);
});

it.each(["plan", "commit"])("refuses what is no version and no time of a %s", async (route) => {
  const { backend, call } = await makeApp();
  for (const wrong of [
    ...[0, -1, 1.5, "1", null, 2 ** 60].map((from) => ({ from })),
    ...[0, 1.5, "1", null, 60_001].map((timeout) => ({ timeout })),
  ]) {
    const body = { reweight: { r1: 2 }, ...wrong };
    const answer = await call("POST", `/v1/cluster/${route}`, bodyOf(body));
    expect([wrong, await problemIn(answer)]).toEqual([wrong, [400, "invalid-request"]]);
  }
  expect(backend.operations).toEqual([]);
});

it.each(["plan", "commit"])("says of a %s that it names a member twice", async (route) => {
  const { backend, call } = await makeApp();
  const body = { remove: ["r2", "r3", "r3"] };
  const answer = await call("POST", `/v1/cluster/${route}`, bodyOf(body));
  const { status, detail } = (await answer.json()) as { status: number; detail: string };
  expect([status, detail]).toEqual([400, '"remove" names "r3" twice.']);
  expect(backend.operations).toEqual([]);
});

it("plans for the version that is named, or says which there is", async () => {
  const { call } = await makeApp();
  const plan = (from: number): Promise<Response> =>
    call("POST", "/v1/cluster/plan", bodyOf({ reweight: { r1: 2 }, from, timeout: 100 }));
  expect(await (await plan(1)).json()).toMatchObject({ from: 1, to: 2 });
});

it("does not say that no member changes while no majority can be asked", async () => {
  const { backend, call } = await makeApp();
  backend.failure = { code: "quorum-unavailable", detail: "away", required: 2, achieved: 1 };
  const answer = await call("GET", "/v1/cluster/transfers");
  expect(answer.headers.has("retry-after")).toBe(true);
  expect(await problemIn(answer)).toEqual([503, "quorum-unavailable"]);
});
