#!/usr/bin/env bash
# node 24.21.0: the bytes of a header field that is not ASCII, as `node:http` sends it.
#
# Expected: one byte a character, as `node:http` itself reads fields: what a proxy heard of an origin, a
# Location of latin1 or of raw UTF-8, goes out as it came, whatever the body is.
# Seen: so it is where a Buffer is the first that is written. Where that is a string, or `flushHeaders` is
# called so that the head does not wait for the body, the head goes out as UTF-8: `f4` becomes `c3 b4`, and
# what was UTF-8 already is coded twice.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.21.0 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { createServer } from "node:http";
import { connect } from "node:net";
const answers = {
  "/buffer": (response) => response.end(Buffer.from("ok")),
  "/string": (response) => response.end("ok"),
  "/flushed": (response) => {
    response.flushHeaders();
    response.end(Buffer.from("ok"));
  },
};
const server = createServer((request, response) => {
  response.setHeader("X-Name", "r\u00f4le");
  answers[request.url](response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
async function bytesOf(path) {
  const socket = connect(server.address().port, "127.0.0.1");
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  const all = Buffer.concat(await socket.toArray()).toString("latin1");
  const [, name] = /X-Name: r(.*)le\r\n/.exec(all);
  return Buffer.from(name, "latin1").toString("hex");
}
const seen = [];
for (const path of Object.keys(answers)) seen.push(await bytesOf(path));
console.log(seen.join(" | "));
server.close();
JS
seen=$(node_modules/.bin/node run.mjs)
echo "bytes of the one character U+00F4: body a Buffer | a string | a Buffer after flushHeaders:  $seen"
[ "$seen" = "f4 | c3b4 | c3b4" ] || { echo "this has changed"; exit 1; }
