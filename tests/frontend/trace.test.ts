import { describe, expect, it } from "vitest";
import { readTraceparent, readTracestate } from "../../src/frontend/http/trace.ts";
import { makeApp, tokensOf } from "./support.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const PARENT = `00-${TRACE}-${SPAN}-01`;

describe("a traceparent", () => {
  it("is read as version 00, and of later versions what that one knows", () => {
    for (const text of [PARENT, `00-${TRACE}-${SPAN}-00`]) {
      expect(readTraceparent(text)).toBe(text);
    }
    expect(readTraceparent(`01-${TRACE}-${SPAN}-ff`)).toBe(PARENT);
    expect(readTraceparent(`cc-${TRACE}-${SPAN}-00-what-comes`)).toBe(`00-${TRACE}-${SPAN}-00`);
  });

  it("that is malformed, all zeros, or there twice is none", () => {
    const bad = [
      "",
      PARENT.toUpperCase(),
      `ff-${TRACE}-${SPAN}-01`,
      `${PARENT}-more`,
      `cc-${TRACE}-${SPAN}-01.more`,
      `00-${"0".repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      `${PARENT}, ${PARENT}`,
      `00-${TRACE}-${SPAN}`,
      `00-${TRACE}-${SPAN}-01\n`,
    ];
    for (const text of bad) expect([text, readTraceparent(text)]).toEqual([text, ""]);
  });
});

describe("a tracestate", () => {
  it("is a list of vendors' members, each once", () => {
    expect(readTracestate("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE,")).toBe(
      "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
    );
    expect(readTracestate("fw529a3039@dt=FfAgICDQ")).toBe("fw529a3039@dt=FfAgICDQ");
    const many = Array.from({ length: 33 }, (_, i) => `a${i}=b`).join(",");
    for (const text of ["a=1,a=2", "A=1", "a=ü", "a", "a=", many, `a=${"b".repeat(600)}`]) {
      expect([text, readTracestate(text)]).toEqual([text, ""]);
    }
  });
});

describe("the request log", () => {
  it("has a line for each request with a trace, and none for the others", async () => {
    const lines: unknown[] = [];
    const app = await makeApp({ log: (event, fields) => lines.push({ event, ...fields }) });
    const traced = { traceparent: PARENT, tracestate: "a=1" };
    await app.put("/v1/kv/private/name", "value", traced);
    await app.get("/v1/kv/private/none", traced);
    await app.get("/v1/kv/private?prefix=", { traceparent: PARENT, tracestate: "A" });
    await app.get("/v1/kv/private/name");
    await app.get("/v1/kv/private/name", { traceparent: "00-bad" });
    const ids = { event: "request", trace_id: TRACE, span_id: SPAN, trace_flags: "01" };
    const route = "/v1/kv/{namespace}/{key}";
    const ms = expect.any(Number);
    expect(lines).toEqual([
      { ...ids, tracestate: "a=1", method: "PUT", route, status: 201, ms },
      { ...ids, tracestate: "a=1", method: "GET", route, status: 404, ms },
      { ...ids, method: "GET", route: "/v1/kv/{namespace}", status: 200, ms },
    ]);
  });

  it("never has a key, a value or a token", async () => {
    const lines: string[] = [];
    const auth = tokensOf([{ token: "a-secret-token-of-16", role: "write" }]);
    const log = (event: string, fields: object): unknown =>
      lines.push(JSON.stringify({ event, ...fields }));
    const app = await makeApp({ auth, log });
    const headers = { traceparent: PARENT, Authorization: "Bearer a-secret-token-of-16" };
    await app.put("/v1/kv/hidden-space/hidden-key", "hidden-value", headers);
    await app.get("/v1/kv/hidden-space/%ff", headers);
    await app.get("/hidden-route", headers);
    expect(lines.length).toBe(3);
    for (const line of lines) expect(line).not.toMatch(/hidden|secret/);
  });
});
