#!/usr/bin/env bash
# @hono/node-server 2.1.9 on node 24.21.0: a handler that looks at `request.body`, waits for something else,
# and answers without it.
#
# Expected: the answer says that the connection stays, so the next request on it is answered, whatever the
# length of the body that nobody read. So it is where the handler does not look at the body.
# Seen: to look at a long one makes a stream of it, which pauses the request. The adapter reads the rest away
# against that, gets nowhere, and closes the connection after half a second; the next request on it is lost.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.21.0 hono@4.13.19 @hono/node-server@2.1.9 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { Agent, request } from "node:http";
import { serve } from "@hono/node-server";
import { Hono } from "hono";

const app = new Hono();
app.put("/looks", async (c) => {
  const { body } = c.req.raw;
  await new Promise((resolve) => setImmediate(resolve));
  return c.text("no", body === null ? 500 : 400);
});
app.put("/does-not", (c) => c.text("no", 400));
app.get("/next", (c) => c.text("ok"));
const server = await new Promise((resolve) => {
  const made = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () => resolve(made));
});
const { port } = server.address();
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const send = (method, path, body) =>
  new Promise((resolve) => {
    const headers = body === undefined ? {} : { "Content-Length": body.length };
    const sent = request({ host: "127.0.0.1", port, agent, method, path, headers }, (answer) => {
      answer.resume().on("end", () => resolve(`${answer.statusCode} ${answer.headers.connection}`));
    });
    sent.on("error", ({ code }) => resolve(code));
    sent.end(body);
  });
const told = [];
for (const path of ["/does-not", "/looks"]) {
  const first = await send("PUT", path, Buffer.alloc(3 * 1024 * 1024));
  told.push(`${path}: ${first}, then ${await send("GET", "/next")}`);
}
console.log(told.join(" | "));
agent.destroy();
server.close();
JS
seen=$(node_modules/.bin/node run.mjs)
echo "$seen"
[ "$seen" = "/does-not: 400 keep-alive, then 200 keep-alive | /looks: 400 keep-alive, then ECONNRESET" ] ||
  { echo "this has changed"; exit 1; }
