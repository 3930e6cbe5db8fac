import { expect, it } from "vitest";
import { letHeapGrow } from "../../src/local/process/heap-growth.ts";

it.each([
  [[], ["--heap-growing-percent=300"]],
  [["--enable-source-maps"], ["--heap-growing-percent=300"]],
  [["--heap-growing-percent=20"], []],
  [["--heap_growing_percent=20"], []],
])("lets V8's heap grow, unless node was told otherwise (%j)", (options, expected) => {
  const flags: string[] = [];
  letHeapGrow(options, (flag) => flags.push(flag));
  expect(flags).toEqual(expected);
});
