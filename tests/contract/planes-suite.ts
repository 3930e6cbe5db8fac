/** The HTTP contract beside single values, from outside: listings, batches, the cluster plane. */
import { encode } from "@msgpack/msgpack";
import { expect, it } from "vitest";
import { call, expectProblem, freshNamespace, put, urls } from "./frontends.ts";

interface Named {
  readonly name: string;
  readonly created: boolean;
}

interface StalenessBody {
  readonly model: Readonly<Record<string, unknown>>;
  readonly choices: readonly {
    readonly n: number;
    readonly r: number;
    readonly w: number;
    readonly predicted: readonly { readonly t: number; readonly p: number }[];
    readonly measured: readonly object[];
    readonly latency: object;
  }[];
}

async function namespacesNow(): Promise<readonly Named[]> {
  const body = (await (await call("/v1/namespaces")).json()) as { namespaces: Named[] };
  return body.namespaces;
}

export function listings(): void {
  it("lists keys in the order of their bytes, page by page", async () => {
    const namespace = freshNamespace();
    const names = ["a", "b/1", "b/2", "b/\u{ff5e}", "b/\u{1f600}", "c", "ä"];
    for (const name of names) await put(`/v1/kv/${namespace}/${encodeURIComponent(name)}`, "v");
    await put(`/v1/kv/${namespace}/gone`, "v");
    await call(`/v1/kv/${namespace}/gone`, { method: "DELETE" });
    await put(`/v1/kv/${namespace}/m?ttl=1000`, "v", { "Starling-Metadata": '{"x":1}' });
    const found: string[] = [];
    let cursor = "";
    for (let page = 0; page < 30; page++) {
      const answer = await call(`/v1/kv/${namespace}?limit=2${cursor && `&cursor=${cursor}`}`);
      expect(answer.status).toBe(200);
      const body = (await answer.json()) as ListBody;
      found.push(...body.keys.map(({ name }) => name));
      if (body.list_complete) break;
      cursor = encodeURIComponent(body.cursor ?? "");
    }
    const bytes = (text: string): Buffer => Buffer.from(text);
    expect(found).toEqual([...names, "m"].sort((x, y) => Buffer.compare(bytes(x), bytes(y))));
    const prefixed = (await (await call(`/v1/kv/${namespace}?prefix=b/`)).json()) as ListBody;
    expect(prefixed.keys).toHaveLength(4);
    expect(prefixed.list_complete).toBe(true);
    const m = (await (await call(`/v1/kv/${namespace}?prefix=m`)).json()) as ListBody;
    expect(m.keys[0]?.metadata).toEqual({ x: 1 });
    expect(m.keys[0]?.expiration).toBeGreaterThan(Date.now() / 1000);
  });

  it("tells what each namespace takes up, all copies of its values together", async () => {
    const [full, empty] = [freshNamespace(), freshNamespace()];
    const stored = async (): Promise<Readonly<Record<string, number>>> =>
      ((await (await call("/v1/namespaces")).json()) as { bytes: Record<string, number> }).bytes;
    await put(`/v1/namespaces/${empty}`, "{}");
    await put(`/v1/kv/${full}/k?w=all`, "v".repeat(10_000));
    await expect.poll(async () => (await stored())[full]).toBeGreaterThan(30_000);
    const now = await stored();
    expect([Number(now[full]) < 33_000, now[empty]]).toEqual([true, 0]);
    await call(`/v1/kv/${full}/k?w=all`, { method: "DELETE" });
    await expect.poll(async () => (await stored())[full] ?? 0).toBe(0);
  });

  it("refuses cursors of other lists and bad limits", async () => {
    const namespace = freshNamespace();
    for (const key of ["a", "b", "c"]) await put(`/v1/kv/${namespace}/${key}`, "v");
    const { cursor } = (await (await call(`/v1/kv/${namespace}?limit=1`)).json()) as ListBody;
    expect(cursor).toBeTruthy();
    for (const path of [
      `/v1/kv/${namespace}?prefix=a&cursor=${cursor}`,
      `/v1/kv/${freshNamespace()}?cursor=${cursor}`,
      `/v1/kv/${namespace}?cursor=forged`,
    ]) {
      await expectProblem(await call(path), 400, "invalid-cursor");
    }
    for (const limit of ["0", "1001", "x"]) {
      const answer = await call(`/v1/kv/${namespace}?limit=${limit}`);
      await expectProblem(answer, 400, "invalid-option");
    }
  });

  it("runs a batch, each op with its own status", async () => {
    const namespace = freshNamespace();
    const ops = [
      { op: "put", key: "a", value: btoa("one"), metadata: { m: 1 } },
      { op: "get", key: "none" },
      { op: "put", key: "", value: "" },
      { op: "fly", key: "a" },
    ];
    const body = JSON.stringify({ ops });
    const answer = await call(`/v1/kv/${namespace}:batch`, { method: "POST", body });
    expect(answer.status).toBe(207);
    const { results } = (await answer.json()) as { results: { status: number }[] };
    expect(results.map(({ status }) => status)).toEqual([201, 404, 400, 400]);
    const again = JSON.stringify({
      ops: [
        { op: "get", key: "a" },
        { op: "delete", key: "a" },
      ],
    });
    const second = await call(`/v1/kv/${namespace}:batch`, { method: "POST", body: again });
    const { results: more } = (await second.json()) as { results: Record<string, unknown>[] };
    expect(more[0]).toMatchObject({ status: 200, value: btoa("one"), metadata: { m: 1 } });
    expect(more[1]).toMatchObject({ status: 204 });
    const tooMany = JSON.stringify({ ops: Array.from({ length: 1001 }, () => ops[1]) });
    const refused = await call(`/v1/kv/${namespace}:batch`, { method: "POST", body: tooMany });
    expect(refused.status).toBe(400);
  });

  it("refuses a batch with a member that it does not know, and does none of its ops", async () => {
    const namespace = freshNamespace();
    const ops = [{ op: "put", key: "a", value: btoa("one") }];
    const binary = { "Content-Type": "application/msgpack" };
    for (const [body, headers] of [
      [JSON.stringify({ ops, atomic: true }), {}],
      [encode({ ops, atomic: true }), binary],
    ] as const) {
      const answer = await call(`/v1/kv/${namespace}:batch`, { method: "POST", body, headers });
      expect((await expectProblem(answer, 400, "invalid-request")).option).toBe("atomic");
    }
    expect((await call(`/v1/kv/${namespace}/a`)).status).toBe(404);
  });
}

