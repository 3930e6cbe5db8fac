#!/usr/bin/env bash
# miniflare 5.20261102.0-beta: `OPTIONS *`, the question to a server as a whole (RFC 9110, 9.3.7).
#
# Expected: the Worker is asked, or what stands before it answers by itself.
# Seen: the asterisk is put right behind the host, the URL that comes of it has no such host, and the answer
# is 500 with "Fetch API cannot load". The Worker is never asked; `OPTIONS /` beside it is fine.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  node@24.21.0 miniflare@5.20261102.0-beta >/dev/null 2>&1
cat >run.mjs <<'JS'
import { request } from "node:http";
import { Miniflare } from "miniflare";
const contents = `export default { fetch: () => new Response("asked") };`;
const modules = { "worker.js": { type: "esm", contents } };
const manifest = { mainModule: "worker.js", modulesRoot: "/", modules };
const config = { name: "w", compatibilityDate: "2026-07-30", manifest };
const miniflare = new Miniflare({ enableDevRegistry: false, workers: [{ config }] });
const { port } = await miniflare.ready;
const headers = { Host: "h.example" };
const ask = (path) =>
  new Promise((resolve, reject) => {
    const asked = { host: "127.0.0.1", port, method: "OPTIONS", path, headers, agent: false };
    request(asked, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => (body += text));
      response.on("end", () => resolve(`${path} ${response.statusCode} ${body.split("\n")[0]}`));
    })
      .on("error", reject)
      .end();
  });
console.log(await ask("/"));
console.log(await ask("*"));
await miniflare.dispose();
JS
seen=$(node_modules/node/bin/node run.mjs 2>/dev/null)
echo "$seen"
[ "$seen" = '/ 200 asked
* 500 TypeError: Fetch API cannot load: http://h.example*/' ] || exit 1
