/** Stored responses on the ring. */
import { describe, expect, it } from "vitest";
import { portableDigest, responseKey } from "../../src/door/kept.ts";
import { ResponseStore } from "../../src/door/response-store.ts";
import { siteSettings } from "../../src/frontend/admin/sites-plane.ts";
import { fieldIn, makeRig } from "./door-rig.ts";

describe("the store of responses", () => {
  it("gives nothing for a key that only has the same hash", async () => {
    const rig = await makeRig();
    await rig.get("/a");
    // The value of one key under the name of the other: what a collision would look like.
    const writes = rig.backend.operations.filter(({ kind }) => kind === "write");
    const [of] = writes;
    await rig.get("/b");
    const other = rig.backend.operations.filter(({ kind }) => kind === "write").at(-1);
    if (of?.kind !== "write" || other?.kind !== "write") throw new Error("both were stored");
    await rig.backend.execute({ ...of, key: other.key, context: null }, "");
    const answer = await rig.get("/b");
    expect(answer.get("Cache-Status")).toMatch(/fwd=uri-miss/);
    expect(answer.text).toBe("answer 3");
  });

  it("keeps the URL and the tags beside a value, for purges that read no value", async () => {
    const rig = await makeRig();
    rig.reply = () => ({
      headers: {
        "Cache-Control": "max-age=60",
        "Cache-Tag": "red, blue",
        "Surrogate-Key": "green",
      },
    });
    await rig.get("/a?b");
    const write = rig.backend.operations.find(({ kind }) => kind === "write");
    if (write?.kind !== "write") throw new Error("it was stored");
    expect(write.content?.tags).toEqual(["red", "blue", "green"]);
    expect(write.content?.metadata).toBe('"http://example.com/a?b"');
    expect(write.ttlMs).toBe(60_000);
  });

  it("keeps a stale response with a validator for as long as the site says", async () => {
    const rig = await makeRig({ keep: 100 });
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=10", ETag: '"a"' } });
    await rig.get("/a");
    rig.pass(109_000);
    await rig.get("/a");
    rig.pass(111_000);
    await rig.get("/a");
    const asked = rig.asked.map(({ fields }) => fieldIn(fields, "if-none-match"));
    expect(asked).toEqual([null, '"a"', null]);
  });

  it.each([
    ["hard", { isSoft: false }, "purgedAt"],
    ["soft", { isSoft: true }, "stalesAt"],
  ] as const)("keeps the later of two %s purges that overlap", async (_, how, field) => {
    const rig = await makeRig();
    await rig.get("/a");
    const store = new ResponseStore(rig.backend);
    const site = rig.backend.view().sites.get("default");
    if (site === undefined) throw new Error("the site is there");
    const key = "http://example.com/a";
    const at = rig.backend.nowMs;
    await store.purge(site, key, { ...how, at: at + 2000 });
    await store.purge(site, key, { ...how, at: at + 1000 });
    expect((await store.read(site.name, key)).stored[field]).toBe(at + 2000);
  });

  it("tells a hit what the site says of fields now, and not when the last hit was", async () => {
    const rig = await makeRig();
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60", "Cache-Tag": "red" } });
    await rig.get("/a");
    const before = await rig.get("/a");
    const settings = { origin: "http://origin.test", passTags: true };
    rig.backend.namespaces.set("_site.default", siteSettings(settings, rig.backend.view()));
    const after = await rig.get("/a");
    const seen = [before, after].map(({ get }) => [
      get("Cache-Status")?.slice(0, 12),
      get("Cache-Tag"),
    ]);
    expect(seen).toEqual([
      ["starling;hit", null],
      ["starling;hit", "red"],
    ]);
  });

  it("ages a response anew for each hit", async () => {
    const rig = await makeRig();
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60", Age: "5" } });
    await rig.get("/a");
    const ages: (string | null)[] = [];
    for (let i = 0; i < 3; i++) {
      rig.pass(10_000);
      ages.push((await rig.get("/a")).get("Age"));
    }
    expect(ages).toEqual(["15", "25", "35"]);
  });

  it("looks under one name for a key of a site, and hashes a hot key once", async () => {
    const { backend } = await makeRig();
    let hashed = 0;
    const digest = (text: string): string => {
      hashed++;
      return portableDigest(text);
    };
    const store = new ResponseStore(backend, { digest });
    const key = "http://example.com/hot";
    for (let i = 0; i < 3; i++) await store.read("a", key);
    expect(hashed).toBe(1);
    await store.read("b", key);
    for (let i = 0; i < 5000; i++) await store.read("a", `${key}/${i}`);
    await store.read("a", key);
    const read = backend.operations.flatMap((of) => (of.kind === "get" ? [of.key] : []));
    const names = [...read.slice(0, 4), ...read.slice(-1)];
    const [a, b] = ["a", "b"].map((site) => responseKey(site, key));
    expect(names).toEqual([a, a, a, b, a]);
    expect(new Set(read).size).toBe(5002);
  });
});
