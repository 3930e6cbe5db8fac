#!/usr/bin/env bash
# node 24.21.0: requests that are pipelined over TLS to a client that reads slowly.
#
# Expected: a server lets further requests wait while its answers wait for their reader, and answers all of
# them in the end. node:http does.
# Seen: node:https reads on while its parser is paused, which makes the parser fail: `clientError` with the
# code HPE_PAUSED on requests that are well-formed, and those behind it are never answered.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.21.0 selfsigned@5.5.0 >/dev/null 2>&1
cat >run.mjs <<'JS'
import http from "node:http";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { generate } from "selfsigned";

const COUNT = 20;
const BYTES = 2_000_000;
const { private: key, cert } = await generate([{ name: "commonName", value: "127.0.0.1" }]);

async function answered(server, connect, readyEvent) {
  let code = "none";
  server.on("request", (_, response) => response.end(Buffer.alloc(BYTES)));
  server.on("clientError", (error, socket) => {
    code = error.code;
    socket.destroy();
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const options = { port: server.address().port, host: "127.0.0.1", rejectUnauthorized: false };
  const client = connect(options);
  await new Promise((resolve) => client.once(readyEvent, resolve));
  const closed = new Promise((resolve) => client.once("close", resolve));
  client.pause();
  client.on("error", () => {});
  for (let i = 1; i <= COUNT; i++) {
    const last = i === COUNT ? "Connection: close\r\n" : "";
    client.write(`GET / HTTP/1.1\r\nHost: a\r\n${last}\r\n`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  let byteCount = 0;
  client.on("data", (chunk) => (byteCount += chunk.length));
  client.resume();
  await closed;
  server.close();
  return `${Math.floor(byteCount / BYTES) === COUNT ? "all" : "some"} answered, error ${code}`;
}

const plain = await answered(http.createServer(), net.connect, "connect");
const secure = await answered(https.createServer({ key, cert }), tls.connect, "secureConnect");
console.log(`http: ${plain} | https: ${secure}`);
JS
seen=$(node_modules/.bin/node run.mjs)
echo "$seen"
[ "$seen" = "http: all answered, error none | https: some answered, error HPE_PAUSED" ] ||
  { echo "this has changed"; exit 1; }
