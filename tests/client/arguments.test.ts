/** What a caller gives by mistake, and what the types make of an answer. */
import { describe, expect, expectTypeOf, it } from "vitest";
import { type Found, StarlingClient } from "../../src/client/index.ts";
import { FakeServer, found, stored } from "./fake-server.ts";

// biome-ignore lint/suspicious/noExplicitAny: what TypeScript refuses is what is tried
type Loose = any;

describe("a mistake in a call", () => {
  const refusals: readonly (readonly [what: string, call: (cache: Loose) => Promise<unknown>])[] = [
    ["a value that is an object", (cache) => cache.put("k", {})],
    ["a value that is a number", (cache) => cache.put("k", 5)],
    ["no value", (cache) => cache.put("k")],
    ["a value that is null", (cache) => cache.put("k", null)],
    ["a value that is a list", (cache) => cache.put("k", [1])],
    [
      "a stream of texts",
      (cache) => cache.put("k", new Blob(["t"]).stream().pipeThrough(new TextDecoderStream())),
    ],
    ["no key", (cache) => cache.get()],
    ["a key that is a number", (cache) => cache.get(5)],
    ["an option that is none", (cache) => cache.put("k", "v", { tll: 5 })],
    ["an option of another call", (cache) => cache.get("k", { ttl: 5 })],
    ["an option that is undefined", (cache) => cache.delete("k", { repeatble: undefined })],
    ["options that are none", (cache) => cache.get("k", 5)],
    ["an option of a head", (cache) => cache.head("k", { ifMatch: "x" })],
    ["an option of siblings", (cache) => cache.siblings("k", { sibling: "all" })],
    ["an option of a list", (cache) => cache.list({ prefx: "a" }).next()],
    ["an option of a batch", (cache) => cache.batch([], { retry: true })],
    ["an option of an op", (cache) => cache.batch([{ op: "put", key: "k", value: "v", tag: "t" }])],
    ["an op's value", (cache) => cache.batch([{ op: "put", key: "k", value: {} }])],
    ["an op's key", (cache) => cache.batch([{ op: "get", key: 7 }])],
    ["an option of an update", (cache) => cache.update("k", () => "v", { rounds: 3 })],
    ["an option of a purge", (cache) => cache.purge({ everything: true }, { w: 1 })],
  ];
  for (const [what, call] of refusals) {
    it(`is a TypeError before anything is sent: ${what}`, async () => {
      const server = new FakeServer(stored());
      await expect((async () => call(server.client()))()).rejects.toBeInstanceOf(TypeError);
      expect(server.asked).toEqual([]);
    });
  }

  it("of an update's change is a TypeError too", async () => {
    for (const change of [{}, { value: 1 }, { value: "v", tll: 1 }]) {
      const server = new FakeServer(found("v"));
      const updating = server.client().update("k", () => change as Loose);
      await expect(updating).rejects.toBeInstanceOf(TypeError);
      expect(server.asked).toHaveLength(1);
    }
  });

  it("names an option that does not exist, and those that do", async () => {
    const put = new FakeServer().client().put("k", "v", { tll: 5 } as Loose);
    await expect(put).rejects.toThrow(/put has no option "tll"; it has .*ttl/);
    const value = new FakeServer().client().put("k", { a: 1 } as Loose);
    await expect(value).rejects.toThrow("not an object: give JSON.stringify(value)");
  });

  it("in making a client is told at once", () => {
    const url = "http://one.example";
    const made = (options: Loose) => () => new StarlingClient(options);
    expect(made({ url })).toThrow(TypeError);
    expect(made({ url, namespace: 5 })).toThrow(TypeError);
    expect(made({ namespace: "demo" })).toThrow(TypeError);
    expect(made({ url, namespace: "demo", tokn: "t" })).toThrow('no option "tokn"');
    expect(made({ url, namespace: "demo", defaults: { rr: 1 } })).toThrow('no option "rr"');
    expect(made({ url, namespace: "no spaces" })).toThrow(RangeError);
    expect(() => new FakeServer().client().session({ keyMax: 1 } as Loose)).toThrow(TypeError);
  });
});

describe("a value", () => {
  it("is taken in every form that there is, a stream gathered", async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const view = new DataView(bytes.buffer, 1) as Loose;
    const stream = new Blob([bytes]).stream() as ReadableStream<Uint8Array>;
    const forms = ["text", bytes, bytes.buffer, view, new Blob([bytes]), stream];
    for (const form of forms) {
      const server = new FakeServer(stored());
      await server.client().put("k", form);
      expect(server.asked[0]?.body instanceof ReadableStream).toBe(false);
    }
  });

  it("that is an endless stream is given up, not gathered", async () => {
    let isCancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(2 ** 24)),
      cancel: () => {
        isCancelled = true;
      },
    });
    const server = new FakeServer();
    await expect(server.client().put("k", endless)).rejects.toBeInstanceOf(RangeError);
    expect([isCancelled, server.asked.length]).toEqual([true, 0]);
  });
});

describe("the types", () => {
  it("tell a value from none", async () => {
    const got = await new FakeServer(found("v")).client().get("k");
    if (!got.exists) {
      expectTypeOf(got.text()).resolves.toEqualTypeOf<null>();
      throw new Error("it is there");
    }
    expectTypeOf(got).toEqualTypeOf<Found>();
    const text: string = await got.text();
    const etag: string = got.etag;
    expect([text, etag]).toEqual(["v", '"e1"']);
  });

  it("tell an unchanged value from a new one", async () => {
    const cache = new FakeServer(found("v")).client();
    const got = await cache.get("k", { ifNoneMatch: '"e0"' });
    if (!got.exists || got.isUnchanged) throw new Error("it has changed");
    const text: string = await got.text();
    expect(text).toBe("v");
  });
});

describe("what is asked of the runtime's fetch", () => {
  it("is not to be answered from a cache on the way, where the runtime can say so", async () => {
    const inits: RequestInit[] = [];
    const server = new FakeServer(found("v"), stored());
    const cache = server.client({
      fetch: (url, init) => {
        inits.push(init);
        return server.fetch(url, init);
      },
    });
    await cache.get("k");
    await cache.put("k", "v");
    expect(inits.map((init) => init.cache)).toEqual(["no-store", "no-store"]);
  });
});
