/** The door in front of an origin: what clients and origin see of each other. */
import { describe, expect, it } from "vitest";
import { OriginError } from "../../src/door/ports.ts";
import { cached, fieldIn, makeRig, type Reply, status } from "./door-rig.ts";

describe("a look-up", () => {
  it("misses, hits with an age, and misses again when what it has is stale", async () => {
    const rig = await makeRig();
    const first = await rig.get("/a");
    expect([first.status, first.text, first.get("Age")]).toEqual([200, "answer 1", null]);
    expect(status(first)).toMatch(/^starling;fwd=uri-miss;fwd-status=200;stored;key="/);
    rig.pass(5000);
    const second = await rig.get("/a");
    expect([second.text, second.get("Age")]).toEqual(["answer 1", "5"]);
    expect(status(second)).toMatch(/^starling;hit;ttl=55;/);
    expect(second.get("Date")).toBe(first.get("Date"));
    rig.pass(60_000);
    expect((await rig.get("/a")).text).toBe("answer 2");
  });

  it("tells other URLs, hosts and schemes apart", async () => {
    const rig = await makeRig();
    await rig.get("/a");
    for (const target of ["/b", "/a?x", "/a?"]) await rig.get(target);
    await rig.get("/a", { Host: "other.test" });
    expect(rig.asked).toHaveLength(5);
    // Neither the door's own port nor the host's case makes it a different place.
    await rig.get("/a", { Host: "EXAMPLE.com:8080" });
    expect(rig.asked).toHaveLength(5);
  });

  it("keeps variants, and answers HEAD from a GET", async () => {
    const rig = await makeRig();
    rig.reply = ({ fields }) => ({
      headers: { "Cache-Control": "max-age=60", Vary: "X-Foo" },
      body: fieldIn(fields, "x-foo") ?? "none",
    });
    for (const foo of ["1", "2", "1", "2"]) {
      expect((await rig.get("/", { "X-Foo": foo })).text).toBe(foo);
    }
    expect(status(await rig.get("/"))).toMatch(/fwd=vary-miss/);
    const head = await rig.send("HEAD", "/", { "X-Foo": "1" });
    expect([head.status, head.text, head.get("Content-Length")]).toEqual([200, "", "1"]);
    expect(rig.asked).toHaveLength(3);
  });

  it("answers conditions and ranges from what is stored", async () => {
    const rig = await makeRig();
    rig.reply = () => ({ ...cached("max-age=60", { ETag: '"a"' }), body: "0123456789" });
    await rig.get("/");
    const same = await rig.get("/", { "If-None-Match": '"a"' });
    expect([same.status, same.text, same.get("ETag")]).toEqual([304, "", '"a"']);
    const part = await rig.get("/", { Range: "bytes=2-4" });
    expect([part.status, part.text, part.get("Content-Range")]).toEqual([
      206,
      "234",
      "bytes 2-4/10",
    ]);
    const none = await rig.get("/", { Range: "bytes=20-" });
    expect([none.status, none.get("Content-Range")]).toEqual([416, "bytes */10"]);
    const other = await rig.get("/", { Range: "bytes=2-4", "If-Range": '"b"' });
    expect([other.status, other.text]).toEqual([200, "0123456789"]);
    expect(rig.asked).toHaveLength(1);
  });

  it("keeps to the request's directives (RFC 9111, 5.2.1)", async () => {
    const rig = await makeRig();
    await rig.get("/");
    rig.pass(10_000);
    const fresh = [["max-age=20"], ["min-fresh=40"], ["max-stale"]];
    for (const [value = ""] of fresh) {
      expect([value, (await rig.get("/", { "Cache-Control": value })).text]).toEqual([
        value,
        "answer 1",
      ]);
    }
    let count = 1;
    for (const value of ["no-cache", "max-age=5", "no-cache", "no-store", "max-age=0"]) {
      const answer = await rig.get("/", { "Cache-Control": value });
      expect([value, answer.text]).toEqual([value, `answer ${++count}`]);
      rig.pass(10_000);
    }
    const refused = await rig.get("/never", { "Cache-Control": "only-if-cached" });
    expect([refused.status, refused.get("Cache-Control")]).toEqual([504, "no-store"]);
    expect((await rig.get("/", { Pragma: "no-cache" })).text).toBe(`answer ${++count}`);
  });
});

describe("validation", () => {
  it("freshens what is stored by a 304, its fields too, and answers with the stored body", async () => {
    const rig = await makeRig();
    rig.reply = ({ fields }) => {
      const isKnown = fieldIn(fields, "if-none-match") === '"a"';
      const headers = {
        "Cache-Control": "max-age=10",
        ETag: '"a"',
        "X-N": String(rig.asked.length),
      };
      return isKnown ? { status: 304, headers } : { headers, body: "body" };
    };
    await rig.get("/");
    rig.pass(11_000);
    const second = await rig.get("/");
    expect([second.status, second.text, second.get("X-N")]).toEqual([200, "body", "2"]);
    expect(status(second)).toMatch(/^starling;fwd=stale;fwd-status=304;stored/);
    rig.pass(5000);
    const third = await rig.get("/");
    expect([third.get("X-N"), third.get("Age")]).toEqual(["2", "5"]);
  });

  it("replaces it by a new answer", async () => {
    const rig = await makeRig();
    rig.reply = () => ({
      headers: { "Cache-Control": "max-age=10", ETag: `"${rig.asked.length}"` },
      body: `body ${rig.asked.length}`,
    });
    await rig.get("/");
    rig.pass(11_000);
    expect((await rig.get("/")).text).toBe("body 2");
    expect(fieldIn(rig.asked[1]?.fields ?? [], "if-none-match")).toBe('"1"');
    expect((await rig.get("/")).text).toBe("body 2");
  });

  it("is what no-cache asks for before each use", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("no-cache, max-age=60", { ETag: '"a"' });
    await rig.get("/");
    await rig.get("/");
    expect(fieldIn(rig.asked[1]?.fields ?? [], "if-none-match")).toBe('"a"');
  });
});

