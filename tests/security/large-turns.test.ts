/** A few large values are carried out at a time, by whichever door they come; small ones pass. */
import { afterEach, describe, expect, it } from "vitest";
import { bodyRoom } from "../../src/frontend/http/body-room.ts";
import { LargeTurns } from "../../src/local/http/large-turns.ts";
import { testDefaults } from "../frontend/memory-backend.ts";
import { makeApp, type TestApp } from "../frontend/support.ts";

const MIB = 1_048_576;
const MINUTE_MS = 60_000;
const LARGE = "v".repeat(200_000);
const KV = "/client/v4/accounts/a/storage/kv/namespaces/ns/values/large";
afterEach(() => expect(bodyRoom.takenByteCount).toBe(0));

async function appWithTurns(waitMsMax = MINUTE_MS): Promise<TestApp & { turns: LargeTurns }> {
  const app = await makeApp();
  const turns = new LargeTurns({ byteCountMax: MIB, waitMsMax, turnMsMax: MINUTE_MS });
  app.backend.turns = turns;
  app.backend.namespaces.set("ns", { ...testDefaults, maxValueBytes: MIB });
  await app.put("/v1/kv/ns/small", "v");
  await app.put("/v1/kv/ns/large", "v");
  app.backend.operations.length = 0;
  return { ...app, turns };
}

const json = (body: object): RequestInit => ({
  body: JSON.stringify(body),
  headers: { "Content-Type": "application/json" },
});
const put = { op: "put", key: "large", value: btoa(LARGE) };

const DOORS: readonly (readonly [string, (app: TestApp) => Promise<Response>])[] = [
  ["a PUT", (app) => app.put("/v1/kv/ns/large", LARGE)],
  ["a small PUT of a large key", (app) => heavy(app).put("/v1/kv/ns/large", "v")],
  ["a DELETE of a large key", (app) => heavy(app).call("DELETE", "/v1/kv/ns/large")],
  ["a GET of a large key", (app) => heavy(app).get("/v1/kv/ns/large")],
  ["KV's REST", (app) => app.call("PUT", KV, { body: LARGE })],
];

/** Takes up all turns. @returns a function that ends it */
function takeAll({ turns }: { readonly turns: LargeTurns }): () => Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const turn = turns.take(() => promise, MIB);
  return () => {
    resolve();
    return turn;
  };
}

/** Its index says that the key is of 700 kB. */
function heavy(app: TestApp): TestApp {
  app.backend.weigh = (key) => (key.endsWith("large") ? 700_000 : 1);
  return app;
}

describe("the turn of a large value", () => {
  it.each(DOORS)("is waited for by %s, and what is small passes it", async (_, send) => {
    const app = await appWithTurns();
    const end = takeAll(app);
    const large = send(app);
    await expect.poll(() => app.turns.waitingCount).toBe(1);
    const small = [app.put("/v1/kv/ns/small", "w"), app.get("/v1/kv/ns/small")];
    for (const answer of await Promise.all(small)) expect(answer.status).toBeLessThan(300);
    expect(app.backend.operations.some((one) => "key" in one && one.key.endsWith("large"))).toBe(
      false,
    );
    await end();
    expect((await large).status).toBeLessThan(300);
  });

  it("is not waited for by a read of half a mebibyte, which passes over it once", async () => {
    const app = await appWithTurns(1);
    const end = takeAll(app);
    const at = (byteCount: number): TestApp => {
      app.backend.weigh = () => byteCount;
      return app;
    };
    const reads = [130, 400, 512, 513].map(
      async (kib) => (await at(kib * 1024).get("/v1/kv/ns/large")).status,
    );
    expect(await Promise.all(reads)).toEqual([200, 200, 200, 429]);
    await end();
  });

  it("is waited for by each op of a batch for itself", async () => {
    const app = await appWithTurns(1);
    const end = takeAll(app);
    const ops = [put, { op: "put", key: "small", value: btoa("w") }];
    const answer = await app.call("POST", "/v1/kv/ns:batch", json({ ops }));
    const { results } = (await answer.json()) as { results: { status: number }[] };
    expect(results.map(({ status }) => status)).toEqual([429, 204]);
    await end();
  });

  it.each(DOORS)("does not come in time: %s is 429, and nothing was done", async (_, send) => {
    const app = await appWithTurns(1);
    const end = takeAll(app);
    const refused = await send(app);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(app.backend.operations).toEqual([]);
    await end();
    // There may be a rest after the turn, and it does not wait for that either.
    await expect.poll(async () => (await send(app)).status).toBeLessThan(300);
  });

  it("is waited for three quarters of the time that a request gives", async () => {
    const app = await appWithTurns();
    const end = takeAll(app);
    const refused = await app.put("/v1/kv/ns/large?timeout=2", LARGE);
    expect(refused.status).toBe(429);
    await end();
  });
});

describe("a burst of large values", () => {
  it("is carried out a few at a time, and small requests are answered meanwhile", async () => {
    const app = await appWithTurns();
    const { promise, resolve } = Promise.withResolvers<void>();
    const execute = app.backend.execute.bind(app.backend);
    let begunCount = 0;
    app.backend.execute = async (operation, trace) => {
      if (operation.kind === "write" && operation.key.endsWith("large")) {
        begunCount++;
        await promise;
      }
      return execute(operation, trace);
    };
    const burst = Array.from({ length: 20 }, (_, i) => app.put(`/v1/kv/ns/${i}-large`, LARGE));
    await expect.poll(() => app.turns.waitingCount).toBe(15);
    expect((await app.get("/v1/kv/ns/small")).status).toBe(200);
    expect((await app.put("/v1/kv/ns/small", "w")).status).toBe(204);
    expect(begunCount).toBe(5);
    resolve();
    for (const answer of await Promise.all(burst)) expect(answer.status).toBe(201);
    expect([begunCount, app.turns.waitingCount]).toEqual([20, 0]);
  });
});
