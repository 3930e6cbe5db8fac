import { describe, expect, it } from "vitest";
import { parseCorsOrigins } from "../../src/frontend/http/origins.ts";
import { makeApp, problemOf, type TestApp, tokensOf } from "./support.ts";

const PAGE = "https://app.example";
const OTHER = "https://evil.example";
const KEY = "/v1/kv/ns/k";
const auth = tokensOf([{ token: "a-token-to-write", role: "write" }]);

const closed = (corsOrigins: readonly string[] = [PAGE]): Promise<TestApp> =>
  makeApp({ auth, openOnLoopback: false, corsOrigins });
const headersOf = (response: Response, ...names: readonly string[]): (string | null)[] =>
  names.map((name) => response.headers.get(name));
const ALLOW = "Access-Control-Allow-Origin";
const varies = (response: Response): readonly string[] =>
  (response.headers.get("Vary") ?? "").split(/, */);

const preflight = (app: TestApp, origin: string, target = KEY): Promise<Response> =>
  app.call("OPTIONS", target, {
    headers: {
      Origin: origin,
      "Access-Control-Request-Method": "PUT",
      "Access-Control-Request-Headers": "authorization,starling-context",
    },
  });

describe("a page of an origin that is named", () => {
  it("is told before it asks what it may send, without a token", async () => {
    const app = await closed();
    for (const target of [KEY, "/v1/kv/ns", "/v1/kv/ns:batch", "/v1/purge", "/v1/cluster"]) {
      const answer = await preflight(app, PAGE, target);
      expect([target, answer.status]).toEqual([target, 204]);
      expect(headersOf(answer, ALLOW, "Access-Control-Max-Age")).toEqual([PAGE, "600"]);
      const [methods, headers] = headersOf(
        answer,
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Headers",
      );
      expect(methods?.split(",")).toEqual(["GET", "HEAD", "PUT", "POST", "DELETE"]);
      expect(headers).toBe("authorization,starling-context");
      expect(answer.headers.get("Access-Control-Allow-Credentials")).toBeNull();
    }
    expect(app.backend.operations).toEqual([]);
  });

  it("may read answers and what they say, refusals too", async () => {
    const app = await closed();
    const headers = { Origin: PAGE, Authorization: "Bearer a-token-to-write" };
    const put = await app.put(KEY, "v", headers);
    const got = await app.get(KEY, headers);
    const missing = await app.get("/v1/kv/ns/none", headers);
    const refused = await app.get(KEY, { Origin: PAGE });
    const bad = await app.get(`${KEY}?r=9`, headers);
    const nowhere = await app.get("/nowhere", headers);
    const statuses = [put, got, missing, refused, bad, nowhere].map(({ status }) => status);
    expect(statuses).toEqual([201, 200, 404, 401, 400, 404]);
    for (const answer of [put, got, missing, refused, bad, nowhere]) {
      expect([answer.status, ...headersOf(answer, ALLOW)]).toEqual([answer.status, PAGE]);
      const exposed = answer.headers.get("Access-Control-Expose-Headers")?.split(", ") ?? [];
      expect(exposed).toEqual(expect.arrayContaining(["Starling-Context", "ETag", "Date"]));
      expect(varies(answer)).toContain("Origin");
    }
    expect(varies(got)).toEqual(expect.arrayContaining(["Accept", "Starling-Context"]));
    expect(await got.text()).toBe("v");
  });

  it("may read every header that is given back with a value", async () => {
    const app = await closed();
    const headers = { Origin: PAGE, Authorization: "Bearer a-token-to-write" };
    const stored = {
      ...{ "Content-Type": "text/plain", "Content-Encoding": "br", "Content-Language": "de" },
      ...{ "Content-Disposition": "attachment", "Starling-Metadata": "1" },
      "Cache-Control": "max-age=60",
    };
    await app.put(KEY, "v", { ...headers, ...stored });
    await app.put("/v1/workerd-kv/ns/w?expiration_ttl=60", "v", {
      ...{ ...headers, "CF-KV-Metadata": "1" },
    });
    // Any page may read these (Fetch Standard, 2.2.2), and these say something to its browser.
    const readable = new Set([
      ...["cache-control", "content-language", "content-length", "content-type", "expires"],
      ...["last-modified", "pragma"],
      ...["access-control-allow-origin", "access-control-expose-headers"],
      ...["content-security-policy", "x-content-type-options"],
    ]);
    const account = "/client/v4/accounts/a/storage/kv/namespaces/ns/values/w";
    for (const [target, more, method] of [
      [KEY, {}],
      [KEY, { Range: "bytes=0-0" }],
      [`${KEY}?max_stale=60`, {}],
      ["/v1/kv/ns/none", {}],
      [account, {}],
      ["/v1/workerd-kv/ns/w", {}],
      [KEY, {}, "POST"],
    ] as const) {
      const answer = await app.call(method ?? "GET", target, { headers: { ...headers, ...more } });
      const exposed = answer.headers.get("Access-Control-Expose-Headers")?.toLowerCase() ?? "";
      const hidden = [...answer.headers.keys()].filter(
        (name) => !readable.has(name) && !exposed.split(", ").includes(name),
      );
      expect([target, answer.status, hidden]).toEqual([target, answer.status, []]);
    }
  });

  it("can be any, where any is named", async () => {
    const app = await closed(["*"]);
    const got = await app.get(KEY, { Origin: OTHER, Authorization: "Bearer a-token-to-write" });
    expect(headersOf(got, ALLOW)).toEqual([OTHER]);
  });
});

