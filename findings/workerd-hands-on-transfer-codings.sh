#!/usr/bin/env bash
# workerd of miniflare 5.20261102.0-beta, spoken with directly: `Transfer-Encoding: gzip, chunked` on a request.
#
# Expected: the body as it was before its transfer codings, or 501: "A server that receives a request message
# with a transfer coding it does not understand SHOULD respond with 501" (RFC 9112, 6.1).
# Seen: the chunks are taken off and the gzip is not, so that a Worker reads other bytes than were meant. Only
# `request.headers` still says so.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  node@24.21.0 miniflare@5.20261102.0-beta >/dev/null 2>&1
cat >run.mjs <<'JS'
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { Miniflare } from "miniflare";
const contents = `export default {
  async fetch(request) {
    const bytes = new Uint8Array(await request.arrayBuffer());
    const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
    return new Response(request.headers.get("Transfer-Encoding") + "; the body is " +
      (isGzip ? "still gzip" : new TextDecoder().decode(bytes)));
  },
};`;
const modules = { "worker.js": { type: "esm", contents } };
const manifest = { mainModule: "worker.js", modulesRoot: "/", modules };
const config = { name: "w", compatibilityDate: "2026-07-30", manifest };
const dev = { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] };
const miniflare = new Miniflare({ enableDevRegistry: false, workers: [{ config, dev }] });
const { hostname, port } = await miniflare.unsafeGetDirectURL("w");
const body = gzipSync("hello");
const socket = connect(Number(port), hostname);
socket.write("PUT / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
socket.write("Transfer-Encoding: gzip, chunked\r\n\r\n");
socket.write(`${body.length.toString(16)}\r\n`);
socket.write(body);
socket.write("\r\n0\r\n\r\n");
let answer = "";
for await (const chunk of socket) answer += chunk;
console.log(answer.split("\r\n", 1)[0]);
console.log(answer.split("\r\n\r\n")[1]);
await miniflare.dispose();
JS
seen=$(node_modules/node/bin/node run.mjs)
echo "$seen"
[ "$seen" = 'HTTP/1.1 200 OK
gzip, chunked; the body is still gzip' ] || exit 1
