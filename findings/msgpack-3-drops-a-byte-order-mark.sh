#!/usr/bin/env bash
# @msgpack/msgpack 3.1.3, on Node 24.21.0: a text that begins with U+FEFF, encoded and decoded.
#
# Expected: what was encoded comes back, whatever its length.
# Seen: up to 200 bytes it does. Of a longer one the U+FEFF is gone: those are decoded by a TextDecoder that
# was made without `ignoreBOM`. A member's name loses it too, so that two names of one map become one.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.21.0 @msgpack/msgpack@3.1.3 >/dev/null 2>&1
cat >run.mjs <<'JS'
import { decode, encode } from "@msgpack/msgpack";
const lengthOf = (count) => {
  const text = `\uFEFF${"x".repeat(count)}`;
  return [text.length, decode(encode(text)).length];
};
// A U+FEFF takes three bytes: 200 in all, then 201.
const name = "x".repeat(300);
const map = { [name]: 1, [`\uFEFF${name}`]: 2 };
console.log(JSON.stringify([lengthOf(197), lengthOf(198), Object.values(decode(encode(map)))]));
JS
seen=$(node_modules/node/bin/node run.mjs)
echo "$seen"
[ "$seen" = '[[198,198],[199,198],[2]]' ] || exit 1
