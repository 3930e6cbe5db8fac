import { describe, expect, it } from "vitest";
import { CONTEXT, FakeServer, found, nothing, problem, stored } from "./fake-server.ts";

const contexts = (server: FakeServer): (string | null)[] =>
  server.asked.map(({ headers }) => headers.get(CONTEXT));

describe("a session", () => {
  it("sends the context of answer N with request N+1, for each key by itself", async () => {
    const gone = stored(204, "c4");
    const server = new FakeServer(nothing("c0"), stored(201, "c2"), found("v"), gone, nothing());
    const session = server.client().session();
    await session.get("k");
    await session.put("k", "v");
    await session.get("other");
    await session.delete("k");
    await session.get("k");
    expect(contexts(server)).toEqual([null, "c0", null, "c2", "c4"]);
  });

  it("leaves the client that it came from without memory", async () => {
    const server = new FakeServer(found("v"), found("v"));
    const cache = server.client();
    await cache.session().get("k");
    await cache.get("k");
    expect(contexts(server)).toEqual([null, null]);
  });

  it("takes a context of its caller's instead, or none", async () => {
    const server = new FakeServer(found("v"), stored(), stored());
    const session = server.client().session();
    await session.get("k");
    await session.put("k", "v", { context: null });
    await session.put("k", "v", { context: "mine" });
    expect(contexts(server)).toEqual([null, null, "mine"]);
  });

  it("keeps what a write told when an older read's answer comes after it", async () => {
    let release = (_: Response): void => {};
    const slow = new Promise<Response>((resolve) => {
      release = resolve;
    });
    const server = new FakeServer(() => slow, stored(204, "c2"), found("v"));
    const session = server.client().session();
    const reading = session.get("k");
    await session.put("k", "v");
    release(found("old"));
    await reading;
    await session.get("k");
    expect(contexts(server)).toEqual([null, null, "c2"]);
  });

  it("keeps a context when a request fails, unless that context is why", async () => {
    const server = new FakeServer(
      found("v"),
      problem(507, "insufficient-storage"),
      problem(400, "invalid-context"),
      found("v"),
    );
    const session = server.client().session();
    await session.get("k");
    await session.put("k", "v").catch(() => {});
    await session.get("k").catch(() => {});
    await session.get("k");
    expect(contexts(server)).toEqual([null, "c1", "c1", null]);
  });

  it("forgets the keys that were used least recently", async () => {
    const server = new FakeServer(...Array.from({ length: 5 }, () => found("v")));
    const session = server.client().session({ keysMax: 2 });
    for (const key of ["a", "b", "a", "c"]) await session.get(key);
    expect(Object.keys(session.contexts())).toEqual(["a", "c"]);
    expect(() => server.client().session({ keysMax: 0 })).toThrow(RangeError);
  });

  it("goes on where another one left off", async () => {
    const server = new FakeServer(found("v"), found("v"));
    const first = server.client().session();
    await first.get("__proto__");
    const carried = JSON.parse(JSON.stringify(first.contexts())) as Record<string, string>;
    await server.client().session({ contexts: carried }).get("__proto__");
    expect(contexts(server)).toEqual([null, "c1"]);
  });

  it("has its contexts in batches too, and learns from the results that were done", async () => {
    const results = [
      { key: "a", status: 204, context: "c5" },
      { key: "b", status: 409, code: "too-many-siblings", context: "all" },
    ];
    const server = new FakeServer(found("v"), Response.json({ results }, { status: 207 }));
    const session = server.client().session();
    await session.get("a");
    await session.batch([
      { op: "put", key: "a", value: "x" },
      { op: "put", key: "b", value: "x" },
    ]);
    const sent = JSON.parse(String(server.asked[1]?.body)) as { ops: { context?: string }[] };
    expect(sent.ops.map(({ context }) => context)).toEqual(["c1", undefined]);
    expect(session.contexts()).toEqual({ a: "c5" });
  });
});
