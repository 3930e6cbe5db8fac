import { describe, expect, it } from "vitest";
import type { Version } from "../../src/client/index.ts";
import { CONTEXT, FakeServer, found, nothing, problem, stored } from "./fake-server.ts";

const several = (...values: string[]): Response => {
  const siblings = values.map((value) => ({
    etag: `"${value}"`,
    lastModified: "Thu, 01 Jan 2026 00:00:00 GMT",
    contentType: "text/plain",
    metadata: null,
    value: btoa(value),
  }));
  const headers = { [CONTEXT]: "all", ETag: '"set"' };
  return Response.json({ siblings }, { status: 300, headers });
};
const join = (versions: readonly Version[]): string =>
  versions.map((version) => version.text()).join("+");
const refused = (): Response => problem(412, "precondition-failed");

describe("an update", () => {
  it("gives all siblings to its decision and replaces exactly these", async () => {
    const server = new FakeServer(several("a", "b"), stored(204, "c3"));
    const written = await server.client().update("k", join, { w: "all" });
    expect(written?.context).toBe("c3");
    const [read, write] = server.asked;
    expect(read?.url).toContain("?w=all&siblings=all");
    expect(write).toMatchObject({ method: "PUT", body: "a+b" });
    expect(write?.headers.get(CONTEXT)).toBe("all");
    expect(write?.headers.get("if-match")).toBe('"set"');
  });

  it("creates, deletes and leaves alone", async () => {
    const server = new FakeServer(nothing("c0"), stored(201), found("v"), stored(), found("v"));
    const cache = server.client();
    await cache.update("k", ([first]) => ({ value: first?.text() ?? "new", ttl: 5, metadata: 1 }));
    await cache.update("k", () => null);
    expect(await cache.update("k", () => undefined)).toBeNull();
    const [, created, , deleted, ...rest] = server.asked;
    expect(created).toMatchObject({ method: "PUT", body: "new" });
    expect(created?.url).toContain("ttl=5");
    expect(created?.headers.get("starling-metadata")).toBe("1");
    expect(created?.headers.get("if-none-match")).toBe("*");
    expect(created?.headers.get(CONTEXT)).toBe("c0");
    expect(deleted).toMatchObject({ method: "DELETE" });
    expect(rest.map(({ method }) => method)).toEqual(["GET"]);
  });

  it("begins anew with what is there now when somebody was faster, so many times", async () => {
    const server = new FakeServer(found("1"), refused(), found("2"), stored());
    await server.client().update("k", ([only]) => String(Number(only?.text()) + 1));
    expect(server.asked.at(-1)?.body).toBe("3");
    expect(server.waits.length).toBe(1);
    const losing = new FakeServer(found("1"), refused(), found("1"), refused());
    const updating = losing.client().update("k", join, { roundsMax: 2 });
    await expect(updating).rejects.toMatchObject({ code: "precondition-failed", outcome: "no" });
  });

  it("in doubt is told, and begins anew only where twice is as good as once", async () => {
    const doubt = (): Response => problem(504, "quorum-timeout");
    const server = new FakeServer(found("1"), doubt());
    await expect(server.client().update("k", join)).rejects.toMatchObject({ outcome: "unknown" });
    const repeating = new FakeServer(found("1"), doubt(), found("1+"), stored());
    await repeating.client().update("k", join, { repeatable: true });
    expect(repeating.asked.at(-1)?.body).toBe("1+");
  });

  it("passes on what its decision throws", async () => {
    const bad = new Error("not mine");
    const updating = new FakeServer(found("1")).client().update("k", () => Promise.reject(bad));
    await expect(updating).rejects.toBe(bad);
  });
});
