/** The client goes where no package and no host's own module goes: into a browser, for one. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, it } from "vitest";
import { codeOnly, importsOf } from "../tidy/rules.ts";

const FOLDER = fileURLToPath(new URL("../../src/client/", import.meta.url));
const sources = readdirSync(FOLDER).map((file) => ({
  path: `src/client/${file}`,
  text: readFileSync(FOLDER + file, "utf8"),
}));

it("imports nothing but its own files", () => {
  const strange = sources.flatMap((source) =>
    importsOf(source).filter((target) => !/^\.\/[a-z0-9-]+\.ts$/.test(target)),
  );
  expect(strange).toEqual([]);
  expect(sources.length).toBeGreaterThan(5);
});

it("names nothing that only some hosts have", () => {
  for (const { path, text } of sources) {
    expect([
      path,
      codeOnly(text).match(/\b(Buffer|process|require|window|document)\b[.(]/),
    ]).toEqual([path, null]);
  }
});

it("is one small file for a browser", async () => {
  const { outputFiles } = await build({
    entryPoints: [`${FOLDER}index.ts`],
    bundle: true,
    format: "esm",
    platform: "browser",
    minify: true,
    write: false,
  });
  expect(outputFiles[0]?.contents.length).toBeLessThan(21_504);
});
