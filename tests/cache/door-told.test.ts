/** What the door tells: origins of clients, and clients of origins; and what may be purged. */
import { describe, expect, it } from "vitest";
import type { Fields } from "../../src/cache/fields.ts";
import { OriginError } from "../../src/door/ports.ts";
import { fieldIn, makeRig, status } from "./door-rig.ts";

describe("what the origin is told", () => {
  const sent = async (headers: Fields | Record<string, string>, site = {}, more = {}) => {
    const rig = await makeRig(site);
    const given = Array.isArray(headers) ? headers : Object.entries(headers);
    await rig.raw({
      target: "/p?q=1",
      fields: [["Host", "example.com"], ...(given as Fields)],
      ...more,
    });
    const [asked] = rig.asked;
    return { asked, get: (name: string) => fieldIn(asked?.fields ?? [], name) };
  };

  it("is where the request came from, made anew for strangers", async () => {
    const forged = {
      "X-Forwarded-For": "10.0.0.1",
      "X-Forwarded-Host": "evil.test",
      "X-Forwarded-Proto": "https",
      Forwarded: "for=evil",
      "X-Original-URL": "/admin",
      "X-Rewrite-URL": "/admin",
      "X-Host": "evil.test",
      "X-HTTP-Method-Override": "DELETE",
      "Starling-Context": "x",
      Connection: "close, X-Secret",
      "X-Secret": "1",
      "Proxy-Authorization": "x",
    };
    const { asked, get } = await sent(forged);
    expect(get("X-Forwarded-For")).toBe("192.0.2.1");
    expect(get("X-Forwarded-Host")).toBe("example.com");
    expect(get("X-Forwarded-Proto")).toBe("http");
    const gone = [
      "Forwarded",
      "X-Original-URL",
      "X-Rewrite-URL",
      "X-Host",
      "X-HTTP-Method-Override",
    ];
    const hop = ["Starling-Context", "X-Secret", "Proxy-Authorization", "Connection"];
    for (const name of [...gone, ...hop]) expect([name, get(name)]).toEqual([name, null]);
    expect(get("Via")).toBe("1.1 starling");
    expect(get("CDN-Loop")).toMatch(/^starling-/);
    expect([asked?.host, asked?.target]).toEqual(["origin.test", "/p?q=1"]);
  });

  it("is believed of the site's own proxies", async () => {
    const headers = { "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https" };
    const site = { trustedProxies: ["192.0.2.0/24"] };
    const { get } = await sent(headers, site, { isFrom: () => true });
    expect(get("X-Forwarded-For")).toBe("10.0.0.1, 192.0.2.1");
    expect(get("X-Forwarded-Proto")).toBe("https");
  });

  it("is believed of them by Forwarded too, whose last hop is the door's client", async () => {
    const site = { trustedProxies: ["192.0.2.0/24"] };
    const more = { isFrom: () => true };
    const forwarded = 'for="[2001:db8::7]:4711";proto=https;host="shop.test", for=10.0.0.1';
    const { get } = await sent({ Forwarded: forwarded }, site, more);
    expect(get("X-Forwarded-For")).toBe("2001:db8::7, 10.0.0.1, 192.0.2.1");
    expect(get("X-Forwarded-Proto")).toBe("https");
    expect(get("X-Forwarded-Host")).toBe("shop.test");
    expect(get("Forwarded")).toBe(`${forwarded}, for=192.0.2.1`);
    // Where both say something, the fields with one thing each count: they are plainer.
    const both = { Forwarded: "for=1.1.1.1;proto=http;host=a.test", "X-Forwarded-Proto": "https" };
    const mixed = await sent(both, site, more);
    expect(mixed.get("X-Forwarded-Proto")).toBe("https");
    expect(mixed.get("X-Forwarded-Host")).toBe("a.test");
    expect(mixed.get("X-Forwarded-For")).toBe("1.1.1.1, 192.0.2.1");
    // A malformed one counts as nothing.
    const junk = await sent({ Forwarded: 'for="1.1.1.1;proto=gopher;host=' }, site, more);
    expect(junk.get("X-Forwarded-Proto")).toBe("http");
    expect(junk.get("X-Forwarded-Host")).toBe("example.com");
    expect(junk.get("X-Forwarded-For")).toBe("192.0.2.1");
  });

  it("keeps what comes by https from what does not, by Forwarded as by X-Forwarded-Proto", async () => {
    const rig = await makeRig({ trustedProxies: ["192.0.2.0/24"] });
    const keyOf = async (headers: Fields) => {
      const fields: Fields = [["Host", "example.com"], ...headers];
      const answer = await rig.raw({ target: "/k", fields, isFrom: () => true });
      return /key="(https?):/.exec(fieldIn(answer.fields, "cache-status") ?? "")?.[1];
    };
    expect(await keyOf([])).toBe("http");
    expect(await keyOf([["X-Forwarded-Proto", "https"]])).toBe("https");
    expect(await keyOf([["Forwarded", "for=1.1.1.1; Proto=HTTPS"]])).toBe("https");
  });

  it("is what the key says, however a proxy spells it: no answer is of another host or scheme", async () => {
    const rig = await makeRig({ trustedProxies: ["192.0.2.0/24"], originHost: "client" });
    const told = async (headers: Fields) => {
      const fields: Fields = [["Host", "inner.test"], ...headers];
      const answer = await rig.raw({ target: "/k", fields, isFrom: () => true });
      const key = /key="([^"]*)"/.exec(fieldIn(answer.fields, "cache-status") ?? "")?.[1];
      const asked = rig.asked.at(-1)?.fields ?? [];
      const seen = ["x-forwarded-proto", "x-forwarded-host", "forwarded"];
      await rig.settled();
      return [key, ...seen.map((name) => fieldIn(asked, name))];
    };
    expect(await told([["X-Forwarded-Proto", "HTTPS"]])).toEqual([
      ...["https://inner.test/k", "https", "inner.test", null],
    ]);
    expect(await told([["X-Forwarded-Host", "A.test:80, b.test"]])).toEqual([
      ...["http://a.test/k", "http", "a.test", null],
    ]);
    expect(await told([["X-Forwarded-Host", "b.test"]])).toEqual([
      ...["http://b.test/k", "http", "b.test", null],
    ]);
    // A value that is neither counts as nothing.
    const junk: Fields = [
      ["X-Forwarded-Proto", "gopher"],
      ["X-Forwarded-Host", "c.test/admin"],
    ];
    expect(await told(junk)).toEqual(["http://inner.test/k", "http", "inner.test", null]);
    // Of two that differ, the origin is told only one.
    const differ: Fields = [
      ["X-Forwarded-Host", "d.test"],
      ["Forwarded", "for=1.1.1.1;host=evil.test"],
    ];
    expect(await told(differ)).toEqual(["http://d.test/k", "http", "d.test", null]);
    expect(rig.asked.at(-1)?.host).toBe("d.test");
    const alone: Fields = [["Forwarded", "for=1.1.1.1;host=E.test;proto=https"]];
    expect(await told(alone)).toEqual([
      ...["https://e.test/k", "https", "e.test"],
      "for=1.1.1.1;host=E.test;proto=https, for=192.0.2.1",
    ]);
  });

  it("is never another URL or method: only X-Forwarded-* and Forwarded are believed", async () => {
    const forged = { "X-Original-URL": "/admin", "X-HTTP-Method-Override": "DELETE" };
    const site = { trustedProxies: ["192.0.2.0/24"] };
    const { get } = await sent(forged, site, { isFrom: () => true });
    expect([get("X-Original-URL"), get("X-HTTP-Method-Override")]).toEqual([null, null]);
  });

  it("is one hop less of what OPTIONS and TRACE may take, and nothing when there is none", async () => {
    const rig = await makeRig();
    const told = async (method: string, hops: string) => {
      const answer = await rig.send(method, "/", { "Max-Forwards": hops });
      return [answer.status, fieldIn(rig.asked.at(-1)?.fields ?? [], "max-forwards")];
    };
    const options = await rig.send("OPTIONS", "/", { "Max-Forwards": "0" });
    expect([options.status, options.get("Allow")]).toEqual([
      204,
      "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    ]);
    expect(options.get("Cache-Control")).toBe("no-store");
    expect((await rig.send("TRACE", "/", { "Max-Forwards": "0" })).status).toBe(405);
    expect(rig.asked).toHaveLength(0);
    expect(await told("OPTIONS", "3")).toEqual([200, "2"]);
    expect(await told("TRACE", "1")).toEqual([200, "0"]);
    expect(await told("OPTIONS", "many")).toEqual([200, "many"]);
    // For other methods it has no meaning.
    expect(await told("POST", "0")).toEqual([200, "0"]);
  });

  it("is the client's host where the site says so, and no more of the query than its key", async () => {
    const { asked } = await sent({}, { originHost: "client", cacheKey: { query: "none" } });
    expect([asked?.host, asked?.target]).toEqual(["example.com", "/p"]);
  });

  it("is which encodings matter, in one spelling", async () => {
    const { get } = await sent({ "Accept-Encoding": "gzip, deflate, br, zstd" });
    expect(get("Accept-Encoding")).toBe("br, gzip");
  });

  it("is nothing when the request has been through this cluster", async () => {
    const rig = await makeRig();
    await rig.get("/");
    const loop = fieldIn(rig.asked[0]?.fields ?? [], "cdn-loop") ?? "";
    const again = await rig.get("/other", { "CDN-Loop": `x, ${loop}; v=1` });
    expect([again.status, JSON.parse(again.text).code]).toEqual([508, "loop-detected"]);
    expect((await rig.get("/other", { "CDN-Loop": "starling-other" })).status).toBe(200);
    expect(rig.asked).toHaveLength(2);
  });
});

