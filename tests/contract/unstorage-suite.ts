/**
 * What unstorage asks of each of its drivers (in its repository `test/drivers/utils.ts`, which is
 * not part of the package), asked anew through the real drivers.
 */
import { createStorage, type Driver, restoreSnapshot, type Storage } from "unstorage";
import { afterEach, beforeAll, expect, it } from "vitest";

export function unstorageSuite(driver: () => Driver): void {
  let storage: Storage;
  beforeAll(() => {
    storage = createStorage({ driver: driver() });
  });
  afterEach(() => storage.clear());
  const sorted = async (...of: Parameters<Storage["getKeys"]>): Promise<readonly string[]> =>
    (await storage.getKeys(...of)).sort();
  const store = async (keys: readonly string[]): Promise<void> => {
    for (const key of keys) await storage.setItem(key, `value of ${key}`);
  };

  it("begins empty, and takes a snapshot", async () => {
    expect(await storage.hasItem("a:b")).toBe(false);
    expect(await storage.getItem("a:b")).toBeNull();
    expect(await storage.getKeys()).toEqual([]);
    await restoreSnapshot(storage, { first: "works" });
    expect(await storage.getItem("first")).toBe("works");
  });

  it("sets, has, gets and removes, and drops the query of a key", async () => {
    await store(["s1:a", "s3:a?q=1"]);
    expect(await storage.hasItem("s1:a")).toBe(true);
    expect(await storage.getItem("s1:a")).toBe("value of s1:a");
    expect(await storage.getItem("s3:a?q=2")).toBe("value of s3:a?q=1");
    await storage.removeItem("s1:a");
    expect(await storage.hasItem("s1:a")).toBe(false);
    expect(await storage.getItem("s1:a")).toBeNull();
  });

  it("lists keys, below a base and down to a depth", async () => {
    await store(["s1:a", "s2:a", "s3:a?q=1"]);
    expect(await sorted()).toEqual(["s1:a", "s2:a", "s3:a"]);
    expect(await sorted("s1")).toEqual(["s1:a"]);
    await storage.clear();
    const [top, middle, low] = ["d0", "d:1a", "d:1:2a"];
    await store([low, middle, top, "d:1b"]);
    expect(await sorted(undefined, { maxDepth: 0 })).toEqual([top]);
    expect(await sorted(undefined, { maxDepth: 1 })).toEqual([top, middle, "d:1b"].sort());
    expect(await sorted(undefined, { maxDepth: 2 })).toEqual([top, middle, low, "d:1b"].sort());
  });

  it("keeps objects, primitives and what toJSON gives", async () => {
    class Told {
      toJSON(): unknown {
        return { told: "works" };
      }
    }
    const values: [unknown, unknown][] = [
      [{ json: ["works", null] }, { json: ["works", null] }],
      [true, true],
      [false, false],
      [0, 0],
      [new Told(), { told: "works" }],
    ];
    for (const [i, [value, expected]] of values.entries()) {
      await storage.setItem(`/data/${i}.json`, value as string);
      expect(await storage.getItem(`/data/${i}.json`)).toEqual(expected);
    }
    class Mute {}
    const refused = storage.setItem("/data/bad.json", new Mute() as unknown as string);
    await expect(refused).rejects.toThrow("Cannot stringify");
  });

  it("keeps raw bytes", async () => {
    const bytes = Uint8Array.of(1, 0, 255);
    await storage.setItemRaw("/data/raw.bin", bytes);
    const got = await storage.getItemRaw<Uint8Array>("/data/raw.bin");
    expect([...(got ?? [])]).toEqual([...bytes]);
  });

  it("sets and gets several", async () => {
    await storage.setItems([
      { key: "t:1", value: "one" },
      { key: "t:2", value: "two" },
    ]);
    const got = await storage.getItems(["t:1", { key: "t:2?q=1" }, "t:none"]);
    expect(got).toMatchObject([
      { key: "t:1", value: "one" },
      { key: "t:2", value: "two" },
      { key: "t:none", value: null },
    ]);
  });

  it("clears, also what is empty", async () => {
    await store(["a", "b:c"]);
    for (let i = 0; i < 2; i++) {
      await storage.clear();
      expect(await storage.getKeys()).toEqual([]);
    }
  });

  it("lets a value expire after a second", async () => {
    await storage.setItem("short", "lived", { ttl: 1 });
    expect(await storage.getItem("short")).toBe("lived");
    await expect.poll(() => storage.getItem("short"), { timeout: 10_000 }).toBeNull();
  });
}
