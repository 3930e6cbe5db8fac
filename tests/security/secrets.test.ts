/** Tokens and the secret: what they open, what they do not, and that nothing repeats them. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Auth, authenticate, parseTokens } from "../../src/frontend/http/auth.ts";
import { type RunningNode, startNode } from "../../src/local/serve.ts";
import { makeApp, tokensOf } from "../frontend/support.ts";
import { freePorts } from "../support/cluster.ts";
import { rawRequest } from "../support/raw-http.ts";

const TOKENS = [
  { token: "token-that-reads-a", role: "read", namespaces: ["a"] },
  { token: "token-that-writes-a", role: "write", namespaces: ["a"] },
  { token: "token-that-rules-a", role: "admin", namespaces: ["a"] },
  { token: "token-that-rules-all", role: "admin" },
];
const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });

/** By route: who may. Columns: none, reads a, writes a, rules a, rules all. */
const KV = "/client/v4/accounts/x/storage/kv/namespaces";
const put = '{"ops":[{"op":"put","key":"k","value":"dg=="}]}';
const RIGHTS: readonly (readonly [string, string, string | null, string])[] = [
  ["GET", "/v1/kv/a/k", null, "-+++ +"],
  ["GET", "/v1/kv/b/k", null, "---- +"],
  ["GET", "/v1/kv/a", null, "-+++ +"],
  ["PUT", "/v1/kv/a/k", "v", "--++ +"],
  ["DELETE", "/v1/kv/a/k", null, "--++ +"],
  ["DELETE", "/v1/kv/b/k", null, "---- +"],
  ["POST", "/v1/kv/a:batch", '{"ops":[{"op":"get","key":"k"}]}', "-+++ +"],
  ["POST", "/v1/kv/a:batch", put, "--++ +"],
  ["POST", "/v1/kv/b:batch", put, "---- +"],
  ["POST", "/v1/purge", '{"namespace":"a","everything":true}', "--++ +"],
  ["POST", "/v1/purge", '{"namespace":"b","everything":true}', "---- +"],
  ["GET", "/v1/namespaces/a", null, "-+++ +"],
  ["PUT", "/v1/namespaces/a", "{}", "---+ +"],
  ["PUT", "/v1/namespaces/b", "{}", "---- +"],
  ["GET", "/v1/cluster", null, "---- +"],
  ["GET", "/v1/cluster/ring", null, "---- +"],
  ["POST", "/v1/cluster/plan", "{}", "---- +"],
  ["POST", "/v1/cluster/commit", "{}", "---- +"],
  ["POST", "/v1/cluster/handoff", "{}", "---- +"],
  ["GET", "/v1/cluster/faults", null, "---- +"],
  ["GET", "/v1/cluster/entries?namespace=a", null, "---- +"],
  ["POST", "/v1/cluster/entries", "", "---- +"],
  ["POST", "/v1/cluster/scrub", "{}", "---- +"],
  ["PUT", "/v1/cluster/faults/r1", "{}", "---- +"],
  ["GET", "/v1/cluster/explain/b/k", null, "---- +"],
  ["GET", "/metrics", null, "---- +"],
  ["GET", `${KV}/a/values/k`, null, "-+++ +"],
  ["PUT", `${KV}/a/values/k`, "v", "--++ +"],
  ["PUT", `${KV}/b/values/k`, "v", "---- +"],
  ["POST", `${KV}/b/bulk/get`, '{"keys":["k"]}', "---- +"],
  ["GET", "/healthz", null, "++++ +"],
];

