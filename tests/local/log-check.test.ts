import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";
import { StoreCorruption } from "../../core/store.ts";
import { checkFolder } from "../../src/local/log/check.ts";
import { openLog } from "../../src/local/log/file-log.ts";
import { textOf } from "../support/record-text.ts";

const hasher = await xxhash();
let dir = "";

/** Every file with its bytes. */
const snapshot = (): Map<string, string> =>
  new Map(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter((file) => file.isFile())
      .map(({ name }) => [name, readFileSync(join(dir, name), "latin1")]),
  );

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "starling-check-"));
  const log = await openLog({ dir, hasher });
  for (let i = 0; i < 20; i++) {
    const bytes = new TextEncoder().encode(`value ${i}.`);
    log.store.writeEntry(`demo\0${i}`, { bytes, partition: 1, digest: 1, dueAt: 0 });
  }
  await log.close();
});
afterEach(() => rmSync(dir, { recursive: true }));

function corrupt(): void {
  const path = join(dir, "0000000001.wal");
  const bytes = readFileSync(path);
  bytes[bytes.indexOf("value 7.")] = 0;
  writeFileSync(path, bytes);
}

/** As kill -9 leaves it: a segment that was open, with half a record at its end. */
async function tear(): Promise<void> {
  const copy = `${dir}-copy`;
  const log = await openLog({ dir, hasher });
  const bytes = new TextEncoder().encode("after the restart");
  log.store.writeEntry("demo\0last", { bytes, partition: 1, digest: 1, dueAt: 0 });
  await log.flush();
  cpSync(dir, copy, { recursive: true });
  await log.close();
  rmSync(dir, { recursive: true });
  cpSync(copy, dir, { recursive: true });
  rmSync(copy, { recursive: true });
  appendFileSync(join(dir, "0000000002.wal"), "half a record");
}

describe("checkFolder", () => {
  it("finds a stopped log fine, and changes nothing", async () => {
    const before = snapshot();
    const report = await checkFolder(dir, { hasher });
    expect(report).toMatchObject({ fine: true, stopped: true, keyCount: 20, corruptCount: 0 });
    expect(report.segments).toMatchObject([{ state: "fine", recordCount: 20 }]);
    expect(snapshot()).toEqual(before);
  });

  it("finds a bad value that the outline hides, and changes nothing", async () => {
    corrupt();
    const before = snapshot();
    const report = await checkFolder(dir, { hasher });
    expect(report).toMatchObject({ fine: false, corruptCount: 1, lostKeys: ["demo\x007"] });
    expect(report.segments).toMatchObject([{ state: "corrupt" }]);
    expect(snapshot()).toEqual(before);
  });

  it("sets bad records aside, keeps the others, and does not call the log clean", async () => {
    corrupt();
    const report = await checkFolder(dir, { hasher, repair: true });
    expect(report).toMatchObject({ repaired: true, corruptCount: 1 });
    const [aside = ""] = report.setAside;
    expect(readFileSync(join(dir, aside), "latin1")).toContain("alue 7.");
    expect(existsSync(join(dir, "0000000001.wal"))).toBe(false);
    expect((await checkFolder(dir, { hasher })).bad).toEqual([]);
    const log = await openLog({ dir, hasher });
    expect(log.store.recovery).toMatchObject({ clean: false, lostKeys: ["demo\x007"] });
    expect(() => log.store.readEntry("demo\x007")).toThrow(StoreCorruption);
    expect(textOf(log.store.readEntry("demo\x008"))).toBe("value 8.");
    await log.close();
  });

  it("says what is torn, and cuts it when told to", async () => {
    await tear();
    const before = snapshot();
    const report = await checkFolder(dir, { hasher });
    expect(report).toMatchObject({ fine: false, stopped: false, tornByteCount: 13 });
    expect(report.segments.map(({ state }) => state)).toEqual(["fine", "torn"]);
    expect(snapshot()).toEqual(before);
    await checkFolder(dir, { hasher, repair: true });
    expect(await checkFolder(dir, { hasher })).toMatchObject({ tornByteCount: 0, keyCount: 21 });
    const log = await openLog({ dir, hasher });
    expect(log.store.recovery.clean).toBe(false);
    await log.close();
  });

  it("says what lies behind the end of a log that was closed, and cuts it when told to", async () => {
    appendFileSync(join(dir, "0000000001.wal"), "half a record");
    const before = snapshot();
    const report = await checkFolder(dir, { hasher });
    expect(report).toMatchObject({ fine: false, tornByteCount: 13, corruptCount: 0, keyCount: 20 });
    expect(report.segments).toMatchObject([{ state: "torn", recordCount: 20 }]);
    expect(snapshot()).toEqual(before);
    expect(await checkFolder(dir, { hasher, repair: true })).toMatchObject({ repaired: true });
    const after = await checkFolder(dir, { hasher });
    expect(after).toMatchObject({ tornByteCount: 0, corruptCount: 0, keyCount: 20, bad: [] });
    const log = await openLog({ dir, hasher });
    expect(log.store.recovery.lostKeys).toEqual([]);
    expect(textOf(log.store.readEntry("demo\x007"))).toBe("value 7.");
    await log.close();
  });

  it("counts nothing as corrupt once it is set aside, and still says what is lost", async () => {
    corrupt();
    await checkFolder(dir, { hasher, repair: true });
    const report = await checkFolder(dir, { hasher });
    expect(report).toMatchObject({ corruptCount: 0, lostKeys: ["demo\x007"], bad: [] });
    expect(report.segments.map(({ state }) => state)).toEqual(["fine"]);
  });

  it("takes the stop marker from a copy that is put back, and nothing else", async () => {
    await checkFolder(dir, { hasher, restored: true });
    expect(await checkFolder(dir, { hasher })).toMatchObject({ stopped: false, keyCount: 20 });
    const log = await openLog({ dir, hasher });
    expect(log.store.recovery).toMatchObject({ clean: false, lostKeys: [] });
    expect(textOf(log.store.readEntry("demo\x007"))).toBe("value 7.");
    await log.close();
  });

  it("refuses a folder in use, and reports one that would not start", async () => {
    const log = await openLog({ dir, hasher });
    await expect(checkFolder(dir, { hasher })).rejects.toThrow(/in use by another process: stop /);
    await log.close();
    rmSync(join(dir, "0000000001.wal"));
    const report = await checkFolder(dir, { hasher });
    expect(report.refusal).toBe("the segment 0000000001.wal is missing");
    await expect(checkFolder(join(dir, "no"), { hasher })).rejects.toThrow(/no such folder/);
  });

  it("refuses a folder without a manifest, and makes nothing there", async () => {
    const above = join(dir, "above");
    mkdirSync(above);
    for (const more of [{}, { repair: true }, { restored: true }]) {
      const checked = checkFolder(above, { hasher, ...more });
      await expect(checked).rejects.toThrow(
        /above: it has no manifest, so it is no replica's data/,
      );
    }
    expect(readdirSync(above)).toEqual([]);
  });
});
