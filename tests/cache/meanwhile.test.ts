/** Purges that come while an origin is asked, by frontends whose clocks are not the same. */
import { describe, expect, it } from "vitest";
import { decodeStored, type Variant } from "../../src/cache/stored.ts";
import { purgeKeys } from "../../src/door/purging.ts";
import { type DoorRig, makeRig } from "./door-rig.ts";

const AHEAD_MS = 10_000;

function lastStored({ backend }: DoorRig): Variant | undefined {
  const write = backend.operations.findLast(({ kind }) => kind === "write");
  if (write?.kind !== "write" || write.content === null) throw new Error("something was stored");
  return decodeStored(write.content.value).variants[0];
}

/** The owners' clock is behind that of the frontend. */
function ownersAreBehind({ backend }: DoorRig): number {
  const ownersTime = backend.nowMs - AHEAD_MS;
  backend.lease = () => ({ state: "granted", time: ownersTime * 1024 });
  return ownersTime;
}

describe("a purge of a URL while it is fetched", () => {
  it("covers it, though the clocks of owner and fetcher are ahead of the purger's", async () => {
    const rig = await makeRig();
    const gate = Promise.withResolvers<void>();
    rig.reply = async () => {
      await gate.promise;
      return { headers: { "Cache-Control": "max-age=60" }, body: "old" };
    };
    const ownersTime = rig.backend.nowMs;
    rig.backend.lease = () => ({ state: "granted", time: ownersTime * 1024 });
    const fetching = rig.get("/a");
    await expect.poll(() => rig.asked.length).toBe(1);
    rig.pass(-AHEAD_MS);
    const site = rig.backend.view().sites.get("default");
    if (site === undefined) throw new Error("there is a site");
    const purge = { keys: ["http://example.com/a"], isSoft: false };
    expect(await purgeKeys(rig.backend, site, purge)).toBe(ownersTime);
    rig.pass(AHEAD_MS);
    gate.resolve();
    expect((await fetching).text).toBe("old");
    expect((await rig.get("/a")).get("Cache-Status")).toMatch(/fwd=/);
  });
});

describe("what is stored without a lease", () => {
  it("is as old as the owners say that it is: where nobody waits for another", async () => {
    const rig = await makeRig({ collapse: false });
    const ownersTime = ownersAreBehind(rig);
    await rig.get("/a");
    expect(lastStored(rig)?.requestedAt).toBe(ownersTime);
  });

  it("the same: where the client asks for a validation", async () => {
    const rig = await makeRig();
    const ownersTime = ownersAreBehind(rig);
    await rig.get("/a", { "Cache-Control": "no-cache" });
    expect(lastStored(rig)?.requestedAt).toBe(ownersTime);
  });

  it("the same: where HEAD freshens it", async () => {
    const rig = await makeRig();
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=1", ETag: '"a"' } });
    await rig.get("/a");
    rig.pass(2 * AHEAD_MS);
    const ownersTime = ownersAreBehind(rig);
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60", ETag: '"a"' } });
    await rig.send("HEAD", "/a");
    expect(lastStored(rig)?.requestedAt).toBe(ownersTime);
  });

  it("is stored all the same where no owner says what time it is", async () => {
    const rig = await makeRig({ collapse: false });
    rig.backend.lease = () => {
      throw new Error("nobody is there");
    };
    await rig.get("/a");
    expect((await rig.get("/a")).get("Cache-Status")).toMatch(/;hit/);
  });
});

describe("HEAD", () => {
  it.each([503, "away"] as const)("has what is stale while the origin is %s", async (how) => {
    const rig = await makeRig({ staleIfError: 60 });
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=1", "X-A": "1" } });
    await rig.get("/a");
    rig.pass(2000);
    const { OriginError } = await import("../../src/door/ports.ts");
    rig.reply = () => {
      if (how === "away") throw new OriginError("origin-unreachable", "It is away.");
      return { status: how };
    };
    const answer = await rig.send("HEAD", "/a");
    expect([answer.status, answer.get("X-A")]).toEqual([200, "1"]);
    expect(answer.get("Cache-Status")).toMatch(/;hit;ttl=-/);
  });
});
