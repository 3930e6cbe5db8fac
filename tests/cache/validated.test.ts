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

  it("says to a token or a cookie what nobody else is told", async () => {
    const told = { "X-User": "alice" };
    for (const [asker, stored] of [
      [{ Authorization: "Bearer alice" }, { "Cache-Control": "max-age=1" }],
      [{ Cookie: "sid=alice" }, { "Last-Modified": "Wed, 31 Dec 2025 23:59:50 GMT" }],
    ] as const) {
      for (const method of ["GET", "HEAD"]) {
        const rig = await makeRig();
        rig.reply = () => ({ headers: { ETag: '"a"', ...stored }, body: "body" });
        await rig.get("/x");
        rig.pass(STALE_MS);
        rig.reply = () => ({ status: method === "HEAD" ? 200 : 304, headers: told });
        expect((await rig.send(method, "/x", asker)).get("x-user")).toBe("alice");
        rig.reply = () => ({ status: 304 });
        const other = await rig.get("/x");
        expect([other.get("x-user"), status(other)]).toEqual([
          null,
          expect.stringContaining("fwd=stale;fwd-status=304;stored"),
        ]);
      }
    }
  });

  it("says to a token what others are told too, where the response allows that", async () => {
    const rig = await staleRig({ "X-Now": "2" }, "public, max-age=1");
    await rig.get("/x", { Authorization: "Bearer alice" });
    expect((await rig.get("/x")).get("x-now")).toBe("2");
  });

  it("has a cookie for nobody else, though a targeted field allowed what was stored", async () => {
    const targeted = { "CDN-Cache-Control": "max-age=1", ETag: '"a"' };
    const rig = await makeRig();
    rig.reply = () => cached("no-store", targeted);
    await rig.get("/x");
    rig.pass(STALE_MS);
    rig.reply = () => ({ status: 304, headers: { "Set-Cookie": "sid=1" } });
    expect((await rig.get("/x")).get("set-cookie")).toBe("sid=1");
    rig.reply = () => ({ status: 304 });
    expect((await rig.get("/x")).get("set-cookie")).toBeNull();
    rig.pass(STALE_MS);
    rig.reply = () => ({ status: 304, headers: { ...targeted, "Set-Cookie": "all=1" } });
    await rig.get("/x");
    expect((await rig.get("/x")).get("set-cookie")).toBe("all=1");
  });

  it("that names less in Vary leaves its bytes to those whom they were for", async () => {
    const rig = await makeRig();
    const gzip = { "Accept-Encoding": "gzip" };
    const packed = { ETag: '"a"', Vary: "Accept-Encoding", "Content-Encoding": "gzip" };
    rig.reply = () => cached("max-age=1", packed);
    await rig.get("/x", gzip);
    rig.pass(STALE_MS);
    const headers = { Vary: "Origin", "Cache-Control": "max-age=60" };
    rig.reply = () => ({ status: 304, headers });
    await rig.get("/x", gzip);
    rig.reply = () => cached("max-age=60", { ETag: '"b"', Vary: "Accept-Encoding" });
    expect((await rig.get("/x")).get("content-encoding")).toBeNull();
    expect(status(await rig.get("/x", gzip))).toContain("starling;hit");
    expect(status(await rig.get("/x", { ...gzip, Origin: "http://a" }))).toContain("vary-miss");
  });

  it("that makes private what was fresh ends that for all", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("max-age=3600", { ETag: '"a"' });
    await rig.get("/x");
    rig.reply = () => ({ status: 304, headers: { "Cache-Control": "private" } });
    await rig.get("/x", { "Cache-Control": "no-cache" });
    expect(status(await rig.get("/x"))).toContain("fwd=stale");
  });

  it("ends no stored field by naming it in Connection", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("max-age=1", { ETag: '"a"', "Content-Type": "text/html" });
    await rig.get("/x");
    rig.pass(STALE_MS);
    const headers = { Connection: "Content-Type, X-Hop", "X-Hop": "1" };
    rig.reply = () => ({ status: 304, headers });
    await rig.get("/x");
    const again = await rig.get("/x");
    expect([again.get("content-type"), again.get("x-hop")]).toEqual(["text/html", null]);
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

  it("of a client that wants nothing stored leaves what is stored as it was", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("max-age=3600", { ETag: '"a"' });
    await rig.get("/x");
    await rig.send("HEAD", "/x", { "Cache-Control": "no-store" });
    expect(status(await rig.get("/x"))).toContain("starling;hit");
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