describe("what clients are told", () => {
  it("leaves out tags and what only this system says, and appends to Cache-Status", async () => {
    const rig = await makeRig();
    const headers = {
      "Cache-Control": "max-age=60",
      "Cache-Tag": "a",
      "Surrogate-Key": "b",
      "Starling-Cache-Control": "max-age=60",
      "Cache-Status": "inner; hit",
      "Keep-Alive": "timeout=5",
    };
    rig.reply = () => ({ headers, body: "x" });
    for (const answer of [await rig.get("/"), await rig.get("/")]) {
      const names = answer.fields.map(([name]) => name.toLowerCase());
      expect(names.filter((name) => /^(cache-tag|surrogate-key|starling|keep)/.test(name))).toEqual(
        [],
      );
      expect(status(answer)).toMatch(/^inner; hit, starling;/);
    }
  });

  it("is a problem where no site answers, an upgrade is asked for, or PURGE is off", async () => {
    const rig = await makeRig({ hosts: ["a.test", "*.b.test"] });
    const code = async (method: string, headers: Record<string, string>): Promise<unknown> => {
      const answer = await rig.send(method, "/", headers);
      return [answer.status, JSON.parse(answer.text).code, answer.get("Cache-Control")];
    };
    expect(await code("GET", { Host: "c.test" })).toEqual([421, "no-such-site", "no-store"]);
    expect((await rig.get("/", { Host: "x.b.test:99" })).status).toBe(200);
    const upgrade = { Host: "a.test", Upgrade: "websocket", Connection: "upgrade" };
    expect(await code("GET", upgrade)).toEqual([501, "not-implemented", "no-store"]);
    const both = { ...upgrade, Upgrade: "h2c, websocket" };
    expect(await code("GET", both)).toEqual([501, "not-implemented", "no-store"]);
    expect(await code("PURGE", { Host: "a.test" })).toEqual([
      405,
      "method-not-allowed",
      "no-store",
    ]);
    expect(rig.asked).toHaveLength(1);
  });

  it("is a plain answer where HTTP/2 is offered, as some clients do with each request", async () => {
    const rig = await makeRig();
    const offer = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AA" };
    const answer = await rig.get("/", offer);
    expect([answer.status, answer.text]).toEqual([200, "answer 1"]);
    const names = rig.asked[0]?.fields.map(([name]) => name.toLowerCase()) ?? [];
    expect(names.filter((name) => /upgrade|http2|connection/.test(name))).toEqual([]);
  });

  it("is why the origin was asked, where it did not answer", async () => {
    const rig = await makeRig();
    rig.reply = () => Promise.reject(new OriginError("origin-timeout", "late"));
    const failed = [
      ["GET", "uri-miss"],
      ["HEAD", "uri-miss"],
      ["POST", "method"],
    ] as const;
    for (const [method, fwd] of failed) {
      const answer = await rig.send(method, "/");
      expect(answer.status).toBe(504);
      expect(status(answer)).toBe(`starling;fwd=${fwd};detail=origin-timeout`);
    }
    expect(rig.metrics.text()).toMatch(/starling_cache_requests_total\{.*result="error"\} 3/);
  });

  it("is the origin's answer when look-ups or stores fail", async () => {
    const rig = await makeRig();
    rig.backend.failure = { code: "quorum-unavailable", detail: "none" };
    expect((await rig.get("/")).text).toBe("answer 1");
    expect((await rig.get("/")).text).toBe("answer 2");
    expect(rig.metrics.text()).toMatch(/starling_cache_store_failures_total [1-9]/);
  });
});

describe("PURGE", () => {
  it("ends all variants of a URL, for whoever may write", async () => {
    const rig = await makeRig({ purgeMethod: true });
    await rig.get("/a");
    rig.pass(1);
    const unknown = await rig.send("PURGE", "/a");
    expect([unknown.status, JSON.parse(unknown.text).code]).toEqual([401, "unauthorized"]);
    // One challenge, not two of the same.
    expect(unknown.get("WWW-Authenticate")).toBe("Bearer");
    const reader = await rig.send("PURGE", "/a", { Authorization: "Bearer read" });
    expect([reader.status, JSON.parse(reader.text).code]).toEqual([403, "forbidden"]);
    expect(reader.get("WWW-Authenticate")).toBeNull();
    expect(status(await rig.get("/a"))).toMatch(/;hit/);
    const done = await rig.send("PURGE", "/a", { Authorization: "Bearer write" });
    expect([done.status, JSON.parse(done.text)]).toEqual([200, { purged: "http://example.com/a" }]);
    rig.pass(1);
    expect(status(await rig.get("/a"))).toMatch(/fwd=uri-miss/);
    expect(rig.asked.every(({ method }) => method === "GET")).toBe(true);
  });
});
