/** Requests that few send, and settings that few give. */
import { describe, expect, it } from "vitest";
import { PIECE_BYTES } from "../../core/limits.ts";
import { OriginError } from "../../src/door/ports.ts";
import { siteSettings } from "../../src/frontend/admin/sites-plane.ts";
import { cached, fieldIn, makeRig, readAll, status } from "./door-rig.ts";

describe("a request", () => {
  it("for what may not be stored, with the ETag that it has, gets a 304 all the same", async () => {
    const rig = await makeRig();
    rig.reply = () => cached("private", { ETag: '"a"', "Content-Type": "text/plain" });
    for (const path of ["/first", "/first"]) {
      const same = await rig.get(path, { "If-None-Match": 'W/"a"' });
      expect([same.status, same.text, same.get("etag")]).toEqual([304, "", '"a"']);
      expect(status(same)).toContain("fwd-status=200;detail=private");
    }
    expect((await rig.get("/first", { "If-None-Match": '"b"' })).text).toBe("body");
    rig.reply = () => ({ status: 404, headers: { "Cache-Control": "private", ETag: '"a"' } });
    expect((await rig.get("/gone", { "If-None-Match": '"a"' })).status).toBe(404);
  });

  it("waits for another one that takes the same codings, however it spells them", async () => {
    const rig = await makeRig();
    const ready = Promise.withResolvers<void>();
    rig.reply = async () => {
      await ready.promise;
      return cached("max-age=60");
    };
    const both = ["gzip, deflate, br", "gzip, deflate, br, zstd"].map((codings) =>
      rig.get("/x", { "Accept-Encoding": codings }),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    ready.resolve();
    await Promise.all(both);
    expect(rig.asked).toHaveLength(1);
  });

  it("that takes nothing but what is stored goes to no origin, whatever its conditions", async () => {
    const rig = await makeRig();
    const wants = { "Cache-Control": "only-if-cached", "If-Match": '"a"' };
    expect((await rig.get("/x", wants)).status).toBe(504);
    expect(rig.asked).toEqual([]);
  });

  it("is about a path, and about no other one than it names", async () => {
    const rig = await makeRig();
    expect((await rig.get("*")).status).toBe(400);
    await rig.get("http://example.com?q");
    expect(rig.asked.map(({ target }) => target)).toEqual(["/?q"]);
  });
});

describe("a request that names no host", () => {
  it("is of the site that answers for all hosts, and of no other one", async () => {
    const rig = await makeRig();
    const asHttp10 = () => rig.raw({ target: "/x", fields: [] });
    expect((await asHttp10()).status).toBe(200);
    await rig.settled();
    expect(fieldIn((await asHttp10()).fields, "cache-status")).toContain(
      'hit;ttl=60;key="http://origin.test/x"',
    );
    expect(rig.asked.map(({ host }) => host)).toEqual(["origin.test"]);
    expect((await rig.raw({ fields: [["Host", ""]] })).status).toBe(400);
    const named = await makeRig({ hosts: ["example.com", "*.example.com"] });
    expect((await named.raw({ fields: [] })).status).toBe(421);
  });
});

describe("a refresh behind a stale answer", () => {
  it("that failed is followed by no other one for a second", async () => {
    for (const failed of [500, 429, "down"] as const) {
      const rig = await makeRig();
      rig.reply = () => cached("max-age=1, stale-while-revalidate=600");
      await rig.get("/x");
      rig.pass(5000);
      rig.asked.length = 0;
      rig.reply = () => {
        if (failed === "down") throw new OriginError("origin-unreachable", "down");
        return { status: failed };
      };
      for (let i = 0; i < 4; i++) expect(status(await rig.get("/x"))).toContain("hit;ttl=-4");
      expect(rig.asked, String(failed)).toHaveLength(1);
      rig.pass(1000);
      rig.reply = () => cached("max-age=60");
      await rig.get("/x");
      expect(status(await rig.get("/x"))).toContain("hit;ttl=60");
    }
  });
});

describe("a site", () => {
  it("may name the port that its door listens on", async () => {
    const rig = await makeRig({ hosts: ["example.com:8080"] });
    expect((await rig.get("/", { Host: "example.com:8080" })).status).toBe(200);
    expect((await rig.get("/", { Host: "example.com:81" })).status).toBe(421);
    const others = await makeRig({ hosts: ["*.example.com:8080"] });
    expect((await others.get("/", { Host: "www.example.com:8080" })).status).toBe(200);
    expect((await others.get("/", { Host: "www.example.com" })).status).toBe(421);
  });

  it("may name the port of its scheme, which is that of a host without one", async () => {
    for (const host of ["example.com", "www.example.com", "www.example.com:80"]) {
      const rig = await makeRig({ hosts: ["example.com:80", "*.example.com:80"] });
      expect([host, (await rig.get("/", { Host: host })).status]).toEqual([host, 200]);
      expect((await rig.get("/", { Host: "example.com:8080" })).status).toBe(421);
      const secure = { scheme: "https", fields: [["Host", host]] } as const;
      expect((await rig.raw(secure)).status).toBe(host.endsWith(":80") ? 200 : 421);
    }
  });

  it("has an origin that is a URL", async () => {
    const { backend } = await makeRig();
    for (const origin of [
      "http://a:99999",
      "http://a:b",
      "http://[::1",
      "http://%zz",
      "http://]",
    ]) {
      const settle = () => siteSettings({ origin }, backend.view());
      expect(settle, origin).toThrow('"origin" must be a base URL');
    }
  });
});

describe("a long body", () => {
  const SIZE = 2 * PIECE_BYTES + 1000;
  const HOUR_MS = 3_600_000;

  it("is had anew when its pieces are gone, and not broken off for ever", async () => {
    const rig = await makeRig();
    const body = "x".repeat(SIZE);
    rig.reply = () => ({ headers: { "Cache-Control": "max-age=60" }, body });
    await rig.get("/big");
    rig.backend.forget((key) => key.includes("\0p/"));
    const fields = [["Host", "example.com"]] as const;
    const answer = await rig.raw({ target: "/big", fields });
    await expect(readAll(answer.body)).rejects.toThrow("piece");
    await rig.settled();
    expect((await rig.get("/big")).text).toBe(body);
    expect(status(await rig.get("/big"))).toContain("starling;hit");
  });

  it("that is validated again and again is kept no longer than its pieces", async () => {
    const rig = await makeRig({ keep: 3600 });
    const body = "x".repeat(SIZE);
    const headers = {
      "Cache-Control": "max-age=60",
      "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
    };
    rig.reply = ({ fields }) =>
      fieldIn(fields, "if-modified-since") === null ? { headers, body } : { status: 304, headers };
    const statuses: (string | null)[] = [];
    for (let i = 0; i < 4; i++) {
      const answer = await rig.get("/big");
      expect(answer.text).toBe(body);
      statuses.push(/fwd-status=\d+/.exec(status(answer) ?? "")?.[0] ?? null);
      rig.pass(HOUR_MS / 2);
    }
    // What is stored goes an hour after it was fetched, and its pieces ten minutes later.
    const [whole, same] = ["fwd-status=200", "fwd-status=304"];
    expect(statuses).toEqual([whole, same, same, whole]);
  });

  it("is given no more once its time is over, though a variant beside it is kept", async () => {
    const rig = await makeRig({ keep: 0 });
    const body = "x".repeat(SIZE);
    rig.reply = ({ fields }) => {
      const isGzip = fieldIn(fields, "accept-encoding") !== null;
      const headers = {
        "Cache-Control": isGzip ? "max-age=60" : "max-age=100000",
        Vary: "Accept-Encoding",
        ETag: 'W/"a"',
      };
      return isGzip && fieldIn(fields, "if-none-match") !== null
        ? { status: 304, headers }
        : { headers, body };
    };
    await rig.get("/big", { "Accept-Encoding": "gzip" });
    await rig.get("/big");
    rig.pass(HOUR_MS);
    expect((await rig.get("/big", { "Accept-Encoding": "gzip" })).text).toBe(body);
  });
});
