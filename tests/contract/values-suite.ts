/** The HTTP contract of values from outside: writes, siblings, what answers carry. */
import { expect, it } from "vitest";
import { rawRequest } from "../support/raw-http.ts";
import { call, context, expectProblem, freshNamespace, nextUrl, put, urls } from "./frontends.ts";

export function writes(): void {
  it("creates with 201, replaces with 204, and gives back what was stored", async () => {
    const path = `/v1/kv/${freshNamespace()}/a/b`;
    const created = await put(path, "one", { "Content-Type": "text/plain; charset=utf-8" });
    expect(created.status).toBe(201);
    expect((await put(path, "two")).status).toBe(204);
    const got = await call(path);
    expect(got.status).toBe(200);
    expect(await got.text()).toBe("two");
  });

  it("keeps the stored headers and metadata with the value", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const stored = {
      "Content-Type": "image/svg+xml",
      "Content-Encoding": "identity",
      "Content-Language": "de-CH",
      "Content-Disposition": 'attachment; filename="x.svg"',
      "Starling-Metadata": '{"a":[1,null,"ü"]}',
    };
    const headers = { ...stored, "Starling-Metadata": '{"a":[1,null,"\\u00fc"]}' };
    expect((await put(path, "<svg/>", headers)).status).toBe(201);
    for (const method of ["GET", "HEAD"]) {
      const got = await call(path, { method });
      for (const [name, value] of Object.entries(stored)) {
        const given = got.headers.get(name) ?? "";
        if (name === "Starling-Metadata") expect(JSON.parse(given)).toEqual(JSON.parse(value));
        else expect(given).toBe(value);
      }
      expect(got.headers.get("content-length")).toBe("6");
    }
  });

  it("defaults the content type, and stores nothing as a value", async () => {
    const path = `/v1/kv/${freshNamespace()}/empty`;
    for (const headers of [{}, { "Content-Type": "" }]) {
      expect((await put(path, new Uint8Array(0), headers)).ok).toBe(true);
      const got = await call(path);
      expect(got.status).toBe(200);
      expect(got.headers.get("content-type")).toBe("application/octet-stream");
      expect(got.headers.get("content-length")).toBe("0");
    }
  });

  it("stores any bytes", async () => {
    const path = `/v1/kv/${freshNamespace()}/bytes`;
    const bytes = Uint8Array.from({ length: 70_000 }, (_, i) => (i * 7) & 255);
    await put(path, bytes);
    expect(new Uint8Array(await (await call(path)).arrayBuffer())).toEqual(bytes);
  });

  const codings = ["identity", "gzip", "br, gzip;q=0.5", "gzip;q=0", "*;q=0"];
  it.each(codings)(
    "sends byte for byte what is stored to a client that takes %s",
    async (taken) => {
      const namespace = freshNamespace();
      const ask = (key: string, more: string) =>
        rawRequest(
          nextUrl(),
          `GET /v1/kv/${namespace}/${key} HTTP/1.1\r\nHost: localhost\r\n` +
            `Accept-Encoding: ${taken}\r\n${more}\r\n`,
        );
      // No host may check whether the value is what its type and coding say.
      const value = "neither gzip nor JSON";
      const type = { "Content-Type": "application/json" };
      await put(`/v1/kv/${namespace}/plain`, value, type);
      await put(`/v1/kv/${namespace}/coded`, value, { ...type, "Content-Encoding": "gzip" });
      for (const key of ["plain", "coded"]) {
        const whole = await ask(key, "");
        expect([whole.status, whole.body]).toEqual([200, value]);
        expect(whole.head).toMatch(/^content-length: 21\r?$/im);
        expect(/^content-encoding: gzip\r?$/im.test(whole.head)).toBe(key === "coded");
        const part = await ask(key, "Range: bytes=8-11\r\n");
        expect([part.status, part.body]).toEqual([206, "gzip"]);
      }
    },
  );

  it("answers a put with the value when asked", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const answer = await put(`${path}?return_body=true`, "body", { "Content-Type": "text/x-a" });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toBe("text/x-a");
    expect(await answer.text()).toBe("body");
  });

  it("deletes with 204, also where nothing was, and orders a re-creation after it", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    expect((await call(path, { method: "DELETE" })).status).toBe(204);
    await put(path, "one");
    expect((await call(path, { method: "DELETE" })).status).toBe(204);
    const gone = await call(path);
    await expectProblem(gone, 404, "not-found");
    expect(context(gone)).not.toBe("");
    const again = await put(path, "two", { "Starling-Context": context(gone) });
    expect(again.status).toBe(201);
    const got = await call(path);
    expect(await got.text()).toBe("two");
    expect(got.headers.get("starling-siblings")).toBeNull();
  });

  it("lets caches keep what the writer lets them keep, and else only to ask again", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const said = async (query = "", headers = {}): Promise<string | null> => {
      const answer = await call(path + query, { headers });
      expect(answer.headers.get("age")).toBeNull();
      expect(answer.headers.get("vary")).toBe("Accept, Starling-Context, Starling-Quorum");
      return answer.headers.get("cache-control");
    };
    expect(await said()).toBe("no-cache");
    const written = await put(path, "v", { "Cache-Control": "max-age=500, s-maxage=90" });
    const context = written.headers.get("starling-context") ?? "";
    expect(await said()).toMatch(/^max-age=(90|8[0-9]), s-maxage=(90|8[0-9])$/);
    expect(await said("?consistency=strict")).toBe("no-cache");
    expect(await said("", { "Starling-Context": context })).toBe("no-cache");
    expect((await call(`${path}?color=red`)).headers.get("cache-control")).toBe("no-store");
    expect((await call("/v1/cluster")).headers.get("cache-control")).toBe("no-store");
    const never = await put(path, "v", { "Cache-Control": "s-maxage=0" });
    await expectProblem(never, 400, "invalid-option");
  });

  it("guards a write by the date of what it would replace", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await put(path, "v");
    const old = { "If-Unmodified-Since": "Thu, 01 Jan 2015 00:00:00 GMT" };
    await expectProblem(await put(path, "w", old), 412, "precondition-failed");
    const gone = await call(path, { method: "DELETE", headers: old });
    await expectProblem(gone, 412, "precondition-failed");
    const now = { "If-Unmodified-Since": new Date(Date.now() + 60_000).toUTCString() };
    expect((await put(path, "w", now)).status).toBe(204);
    const part = await put(path, "w", { "Content-Range": "bytes 0-0/9" });
    await expectProblem(part, 400, "invalid-request");
  });

  it("forgets a value when its time to live is over", async () => {
    const namespace = freshNamespace();
    await put(`/v1/kv/${namespace}/long?ttl=1000`, "v");
    const long = await call(`/v1/kv/${namespace}/long`);
    expect(long.headers.get("cache-control")).toBe("no-cache");
    expect(long.headers.get("starling-ttl")).toMatch(/^(1000|99[0-9](\.[0-9]+)?)$/);
    await put(`/v1/kv/${namespace}/short`, "v", { "Cache-Control": "max-age=1" });
    await put(`/v1/kv/${namespace}/shorter?ttl=0.2`, "v", { "Cache-Control": "max-age=1000" });
    const isGone = async (key: string): Promise<number> =>
      (await call(`/v1/kv/${namespace}/${key}`)).status;
    await expect.poll(() => isGone("shorter"), { timeout: 5000 }).toBe(404);
    await expect.poll(() => isGone("short"), { timeout: 5000 }).toBe(404);
    expect((await put(`/v1/kv/${namespace}/short`, "again")).status).toBe(201);
  });
}

