import { SELF } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";

const trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
const traceparent = `00-${trace_id}-00f067aa0ba902b7-01`;

describe("a trace in a Worker", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("is in a line of the frontend and of each replica that was asked, and nothing else is", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {});
    const url = "http://localhost/v1/kv/traces/k";
    await SELF.fetch(url, { method: "PUT", body: "v" });
    expect(log).not.toHaveBeenCalled();
    const got = await SELF.fetch(url, { headers: { traceparent } });
    expect(await got.text()).toBe("v");
    const lines = log.mock.calls.map(([line]) => JSON.parse(String(line)) as { event: string });
    expect(lines.every((line) => "trace_id" in line && line.trace_id === trace_id)).toBe(true);
    const events = lines.map(({ event }) => event).sort();
    expect(events.filter((event) => event === "request").length).toBe(1);
    expect(events.filter((event) => event === "served").length).toBeGreaterThanOrEqual(2);
  });
});
