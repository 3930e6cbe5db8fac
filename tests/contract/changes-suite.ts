/** The change feed from outside: polls, streams, tokens and tickets. */
import { decode } from "@msgpack/msgpack";
import { expect, it } from "vitest";
import { call, expectProblem, freshNamespace, nextUrl, put } from "./frontends.ts";

interface Change {
  readonly key?: string;
  readonly type: string;
  readonly etag?: string;
  readonly context?: string;
  readonly value?: string;
  readonly token?: string;
  readonly [member: string]: unknown;
}

interface Polled {
  readonly changes: readonly Change[];
  readonly next: string;
  readonly caught_up: boolean;
}

async function poll(namespace: string, query = ""): Promise<Polled> {
  const answer = await call(`/v1/changes/${namespace}${query}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("cache-control")).toBe("no-store");
  return (await answer.json()) as Polled;
}

/** Polls until it has caught up. */
async function pollAll(namespace: string, query: string): Promise<Polled> {
  const changes: Change[] = [];
  for (let since = query; ; ) {
    const page = await poll(namespace, since);
    changes.push(...page.changes);
    if (page.caught_up) return { ...page, changes };
    since = `?since=${page.next}`;
  }
}

const typesOf = ({ changes }: Polled): Record<string, string> =>
  Object.fromEntries(changes.map(({ key = "", type }) => [key, type]));

export function changeFeed(): void {
  it("tells what changed since a token, with what a client needs to go on", async () => {
    const namespace = freshNamespace();
    await put(`/v1/kv/${namespace}/before`, "v");
    const first = await poll(namespace);
    expect(first).toMatchObject({ changes: [], caught_up: true });
    await put(`/v1/kv/${namespace}/a?w=all`, "one");
    await put(`/v1/kv/${namespace}/gone?w=all`, "v");
    await call(`/v1/kv/${namespace}/gone?w=all`, { method: "DELETE" });
    await put(`/v1/kv/${namespace}/short?ttl=1000&w=all`, "v");
    const found = await pollAll(namespace, `?since=${first.next}&include=value`);
    expect(typesOf(found)).toEqual({ a: "put", gone: "delete", short: "put" });
    const a = found.changes.find(({ key }) => key === "a");
    const got = await call(`/v1/kv/${namespace}/a`, {
      headers: { "Starling-Context": a?.context ?? "" },
    });
    expect([got.status, got.headers.get("etag")]).toEqual([200, a?.etag]);
    expect(a).toMatchObject({ value: btoa("one"), siblings: 1, ttl: null });
    expect(a?.["lastModified"]).toBe(got.headers.get("last-modified"));
    expect(typeof a?.["run"]).toBe("string");
    expect(Number.isInteger(a?.["partition"])).toBe(true);
    const short = found.changes.find(({ key }) => key === "short");
    expect(short?.["ttl"]).toBeGreaterThan(900);
    expect((await poll(namespace, `?since=${found.next}`)).changes).toEqual([]);
  });

  it("begins with what lives, in as many answers as are asked for", async () => {
    const namespace = freshNamespace();
    const names = Array.from({ length: 9 }, (_, i) => `k${i}`);
    for (const name of names) await put(`/v1/kv/${namespace}/${name}?w=all`, "v");
    await call(`/v1/kv/${namespace}/k0?w=all`, { method: "DELETE" });
    const found: string[] = [];
    let since = "beginning";
    for (let i = 0; i < 40; i++) {
      const page = await poll(namespace, `?since=${since}&limit=2`);
      expect(page.changes.length).toBeLessThanOrEqual(2);
      found.push(...page.changes.map(({ key = "" }) => key));
      since = page.next;
      if (page.caught_up) break;
    }
    expect(found.sort()).toEqual(names.slice(1));
    const ones = await pollAll(namespace, "?since=beginning&prefix=k1");
    expect(typesOf(ones)).toEqual({ k1: "put" });
  });

  it("ends an answer at 4 MiB, as its reader counts them", async () => {
    const namespace = freshNamespace();
    const names = Array.from({ length: 5 }, (_, i) => `k${i}`);
    for (const name of names) await put(`/v1/kv/${namespace}/${name}?w=all`, "v".repeat(1_000_000));
    const found = new Set<string>();
    let since = "beginning";
    for (let i = 0; i < 20 && found.size < names.length; i++) {
      const target = `/v1/changes/${namespace}?since=${since}&include=value`;
      const text = await (await call(target)).text();
      expect(text.length).toBeLessThanOrEqual(4 * 1024 * 1024);
      const page = JSON.parse(text) as Polled;
      for (const { key = "" } of page.changes) found.add(key);
      since = page.next;
    }
    expect([...found].sort()).toEqual(names);
  });

  it("shows siblings as a conflict", async () => {
    const namespace = freshNamespace();
    const { next } = await poll(namespace);
    await put(`/v1/kv/${namespace}/k?w=all`, "v");
    const { headers } = await call(`/v1/kv/${namespace}/k?r=all`);
    const context = { "Starling-Context": headers.get("starling-context") ?? "" };
    await put(`/v1/kv/${namespace}/k?w=all`, "left", context);
    await put(`/v1/kv/${namespace}/k?w=all`, "right", context);
    const found = await pollAll(namespace, `?since=${next}`);
    expect(found.changes.at(-1)).toMatchObject({ key: "k", type: "conflict", siblings: 2 });
  });

  it("answers in MessagePack by each of its names, with values as bytes", async () => {
    const namespace = freshNamespace();
    const { next } = await poll(namespace);
    await put(`/v1/kv/${namespace}/k?w=all`, "v");
    for (const type of ["msgpack", "vnd.msgpack", "x-msgpack"]) {
      const headers = { Accept: `application/${type}` };
      const path = `/v1/changes/${namespace}?since=${next}&include=value&wait=5000`;
      const answer = await call(path, { headers });
      expect(answer.headers.get("content-type")).toBe("application/msgpack");
      const body = decode(new Uint8Array(await answer.arrayBuffer())) as Polled;
      expect(body.changes).toMatchObject([{ key: "k", value: new Uint8Array([0x76]) }]);
      expect(Object.keys(body).sort()).toEqual(["caught_up", "changes", "next"]);
    }
  });

  it("holds a poll until there is something", async () => {
    const namespace = freshNamespace();
    const { next } = await poll(namespace);
    const held = poll(namespace, `?since=${next}&wait=30000`);
    await put(`/v1/kv/${namespace}/k?w=all`, "v");
    expect(typesOf(await held)).toEqual({ k: "put" });
    const idle = await poll(namespace, `?since=${(await held).next}&wait=50`);
    expect(idle.changes).toEqual([]);
  });

  it("refuses tokens of another prefix or namespace, forged ones, and odd options", async () => {
    const namespace = freshNamespace();
    const { next } = await poll(namespace, "?prefix=a/");
    for (const query of [
      `?since=${next}`,
      `?since=${next}&prefix=b/`,
      `?prefix=a/&since=${next.slice(0, -1)}${next.endsWith("A") ? "B" : "A"}`,
      "?since=yesterday",
    ]) {
      await expectProblem(await call(`/v1/changes/${namespace}${query}`), 400, "invalid-token");
    }
    const elsewhere = await call(`/v1/changes/${freshNamespace()}?prefix=a/&since=${next}`);
    await expectProblem(elsewhere, 400, "invalid-token");
    for (const query of ["?limit=0", "?limit=10001", "?wait=60001", "?include=all", "?r=1"]) {
      const answer = await call(`/v1/changes/${namespace}${query}`);
      await expectProblem(answer, 400, "invalid-option");
    }
    const ticket = `/v1/changes/${namespace}:ticket?prefix=a/`;
    await expectProblem(await call(ticket, { method: "POST" }), 400, "invalid-option");
    await expectProblem(await call("/v1/changes/-bad"), 400, "invalid-key");
    const post = await call(`/v1/changes/${namespace}`, { method: "POST" });
    await expectProblem(post, 405, "method-not-allowed");
  });

  it("streams lines of JSON, with a token after each batch", async () => {
    const namespace = freshNamespace();
    const lines = linesOf(await open(namespace, "application/x-ndjson"));
    const first = await lines.next();
    expect(Object.keys(JSON.parse(first.value ?? ""))).toEqual(["token"]);
    await put(`/v1/kv/${namespace}/a?w=all`, "v");
    const change = JSON.parse((await lines.next()).value ?? "") as Change;
    expect(change).toMatchObject({ key: "a", type: "put" });
    const { token = "" } = JSON.parse((await lines.next()).value ?? "") as Change;
    await lines.return(undefined);
    await put(`/v1/kv/${namespace}/b?w=all`, "v");
    expect(typesOf(await pollAll(namespace, `?since=${token}`))).toEqual({ b: "put" });
  });

  it("streams Server-Sent Events, goes on at Last-Event-ID, and opens to a ticket", async () => {
    const namespace = freshNamespace();
    const made = await call(`/v1/changes/${namespace}:ticket`, { method: "POST" });
    const { ticket } = (await made.json()) as { ticket: string };
    const url = `${nextUrl()}/v1/changes/${namespace}?ticket=${encodeURIComponent(ticket)}`;
    const events = linesOf(await fetch(url, { headers: { Accept: "text/event-stream" } }));
    const first = await events.next();
    expect(first.value).toMatch(/^id: /);
    const id = first.value?.slice(4) ?? "";
    expect((await events.next()).value).toBe(`data: {"token":"${id}"}`);
    await events.return(undefined);
    await put(`/v1/kv/${namespace}/a?w=all`, "v");
    const again = linesOf(await open(namespace, "text/event-stream", { "Last-Event-ID": id }));
    expect((await again.next()).value).toMatch(/^id: /);
    expect((await again.next()).value).toMatch(/^data: \{"key":"a","type":"put"/);
    await again.return(undefined);
    const other = await call(`/v1/changes/${freshNamespace()}?ticket=${ticket}`);
    await expectProblem(other, 401, "unauthorized");
  });

  it("opens one stream to a ticket, wherever it is shown again", async () => {
    const namespace = freshNamespace();
    const made = await call(`/v1/changes/${namespace}:ticket`, { method: "POST" });
    const { ticket } = (await made.json()) as { ticket: string };
    const show = () => call(`/v1/changes/${namespace}?ticket=${ticket}`);
    expect((await show()).status).toBe(200);
    for (let i = 0; i < 5; i++) await expectProblem(await show(), 401, "unauthorized");
  });
}

async function open(
  namespace: string,
  accept: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const answer = await call(`/v1/changes/${namespace}`, {
    headers: { Accept: accept, ...headers },
  });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, accept]);
  return answer;
}

/** The lines of an answer that has no end, without the empty ones. */
async function* linesOf(answer: Response): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part !== "") yield part;
  }
  return undefined;
}
