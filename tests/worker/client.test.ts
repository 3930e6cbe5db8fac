import { SELF } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { StarlingClient } from "../../src/client/index.ts";

/** The library inside workerd, with a binding's fetch, against the Worker in the same runtime. */
const client = new StarlingClient({
  url: "http://localhost",
  namespace: "client-in-workerd",
  fetch: (url, init) => SELF.fetch(url, init),
});

describe("the client inside workerd", () => {
  it("stores, reads, lists, batches and updates", async () => {
    const session = client.session();
    const written = await session.put("k", "one", { metadata: { ü: 1 }, ttl: 60 });
    expect(written).toMatchObject({ created: true, quorum: { w: 2 } });
    const got = await session.get("k", { r: 1 });
    expect(got).toMatchObject({ exists: true, metadata: { ü: 1 }, siblings: 1 });
    expect(await got.text()).toBe("one");
    await session.update("k", ([only]) => `${only?.text()} two`);
    const [both] = await client.batch([{ op: "get", key: "k" }]);
    expect(both?.version?.text()).toBe("one two");
    const names: string[] = [];
    for await (const { name } of client.list()) names.push(name);
    expect(names).toEqual(["k"]);
    await session.delete("k");
    expect((await session.get("k", { r: 1 })).exists).toBe(false);
  });

  it("streams in and out", async () => {
    const bytes = new Uint8Array(100_000).fill(7);
    await client.put("stream", new Blob([bytes]).stream());
    const stream = (await client.get("stream")).stream();
    expect(new Uint8Array(await new Response(stream).arrayBuffer())).toEqual(bytes);
  });

  it("throws what the problem document says", async () => {
    const writing = client.put("k", "v", { w: 99 });
    await expect(writing).rejects.toMatchObject({ code: "invalid-option", outcome: "no" });
  });
});
