#!/usr/bin/env bash
# node 24.21.0 (V8 13.6): a WeakMap whose values refer to their own keys.
#
# Expected: a young collection frees a key that nobody else holds, and its value with it: this is what
# a WeakMap is for. Where the value does not refer to the key, it does.
# Seen: where the value refers to the key, as a view of its bytes does, each young collection leaves the
# pair that was added last before it to a full one. Off-heap bytes fill no heap, so that a full one is far.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --no-audit --no-fund --silent node@24.21.0 >/dev/null 2>&1
cat >run.mjs <<'JS'
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
const mebibytes = () => process.memoryUsage().arrayBuffers / 2 ** 20;
async function grownBy(valueOf) {
  const made = new WeakMap();
  globalThis.gc();
  globalThis.gc();
  await turn();
  const before = mebibytes();
  for (let i = 1; i <= 80; i++) {
    const key = new Uint8Array(512 * 1024);
    made.set(key, valueOf(key));
    if (i % 4 !== 0) continue;
    await turn();
    globalThis.gc({ type: "minor" });
    await turn();
  }
  const grown = mebibytes() - before;
  globalThis.gc();
  await turn();
  return [grown, mebibytes() - before].map(Math.round).join(", ");
}
const apart = await grownBy(() => ({ view: null }));
const refers = await grownBy((key) => ({ view: key.subarray(8) }));
console.log(`${apart} | ${refers}`);
JS
seen=$(node_modules/.bin/node --expose-gc run.mjs)
echo "MiB after 20 young collections, after a full one: value apart | value refers to its key:  $seen"
# What is left at the end of a run, one pair at most, is a variable's.
[[ $seen =~ ^[01],\ [01]\ \|\ ([0-9]+),\ [01]$ ]] && [ "${BASH_REMATCH[1]}" -ge 5 ] ||
  { echo "this has changed"; exit 1; }
