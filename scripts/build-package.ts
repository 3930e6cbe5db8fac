/**
 * What `npm pack` ships: `dist/`, plain JavaScript with its types, made of the sources. Node strips
 * no types below node_modules, and a node that reads a few files starts faster than one that reads
 * two hundred. Packages that the program uses stay packages.
 *
 * - `cli.js`, `index.js`, `testing.js` with shared chunks: for Node (and Bun, and Deno)
 * - `client.js`: one file on Web standards
 * - `worker.js`: a whole Worker, to be bundled by wrangler
 * - `dev/`: what `starling dev` hands to workerd, bundled to the last byte
 * - `types/`: the declarations that those are reached by
 */
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { bundleWorker } from "../src/local/worker-bundle.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const inRoot = (path: string): string => join(root, path);
const DIST = inRoot("dist");
/** Where `tsc --build` has put declarations. */
const BUILT = inRoot(".build");
const TYPED_ENTRIES = ["src/index", "src/client/index", "src/testing/index", "worker/index"];
/** Of the tree, declarations that no build makes. */
const RELATIVE_TYPES = /(from\s+|import\()"(\.[^"]+)\.ts"/g;

const common = {
  bundle: true,
  format: "esm",
  target: "es2024",
  packages: "external",
  // A stack of an error that a user sends names what stands in the sources.
  keepNames: true,
  outdir: DIST,
  logLevel: "warning",
} as const;

async function buildPrograms(): Promise<void> {
  await build({
    ...common,
    entryPoints: {
      cli: inRoot("src/cli/main.ts"),
      index: inRoot("src/index.ts"),
      testing: inRoot("src/testing/index.ts"),
    },
    platform: "node",
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
  });
  const client = { client: inRoot("src/client/index.ts") };
  await build({ ...common, entryPoints: client, platform: "neutral", keepNames: false });
  await build({
    ...common,
    entryPoints: { worker: inRoot("worker/index.ts") },
    platform: "neutral",
    external: ["cloudflare:*"],
  });
}

async function buildDev(): Promise<void> {
  const folder = join(DIST, "dev/worker");
  mkdirSync(folder, { recursive: true });
  const { modules } = await bundleWorker(inRoot("worker/index.ts"));
  for (const [name, { contents }] of Object.entries(modules)) {
    writeFileSync(join(folder, name), contents);
  }
  copyFileSync(inRoot("src/local/workerd.sh"), join(DIST, "dev/workerd.sh"));
}

/**
 * Copies a declaration and those that it names. Their paths end in `.ts`, which no compiler but one
 * with our own settings takes: in the package they end in `.js`, beside which it finds `.d.ts`.
 */
function copyTypes(entries: readonly string[]): void {
  const queue = entries.map((entry) => join(BUILT, `${entry}.d.ts`));
  const seen = new Set(queue);
  for (const file of queue) {
    const text = readFileSync(file, "utf8");
    for (const [, , target = ""] of text.matchAll(RELATIVE_TYPES)) {
      const next = resolve(dirname(file), `${target}.d.ts`);
      if (!seen.has(next)) queue.push(next);
      seen.add(next);
    }
    const copy = join(DIST, "types", relative(BUILT, file));
    mkdirSync(dirname(copy), { recursive: true });
    writeFileSync(copy, text.replaceAll(RELATIVE_TYPES, '$1"$2.js"'));
  }
}

rmSync(DIST, { recursive: true, force: true });
await buildPrograms();
await buildDev();
copyTypes(TYPED_ENTRIES);
