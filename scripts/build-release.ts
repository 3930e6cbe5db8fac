/**
 * `node scripts/build-release.ts FILE`: the whole command line, and so the node, with all packages
 * in one gzipped file. Not what is shipped: this is what `tests/golden` keeps of a release, so that
 * the next one is run beside it.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const [, , target = "release.mjs.gz"] = process.argv;
const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("../src/cli/main.ts", import.meta.url))],
  bundle: true,
  minify: true,
  write: false,
  format: "esm",
  target: "node22",
  platform: "node",
  // Only `dev` needs these, and it is not for this.
  external: ["esbuild", "miniflare"],
  // Packages in CommonJS ask for Node's own modules by `require`.
  banner: {
    js: 'import{createRequire as requireOf$}from"node:module";const require=requireOf$(import.meta.url);',
  },
  logLevel: "warning",
});
const [file] = outputFiles;
if (file === undefined) throw new Error("nothing came out of the bundling");
writeFileSync(target, gzipSync(file.contents, { level: 9 }));
