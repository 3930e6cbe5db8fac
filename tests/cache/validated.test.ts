/** What a 304 or a HEAD says of a stored response: to whom, and for how long. */
import { describe, expect, it } from "vitest";
import { cached, fieldIn, makeRig, status } from "./door-rig.ts";

const STALE_MS = 5000;

/** A rig with a stored response that is stale by now, and an origin that says this of it. */
async function staleRig(told: Record<string, string>, stored = "max-age=1") {
  const rig = await makeRig();
  rig.reply = () => cached(stored, { ETag: '"a"' });
  await rig.get("/x");
  rig.pass(STALE_MS);
  rig.reply = ({ method }) => ({ status: method === "HEAD" ? 200 : 304, headers: told });
  return rig;
}

describe("a 304", () => {
  it("leaves what it does not say as it was: lifetime, and how long it is kept", async () => {
    const rig = await staleRig({}, "max-age=1, stale-while-revalidate=0");
    await rig.get("/x");
    expect(status(await rig.get("/x"))).toContain("starling;hit;ttl=1");
    rig.pass(60_000);
    expect(status(await rig.get("/x"))).toContain("fwd=stale;fwd-status=304");
  });

  it("has a cookie for who asked, and for nobody else", async () => {
    for (const own of ["set-cookie", "Set-Cookie"]) {
      const rig = await staleRig({ [own]: "sid=1", "Cache-Control": "max-age=60" });
      const first = await rig.get("/x", { Cookie: "a=b" });
      expect(first.get("set-cookie")).toBe("sid=1");
      expect(status(first)).toContain("detail=set-cookie");
      rig.reply = () => ({ status: 304 });
      expect((await rig.get("/x")).get("set-cookie")).toBeNull();
    }
  });

  it("has a cookie for nobody who waited at the same door", async () => {
    const rig = await staleRig({ "Set-Cookie": "sid=1" });
    const cookies = rig.reply;
    let count = 0;
    rig.reply = async (request) => {
      const isFirst = count++ === 0;
      await new Promise((resolve) => setTimeout(resolve, 20));
      return isFirst ? cookies(request) : { status: 304 };
    };
    const [first, second] = await Promise.all([rig.get("/x"), rig.get("/x")]);
    expect([first.get("set-cookie"), second.get("set-cookie")]).toEqual(["sid=1", null]);
  });

  it("that makes it one visitor's, or nobody's to store, is not stored", async () => {
    for (const said of ["private, max-age=60", "no-store"]) {
      const rig = await staleRig({ "Cache-Control": said });
      expect(status(await rig.get("/x"))).toContain(`detail=${said.split(",")[0]}`);
      rig.reply = () => cached("max-age=60");
      expect(status(await rig.get("/x"))).toContain("fwd=stale;fwd-status=200");
    }
  });

  it("that says so behind a stale answer ends that one", async () => {
    const rig = await staleRig(
      { "Cache-Control": "private" },
      "max-age=1, stale-while-revalidate=600",
    );
    expect(status(await rig.get("/x"))).toContain("starling;hit");
    rig.reply = () => cached("private");
    expect(status(await rig.get("/x"))).toContain("fwd=stale;fwd-status=200;detail=private");
  });

  it("that names a field to choose by is for who says the same in it", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("max-age=1", { ETag: '"a"' });
    await rig.get("/x", { "X-Tongue": "de" });
    rig.pass(STALE_MS);
    rig.reply = ({ fields }) => {
      const headers = { Vary: "X-Tongue", ETag: '"a"', "Cache-Control": "max-age=60" };
      return fieldIn(fields, "x-tongue") === "de"
        ? { status: 304, headers }
        : { headers: { ...headers, ETag: '"b"' }, body: "autre" };
    };
    await rig.get("/x", { "X-Tongue": "de" });
    expect((await rig.get("/x", { "X-Tongue": "fr" })).text).toBe("autre");
    const again = await rig.get("/x", { "X-Tongue": "de" });
    expect([again.text, status(again)]).toEqual(["body", expect.stringContaining("starling;hit")]);
  });

  it("about another representation is asked again, without conditions", async () => {
    const rig = await staleRig({});
    rig.reply = ({ fields }) =>
      fieldIn(fields, "if-none-match") === null
        ? cached("max-age=60", { ETag: '"b"' })
        : { status: 304, headers: { ETag: '"b"' } };
    const answer = await rig.get("/x");
    expect([answer.status, answer.text]).toEqual([200, "body"]);
    expect(status(await rig.get("/x"))).toContain("starling;hit");
  });
});

describe("HEAD", () => {
  it("gives a cookie to who asked, and to nobody else", async () => {
    const rig = await staleRig({ "Set-Cookie": "sid=1", "Cache-Control": "max-age=60" });
    expect((await rig.send("HEAD", "/x", { Cookie: "a=b" })).get("set-cookie")).toBe("sid=1");
    rig.reply = () => ({ status: 304 });
    expect((await rig.get("/x")).get("set-cookie")).toBeNull();
  });

  it("freshens nothing that has become one visitor's", async () => {
    const rig = await staleRig({ "Cache-Control": "private, max-age=60" });
    await rig.send("HEAD", "/x");
    rig.reply = () => cached("max-age=60");
    expect(status(await rig.get("/x"))).toContain("fwd=stale");
  });

  it("of what is refreshed behind its answer has that refresh stored", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("max-age=1, stale-while-revalidate=600");
    await rig.get("/x");
    rig.pass(STALE_MS);
    expect(status(await rig.send("HEAD", "/x"))).toContain("ttl=-4");
    expect(status(await rig.get("/x"))).toContain("starling;hit;ttl=1");
    expect(rig.asked.map(({ method }) => method)).toEqual(["GET", "GET"]);
  });
});
