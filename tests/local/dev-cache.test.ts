/** `starling dev --origin`: the cache door on workerd, over real connections. */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DevOptions, type RunningDev, startDev } from "../../src/local/dev.ts";
import { startOrigin, type TestOrigin } from "../support/origin.ts";
import { rawRequest } from "../support/raw-http.ts";

const dir = mkdtempSync(join(tmpdir(), "starling-test-"));
const start = (name: string, more: Partial<DevOptions>) =>
  startDev({ port: 0, replicas: 3, dataDir: join(dir, name), log: () => {}, ...more });

let origin: TestOrigin;
let dev: RunningDev;
beforeAll(async () => {
  origin = await startOrigin();
  dev = await start("cache", { cachePort: 0, origin: origin.url });
});
afterAll(async () => {
  await dev.close();
  await origin.close();
  rmSync(dir, { recursive: true, force: true });
});

const get = (path: string, host = "example.com") =>
  rawRequest(dev.cacheUrl ?? "", `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

describe("the cache of starling dev", () => {
  it("is in front of the origin at once, for all hosts, each with what is its own", async () => {
    origin.answer = ({ headers }, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      response.end(`${headers["x-forwarded-host"]} by ${headers.host}`);
    };
    const own = new URL(origin.url).host;
    for (const host of ["example.com", "example.org:8080"]) {
      const miss = await get("/hosts", host);
      expect([miss.status, miss.body]).toEqual([200, `${host} by ${own}`]);
      expect(miss.head).toContain(`stored;key="http://${host}/hosts"`);
      await expect
        .poll(async () => (await get("/hosts", host)).head)
        .toContain("Cache-Status: starling;hit;ttl=");
      expect((await get("/hosts", host)).body).toBe(`${host} by ${own}`);
    }
    expect(origin.asked).toEqual(["GET /hosts", "GET /hosts"]);
    expect((await rawRequest(dev.url, "GET /hosts HTTP/1.1\r\nHost: a\r\n\r\n")).status).toBe(421);
  });

  it("passes bytes on as they are coded, and says how many", async () => {
    const zipped = gzipSync("a text ".repeat(100));
    origin.answer = (_, response) => {
      response.setHeader("Content-Encoding", "gzip");
      response.setHeader("Cache-Control", "max-age=60");
      response.setHeader("Content-Length", zipped.length);
      response.end(zipped);
    };
    const text = "GET /zipped HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n";
    const ask = () => rawRequest(dev.cacheUrl ?? "", text);
    const miss = await ask();
    expect(miss.head).toContain("fwd=uri-miss");
    await expect.poll(async () => (await ask()).head).toContain("starling;hit");
    for (const { head, body } of [miss, await ask()]) {
      expect(head).toContain("Content-Encoding: gzip\r\n");
      expect(head).toContain(`Content-Length: ${zipped.length}\r\n`);
      expect(Buffer.from(body, "latin1")).toEqual(zipped);
    }
  });

  it("breaks off where the origin does, and stores none of it", async () => {
    let isWhole = false;
    origin.answer = (_, response) => {
      response.setHeader("Cache-Control", "max-age=60");
      response.setHeader("Content-Length", 200_000);
      response.write("x".repeat(100_000), () => {
        if (isWhole) response.end("x".repeat(100_000));
        else response.destroy();
      });
    };
    const url = `${dev.cacheUrl}/broken`;
    await expect(fetch(url).then((answer) => answer.text())).rejects.toThrow();
    isWhole = true;
    const whole = await fetch(url);
    expect(whole.headers.get("Cache-Status")).toContain("fwd=uri-miss");
    expect(await whole.text()).toHaveLength(200_000);
  });

  it("is 502 when the origin is away, and no way to the API", async () => {
    const [away, own] = [`${dev.url}/v1/sites/away`, `${dev.url}/v1/sites/own`];
    const closed = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    const site = (at: string, host: string) => JSON.stringify({ origin: at, hosts: [host] });
    const body = site(`http://127.0.0.1:${port}`, "away.test");
    expect((await fetch(away, { method: "PUT", body })).status).toBe(201);
    expect((await fetch(own, { method: "PUT", body: site(dev.url, "own.test") })).status).toBe(201);
    await expect.poll(async () => (await get("/", "away.test")).status).toBe(502);
    expect((await get("/", "away.test")).body).toContain("origin-unreachable");
    await expect.poll(async () => (await get("/v1/cluster", "own.test")).status).toBe(508);
    expect((await get("/v1/cluster", "own.test")).body).toContain("loop-detected");
  });

  it("is refused with the flag to mend, and keeps no folder", async () => {
    const refusal = (more: Partial<DevOptions>): Promise<string> =>
      start("refused", more).then(
        async (running) => {
          await running.close();
          return "it started";
        },
        (error: Error) => error.message,
      );
    expect(await refusal({ cachePort: 0, origin: "ftp://a" })).toMatch(/^--origin ftp:\/\/a: /);
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as { port: number };
    try {
      expect(await refusal({ cachePort: port })).toBe(
        `port ${port} is taken; choose another with --cache-port`,
      );
      expect(await refusal({ port, cachePort: port })).toMatch(/^--cache-port and --port are both/);
    } finally {
      taken.close();
    }
    const without = await start("refused", {});
    expect(without.cacheUrl).toBe(null);
    await without.close();
  });
});