export function siblings(): void {
  /** Two values whose writers knew nothing of each other. */
  async function makeSiblings(path: string): Promise<void> {
    const first = await put(path, "base");
    const base = context(first);
    await put(path, "red", { "Starling-Context": base, "Content-Type": "text/red" });
    await put(path, "blue", { "Starling-Context": base, "Content-Type": "text/blue" });
  }

  it("keeps concurrent writes apart and shows the newest with a context of its own", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await makeSiblings(path);
    const got = await call(path);
    expect(got.status).toBe(200);
    expect(got.headers.get("starling-siblings")).toBe("2");
    expect(await got.text()).toBe("blue");
    await put(path, "green", { "Starling-Context": context(got) });
    const after = await call(`${path}?siblings=all`, { headers: { Accept: "application/json" } });
    const { siblings: left } = (await after.json()) as { siblings: { value: string }[] };
    expect(left.map(({ value }) => atob(value)).sort()).toEqual(["green", "red"]);
  });

  it("shows all siblings as multipart and as JSON, and lets their context resolve them", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await makeSiblings(path);
    const all = await call(`${path}?siblings=all`);
    expect(all.status).toBe(300);
    const type = all.headers.get("content-type") ?? "";
    const boundary = /^multipart\/mixed; boundary="?([^"]+)"?$/.exec(type)?.[1] ?? "none";
    const parts = (await all.text()).split(`--${boundary}`).slice(1, -1);
    expect(parts).toHaveLength(2);
    for (const part of parts) {
      expect(part).toMatch(/\r\nContent-Type: text\/(red|blue)\r\n/);
      expect(part).toMatch(/\r\nETag: "[^"]+"\r\n/);
      expect(part).toMatch(/\r\nLast-Modified: [^\r]+GMT\r\n/);
    }
    const accepted = await call(path, { headers: { Accept: "multipart/mixed" } });
    expect(accepted.status).toBe(300);
    expect(accepted.headers.get("etag")).toBe(all.headers.get("etag"));
    const json = await call(`${path}?siblings=all`, { headers: { Accept: "application/json" } });
    expect(json.status).toBe(300);
    const body = (await json.json()) as { siblings: Record<string, unknown>[] };
    expect(Object.keys(body.siblings[0] ?? {}).sort()).toEqual(
      ["contentType", "etag", "lastModified", "metadata", "value"].sort(),
    );
    await put(path, "resolved", { "Starling-Context": context(json) });
    const got = await call(`${path}?siblings=all`);
    expect(got.status).toBe(200);
    expect(await got.text()).toBe("resolved");
  });

  it("lets the ETag of each, as the list tells it, be a condition for that one alone", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await makeSiblings(path);
    const asJson = { headers: { Accept: "application/json" } };
    const list = async (): Promise<{ etag: string; value: string }[]> => {
      const answer = await call(`${path}?siblings=all`, asJson);
      return ((await answer.json()) as { siblings: { etag: string; value: string }[] }).siblings;
    };
    const older = (await list()).find(({ value }) => atob(value) === "red")?.etag ?? "";
    const shown = await call(path, { headers: { "If-Match": older } });
    await expectProblem(shown, 412, "precondition-failed");
    expect((await put(path, "green", { "If-Match": older })).status).toBe(204);
    expect((await list()).map(({ value }) => atob(value)).sort()).toEqual(["blue", "green"]);
    const gone = await put(path, "late", { "If-Match": older });
    await expectProblem(gone, 412, "precondition-failed");
  });

  it("gives the forms of all siblings an ETag each, and takes either as a condition", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await makeSiblings(path);
    const of = (headers: Record<string, string>, method = "GET"): Promise<Response> =>
      call(`${path}?siblings=all`, { method, headers });
    const tagOf = (answer: Response): string => answer.headers.get("etag") ?? "none";
    const [inParts, asJson] = [{ Accept: "multipart/mixed" }, { Accept: "application/json" }];
    const [parts, json] = [tagOf(await of(inParts)), tagOf(await of(asJson))];
    // Strong: whoever has one of the bodies must not be told that it has the other one.
    expect([parts, json]).toEqual([expect.stringMatching(/^"/), expect.stringMatching(/^"/)]);
    expect(parts).not.toBe(json);
    expect(tagOf(await of(asJson, "HEAD"))).toBe(json);
    for (const [headers, own, other] of [
      [inParts, parts, json],
      [asJson, json, parts],
    ] as const) {
      expect((await of({ ...headers, "If-None-Match": own })).status).toBe(304);
      expect((await of({ ...headers, "If-None-Match": other })).status).toBe(300);
    }
    const none = await put(path, "late", { "If-None-Match": json });
    await expectProblem(none, 412, "precondition-failed");
    expect((await put(path, "one", { "If-Match": json })).status).toBe(204);
    expect(await (await of(asJson)).text()).toBe("one");
    await expectProblem(await put(path, "x", { "If-Match": json }), 412, "precondition-failed");
    const again = `${path}-again`;
    await makeSiblings(again);
    const shown = await call(`${again}?siblings=all`);
    expect((await put(again, "one", { "If-Match": tagOf(shown) })).status).toBe(204);
    expect((await call(`${again}?siblings=all`)).status).toBe(200);
  });

  it("reads its own writes from one replica with the write's context", async () => {
    const namespace = freshNamespace();
    for (let i = 0; i < 20; i++) {
      const written = await put(`/v1/kv/${namespace}/k${i}?w=1&dw=1`, `v${i}`);
      const got = await call(`/v1/kv/${namespace}/k${i}?r=1`, {
        headers: { "Starling-Context": context(written) },
      });
      expect(await got.text()).toBe(`v${i}`);
    }
  });
}

