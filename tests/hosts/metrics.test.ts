import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { startCluster, type TestCluster } from "../support/cluster.ts";
import { type Family, parseExposition } from "../support/exposition.ts";

const doc = (name: string): string =>
  readFileSync(new URL(`../../docs/${name}`, import.meta.url), "utf8");

/** Every text that stands for PromQL in a dashboard, wherever it is. */
function expressionsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, child]) =>
    name === "expr" && typeof child === "string" ? [child] : expressionsIn(child),
  );
}

const namesIn = (text: string): string[] =>
  text.match(/\b(?:starling|process|http_server)_[a-z0-9_]+\b/g) ?? [];
const familyOf = (name: string): string => name.replace(/_(bucket|sum|count)$/, "");

describe("/metrics of a cluster that was asked this and that", () => {
  let cluster: TestCluster;
  let origin: Server;
  let families: ReadonlyMap<string, Family>;
  const sum = (name: string, where: Readonly<Record<string, string>> = {}): number =>
    (families.get(name)?.samples ?? [])
      .filter(({ labels }) => Object.entries(where).every(([label, v]) => labels[label] === v))
      .reduce((total, { value }) => total + value, 0);

  beforeAll(async () => {
    origin = createServer((_, response) => response.end("from the origin"));
    await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
    const { port } = origin.address() as AddressInfo;
    const cache = { origin: `http://127.0.0.1:${port}` };
    cluster = await startCluster(3, { timing: { antiEntropyMs: 50, heartbeatMs: 100 }, cache });
    await (await fetch(`${cluster.cacheUrls[0]}/page`)).text();
    const url = `${cluster.urls[0]}/v1/kv/metrics`;
    for (let i = 0; i < 5; i++) await fetch(`${url}/k${i}`, { method: "PUT", body: `v${i}` });
    const absent = await fetch(`${url}/two`);
    const headers = { "Starling-Context": absent.headers.get("Starling-Context") ?? "" };
    for (const body of ["a", "b"]) await fetch(`${url}/two`, { method: "PUT", body, headers });
    await fetch(`${url}/two`);
    await fetch(`${url}?prefix=k`);
    await fetch(`${url}/k0`, { method: "BREW" });
    await cluster.stop("r3");
    await fetch(`${url}/k1?r=3&sloppy=false`);
    const untilExchanged = async (): Promise<number> => {
      families = parseExposition(await (await fetch(`${cluster.urls[0]}/metrics`)).text());
      return sum("starling_antientropy_exchanges_total");
    };
    await vi.waitUntil(async () => (await untilExchanged()) > 0, { timeout: 20_000 });
  });
  afterAll(async () => {
    await cluster.close();
    origin.close();
  });

  it("counts requests by operation and outcome", () => {
    expect(sum("starling_requests_total", { op: "put", outcome: "done" })).toBe(7);
    expect(sum("starling_requests_total", { op: "get", outcome: "nothing" })).toBe(1);
    expect(sum("starling_requests_total", { op: "get", outcome: "shortfall" })).toBe(1);
    expect(sum("starling_requests_total", { op: "list" })).toBe(1);
    expect(sum("starling_quorum_shortfalls_total")).toBe(1);
    expect(sum("starling_sibling_answers_total")).toBeGreaterThanOrEqual(1);
    const durations = families.get("http_server_request_duration_seconds");
    const methods = durations?.samples.map(({ labels }) => labels["http_request_method"]);
    expect(methods).toContain("GET");
    expect(methods).not.toContain("BREW");
  });

  it("are of one process; what each of the members answered is in the cluster's state", async () => {
    await fetch(`${cluster.urls[1]}/v1/kv/metrics/k2`);
    interface Told {
      readonly id: string;
      readonly traffic: {
        readonly reads: number;
        readonly writes: number;
        readonly failed: number;
        readonly within: Readonly<Record<string, number>>;
      } | null;
    }
    const answer = await fetch(`${cluster.urls[1]}/v1/cluster`);
    const { members } = (await answer.json()) as { members: readonly Told[] };
    expect(members.map(({ id, traffic }) => [id, traffic === null])).toEqual([
      ...[
        ["r1", false],
        ["r2", false],
        ["r3", true],
      ],
    ]);
    const [first, second] = members;
    expect(first?.traffic).toMatchObject({ writes: 7, failed: 1 });
    expect(second?.traffic).toMatchObject({ reads: 1, writes: 0, failed: 0 });
    const { reads = 0, writes = 0, within = {} } = first?.traffic ?? {};
    expect(within["+Inf"]).toBe(reads + writes);
  });

  it("says what the replica holds and what its log did", () => {
    expect(sum("starling_keys")).toBe(6);
    expect(sum("starling_log_bytes")).toBeGreaterThan(0);
    expect(sum("starling_store_writable")).toBe(1);
    expect(sum("starling_members")).toBe(3);
    const fsyncs = families.get("starling_log_fsync_seconds")?.samples ?? [];
    expect(fsyncs.find(({ name }) => name.endsWith("_count"))?.value).toBeGreaterThan(0);
  });

  it("never shows a key", () => {
    const texts = [...families.values()].flatMap(({ samples }) =>
      samples.flatMap(({ labels }) => Object.values(labels)),
    );
    expect(texts.filter((text) => /two|k[0-9]|metrics\//.test(text))).toEqual([]);
  });

  it("has exactly the names that docs/metrics.md explains", () => {
    const rows = doc("metrics.md")
      .split("\n")
      .filter((line) => line.startsWith("| `"))
      .flatMap((line) => namesIn(line.split("|")[1] ?? ""));
    expect([...families.keys()].sort()).toEqual([...new Set(rows)].sort());
  });

  it("has every name that the Grafana board asks for", () => {
    const expressions = expressionsIn(JSON.parse(doc("grafana.json")));
    expect(expressions.length).toBeGreaterThan(10);
    for (const expression of expressions) {
      const names = namesIn(expression).map(familyOf);
      expect([expression, names.length > 0]).toEqual([expression, true]);
      expect([expression, names.filter((name) => !families.has(name))]).toEqual([expression, []]);
    }
  });
});

describe("the strict reader", () => {
  const head = "# HELP a_total A.\n# TYPE a_total counter\n";
  it("refuses what a scraper might forgive", () => {
    const bad = [
      "a_total 1\n",
      `${head}a_total 1`,
      `${head}a_total 1\na_total 2\n`,
      `${head}b_total 1\n`,
      `${head}a_total{x=1} 1\n`,
      `${head}a_total NaN\n`,
      '# HELP h H.\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
    ];
    for (const text of bad) expect(() => parseExposition(text), text).toThrow();
    expect(parseExposition(`${head}a_total{x="\\"1"} 1\n`).size).toBe(1);
  });
});