describe("stale answers (RFC 5861)", () => {
  it("are given while one refresh goes on behind them", async () => {
    const rig = await makeRig();
    rig.reply = () => ({
      headers: { "Cache-Control": "max-age=10, stale-while-revalidate=30" },
      body: `body ${rig.asked.length}`,
    });
    await rig.get("/");
    rig.pass(15_000);
    const stale = await rig.get("/");
    expect([stale.text, stale.get("Age")]).toEqual(["body 1", "15"]);
    expect(status(stale)).toMatch(/^starling;hit;ttl=-5;/);
    expect((await rig.get("/")).text).toBe("body 2");
    rig.pass(41_000);
    expect((await rig.get("/")).text).toBe("body 3");
  });

  it("are given no more once a refresh brought an answer that may not be stored", async () => {
    const swr = "max-age=10, stale-while-revalidate=3600";
    const afterRefresh = async (reply: Reply, headers: Record<string, string> = {}) => {
      const rig = await makeRig();
      rig.reply = () => cached(swr);
      await rig.get("/");
      rig.pass(15_000);
      rig.reply = () => reply;
      expect((await rig.get("/", headers)).text).toBe("body");
      return (await rig.get("/")).text;
    };
    const refused = (value: string, status = 200): Reply => {
      return { status, headers: { "Cache-Control": value }, body: "new" };
    };
    expect(await afterRefresh(refused("no-store"))).toBe("new");
    expect(await afterRefresh(refused("private"))).toBe("new");
    expect(await afterRefresh({ status: 404, body: "new" })).toBe("new");
    // A failure, or an answer for one client alone, says nothing of what is stored.
    for (const status of [429, 500, 503])
      expect([status, await afterRefresh(refused("no-store", status))]).toEqual([status, "body"]);
    expect(await afterRefresh(refused("max-age=10"), { Authorization: "x" })).toBe("body");
  });

  it("are given when the origin fails, as long as the response allows it", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("max-age=10, stale-if-error=60");
    await rig.get("/");
    rig.pass(15_000);
    rig.reply = () => ({ status: 503, body: "broken" });
    const stale = await rig.get("/");
    expect([stale.status, stale.text]).toEqual([200, "body"]);
    expect(status(stale)).toMatch(/detail=origin-503/);
    rig.reply = () => Promise.reject(new OriginError("origin-unreachable", "gone"));
    expect((await rig.get("/")).text).toBe("body");
    rig.pass(60_000);
    const failed = await rig.get("/");
    expect([failed.status, failed.get("Content-Type"), failed.get("Cache-Control")]).toEqual([
      502,
      "application/problem+json",
      "no-store",
    ]);
    expect(JSON.parse(failed.text)).toMatchObject({ code: "origin-unreachable" });
  });

  it("are not given against must-revalidate, whatever the site's default", async () => {
    const rig = await makeRig({ staleIfError: 1000, staleWhileRevalidate: 1000 });
    for (const [i, word] of ["must-revalidate", "proxy-revalidate", "s-maxage=10"].entries()) {
      rig.reply = () => cached(`max-age=10, ${word}`);
      await rig.get(`/${i}`);
      rig.pass(11_000);
      rig.reply = () => Promise.reject(new OriginError("origin-timeout", "late"));
      expect([word, (await rig.get(`/${i}`)).status]).toEqual([word, 504]);
    }
    rig.reply = () => cached("max-age=10");
    await rig.get("/plain");
    rig.pass(11_000);
    rig.reply = () => Promise.reject(new OriginError("origin-timeout", "late"));
    expect((await rig.get("/plain")).status).toBe(200);
  });
});

