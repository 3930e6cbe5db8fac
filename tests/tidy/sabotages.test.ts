/**
 * The simulator's sabotages still find their places in the program. It is here, and not beside the
 * simulator, so that every change of the program is checked at once.
 */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { sabotaged } from "../sim/sabotage-hook.ts";
import { sabotages } from "../sim/sabotages.ts";

const root = new URL("../../", import.meta.url);

it.each(sabotages)("the sabotage $name finds its place in $file", (sabotage) => {
  const source = readFileSync(new URL(sabotage.file, root), "utf8");
  expect(sabotaged(sabotage, source)).not.toBe(source);
});
