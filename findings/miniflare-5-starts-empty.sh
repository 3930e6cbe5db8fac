#!/usr/bin/env bash
# miniflare 5.20261102.0-beta on a persistence folder that miniflare 4.20260730.0 wrote.
#
# Expected: the Durable Object's stored value is there, or an error says that the folder is an older one.
# Seen: the same Worker, with the same names, starts with an empty object. Miniflare 4 kept the objects in
# FOLDER/WORKER-CLASS, Miniflare 5 looks in FOLDER/do/WORKER-CLASS. Moved there, the value is back.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  node@24.21.0 four@npm:miniflare@4.20260730.0 five@npm:miniflare@5.20261102.0-beta >/dev/null 2>&1
cat >worker.mjs <<'JS'
import { DurableObject } from "cloudflare:workers";
export class Counter extends DurableObject {
  async fetch(request) {
    if (request.method === "PUT") await this.ctx.storage.put("value", await request.text());
    return new Response((await this.ctx.storage.get("value")) ?? "nothing");
  }
}
export default { fetch: (request, env) => env.COUNTER.getByName("one").fetch(request) };
JS
cat >run.mjs <<'JS'
import { readFileSync, mkdirSync, renameSync } from "node:fs";
import { Miniflare as Four } from "four";
import { Miniflare as Five } from "five";
const contents = readFileSync("worker.mjs", "utf8");
const compatibilityDate = "2026-07-30";
const ask = async (miniflare, init) => {
  const response = await miniflare.dispatchFetch("http://localhost/", init);
  const text = await response.text();
  await miniflare.dispose();
  return text;
};
const four = () =>
  new Four({
    name: "w",
    compatibilityDate,
    modules: [{ type: "ESModule", path: "worker.mjs", contents }],
    durableObjects: { COUNTER: { className: "Counter", useSQLite: true } },
    durableObjectsPersist: "data",
  });
const five = () =>
  new Five({
    resourcePersistencePath: "data",
    enableDevRegistry: false,
    workers: [
      {
        config: {
          name: "w",
          compatibilityDate,
          manifest: {
            mainModule: "worker.mjs",
            modulesRoot: "/",
            modules: { "worker.mjs": { type: "esm", contents } },
          },
          env: { COUNTER: { type: "durable-object", worker: "w", exportName: "Counter" } },
          exports: { Counter: { type: "durable-object", storage: "sqlite" } },
        },
      },
    ],
  });
const seen = [await ask(four(), { method: "PUT", body: "kept" }), await ask(four()), await ask(five())];
renameSync("data/do", "data/do-empty");
mkdirSync("data/do");
renameSync("data/w-Counter", "data/do/w-Counter");
seen.push(await ask(five()));
console.log(seen.join(" | "));
JS
seen=$(node_modules/.bin/node run.mjs 2>/dev/null | tail -1)
echo "miniflare 4 writes | reads | miniflare 5 reads | reads after a move:  $seen"
[ "$seen" = "kept | kept | nothing | kept" ] || { echo "this has changed"; exit 1; }
