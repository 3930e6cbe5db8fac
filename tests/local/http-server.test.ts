import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import {
  type FetchHandler,
  type HttpLimits,
  type HttpServer,
  makeHttpServer,
} from "../../src/local/http-server.ts";
import { rawRequest } from "../support/raw-http.ts";

let running: HttpServer | null = null;
afterEach(() => {
  running?.server.close();
  running?.server.closeAllConnections();
  running = null;
});

async function start(handler: FetchHandler, limits: Partial<HttpLimits>): Promise<string> {
  const acceptInternal = (): boolean => false;
  running = makeHttpServer({ handler, acceptInternal, log: () => {}, limits });
  const { server } = running;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const reads: FetchHandler = async (request) => new Response(await request.text());

describe("the Node host's listener", () => {
  it("answers headers that do not come to an end with 408", async () => {
    const url = await start(reads, { headersMsMax: 200, requestMsMax: 400 });
    const answer = await rawRequest(url, "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    expect(answer.status).toBe(408);
    expect(answer.body).toContain('"code":"request-timeout"');
  });

  it("answers a body that does not come to an end with 408", async () => {
    const url = await start(reads, { headersMsMax: 200, requestMsMax: 400 });
    const head = "PUT / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n";
    const answer = await rawRequest(url, `${head}slow`);
    expect(answer.status).toBe(408);
  });

  it("answers headers that are too large with 431", async () => {
    const url = await start(reads, { headerBytesMax: 1000 });
    const answer = await rawRequest(
      url,
      `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(2000)}\r\n\r\n`,
    );
    expect(answer.status).toBe(431);
    expect(answer.body).toContain('"code":"headers-too-large"');
  });

  it("turns requests away with 429 when too many are at work, and takes them again after", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waits: FetchHandler = async () => {
      await promise;
      return new Response("done");
    };
    const url = await start(waits, { inFlightCountMax: 2 });
    const first = [fetch(url), fetch(url)];
    const turnedAway = async (): Promise<Response> => {
      const answer = await Promise.race([
        fetch(url),
        new Promise<null>((r) => setTimeout(r, 100, null)),
      ]);
      return answer ?? new Response(null, { status: 599 });
    };
    await expect.poll(async () => (await turnedAway()).status).toBe(429);
    const answer = await turnedAway();
    expect(answer.headers.get("retry-after")).toBe("1");
    expect(((await answer.json()) as { code: string }).code).toBe("overloaded");
    resolve();
    for (const response of await Promise.all(first)) expect(response.status).toBe(200);
    await expect.poll(async () => (await fetch(url)).status).toBe(200);
  });

  it("knows no upgrade but the cluster's own", async () => {
    const url = await start(reads, {});
    const lines = [
      "GET /internal HTTP/1.1",
      "Host: a",
      "Connection: Upgrade",
      "Upgrade: websocket",
    ];
    const answer = await rawRequest(url, `${lines.join("\r\n")}\r\n\r\n`);
    expect(answer.status).toBe(404);
    expect(answer.body).toContain("no-such-route");
  });

  it("hands the request target on as it stood", async () => {
    const seen: string[] = [];
    const url = await start((_, env) => {
      seen.push(env.rawPath);
      return new Response("ok");
    }, {});
    await rawRequest(url, "GET /a/../b/%2e%2e?x=%20 HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(seen).toEqual(["/a/../b/%2e%2e?x=%20"]);
  });
});
