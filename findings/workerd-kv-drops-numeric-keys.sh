#!/usr/bin/env bash
# workerd 1.20261102.1 (of miniflare 5.20261102.0-beta): KVNamespace.get of several keys at once.
#
# Expected: a Map with an entry for each key that was asked for, null where nothing is stored
# (https://developers.cloudflare.com/kv/api/read-key-value-pairs/).
# Seen: keys that read as array indices ("7", "42", "8") are not in the Map, whether they are stored or not;
# one by one they are found. Keys like "x7", "07" and "-1" are there.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent \
  node@24.21.0 miniflare@5.20261102.0-beta >/dev/null 2>&1
cat >run.mjs <<'JS'
import { Miniflare } from "miniflare";
const contents = `export default {
  async fetch(request, { KV }) {
    const stored = ["7", "42", "x7", "07", "-1"];
    for (const key of stored) await KV.put(key, "stored");
    const many = await KV.get([...stored, "8", "none"]);
    return Response.json([[...many], await KV.get("7")]);
  },
};`;
const modules = { "worker.js": { type: "esm", contents } };
const manifest = { mainModule: "worker.js", modulesRoot: "/", modules };
const env = { KV: { type: "kv", id: "one" } };
const config = { name: "w", compatibilityDate: "2026-07-30", manifest, env };
const miniflare = new Miniflare({ enableDevRegistry: false, workers: [{ config }] });
const response = await miniflare.dispatchFetch("http://localhost/");
console.log(await response.text());
await miniflare.dispose();
JS
seen=$(node_modules/node/bin/node run.mjs)
echo "$seen"
[ "$seen" = '[[["-1","stored"],["07","stored"],["none",null],["x7","stored"]],"stored"]' ] || {
  # The order is not what this is about.
  case $seen in *'"7",'* | *'"42",'* | *'"8",'*) exit 1 ;; esac
  case $seen in *'"x7","stored"'*'],"stored"]') ;; *) exit 1 ;; esac
}