interface ListBody {
  readonly keys: readonly { name: string; expiration?: number; metadata?: unknown }[];
  readonly list_complete: boolean;
  readonly cursor?: string;
}

export function clusterPlane(): void {
  it("calls a malformed namespace what it is in a purge too", async () => {
    for (const namespace of ["-x", "", "a b", "x".repeat(65)]) {
      const body = JSON.stringify({ namespace, everything: true });
      await expectProblem(await call("/v1/purge", { method: "POST", body }), 400, "invalid-key");
    }
  });

  it("creates and changes a namespace, and every frontend follows it", async () => {
    const namespace = freshNamespace();
    const settings = (body: unknown): Promise<Response> =>
      call(`/v1/namespaces/${namespace}`, { method: "PUT", body: JSON.stringify(body) });
    const defaults = await (await call(`/v1/namespaces/${namespace}`)).json();
    expect(defaults).toMatchObject({ n: 3, r: "quorum", ttl: null, maxValueBytes: 1_048_576 });
    expect((await settings({ maxValueBytes: 10, trustedContent: true })).status).toBe(201);
    for (let i = 0; i < urls.length; i++) {
      const path = `/v1/kv/${namespace}/k${i}`;
      await expectProblem(await put(path, "12345678901"), 413, "value-too-large");
      const written = await put(path, "1234567890");
      expect(written.status).toBe(201);
      expect(written.headers.get("content-security-policy")).toBeNull();
    }
    expect((await settings({ n: 2, ttl: 1000 })).status).toBe(200);
    const got = await call(`/v1/kv/${namespace}/k0`);
    expect(got.headers.get("starling-quorum")).toMatch(/^n=2, r=2,/);
    await expectProblem(await call(`/v1/kv/${namespace}/k0?n=3`), 400, "invalid-option");
    for (const bad of [{ n: 0 }, { n: 99 }, { r: 4 }, { colour: 1 }, [], { ttl: -1 }]) {
      expect((await settings(bad)).status).toBe(400);
    }
    const named = (await namespacesNow()).find(({ name }) => name === namespace);
    expect(named).toMatchObject({ n: 2, created: true });
  });

  it("lists namespaces that nobody created while they hold a key", async () => {
    const namespace = freshNamespace();
    const isListed = async () =>
      (await namespacesNow()).find(({ name }) => name === namespace) !== undefined;
    expect(await isListed()).toBe(false);
    await put(`/v1/kv/${namespace}/k?w=all`, "v");
    const listed = (await namespacesNow()).find(({ name }) => name === namespace);
    expect(listed).toMatchObject({ n: 3, r: "quorum", created: false });
    await call(`/v1/kv/${namespace}/k?w=all`, { method: "DELETE" });
    expect(await isListed()).toBe(false);
  });

  it("explains what each replica holds, and describes cluster and ring", async () => {
    const namespace = freshNamespace();
    await put(`/v1/kv/${namespace}/k?w=all`, "v");
    const explained = (await (await call(`/v1/cluster/explain/${namespace}/k`)).json()) as {
      preferenceList: string[];
      n: number;
      replicas: { id: string; role: string; reachable: boolean; entry: { etag: string } | null }[];
    };
    const primaries = explained.replicas.filter(({ role }) => role === "primary");
    expect(primaries.map(({ id }) => id)).toEqual(explained.preferenceList.slice(0, 3));
    expect(new Set(primaries.map(({ entry }) => entry?.etag)).size).toBe(1);
    const cluster = (await (await call("/v1/cluster")).json()) as {
      members: { id: string; reachable: boolean; partitionsOwned: number }[];
    };
    expect(cluster.members.every(({ reachable }) => reachable)).toBe(true);
    const numbers = Object.fromEntries(
      ["keys", "bytes", "deadKeys", "deadBytes"].map((name) => [name, expect.any(Number)]),
    );
    for (const member of cluster.members) expect(member).toMatchObject(numbers);
    const ring = (await (await call("/v1/cluster/ring")).json()) as {
      partitions: number;
      assignment: string[][];
    };
    expect(ring.assignment).toHaveLength(ring.partitions);
    expect(new Set(ring.assignment.map((list) => list.length))).toEqual(new Set([3]));
  });

  it("says what a change of members would move, and changes nothing", async () => {
    const before = await (await call("/v1/cluster/ring")).text();
    const plan = (change: unknown): Promise<Response> =>
      call("/v1/cluster/plan", { method: "POST", body: JSON.stringify(change) });
    const url = "http://127.0.0.1:1";
    const planned = await plan({ add: [{ id: "r9", zone: "a", url, weight: 1 }] });
    expect(planned.status).toBe(200);
    const body = (await planned.json()) as Record<string, unknown>;
    expect(body).toMatchObject({ from: 1, to: 2 });
    expect(body["movedPartitions"]).toBe(body["minimumPossible"]);
    expect(body["movedPartitions"]).toBeGreaterThan(0);
    for (const bad of [{ remove: ["r99"] }, { add: [{ id: "r1" }] }, { grow: 1 }]) {
      expect((await plan(bad)).status).toBe(400);
    }
    const missed = { reweight: { r1: 2 }, from: 7 };
    for (const route of ["plan", "commit"]) {
      const init = { method: "POST", body: JSON.stringify(missed) };
      const answer = await call(`/v1/cluster/${route}`, init);
      expect([answer.status, await answer.json()]).toMatchObject([409, { code: "ring-conflict" }]);
    }
    expect(await (await call("/v1/cluster/ring")).text()).toBe(before);
    const transfers = await (await call("/v1/cluster/transfers")).json();
    expect(transfers).toMatchObject({ ringVersion: 1, phase: null, pending: 0, transfers: [] });
  });

  it("compares replicas and delivers hints when told to", async () => {
    const body = JSON.stringify({});
    const compared = await call("/v1/cluster/anti-entropy", { method: "POST", body });
    expect(compared.status).toBe(200);
    expect(Object.keys((await compared.json()) as object).sort()).toEqual(
      [
        "bytes",
        "exchanges",
        "keysReceived",
        "keysSent",
        "ms",
        "partitionsCompared",
        "partitionsDiffering",
      ].sort(),
    );
    // A busy machine may take a member for dead for a while, and keep a hint for it.
    const pending = async (): Promise<number> => {
      const delivered = await call("/v1/cluster/handoff", { method: "POST", body });
      return ((await delivered.json()) as { pending: number }).pending;
    };
    await expect.poll(pending, { timeout: 20_000 }).toBe(0);
  });

  it.each(["anti-entropy", "handoff", "scrub"])(
    "does not guess what %s was meant for",
    async (job) => {
      for (const body of ['{"replcia":"r1"}', "[]", "null", '"r1"', '{"replica":"r99"}']) {
        const answer = await call(`/v1/cluster/${job}`, { method: "POST", body });
        await expectProblem(answer, 400, "invalid-request");
      }
    },
  );

  it("predicts for every choice how likely a read sees a write, soon after a start too", async () => {
    const namespace = freshNamespace();
    await put(`/v1/kv/${namespace}/k?w=all`, "v");
    const report = async (): Promise<StalenessBody> => {
      await call(`/v1/kv/${namespace}/k?r=all`);
      return (await (await call(`/v1/cluster/staleness?namespace=${namespace}`)).json()) as never;
    };
    await expect.poll(async () => (await report()).model["W"], { timeout: 10_000 }).not.toBeNull();
    const { choices, model } = await report();
    for (const name of ["W", "A", "R", "S"]) {
      expect(Object.keys(model[name] as object)).toEqual(["p50", "p99", "p999"]);
    }
    expect(choices).toHaveLength(9);
    for (const { r, w, n, predicted, measured, latency } of choices) {
      expect(predicted.map(({ t }) => t)).toEqual([0, 1, 5, 10, 50, 100]);
      if (r + w > n) expect(predicted.every(({ p }) => p === 1)).toBe(true);
      expect(Array.isArray(measured)).toBe(true);
      expect(Object.keys(latency)).toEqual(["read", "write"]);
    }
  });

  it("is alive, ready and measured", async () => {
    expect((await call("/healthz")).status).toBe(200);
    expect((await call("/readyz")).status).toBe(200);
    const metrics = await (await call("/metrics")).text();
    expect(metrics).toContain("http_server_request_duration_seconds_bucket");
    expect(metrics).toContain("starling_requests_total");
    expect(metrics).toContain("starling_ring_version");
  });
}