describe("a page of another origin", () => {
  it("is told nothing", async () => {
    const app = await closed();
    const asked = await preflight(app, OTHER);
    expect([asked.status, ...headersOf(asked, ALLOW)]).toEqual([405, null]);
    const got = await app.get(KEY, { Origin: OTHER, Authorization: "Bearer a-token-to-write" });
    expect([got.status, ...headersOf(got, ALLOW)]).toEqual([404, null]);
    // A cache on the way must not give it what was said to the page that is named.
    expect(varies(got)).toContain("Origin");
    const program = await app.get(KEY, { Authorization: "Bearer a-token-to-write" });
    expect([varies(program).includes("Origin"), ...headersOf(program, ALLOW)]).toEqual([
      true,
      null,
    ]);
  });

  it("is told nothing where nobody is named, as ever", async () => {
    const app = await closed([]);
    expect((await preflight(app, PAGE)).status).toBe(405);
    const got = await app.get(KEY, { Origin: PAGE, Authorization: "Bearer a-token-to-write" });
    expect([varies(got).includes("Origin"), ...headersOf(got, ALLOW)]).toEqual([false, null]);
  });
});

describe("a page that only a namespace names", () => {
  const namesPage = async (app: TestApp, corsOrigins: unknown = [PAGE]): Promise<Response> =>
    app.call("PUT", "/v1/namespaces/ns", {
      body: JSON.stringify({ corsOrigins }),
      headers: { Authorization: "Bearer an-admins-token" },
    });
  const withAdmin = tokensOf([
    { token: "a-token-to-write", role: "write" },
    { token: "an-admins-token", role: "admin" },
  ]);
  const make = (): Promise<TestApp> => makeApp({ auth: withAdmin, openOnLoopback: false });
  const from = (origin: string) => ({ Origin: origin, Authorization: "Bearer a-token-to-write" });

  it("may use that namespace, by every route that is of one", async () => {
    const app = await make();
    expect((await preflight(app, PAGE)).headers.get(ALLOW)).toBeNull();
    await namesPage(app);
    const account = "/client/v4/accounts/a/storage/kv/namespaces";
    for (const target of [KEY, "/v1/kv/ns", "/v1/kv/ns:batch", "/v1/changes/ns", "/v1/kv/%6Es/k"]) {
      const answer = await preflight(app, PAGE, target);
      expect([target, answer.status, ...headersOf(answer, ALLOW)]).toEqual([target, 204, PAGE]);
    }
    const values = await app.get(`${account}/ns/values/k`, from(PAGE));
    expect(headersOf(values, ALLOW)).toEqual([PAGE]);
    for (const answer of [await app.put(KEY, "v", from(PAGE)), await app.get(KEY, from(PAGE))]) {
      expect([answer.ok, ...headersOf(answer, ALLOW)]).toEqual([true, PAGE]);
    }
  });

  it("may use no other, nor what is of none, and other pages may not use that", async () => {
    const app = await make();
    await namesPage(app);
    for (const target of ["/v1/kv/nsx/k", "/v1/kv/%ff/k", "/v1/purge", "/v1/cluster", "/v1/kv/"]) {
      expect([target, ...headersOf(await preflight(app, PAGE, target), ALLOW)]).toEqual([
        ...[target, null],
      ]);
      expect(headersOf(await app.get(target, from(PAGE)), ALLOW)).toEqual([null]);
    }
    expect((await preflight(app, OTHER)).headers.get(ALLOW)).toBeNull();
    const answer = await app.get(KEY, from(OTHER));
    expect([...headersOf(answer, ALLOW), varies(answer).includes("Origin")]).toEqual([null, true]);
  });

  it("is welcome on a frontend of loopback for that namespace alone", async () => {
    const app = await makeApp();
    expect((await app.call("GET", KEY, { headers: { Origin: PAGE } })).status).toBe(403);
    await namesPage(app);
    expect((await app.call("GET", KEY, { headers: { Origin: PAGE } })).status).toBe(404);
    const other = await app.call("GET", "/v1/kv/other/k", { headers: { Origin: PAGE } });
    expect(other.status).toBe(403);
  });

  it("is told the same of answers that were made the short way before", async () => {
    const app = await make();
    const request = { method: "GET", headers: new Headers({ Host: "a" }), signal: null } as never;
    expect(app.answerKey?.(request, KEY)).not.toBeNull();
    await namesPage(app);
    expect(app.answerKey?.(request, `${KEY}?r=1`)).toBeNull();
    expect(app.answerKey?.(request, "/v1/kv/other/k")).not.toBeNull();
  });

  it("is named by a list, or a text, which is shown as a list and can be taken out", async () => {
    const app = await make();
    const shown = async (): Promise<unknown> => {
      const headers = { Authorization: "Bearer an-admins-token" };
      const body = (await (await app.get("/v1/namespaces/ns", headers)).json()) as object;
      return "corsOrigins" in body ? body.corsOrigins : "absent";
    };
    expect(await shown()).toBe("absent");
    for (const [given, is] of [
      [
        [PAGE, "http://LOCALHOST:5173"],
        [PAGE, "http://localhost:5173"],
      ],
      ["https://a.example, https://b.example", ["https://a.example", "https://b.example"]],
      [["*"], ["*"]],
      [[], "absent"],
      [[PAGE], [PAGE]],
      [null, "absent"],
    ]) {
      expect((await namesPage(app, given)).ok).toBe(true);
      expect(await shown()).toEqual(is);
    }
    for (const bad of [
      7,
      [7],
      ["https://a.example/path"],
      [`https://${"a".repeat(2100)}.example`],
    ]) {
      const answer = await namesPage(app, bad);
      expect([answer.status, (await problemOf(answer)).code]).toEqual([400, "invalid-settings"]);
    }
  });
});

describe("a frontend that is open on loopback", () => {
  it("serves pages that are named, and never just any", async () => {
    const app = await makeApp({ corsOrigins: ["http://localhost:5173", "*"] });
    const named = await app.put(KEY, "v", { Origin: "http://localhost:5173" });
    expect([named.status, ...headersOf(named, ALLOW)]).toEqual([201, "http://localhost:5173"]);
    const any = await app.put(KEY, "v", { Origin: OTHER });
    expect(any.status).toBe(403);
    expect((await preflight(app, "http://localhost:5173")).status).toBe(204);
    expect((await preflight(app, OTHER)).status).toBe(403);
  });
});

describe("the origins of a deployment", () => {
  it("are read from a text, and refused with the mend", () => {
    expect(parseCorsOrigins("")).toEqual([]);
    expect(parseCorsOrigins("https://A.example, http://localhost:5173 *")).toEqual([
      ...["https://a.example", "http://localhost:5173", "*"],
    ]);
    for (const bad of [
      "a.example",
      "https://a.example/",
      "https://a.example/x",
      "null",
      "ftp://a",
    ]) {
      expect(() => parseCorsOrigins(bad)).toThrow(/is no origin: write https:/);
    }
  });
});
