import { describe, expect, it } from "vitest";
import { parseCorsOrigins } from "../../src/frontend/cors.ts";
import { makeApp, type TestApp, tokensOf } from "./support.ts";

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
      expect(parseCorsOrigins(bad)).toMatch(/is no origin: write https:/);
    }
  });
});