describe("a token", () => {
  it.each(RIGHTS)("opens what its role and namespaces say: %s %s", async (...route) => {
    const [method, target, body, rights] = route;
    const app = await makeApp({ auth: tokensOf(TOKENS), openOnLoopback: false });
    // Callers that are let in are told that nothing can be done just now.
    app.backend.failure = { code: "overloaded", detail: "" };
    const callers = [{}, ...TOKENS.map(({ token }) => bearer(token))];
    const seen: string[] = [];
    for (const headers of callers) {
      const { status } = await app.call(method, target, { body, headers });
      seen.push(status === 401 || status === 403 ? "-" : "+");
      if (headers === callers[0] && seen[0] === "-") expect(status).toBe(401);
    }
    expect(seen.join("")).toBe(rights.replace(" ", ""));
  });

  it("gives way to the next one without a break: both are valid in between", () => {
    let auth: Auth = tokensOf([{ token: "the-old-one", role: "read" }]);
    const isIn = (token: string): boolean => {
      try {
        return authenticate(auth, `Bearer ${token}`, false).role === "read";
      } catch {
        return false;
      }
    };
    const seen = [[isIn("the-old-one"), isIn("the-new-one")]];
    auth = tokensOf([
      { token: "the-old-one", role: "read" },
      { token: "the-new-one", role: "read" },
    ]);
    seen.push([isIn("the-old-one"), isIn("the-new-one")]);
    auth = tokensOf([{ token: "the-new-one", role: "read" }]);
    seen.push([isIn("the-old-one"), isIn("the-new-one")]);
    expect(seen).toEqual([
      [true, false],
      [true, true],
      [false, true],
    ]);
  });

  it("is looked at whole, and so are all the others: nothing ends early", () => {
    // What is compared are digests of one length; count how often their bytes are read.
    const auth = tokensOf(TOKENS);
    const readsFor = (given: string): number => {
      let reads = 0;
      const counted: Auth = {
        tokens: auth.tokens.map((token) => ({
          ...token,
          digest: new Proxy(token.digest, {
            get: (digest, name) => {
              if (typeof name === "string" && /^[0-9]+$/.test(name)) reads++;
              return Reflect.get(digest, name) as unknown;
            },
          }),
        })),
      };
      try {
        authenticate(counted, `Bearer ${given}`, false);
      } catch {
        // Refused, after as much work.
      }
      return reads;
    };
    const expected = 32 * TOKENS.length;
    const given = ["x", "token-that-reads-a", "token-that-rules-all", "token-that-rules-alk"];
    expect(given.map(readsFor)).toEqual(given.map(() => expected));
  });

  it("must be one that can be sent, and a file must list one", () => {
    expect(() => parseTokens('{"tokens":[]}')).toThrow(/lists none/);
    for (const token of ["", "a b", "é", "x\n", 7, null]) {
      expect(() => parseTokens(JSON.stringify({ tokens: [{ token, role: "read" }] }))).toThrow(
        /tokens/,
      );
    }
    expect(() => parseTokens('{"tokens":[{"token":"x-long-enough","role":"root"}]}')).toThrow(
      /role/,
    );
    const bound = { token: "x-long-enough", role: "monitor", namespaces: ["a"] };
    expect(() => parseTokens(JSON.stringify({ tokens: [bound] }))).toThrow(
      /monitor.*leave namespaces/,
    );
  });

  it("must not be one that can be guessed, nor have two roles", () => {
    const parsed = (...tokens: readonly unknown[]): unknown =>
      parseTokens(JSON.stringify({ tokens }));
    const token = "a-long-enough-token";
    expect(() => parsed({ token: "short", role: "read" })).toThrow(/tokens\[0\].*fewer than 8/);
    expect(() => parsed({ token: "7-chars", role: "read" })).toThrow(/fewer than 8/);
    expect(parsed({ token: "8--chars", role: "read" })).toBeTypeOf("object");
    const others = [{ token: "other-one", role: "read" }];
    const twice = () => parsed({ token, role: "read" }, ...others, { token, role: "admin" });
    expect(twice).toThrow(/tokens\[2\].*tokens\[0\]/);
    expect(twice).not.toThrow(token);
  });
});

describe("a node with everything to hide", () => {
  const [SECRET, TOKEN] = ["the-secret-of-the-cluster", "the-token-of-an-admin"];
  const WORDS = ["hidden-key", "hidden-value", "hidden-tag", "hidden-meta", SECRET, TOKEN];
  const logged: string[] = [];
  const printed: string[] = [];
  let dir = "";
  let node: RunningNode;
  const { error } = console;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), "starling-test-"));
    const file = (name: string, text: string): string => {
      writeFileSync(join(dir, name), text);
      return join(dir, name);
    };
    const [port] = await freePorts(1);
    const members = [{ id: "r1", url: `http://127.0.0.1:${port}` }];
    console.error = (...parts: readonly unknown[]) => void printed.push(parts.join(" "));
    node = await startNode({
      clusterFile: file(
        "cluster.json",
        JSON.stringify({ name: "one", partitions: 8, n: 1, members }),
      ),
      id: "r1",
      dataDir: join(dir, "data", "r1"),
      secretFile: file("secret", SECRET),
      tokensFile: file("tokens", JSON.stringify({ tokens: [{ token: TOKEN, role: "admin" }] })),
      log: (event, fields) => void logged.push(`${event} ${JSON.stringify(fields)}`),
    });
  });
  afterAll(async () => {
    await node.close();
    console.error = error;
    rmSync(dir, { recursive: true, force: true });
  });

  it("tells none of it in logs, metrics or problems", async () => {
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const headers = { ...bearer(TOKEN), traceparent: trace };
    const path = `${node.url}/v1/kv/hidden-ns/hidden-key`;
    const stored = {
      ...headers,
      "Cache-Tag": "hidden-tag",
      "Starling-Metadata": '"hidden-meta"',
    };
    await fetch(path, { method: "PUT", body: "hidden-value", headers: stored });
    await fetch(path, { headers });
    const problems: string[] = [];
    for (const [query, more] of [
      ["?r=9", headers],
      ["?hidden-value=1", headers],
      ["", { ...headers, "Starling-Context": "hidden-value" }],
      ["", { Authorization: `Bearer ${TOKEN}x` }],
      ["", { Authorization: `Bearer ${SECRET}` }],
    ] as const) {
      const answer = await fetch(path + query, { headers: more });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      problems.push(await answer.text());
    }
    await rawRequest(node.url, `GET /hidden-key HTTP/1.1\r\nhidden-value\r\n\r\n`);
    await node.reload();
    const metrics = await (await fetch(`${node.url}/metrics`, { headers })).text();
    expect(metrics).toContain("starling_");
    expect(logged.join()).toContain("tokens-reloaded");
    for (const word of WORDS) {
      expect([word, logged.filter((line) => line.includes(word))]).toEqual([word, []]);
      expect([word, printed.filter((line) => line.includes(word))]).toEqual([word, []]);
      expect([word, metrics.includes(word)]).toEqual([word, false]);
    }
    // The caller may be told what it asked, but never a credential.
    for (const word of [SECRET, TOKEN]) expect(problems.join()).not.toContain(word);
  });

  it("keeps its data folder to its own user", () => {
    expect(statSync(join(dir, "data", "r1")).mode & 0o777).toBe(0o700);
  });
});