describe("unsafe methods (RFC 9111, 4.4)", () => {
  it("end what is stored for their target, if they succeed", async () => {
    const rig = await makeRig();
    const fresh = rig.reply;
    for (const [code, text] of [
      [200, "answer 3"],
      [302, "answer 3"],
      [500, "answer 1"],
    ] as const) {
      const target = `/${code}`;
      rig.asked.length = 0;
      rig.reply = fresh;
      await rig.get(target);
      rig.pass(1);
      rig.reply = () => ({ status: code });
      await rig.send("POST", target);
      rig.pass(1);
      rig.reply = fresh;
      expect([code, (await rig.get(target)).text]).toEqual([code, text]);
    }
  });

  it("and for Location and Content-Location of the same origin alone", async () => {
    const rig = await makeRig();
    const fresh = rig.reply;
    for (const target of ["/a", "/b", "/c"]) await rig.get(target);
    rig.pass(1);
    const headers = { Location: "/a", "Content-Location": "http://example.com/b" };
    rig.reply = () => ({ status: 201, headers });
    await rig.send("POST", "/new");
    rig.reply = () => ({ status: 201, headers: { Location: "http://else.test/c" } });
    await rig.send("POST", "/new");
    rig.pass(1);
    rig.reply = fresh;
    const hits = await Promise.all(["/a", "/b", "/c"].map((target) => rig.get(target)));
    expect(hits.map((hit) => status(hit)?.includes(";hit"))).toEqual([false, false, true]);
  });

  it("a fetch that began before is not stored as new", async () => {
    const rig = await makeRig();
    const { promise, resolve } = Promise.withResolvers<Reply>();
    rig.reply = ({ method }) => (method === "GET" ? promise : { status: 204 });
    const slow = rig.get("/a");
    // The look-up is done when the origin is asked.
    await expect.poll(() => rig.asked.length).toBe(1);
    rig.pass(10);
    await rig.raw({ method: "DELETE", target: "/a", fields: [["Host", "example.com"]] });
    rig.pass(10);
    resolve(cached("max-age=60"));
    expect((await slow).text).toBe("body");
    expect(status(await rig.get("/a"))).toMatch(/fwd=/);
  });
});

describe("what nobody else may see", () => {
  it("is given to whoever asked for it, and to nobody else", async () => {
    const rig = await makeRig();
    rig.reply = () => cached('max-age=60, private="X-User"', { "X-User": "ann" });
    expect((await rig.get("/")).get("X-User")).toBe("ann");
    expect((await rig.get("/")).get("X-User")).toBe(null);
    expect(rig.asked).toHaveLength(1);
  });

  it("is not collapsed: each request gets an answer of its own", async () => {
    const rig = await makeRig();
    rig.reply = () => ({ ...cached("private"), body: `for ${rig.asked.length}` });
    const answers = await Promise.all([1, 2, 3].map(() => rig.get("/")));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(3);
  });

  it("never depends on the look of a path", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("private, max-age=60");
    for (const target of ["/account/x.css", "/account;x.css", "/account%2fx.css"]) {
      await rig.get(target);
      expect([target, status(await rig.get(target))]).toEqual([
        target,
        expect.stringMatching(/fwd=/),
      ]);
    }
  });
});
