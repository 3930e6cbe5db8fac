#!/usr/bin/env bash
# miniflare 5.20261102.0-beta: `Accept-Encoding` in front of a Worker.
#
# Expected: a part (206) and a response with `Cache-Control: no-transform` are passed on as the Worker made
# them; what is coded on its way says `Vary: Accept-Encoding` and shows no strong ETag of other bytes; what has
# no body has no coding (RFC 9110, 8.4.1, 8.8.1, 12.5.5, 14.4; RFC 9111, 5.2.2.6).
# Seen: all of them are coded, also where the Worker says `encodeBody: "manual"`. A part of four bytes is gzip
# of these four, beside the Content-Range of the whole; 204 and 304 say `Content-Encoding` too; the ETag stays
# strong, and there is no `Vary`. A cache in between that keeps one gives gzip to who takes none.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  node@24.21.0 miniflare@5.20261102.0-beta >/dev/null 2>&1
cat >run.mjs <<'JS'
import { get } from "node:http";
import { Miniflare } from "miniflare";
const contents = `export default {
  fetch(request) {
    const status = Number(new URL(request.url).pathname.slice(1));
    const headers = { "Content-Type": "text/plain", ETag: '"v1"', "Cache-Control": "no-transform" };
    if (status === 206) headers["Content-Range"] = "bytes 0-3/10";
    const body = status === 204 || status === 304 ? null : "abcd";
    return new Response(body, { status, headers, encodeBody: "manual" });
  },
};`;
const modules = { "worker.js": { type: "esm", contents } };
const manifest = { mainModule: "worker.js", modulesRoot: "/", modules };
const config = { name: "w", compatibilityDate: "2026-07-30", manifest };
const miniflare = new Miniflare({ enableDevRegistry: false, workers: [{ config }] });
const base = await miniflare.ready;
const headers = { "Accept-Encoding": "gzip" };
const ask = (status) =>
  new Promise((resolve, reject) => {
    get(new URL(`/${status}`, base), { headers, agent: false }, (response) => {
      const { "content-encoding": coding = "none", etag, vary = "no Vary" } = response.headers;
      let byteCount = 0;
      response.on("data", (chunk) => (byteCount += chunk.length));
      response.on("end", () => resolve(`${status} ${coding} ${etag} ${vary} ${byteCount > 4}`));
    }).on("error", reject);
  });
for (const status of [200, 204, 206, 304]) console.log(await ask(status));
await miniflare.dispose();
JS
seen=$(node_modules/node/bin/node run.mjs)
echo "$seen"
[ "$seen" = '200 gzip "v1" no Vary true
204 gzip "v1" no Vary false
206 gzip "v1" no Vary true
304 gzip "v1" no Vary false' ] || exit 1
