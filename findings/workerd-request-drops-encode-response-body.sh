#!/usr/bin/env bash
# workerd 1.20261102.1 (of miniflare 5.20261102.0-beta): `encodeResponseBody: "manual"`.
#
# Expected: it is a member of RequestInit, so a Request that was made with it is fetched as `fetch` with it
# is: the body's bytes come as the origin has coded them.
# Seen: said to `fetch` itself the body of a gzipped answer comes coded; said to `new Request`, which takes
# it without a word, the body comes decoded, beside headers that still say gzip and the coded length.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  node@24.21.0 miniflare@5.20261102.0-beta >/dev/null 2>&1
cat >run.mjs <<'JS'
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import { Miniflare } from "miniflare";
const zipped = gzipSync("a text ".repeat(100));
const origin = createServer((_, response) => {
  response.setHeader("Content-Encoding", "gzip");
  response.setHeader("Content-Length", zipped.length);
  response.end(zipped);
});
await new Promise((resolve) => origin.listen(0, "127.0.0.1", resolve));
const contents = `export default {
  async fetch(request) {
    const url = new URL(request.url).searchParams.get("origin");
    const init = { encodeResponseBody: "manual" };
    const seen = async (response) => [
      response.headers.get("Content-Encoding"),
      response.headers.get("Content-Length"),
      (await response.arrayBuffer()).byteLength,
    ];
    return Response.json([
      await seen(await fetch(url, init)),
      await seen(await fetch(new Request(url, init))),
    ]);
  },
};`;
const modules = { "worker.js": { type: "esm", contents } };
const manifest = { mainModule: "worker.js", modulesRoot: "/", modules };
const config = { name: "w", compatibilityDate: "2026-07-30", manifest };
const miniflare = new Miniflare({ enableDevRegistry: false, workers: [{ config }] });
const at = `http://127.0.0.1:${origin.address().port}/`;
const response = await miniflare.dispatchFetch(`http://localhost/?origin=${encodeURIComponent(at)}`);
console.log(await response.text());
await miniflare.dispose();
origin.close();
JS
seen=$(node_modules/node/bin/node run.mjs)
echo "$seen"
[ "$seen" = '[["gzip","34",34],["gzip","34",700]]' ] || exit 1
