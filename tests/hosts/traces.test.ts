import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;

describe("a trace on real processes", () => {
  let cluster: ProcessCluster;
  beforeAll(async () => {
    cluster = await startProcesses(3);
  });
  afterAll(() => cluster.close());

  const traced = (): { id: string; event: unknown; kind?: unknown }[] =>
    cluster.ids.flatMap((id) =>
      cluster
        .linesOf(id)
        .filter((line) => line["trace_id"] === TRACE)
        .map((line) => ({ id, event: line["event"], kind: line["kind"] })),
    );

  it("is in the lines of the frontend and of every replica that took part", async () => {
    const url = `${cluster.urlOf("r1")}/v1/kv/traces/k`;
    await fetch(url, { method: "PUT", body: "quiet" });
    const answer = await fetch(url, { method: "PUT", body: "v", headers: { traceparent } });
    expect(answer.status).toBe(204);
    await expect
      .poll(() => new Set(traced().map(({ id }) => id)).size, { timeout: 10_000 })
      .toBe(3);
    const lines = traced();
    expect(lines.filter(({ event }) => event === "request")).toEqual([
      { id: "r1", event: "request", kind: undefined },
    ]);
    const served = lines.filter(({ event }) => event === "served");
    expect(new Set(served.map(({ id }) => id)).size).toBeGreaterThanOrEqual(2);
    expect(served.every(({ kind }) => kind === "store" || kind === "coordinate")).toBe(true);
  });
});
