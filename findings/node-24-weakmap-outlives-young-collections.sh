#!/usr/bin/env bash
# node 24.21.0 (V8 13.6): values of a WeakMap whose keys nobody holds any more.
#
# Expected: a young collection frees such a key, and its value with it: this is what a WeakMap is for.
# Seen: it frees the key. The value of a pair that was the last to be added before a young collection, or
# whose key was in use at one, stays for a full one. Off-heap bytes fill no heap, so that a full one is far.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.21.0 >/dev/null 2>&1
cat >run.mjs <<'JS'
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
const mebibytes = () => process.memoryUsage().arrayBuffers / 2 ** 20;
async function grownBy(pairOf, inUseCount) {
  const made = new WeakMap();
  const inUse = [];
  globalThis.gc();
  globalThis.gc();
  await turn();
  const before = mebibytes();
  for (let i = 1; i <= 80; i++) {
    const [key, value] = pairOf(new Uint8Array(512 * 1024));
    made.set(key, value);
    inUse.push(key);
    while (inUse.length > inUseCount) inUse.shift();
    if (i % 4 !== 0) continue;
    await turn();
    globalThis.gc({ type: "minor" });
    await turn();
  }
  inUse.length = 0;
  const grown = mebibytes() - before;
  globalThis.gc();
  await turn();
  return [grown, mebibytes() - before].map(Math.round).join(", ");
}
const keys = await grownBy((bytes) => [bytes, {}], 0);
const values = await grownBy((bytes) => [{}, { bytes }], 0);
const inUse = await grownBy((bytes) => [{}, { bytes }], 4);
console.log(`${keys} | ${values} | ${inUse}`);
JS
seen=$(node_modules/.bin/node --expose-gc run.mjs)
echo "MiB after 20 young collections, after a full one: as keys | as values | as values, four in use:  $seen"
# What is left at the end of a run, one pair at most, is a variable's.
[[ $seen =~ ^[01],\ [01]\ \|\ ([0-9]+),\ [01]\ \|\ ([0-9]+),\ [01]$ ]] &&
  [ "${BASH_REMATCH[1]}" -ge 5 ] && [ "${BASH_REMATCH[2]}" -ge 20 ] ||
  { echo "this has changed"; exit 1; }
