/**
 * The Worker as one module beside its WebAssembly, as workerd loads it: bundled from its source in
 * a checkout, read from the package where it was built already.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { WORKER_BUNDLE, WORKER_SOURCE } from "./process/program-files.ts";

interface Module {
  readonly type: "esm" | "wasm";
  readonly contents: Uint8Array<ArrayBuffer>;
}

/** Modules by name; exactly one of them is the main one. */
export interface WorkerBundle {
  readonly mainModule: string;
  readonly modules: Readonly<Record<string, Module>>;
}

function bundleOf(files: readonly (readonly [path: string, contents: Uint8Array])[]): WorkerBundle {
  const modules = files.map(([path, contents]): readonly [string, Module] => {
    const type = path.endsWith(".wasm") ? "wasm" : "esm";
    return [basename(path), { type, contents: new Uint8Array(contents) }];
  });
  const mainModule = modules.find(([, { type }]) => type === "esm")?.[0];
  if (mainModule === undefined) throw new Error("the Worker came out of its bundling empty");
  return { mainModule, modules: Object.fromEntries(modules) };
}

/** Bundles a Worker from its source; that takes a moment. */
export async function bundleWorker(source: string): Promise<WorkerBundle> {
  const { build, stop } = await import("esbuild");
  const { outputFiles } = await build({
    entryPoints: [source],
    bundle: true,
    write: false,
    outdir: "out",
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*"],
    loader: { ".wasm": "copy" },
    assetNames: "[name]",
    logLevel: "silent",
  });
  // Otherwise its process would stay for as long as this one.
  await stop();
  return bundleOf(outputFiles.map(({ path, contents }) => [path, contents]));
}

/** The Worker that belongs to this program. */
export async function ownWorker(): Promise<WorkerBundle> {
  if (WORKER_SOURCE !== null) return bundleWorker(WORKER_SOURCE);
  const names = readdirSync(WORKER_BUNDLE);
  return bundleOf(names.map((name) => [name, readFileSync(join(WORKER_BUNDLE, name))]));
}
