#!/usr/bin/env bash
# hono 4.13.19 behind @hono/node-server 2.1.9, on Node 24.21.0: HEAD of a route that answers with a stream.
#
# Expected: HEAD is answered by the route of GET, without the body, and that body is cancelled: its source
# holds something, a subscription or a file, until it hears that nobody reads.
# Seen: the body is dropped as it is. Its `cancel` is not called, neither when the answer is sent nor when the
# connection has ended, so each HEAD leaves one source open. After GET, when the client goes, it is called.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  node@24.21.0 hono@4.13.19 @hono/node-server@2.1.9 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { request } from "node:http";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
let open = 0;
const app = new Hono();
app.get("/feed", () => {
  open++;
  const source = {
    pull: (controller) => controller.enqueue(new TextEncoder().encode("tick\n")),
    cancel: () => void open--,
  };
  return new Response(new ReadableStream(source, { highWaterMark: 0 }));
});
const server = await new Promise((resolve) => {
  const made = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, () => resolve(made));
});
const { port } = server.address();
const closed = () => new Promise((resolve) => setTimeout(resolve, 500));
async function ask(method) {
  await new Promise((resolve) => {
    const asked = request({ port, host: "127.0.0.1", path: "/feed", method, agent: false });
    asked.on("error", () => undefined);
    asked.on("response", (response) => {
      response.on("error", () => undefined);
      if (method === "HEAD") response.resume().on("end", resolve);
      else response.once("data", () => resolve(asked.destroy()));
    });
    asked.end();
  });
  await closed();
  return open;
}
console.log(JSON.stringify([await ask("GET"), await ask("HEAD"), await ask("HEAD")]));
process.exit(0);
JS
seen=$(node_modules/node/bin/node run.mjs)
echo "$seen"
[ "$seen" = '[0,1,2]' ] || exit 1
