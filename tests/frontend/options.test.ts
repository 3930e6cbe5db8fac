import { describe, expect, it } from "vitest";
import { readOptions } from "../../src/frontend/http/options.ts";
import { Problem } from "../../src/frontend/http/problems.ts";
import { makeApp } from "./support.ts";

const quorum = (query: string, header: string | null = null): unknown =>
  readOptions(query, header).quorum;

function refusedOption(query: string, header: string | null = null): string | undefined {
  try {
    readOptions(query, header);
    return undefined;
  } catch (error) {
    if (error instanceof Problem && error.code === "invalid-option") return error.extras.option;
    throw error;
  }
}

describe("options of a request", () => {
  it("mean the same in the query and in the header", () => {
    const pairs: [string, string, unknown][] = [
      ["n=2&r=1", "n=2, r=1", { n: 2, r: 1 }],
      ["w=all&pw=one", "w=all, pw=one", { w: "all", pw: "one" }],
      ["sloppy=false", "sloppy=?0", { sloppy: false }],
      ["notfound_ok=true", "notfound_ok", { notfoundOk: true }],
      ["basic_quorum=true&timeout=5", "basic_quorum=?1,timeout=5;x=1", allOf(5)],
      ["consistency=local_quorum", "consistency=local_quorum", { consistency: "local_quorum" }],
      ["max_stale=5", "max-stale=5", { maxStaleMs: 5000 }],
      ["max_stale=0.25&stale_w=1", "max_stale=0.25, stale_w=1", { maxStaleMs: 250, staleW: 1 }],
      ["max_stale=0", "max-stale=0.0", { maxStaleMs: 0 }],
      ["max_stale=100000", "max-stale=100000.0", { maxStaleMs: 100_000_000 }],
      ["max_stale=1&stale_w=all", "max-stale=1, stale-w=all", { maxStaleMs: 1000, staleW: "all" }],
      ["", "", {}],
    ];
    for (const [query, header, expected] of pairs) {
      expect(quorum(query)).toEqual(expected);
      expect(quorum("", header)).toEqual(expected);
    }
  });

  const precedence: [string, string, unknown][] = [
    ["r=3", "r=1", { r: 3 }],
    ["r=3", "w=1", { r: 3, w: 1 }],
    ["r=1", "consistency=all", { r: 1, consistency: "all" }],
    ["consistency=one", "r=2, w=2", { consistency: "one" }],
    ["consistency=one&r=3", "r=2", { consistency: "one", r: 3 }],
    ["consistency=one", "consistency=all", { consistency: "one" }],
    ["consistency=one", "dw=2, pr=1", { consistency: "one", dw: 2, pr: 1 }],
    ["consistency=local_quorum", "zones=2, r=3", { consistency: "local_quorum" }],
    ["consistency=strict", "pr=0, pw=0, sloppy=?1, timeout=9", strict(9)],
  ];
  it.each(precedence)("let ?%s win over %s", (query, header, expected) => {
    expect(quorum(query, header)).toEqual(expected);
  });

  const refused: [string, string | null, string][] = [
    ["r=%zz", null, "r"],
    ["r=%FF", null, "r"],
    ["%zz=1", null, "query"],
    ["r=+1", null, "r"],
    ["r=01", null, "r"],
    ["r=1.0", null, "r"],
    ["r=0x1", null, "r"],
    ["r=", null, "r"],
    ["r", null, "r"],
    ["R=1", null, "R"],
    ["__proto__=1", null, "__proto__"],
    ["r=1&%72=1", null, "r"],
    ["sloppy=1", null, "sloppy"],
    [`${"x".repeat(100)}=1`, null, "x".repeat(40)],
    ["", 'r="1"', "r"],
    ["", "r", "r"],
    ["", "r=?1", "r"],
    ["", "r=:MQ==:", "r"],
    ["", "r=@1", "r"],
    ["", "sloppy=true", "sloppy"],
    ["", "ttl=5", "ttl"],
    ["", "siblings=all", "siblings"],
    ["", "r=1, r=1", "r"],
    ["", "R=1", "Starling-Quorum"],
    ["", "r=1,", "Starling-Quorum"],
    ["", "r=1; ", "Starling-Quorum"],
    ["", "r=1.0", "r"],
    ["", "w=1, r=2.0;a=1", "r"],
    ["", 'r=1;a="x,y", r=2', "r"],
    ["", "timeout=250.000", "timeout"],
    ["", "a b", "Starling-Quorum"],
    ["max_stale=-1", null, "max_stale"],
    ["max_stale=1e3", null, "max_stale"],
    ["max_stale=.5", null, "max_stale"],
    ["max_stale=0.0001", null, "max_stale"],
    ["max_stale=315360000.001", null, "max_stale"],
    ["max_stale=", null, "max_stale"],
    ["max-stale=1", null, "max-stale"],
    ["stale_w=most", null, "stale_w"],
    ["stale_w=1.0", null, "stale_w"],
    ["max_stale=1&max_stale=2", null, "max_stale"],
    ["", "max-stale=-1", "max_stale"],
    ["", "max-stale=soon", "max_stale"],
    ["", "max-stale", "max_stale"],
    ["", "stale-w=2.0", "stale_w"],
    ["", "max-stale=1, max_stale=2", "max_stale"],
  ];
  it.each([
    ['r=1;a="x,r=2"', { r: 1 }],
    ['r=1;a="\\",r=2.0";b, w=2', { r: 1, w: 2 }],
    ["r=1;v=1.0,w=all", { r: 1, w: "all" }],
    ["sloppy;a=(1), r=1", null],
  ])("take a member with parameters, which mean nothing: %s", (header, expected) => {
    if (expected === null) expect(refusedOption("", header)).toBe("Starling-Quorum");
    else expect(quorum("", header)).toEqual(expected);
  });

  it.each(refused)("refuse ?%s with the header %s", (query, header, option) => {
    expect(refusedOption(query, header)).toBe(option);
  });

  it("take a time to live with at most three decimal places", () => {
    const times: [string, number][] = [
      ["0.001", 1],
      ["1", 1000],
      ["1.5", 1500],
      ["0.1", 100],
      ["315360000", 315_360_000_000],
      ["8.029", 8029],
    ];
    for (const [text, ms] of times) expect(readOptions(`ttl=${text}`, null).ttlMs).toBe(ms);
    for (const text of ["0", "0.0001", "-1", ".5", "5.", "1e3", "315360000.001", "", "%201"]) {
      expect(refusedOption(`ttl=${text}`)).toBe("ttl");
    }
  });

  it("take the names that a route adds, and no others", () => {
    const names = new Set(["prefix"]);
    const options = readOptions("prefix=a+b%2B&r=1", null, names);
    expect(options.others.get("prefix")).toBe("a b+");
    expect(options.quorum).toEqual({ r: 1 });
    expect(refusedOption("prefix=a")).toBe("prefix");
  });

  it("are read once of a query that comes again, but not where a route adds names", () => {
    const names = new Set(["prefix"]);
    expect(readOptions("r=2&w=1", null)).toBe(readOptions("r=2&w=1", null));
    expect(readOptions("r=2&w=1", "dw=1").quorum).toEqual({ r: 2, w: 1, dw: 1 });
    expect(readOptions("prefix=a", null, names).others.get("prefix")).toBe("a");
    for (let twice = 0; twice < 2; twice++) {
      expect(refusedOption("prefix=a")).toBe("prefix");
      expect(refusedOption("r=x")).toBe("r");
    }
  });

  it("stay what they are, however many others are read", () => {
    for (let r = 0; r < 500; r++) expect(quorum(`r=${r % 150}`)).toEqual({ r: r % 150 });
  });

  it("are judged by each namespace's own numbers, also when they come again", async () => {
    const { call } = await makeApp();
    const settings = { n: 1, r: 1, w: 1, dw: 0 };
    const status = async (path: string) => (await call("GET", path)).status;
    await call("PUT", "/v1/namespaces/one", { body: JSON.stringify(settings) });
    for (let twice = 0; twice < 2; twice++) {
      expect(await status("/v1/kv/three/k?r=2")).toBe(404);
      expect(await status("/v1/kv/one/k?r=2")).toBe(400);
      expect(await status("/v1/kv/one/k?r=1")).toBe(404);
    }
    await call("PUT", "/v1/namespaces/one", { body: JSON.stringify({ ...settings, n: 2 }) });
    expect(await status("/v1/kv/one/k?r=2")).toBe(404);
  });
});

function allOf(timeoutMs: number): unknown {
  return { basicQuorum: true, timeoutMs };
}

function strict(timeoutMs: number): unknown {
  return { consistency: "strict", timeoutMs };
}
