/** `starling check` as an operator has it: what it prints, and its exit status. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import { openLog } from "../../src/local/log/file-log.ts";
import { run } from "./run.ts";

const hasher = await xxhash();
let dir = "";
const segment = (): string => join(dir, "0000000001.wal");

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "starling-check-"));
  const log = await openLog({ dir, hasher });
  const bytes = new TextEncoder().encode("a value");
  log.store.writeEntry("demo\0key", { bytes, partition: 1, digest: 1, dueAt: 0 });
  await log.close();
});
afterEach(() => rmSync(dir, { recursive: true }));

it("ends with 0 for a log that is fine", async () => {
  const { code, out } = await run(["check", dir]);
  expect([code, out]).toEqual([0, expect.stringContaining("0000000001.wal: fine, 1 records")]);
});

it.each([
  ["torn", () => appendFileSync(segment(), "half a record")],
  [
    "corrupt",
    () => {
      const bytes = readFileSync(segment());
      bytes[bytes.indexOf("a value")] = 0;
      writeFileSync(segment(), bytes);
    },
  ],
])("ends with 1 for one that is %s, and with 0 once it is repaired", async (state, damage) => {
  damage();
  const found = await run(["check", dir]);
  expect([found.code, found.out]).toEqual([1, expect.stringContaining(`.wal: ${state}, `)]);
  expect(found.err).toMatch(/^starling: .*: damaged; .*--repair.*\n$/);
  expect((await run(["check", dir, "--json"])).err).toBe(found.err);
  expect((await run(["check", dir, "--repair"])).code).toBe(0);
  const after = await run(["check", dir]);
  expect([after.code, after.out]).toEqual([0, expect.stringContaining("0 bytes torn, 0 corrupt")]);
  expect(after.out.includes("lost: demo")).toBe(state === "corrupt");
});
