import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { run } from "./run.ts";

/** A frontend whose answers are `tell`'s, save that it is healthy. */
async function frontend(tell: (response: ServerResponse) => void): Promise<string> {
  const server = createServer(({ url }, response) => {
    if (url === "/healthz") response.end();
    else tell(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Its head promises more than comes. */
function breakOff(response: ServerResponse): void {
  response.writeHead(200, { "Content-Type": "application/json", "Content-Length": "1000" });
  response.write('{"a"', () => response.destroy());
}

describe("an answer that breaks off", () => {
  it.each([
    ["status"],
    ["get", "demo", "k"],
    ["list", "demo"],
    ["backup", "-"],
    ["export", "demo", join(tmpdir(), "starling-test-broken-off")],
  ])("is what %s tells of, in one line", async (...args) => {
    const url = await frontend(breakOff);
    const { code, err } = await run([...args, "--url", url]);
    expect([code, err]).toEqual([1, expect.stringMatching(/^starling: the answer broke off.*\n$/)]);
  });

  it("is asked for again by copy, until somebody refuses", async () => {
    let asked = 0;
    const url = await frontend((response) => {
      if (asked++ < 2) return breakOff(response);
      response.writeHead(403, { "Content-Type": "application/problem+json" });
      response.end(JSON.stringify({ status: 403, code: "forbidden", detail: "Not with that." }));
    });
    const { code, err } = await run(["copy", "demo", "--from", url, "--to", url]);
    expect([asked, code, err.split("\n")]).toEqual([
      3,
      1,
      [
        expect.stringMatching(/^the answer broke off .*; trying again$/),
        "starling: Not with that. (forbidden, HTTP 403)",
        "",
      ],
    ]);
  });
});