export function answers(): void {
  it("carries every header of the contract", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    const written = await put(path, "v");
    const got = await call(path);
    const gone = await call(`${path}-none`);
    for (const response of [written, got, gone]) {
      expect(context(response)).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(response.headers.get("x-content-type-options")).toBe("nosniff");
      expect(response.headers.get("content-security-policy")).toBe("sandbox; default-src 'none'");
      expect(response.headers.get("date")).toMatch(/GMT$/);
      expect(response.headers.get("server-timing")).toMatch(/^quorum;dur=[0-9.]+$/);
    }
    expect(got.headers.get("etag")).toMatch(/^"[^"]+"$/);
    expect(got.headers.get("etag")).toBe(written.headers.get("etag"));
    expect(got.headers.get("last-modified")).toMatch(/GMT$/);
    expect(got.headers.get("starling-quorum")).toBe(
      "n=3, r=2, answered=2, primaries=2, fallbacks=0",
    );
    expect(written.headers.get("starling-quorum")).toMatch(
      /^n=3, w=2, acked=[23], primaries=[23], fallbacks=0, durable=[23]$/,
    );
  });

  it("gives the same ETag on every frontend and with every option", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await put(`${path}?w=all`, "v");
    const tags = new Set<string | null>();
    for (const url of urls) {
      for (const query of ["", "?r=1", "?r=all", "?consistency=strict"]) {
        tags.add((await fetch(url + path + query)).headers.get("etag"));
      }
    }
    expect(tags.size).toBe(1);
  });

  it("honours conditions and ranges", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    await put(path, "0123456789");
    const etag = (await call(path)).headers.get("etag") ?? "";
    const modified = (await call(path)).headers.get("last-modified") ?? "";
    const get = (headers: Record<string, string>): Promise<Response> => call(path, { headers });
    for (const headers of [
      { "If-None-Match": etag },
      { "If-None-Match": `"other", W/${etag}` },
      { "If-None-Match": "*" },
      { "If-Modified-Since": modified },
    ]) {
      const answer = await get(headers);
      expect(answer.status).toBe(304);
      expect(answer.headers.get("etag")).toBe(etag);
      expect(context(answer)).not.toBe("");
    }
    expect((await get({ "If-None-Match": '"x"', "If-Modified-Since": modified })).status).toBe(200);
    await expectProblem(await get({ "If-Match": '"x"' }), 412, "precondition-failed");
    const ranges: [string, number, string][] = [
      ["bytes=2-4", 206, "234"],
      ["bytes=7-", 206, "789"],
      ["bytes=-3", 206, "789"],
      ["bytes=0-99", 206, "0123456789"],
      ["bytes=1-2,4-5", 200, "0123456789"],
      ["lines=1-2", 200, "0123456789"],
    ];
    for (const [range, status, text] of ranges) {
      const answer = await get({ Range: range });
      expect([range, answer.status, await answer.text()]).toEqual([range, status, text]);
    }
    expect((await get({ Range: "bytes=2-4" })).headers.get("content-range")).toBe("bytes 2-4/10");
    const beyond = await get({ Range: "bytes=10-" });
    expect(beyond.headers.get("content-range")).toBe("bytes */10");
    await expectProblem(beyond, 416, "range-not-satisfiable");
    expect((await get({ Range: "bytes=2-4", "If-Range": '"x"' })).status).toBe(200);
  });

  it("checks preconditions of writes", async () => {
    const path = `/v1/kv/${freshNamespace()}/k`;
    expect((await put(path, "one", { "If-None-Match": "*" })).status).toBe(201);
    await expectProblem(
      await put(path, "two", { "If-None-Match": "*" }),
      412,
      "precondition-failed",
    );
    const etag = (await call(path)).headers.get("etag") ?? "";
    await expectProblem(await put(path, "two", { "If-Match": '"x"' }), 412, "precondition-failed");
    expect((await put(path, "two", { "If-Match": etag })).status).toBe(204);
    await expectProblem(
      await call(path, { method: "DELETE", headers: { "If-Match": etag } }),
      412,
      "precondition-failed",
    );
    expect(await (await call(path)).text()).toBe("two");
  });
}
