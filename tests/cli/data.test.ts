import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { urlsOf } from "../../src/cli/http.ts";
import { freePorts, startCluster, type TestCluster } from "../support/cluster.ts";
import { run } from "./run.ts";

/** What a test of one key wants, and no more of it. */
interface Told {
  readonly status: number;
  readonly context: string;
  readonly value: string;
  readonly siblings: readonly { readonly value: string; readonly contentType: string }[];
  readonly problem: { readonly code: string };
}
const told = (out: string): Told => JSON.parse(out) as Told;
const plain = (base64: string): string => Buffer.from(base64, "base64").toString();

describe("one key on the command line", () => {
  let cluster: TestCluster;
  let at: readonly string[];
  beforeAll(async () => {
    cluster = await startCluster(3);
    at = ["--url", cluster.urls[0] as string];
  });
  afterAll(() => cluster.close());

  it("is put by a word, by stdin, and not by two at once", async () => {
    expect(await run(["put", "data", "word", "the value", ...at])).toMatchObject({ code: 0 });
    expect((await run(["get", "data", "word", ...at])).out).toBe("the value");
    await run(["put", "data", "stdin", ...at], { input: "from stdin" });
    expect((await run(["get", "data", "stdin", ...at])).out).toBe("from stdin");
    await run(["put", "data", "empty", "", ...at]);
    expect(await run(["get", "data", "empty", ...at])).toEqual({ code: 0, out: "", err: "" });
    const both = await run(["put", "data", "k", "v", "--file", "x", ...at]);
    expect([both.code, both.err]).toEqual([2, expect.stringContaining("not both")]);
  });

  it("ends with a status for each kind of end", async () => {
    const codeOf = async (...args: string[]): Promise<number | null> =>
      (await run([...args, ...at])).code;
    expect(await codeOf("get", "data", "none")).toBe(3);
    expect(await codeOf("get", "data", "none", "--json")).toBe(3);
    expect(await codeOf("delete", "data", "none")).toBe(0);
    expect(await codeOf("get", "data", "k", "--r", "9")).toBe(1);
    expect(await codeOf("get", "no spaces", "k")).toBe(1);
    expect(await codeOf("get", "data", "..")).toBe(2);
    expect(await codeOf("put", "data", "k", "v", "--tll", "9")).toBe(2);
    expect(await codeOf("purge", "data")).toBe(2);
    expect(await codeOf("list", "no spaces")).toBe(2);
    const missing = await run(["get", "data", "none", "--json", ...at]);
    expect(told(missing.out)).toMatchObject({ status: 404, problem: { code: "not-found" } });
  });

  it("takes an option as the HTTP API spells it, and one that is yes or no without a word", async () => {
    const asked = async (...flags: string[]): Promise<string> => {
      const { code, out } = await run(["put", "data", "spelt", "v", ...flags, ...at]);
      expect([flags, code]).toEqual([flags, 0]);
      return out;
    };
    for (const flags of [["return-body"], ["return_body"], ["return_body", "true"]]) {
      expect(await asked(`--${flags[0]}`, ...flags.slice(1))).toBe("v");
    }
    expect(await asked("--return_body=false")).toBe("");
    const options = ["--notfound_ok", "false", "--basic_quorum", "--min_p=0.9", "--sloppy=false"];
    const got = await run(["get", "data", "spelt", "--consistency", "auto", ...options, ...at]);
    expect(got).toEqual({ code: 0, out: "v", err: "" });
    const both = await run(["get", "data", "spelt", "--min-p=0.9", "--min_p=0.8", ...at]);
    expect(both.code).toBe(2);
    expect(both.err).toMatch(/^starling: .*--min_p.*--min-p.*\n$/);
    expect((await run(["get", "--help"])).out).not.toContain("min_p");
  });

  it("shows all siblings, to be read and as JSON", async () => {
    const missing = await run(["get", "data", "both", "--json", ...at]);
    const { context } = told(missing.out);
    const common = ["--context", context, "--w", "all", ...at];
    await run(["put", "data", "both", "ada", "--content-type", "text/plain", ...common]);
    await run(["put", "data", "both", "--metadata", '{"by":"grace"}', ...common], {
      input: "gra\u0007ce",
    });
    const readable = await run(["get", "data", "both", "--siblings", "all", ...at]);
    const lines = readable.out.split("\n");
    expect(lines[0]).toBe("2 siblings, the newest first");
    expect(lines[1]).toMatch(/^--- 1\/2 {2}"[0-9a-f]+" {2}.* 6 bytes {2}\{"by":"grace"\}$/);
    expect(lines.slice(2)).toEqual([
      "gra\\u0007ce",
      expect.stringMatching(/^--- 2\/2 .* text\/plain {2}3 bytes$/),
      "ada",
      "",
    ]);
    const { siblings, ...rest } = told(
      (await run(["get", "data", "both", "--siblings", "all", "--json", ...at])).out,
    );
    expect(siblings.map(({ value }) => plain(value))).toEqual(["gra\u0007ce", "ada"]);
    await run(["put", "data", "both", "resolved", "--context", rest.context, ...at]);
    const one = await run(["get", "data", "both", "--siblings", "--json", ...at]);
    expect(told(one.out).siblings.map(({ value }) => plain(value))).toEqual(["resolved"]);
    const alone = await run(["get", "data", "both", "--siblings", "all", ...at]);
    expect(alone.out).toMatch(/^one version\n--- 1\/1 .*\nresolved\n$/);
  });

  it("comes as it is stored, whatever it says of its coding", async () => {
    const url = `${cluster.urls[0]}/v1/kv/data/`;
    const headers = { "Content-Encoding": "gzip" };
    const coded = gzipSync("x".repeat(10_000));
    await fetch(`${url}coded`, { method: "PUT", body: coded, headers });
    await fetch(`${url}lie`, { method: "PUT", body: "no gzip", headers });
    const got = await run(["get", "data", "coded", ...at]);
    expect(Buffer.from(got.out, "latin1")).toEqual(coded);
    expect(await run(["get", "data", "lie", ...at])).toEqual({ code: 0, out: "no gzip", err: "" });
    const json = told((await run(["get", "data", "coded", "--json", ...at])).out);
    expect(Buffer.from(json.value, "base64")).toEqual(coded);
  });

  it("lists, and purges what is named and nothing else", async () => {
    for (const key of ["a/1", "a/2", "b\u0001"]) {
      await run(["put", "list", key, "v", "--cache-tag", key === "a/2" ? "red" : "blue", ...at]);
    }
    await run(["put", "list", "c", "v", "--ttl", "600", "--metadata", '{"m":1}', ...at]);
    expect((await run(["list", "list", ...at])).out).toBe("a/1\na/2\nb\\u0001\nc\n");
    expect((await run(["list", "list", "--prefix", "a/", "--limit", "1", ...at])).out).toBe(
      "a/1\n",
    );
    const long = await run(["list", "list", "--long", "--prefix", "c", ...at]);
    expect(long.out).toMatch(/^c\t20\d\d-.*Z\t\{"m":1\}\n$/);
    const json = JSON.parse((await run(["list", "list", "--json", ...at])).out) as object[];
    expect(json.slice(2)).toEqual([
      { name: "b\u0001" },
      { name: "c", metadata: { m: 1 }, expiration: expect.any(Number) },
    ]);
    expect((await run(["list", "nothing", "--json", ...at])).out).toBe("[]\n");
    const purged = await run(["purge", "list", "--tag", "red", "--tag", "green", ...at]);
    expect(purged.out).toMatch(/^purged what was written until .*Z; \d of 3 members know\n$/);
    expect((await run(["list", "list", ...at])).out).toBe("a/1\nb\\u0001\nc\n");
    expect((await run(["purge", "list", "--prefix", "b", "--json", ...at])).code).toBe(0);
    expect((await run(["list", "list", ...at])).out).toBe("a/1\nc\n");
    await run(["purge", "list", "--everything", ...at]);
    expect((await run(["list", "list", ...at])).out).toBe("");
  });

  it("shows the namespaces and their settings", async () => {
    const body = '{"ttl":60,"w":"all"}';
    await fetch(`${cluster.urls[0]}/v1/namespaces/told`, { method: "PUT", body });
    const { out } = await run(["namespaces", ...at]);
    expect(out).toMatch(/^namespace +n +r +w .*\n(.*\n)*told +3 +quorum +all +quorum +60 /);
    const json = JSON.parse((await run(["namespaces", "--json", ...at])).out) as {
      namespaces: { name: string; ttl: number }[];
    };
    expect(json.namespaces.find(({ name }) => name === "told")).toMatchObject({ ttl: 60 });
  });

  it("is asked of the next frontend when one is away", async () => {
    const [port] = await freePorts(1);
    const away = `127.0.0.1:${port}`;
    const here = new URL(cluster.urls[1] as string).host;
    for (const urls of [`${away},${here}`, `${here}, http://${away}/`, `${away},${away},${here}`]) {
      const put = await run(["put", "data", "over", "v", "--url", urls]);
      expect([urls, put]).toEqual([urls, { code: 0, out: "", err: "" }]);
    }
    const env = { STARLING_URL: `${away},localhost:${new URL(`http://${here}`).port}` };
    expect((await run(["get", "data", "over"], { env })).out).toBe("v");
    const nobody = await run(["put", "data", "over", "v", "--url", `${away},http://${away}`]);
    expect(nobody.code).toBe(4);
    expect(nobody.err).toMatch(/^starling: none of .*ECONNREFUSED\); is it running\?\n$/);
    expect(nobody.err).not.toContain("may have happened");
  });
});

