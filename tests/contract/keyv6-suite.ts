/**
 * What keyv 6 asks of a store (its suite for stores of version 6 is in its repository and on no
 * registry), asked anew: through keyv itself, and of the store directly as keyv uses it.
 */
import { Keyv } from "keyv6";
import { beforeEach, describe, expect, it } from "vitest";

/** What keyv 6 knows of a store. */
interface Store {
  namespace: string | undefined;
  readonly capabilities: { readonly expires?: boolean };
  get(key: string): Promise<unknown>;
  getMany(keys: string[]): Promise<unknown[]>;
  set(key: string, value: unknown, expires?: number): Promise<boolean>;
  setMany(entries: { key: string; value: unknown; expires?: number }[]): Promise<unknown>;
  delete(key: string): Promise<boolean>;
  deleteMany(keys: string[]): Promise<boolean[] | boolean>;
  has(key: string): Promise<boolean>;
  hasMany(keys: string[]): Promise<boolean[]>;
  clear(): Promise<void>;
  iterator(namespace?: string): AsyncGenerator<[string, unknown], void>;
  disconnect(): Promise<void>;
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const soon = (ms: number): number => Date.now() + ms;

export function keyv6Suite(newStore: () => Store): void {
  const keyvOf = (namespace?: string): Keyv => {
    const named = namespace === undefined ? {} : { namespace };
    return new Keyv({ store: newStore(), ...named });
  };

  describe("through keyv 6", () => {
    beforeEach(() => newStore().clear());

    const values: readonly (readonly [string, unknown])[] = [
      ["text", "täxt"],
      ["empty text", ""],
      ["quotes", `'"''`],
      ["zero", 0],
      ["a fraction", 1.5],
      ["false", false],
      ["true", true],
      ["null", null],
      ["an object", { fizz: { buzz: [1] } }],
      ["a list", [1, "two", null]],
      ["bytes", Buffer.from("bar")],
      ["bytes in an object", { buff: Buffer.from("buzz") }],
      ["a bigint", 9_223_372_036_854_775_807n],
    ];
    for (const [what, value] of values) {
      it(`keeps ${what}`, async () => {
        const keyv = keyvOf();
        expect(await keyv.set("k", value)).toBe(true);
        expect(await keyv.get("k")).toEqual(value);
      });
    }

    for (const key of ["'", '"', "a:b", "a::b", "with space", "ü/ö", "%41", "k".repeat(500)]) {
      it(`takes the key ${JSON.stringify(key.slice(0, 12))}`, async () => {
        const keyv = keyvOf("ns");
        await keyv.set(key, "v");
        expect(await keyv.get(key)).toBe("v");
        expect(await keyv.has(key)).toBe(true);
        expect(await keyv.delete(key)).toBe(true);
        expect(await keyv.has(key)).toBe(false);
      });
    }

    it("has nothing under a key that nobody set", async () => {
      const keyv = keyvOf();
      expect(await keyv.get("none")).toBeUndefined();
      expect(await keyv.has("none")).toBe(false);
      expect(await keyv.delete("none")).toBe(false);
    });

    it("gets several, in their order", async () => {
      const keyv = keyvOf();
      await keyv.set("a", 1);
      await keyv.set("c", 3);
      expect(await keyv.get(["a", "b", "c"])).toEqual([1, undefined, 3]);
      expect(await keyv.getMany(["x", "y"])).toEqual([undefined, undefined]);
    });

    it("sets, has and deletes several", async () => {
      const keyv = keyvOf("many");
      await keyv.setMany([
        { key: "a", value: 1 },
        { key: "b", value: 2 },
      ]);
      expect(await keyv.hasMany(["a", "b", "c"])).toEqual([true, true, false]);
      expect(await keyv.deleteMany(["a", "c"])).toEqual([true, false]);
      expect(await keyv.get(["a", "b"])).toEqual([undefined, 2]);
    });

    it("lets values end", async () => {
      const keyv = keyvOf();
      await keyv.set("short", "v", 500);
      await keyv.set("long", "v", 60_000);
      expect(await keyv.get("short")).toBe("v");
      await expect.poll(() => keyv.get("short"), { timeout: 10_000 }).toBeUndefined();
      expect(await keyv.get("long")).toBe("v");
    });

    it("ends a value when it says, not a namespace of it", async () => {
      const keyv = new Keyv({ store: newStore(), namespace: "ttl", ttl: 400 });
      await keyv.set("k", "v");
      expect(await keyv.get("k")).toBe("v");
      const store = newStore();
      store.namespace = "ttl";
      await expect.poll(() => store.has("k"), { timeout: 10_000 }).toBe(false);
    });

    it("clears everything without a namespace", async () => {
      await keyvOf("one").set("k", 1);
      await keyvOf().set("k", 1);
      expect(await keyvOf().clear()).toBeUndefined();
      expect(await keyvOf("one").get("k")).toBeUndefined();
      expect(await keyvOf().get("k")).toBeUndefined();
    });

    it("is one store to several keyvs", async () => {
      await keyvOf("shared").set("k", "v");
      expect(await keyvOf("shared").get("k")).toBe("v");
    });
  });

  describe("namespaces of keyv 6", () => {
    beforeEach(() => newStore().clear());
    const two = async (): Promise<readonly [Keyv, Keyv]> => {
      const [a, b] = [keyvOf("a"), keyvOf("b")];
      await a.set("k", "of a");
      await b.set("k", "of b");
      return [a, b];
    };

    it("keep values apart", async () => {
      const [a, b] = await two();
      expect([await a.get("k"), await b.get("k")]).toEqual(["of a", "of b"]);
    });

    it("keep several values apart", async () => {
      const [a, b] = await two();
      await a.setMany([{ key: "m", value: 1 }]);
      expect([await a.getMany(["k", "m"]), await b.getMany(["k", "m"])]).toEqual([
        ["of a", 1],
        ["of b", undefined],
      ]);
      expect(await b.hasMany(["k", "m"])).toEqual([true, false]);
    });

    it("delete their own alone", async () => {
      const [a, b] = await two();
      expect(await a.delete("k")).toBe(true);
      expect(await a.deleteMany(["k"])).toEqual([false]);
      expect([await a.get("k"), await b.get("k")]).toEqual([undefined, "of b"]);
    });

    it("clear their own alone", async () => {
      const [a, b] = await two();
      await a.clear();
      expect([await a.get("k"), await b.get("k")]).toEqual([undefined, "of b"]);
    });

    it("iterate over their own alone, by the keys that were set", async () => {
      const [a] = await two();
      await a.set("l", "too");
      expect((await collect(a.iterator())).sort()).toEqual([
        ["k", "of a"],
        ["l", "too"],
      ]);
      expect(await collect(keyvOf("none").iterator())).toEqual([]);
    });

    it("iterate over no value that has ended", async () => {
      const [a] = await two();
      await a.set("short", "v", 100);
      await expect.poll(() => a.get("short"), { timeout: 10_000 }).toBeUndefined();
      expect((await collect(a.iterator())).map(([key]) => key)).toEqual(["k"]);
    });

    it("that begin alike stay apart", async () => {
      const [a, aa] = [keyvOf("a"), keyvOf("aa")];
      await a.set("k", 1);
      await aa.set("k", 2);
      await a.clear();
      expect(await aa.get("k")).toBe(2);
    });

    it("can be changed on the way", async () => {
      const [a] = await two();
      a.namespace = "b";
      expect(await a.get("k")).toBe("of b");
    });
  });

  describe("a store, asked as keyv 6 asks it", () => {
    let store: Store;
    beforeEach(async () => {
      store = newStore();
      await store.clear();
    });

    it("says that it takes the end of a value", () => {
      expect(store.capabilities.expires).toBe(true);
    });

    it("has no namespace until it is given one, and can lose it again", () => {
      expect(store.namespace).toBeUndefined();
      store.namespace = "ns";
      expect(store.namespace).toBe("ns");
      store.namespace = undefined;
      expect(store.namespace).toBeUndefined();
    });

    it("puts its namespace before keys itself", async () => {
      store.namespace = "ns";
      await store.set("k", "v");
      store.namespace = "other";
      expect(await store.get("k")).toBeUndefined();
      store.namespace = "ns";
      expect(await store.get("k")).toBe("v");
    });

    it("sets, gets, has and deletes", async () => {
      expect(await store.set("k", "v")).toBe(true);
      expect(await store.get("k")).toBe("v");
      expect(await store.has("k")).toBe(true);
      expect(await store.delete("k")).toBe(true);
      expect(await store.delete("k")).toBe(false);
      expect(await store.has("k")).toBe(false);
      expect(await store.get("k")).toBeUndefined();
    });

    it("overwrites", async () => {
      await store.set("k", "first");
      await store.set("k", "second");
      expect(await store.get("k")).toBe("second");
    });

    it("clears", async () => {
      await store.set("a", "v");
      await store.set("b", "v");
      await store.clear();
      expect(await store.hasMany(["a", "b"])).toEqual([false, false]);
    });

    it("does several", async () => {
      await store.setMany([
        { key: "a", value: "1" },
        { key: "b", value: "2" },
      ]);
      expect(await store.getMany(["a", "none", "b"])).toEqual(["1", undefined, "2"]);
      expect(await store.hasMany(["a", "none"])).toEqual([true, false]);
      expect(await store.deleteMany(["a", "b", "none"])).toEqual([true, true, false]);
    });

    it("does more than a batch holds", async () => {
      const entries = Array.from({ length: 1100 }, (_, i) => ({ key: `k${i}`, value: `${i}` }));
      const keys = entries.map(({ key }) => key);
      await store.setMany(entries);
      expect(await store.getMany(keys)).toEqual(entries.map(({ value }) => value));
      await store.clear();
      expect(await store.getMany(keys.slice(-1))).toEqual([undefined]);
    });

    it("does nothing of nothing", async () => {
      await store.setMany([]);
      expect(await store.getMany([])).toEqual([]);
      expect(await store.hasMany([])).toEqual([]);
      expect(await store.deleteMany([])).toEqual([]);
    });

    it("ends a value at the time that it is given", async () => {
      await store.set("k", "v", soon(700));
      expect(await store.get("k")).toBe("v");
      await expect.poll(() => store.get("k"), { timeout: 10_000 }).toBeUndefined();
      expect(await store.has("k")).toBe(false);
    });

    it("takes what has ended already, and has it no more", async () => {
      await store.set("k", "old");
      expect(await store.set("k", "v", soon(-1000))).toBe(true);
      await expect.poll(() => store.get("k"), { timeout: 10_000 }).toBeUndefined();
    });

    it("takes an end that is very far away", async () => {
      await store.set("k", "v", soon(1e15));
      expect(await store.get("k")).toBe("v");
    });

    it("ends each of several by itself", async () => {
      await store.setMany([
        { key: "a", value: "1", expires: soon(700) },
        { key: "b", value: "2" },
        { key: "c", value: "3", expires: soon(60_000) },
      ]);
      expect(await store.getMany(["a", "b", "c"])).toEqual(["1", "2", "3"]);
      await expect.poll(() => store.get("a"), { timeout: 10_000 }).toBeUndefined();
      expect(await store.getMany(["a", "b", "c"])).toEqual([undefined, "2", "3"]);
    });

    it("iterates over its namespace, by the keys that were set", async () => {
      await store.set("outside", "v");
      store.namespace = "in";
      await store.set("a", "1");
      await store.set("b", "2");
      const pairs = [
        ["a", "1"],
        ["b", "2"],
      ];
      expect(await collect(store.iterator())).toEqual(pairs);
      expect(await collect(store.iterator("in"))).toEqual(pairs);
      store.namespace = "empty";
      expect(await collect(store.iterator())).toEqual([]);
    });

    it("refuses what is no text, as it would come back as another thing", async () => {
      await expect(store.set("k", { value: 1 })).rejects.toThrow("serialization");
    });

    it("has nothing to disconnect", async () => {
      await store.disconnect();
      await store.set("k", "v");
      expect(await store.get("k")).toBe("v");
    });
  });
}
