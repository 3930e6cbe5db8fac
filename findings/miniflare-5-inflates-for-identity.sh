#!/usr/bin/env bash
# miniflare 5.20261102.0-beta: a Worker's `Content-Encoding: gzip` and a client with `Accept-Encoding: identity`,
# as Python's http.client sends by default.
#
# Expected: the bytes that the Worker sent, beside the coding that they have: the response says `no-transform`
# (RFC 9111, 5.2.2.6) and `encodeBody: "manual"`. A server may answer with a coding that was not asked for
# (RFC 9110, 12.5.3).
# Seen: the coding is taken off and not said any more, and the strong ETag stays; a part of the coded bytes (206)
# breaks off without an end.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  node@24.21.0 miniflare@5.20261102.0-beta >/dev/null 2>&1
cat >run.mjs <<'JS'
import { get } from "node:http";
import { gzipSync } from "node:zlib";
import { Miniflare } from "miniflare";
const coded = gzipSync("hello, hello, hello");
const contents = `const coded = new Uint8Array([${[...coded]}]);
export default {
  fetch(request) {
    const isPart = new URL(request.url).pathname === "/part";
    const headers = {
      "Content-Type": "text/plain",
      "Content-Encoding": "gzip",
      "Cache-Control": "no-transform",
      ETag: '"of-the-gzip"',
      ...(isPart ? { "Content-Range": "bytes 4-7/${coded.length}" } : {}),
    };
    const body = isPart ? coded.subarray(4, 8) : coded;
    return new Response(body, { status: isPart ? 206 : 200, headers, encodeBody: "manual" });
  },
};`;
const modules = { "worker.js": { type: "esm", contents } };
const manifest = { mainModule: "worker.js", modulesRoot: "/", modules };
const config = { name: "w", compatibilityDate: "2026-07-30", manifest };
const miniflare = new Miniflare({ enableDevRegistry: false, workers: [{ config }] });
const base = await miniflare.ready;
const headers = { "Accept-Encoding": "identity" };
const ask = (path) =>
  new Promise((resolve) => {
    get(new URL(path, base), { headers, agent: false }, (response) => {
      const { "content-encoding": coding = "no coding", etag } = response.headers;
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve(`${coding} ${etag} ${Buffer.concat(chunks)}`));
      response.on("error", () => resolve("broke off"));
    }).on("error", () => resolve("broke off"));
  });
for (const path of ["/whole", "/part"]) console.log(path, await ask(path));
await miniflare.dispose();
JS
seen=$(node_modules/node/bin/node run.mjs 2>/dev/null)
echo "$seen"
[ "$seen" = '/whole no coding "of-the-gzip" hello, hello, hello
/part broke off' ] || exit 1