describe("a frontend that is in trouble", () => {
  let server: Server;
  let url = "";
  let answer: { status: number; body: string } = { status: 500, body: "" };
  beforeAll(async () => {
    server = createServer((request, response) => {
      request.resume().on("end", () => {
        response.writeHead(answer.status, { "Content-Type": "application/problem+json" });
        response.end(answer.body);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  it("is told in one line that says a thing once", async () => {
    const detail = "Too few. The outcome is unknown: the write may surface later.";
    answer = { status: 504, body: JSON.stringify({ code: "quorum-timeout", detail }) };
    const put = await run(["put", "ns", "k", "v", "--url", url]);
    expect(put).toEqual({
      code: 1,
      out: "",
      err: `starling: ${detail} (quorum-timeout, HTTP 504)\n`,
    });
    const json = await run(["put", "ns", "k", "v", "--json", "--url", url]);
    expect(told(json.out)).toMatchObject({ status: 504, problem: { code: "quorum-timeout" } });
    answer = { status: 200, body: "<h1>A proxy</h1>" };
    const list = await run(["list", "ns", "--url", url]);
    expect([list.code, list.err]).toEqual([1, expect.stringContaining("unexpected-answer")]);
  });

  it("that asks for a port which browsers refuse is asked all the same", async () => {
    const six = await run(["status", "--url", "http://127.0.0.1:6000"]);
    expect([six.code, six.err]).toEqual([4, expect.stringContaining("ECONNREFUSED")]);
  });
});

describe("the urls of --url", () => {
  it("are understood as people write them", () => {
    expect(urlsOf("localhost:8787")).toEqual(["http://localhost:8787"]);
    expect(urlsOf("https://a.example/, b.example:1,,")).toEqual([
      "https://a.example",
      "http://b.example:1",
    ]);
    for (const text of ["", " , ", "ftp://x", "http://", "http://a/path", "a b"]) {
      expect(() => urlsOf(text)).toThrow("--url");
    }
  });
});
