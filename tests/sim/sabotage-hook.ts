/** Builds a known mistake into the product's source as it is loaded; no file is changed. */
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import { assert } from "../../core/assert.ts";
import { type Sabotage, sabotages } from "./sabotages.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** @throws Error when the source does not hold the snippet exactly once */
export function sabotaged({ name, file, was, is }: Sabotage, source: string): string {
  const parts = source.split(was);
  if (parts.length !== 2) {
    throw new Error(
      `sabotage ${name}: ${file} has its snippet ${parts.length - 1} times, not once`,
    );
  }
  return parts.join(is);
}

/** To be called before anything of the product is loaded. */
export function applySabotage(name: string): void {
  const sabotage = sabotages.find((other) => other.name === name);
  assert(sabotage !== undefined, "a sabotage is called by its name");
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (!url.startsWith("file:") || fileURLToPath(url) !== root + sabotage.file) return loaded;
      const { source } = loaded;
      const text =
        typeof source === "string" ? source : new TextDecoder().decode(source ?? undefined);
      return { ...loaded, source: sabotaged(sabotage, text) };
    },
  });
}
