import { afterEach, describe, expect, it, vi } from "vitest";
import {
  checkMetadata,
  readBody,
  readContentHeaders,
  readTags,
} from "../../src/frontend/http/body.ts";
import { plainRequestOf } from "../../src/frontend/http/exchange.ts";
import { Problem } from "../../src/frontend/http/problems.ts";

interface Source {
  readonly stream: ReadableStream<Uint8Array>;
  pulledBytes(): number;
  isCancelled(): boolean;
}

/** Chunks until the count is reached, then an end or a break. */
function source(of: { chunk: number; total: number; breaks?: boolean }): Source {
  let pulled = 0;
  let cancelled = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (pulled >= of.total) {
          if (of.breaks === true) controller.error(new Error("connection reset"));
          else controller.close();
          return;
        }
        pulled += of.chunk;
        controller.enqueue(new Uint8Array(of.chunk));
      },
      cancel() {
        cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, pulledBytes: () => pulled, isCancelled: () => cancelled };
}

function request(stream: ReadableStream<Uint8Array>, length?: string): Request {
  const headers: Record<string, string> = length === undefined ? {} : { "Content-Length": length };
  const init = { method: "PUT", body: stream, duplex: "half", headers };
  return new Request("http://localhost/", init as RequestInit);
}

const codeOf = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => "none",
    (error) => (error instanceof Problem ? error.code : String(error)),
  );

describe("bodies", () => {
  afterEach(() => void vi.useRealTimers());

  it("are read whole, up to the limit and empty ones included", async () => {
    for (const total of [0, 1, 99, 100]) {
      const body = source({ chunk: 1, total });
      expect(await readBody(request(body.stream), 100)).toHaveLength(total);
    }
    expect(await readBody(new Request("http://localhost/", { method: "PUT" }), 0)).toHaveLength(0);
  });

  it("are left as soon as they pass the limit", async () => {
    const body = source({ chunk: 60, total: 1e9 });
    expect(await codeOf(readBody(request(body.stream), 100))).toBe("value-too-large");
    expect(body.pulledBytes()).toBe(120);
    expect(body.isCancelled()).toBe(true);
  });

  it("are refused by what they announce, and then only passed over", async () => {
    const body = source({ chunk: 60, total: 120 });
    expect(await codeOf(readBody(request(body.stream, "101"), 100))).toBe("value-too-large");
  });

  it("must be as long as announced", async () => {
    for (const length of ["99", "3", "1e1", "-1"]) {
      const body = source({ chunk: 4, total: 4 });
      expect(await codeOf(readBody(request(body.stream, length), 100))).toBe("incomplete-body");
    }
    const exact = source({ chunk: 4, total: 8 });
    expect(await readBody(request(exact.stream, "8"), 100)).toHaveLength(8);
  });

  it("that do not come to an end are given up, whole ones and streams", async () => {
    vi.useFakeTimers();
    let isCancelled = false;
    const endless = (): ReadableStream<Uint8Array> =>
      new ReadableStream({
        start: (controller) => controller.enqueue(new Uint8Array(4)),
        cancel: () => {
          isCancelled = true;
        },
      });
    const small = plainRequestOf(request(endless(), "9"));
    const codes = [readBody(request(endless()), 100), readBody(small, 100)].map(codeOf);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await Promise.race([...codes, "still read"])).toBe("still read");
    await vi.advanceTimersByTimeAsync(2000);
    expect(await Promise.all(codes)).toEqual(["request-timeout", "request-timeout"]);
    expect(isCancelled).toBe(true);
  });

  it("that break off are incomplete", async () => {
    const body = source({ chunk: 4, total: 8, breaks: true });
    expect(await codeOf(readBody(request(body.stream), 100))).toBe("incomplete-body");
  });
});

describe("what is stored with a value", () => {
  it("keeps metadata as it was sent, in ASCII", () => {
    for (const text of ['{"a": 1}', "12345678901234567890", "1e400", " [1 ,2]", '"\\u00fc"']) {
      expect(checkMetadata(text)).toBe(text);
    }
    const escaped = checkMetadata('{"ü":"😀"}');
    expect(escaped).toMatch(/^[ -~]+$/);
    expect(JSON.parse(escaped)).toEqual({ ü: "😀" });
  });

  it("takes metadata of 1024 bytes and of JSON alone", () => {
    expect(checkMetadata(`"${"x".repeat(1022)}"`)).toHaveLength(1024);
    for (const text of [`"${"x".repeat(1023)}"`, `"${"ü".repeat(512)}"`, "", "{", "NaN", "'a'"]) {
      expect(() => checkMetadata(text)).toThrow(Problem);
    }
  });

  it("takes header values that a client wrote in UTF-8", () => {
    const bytes = String.fromCharCode(...new TextEncoder().encode('{"city":"Zürich"}'));
    const { metadata } = readContentHeaders(new Headers({ "Starling-Metadata": bytes }));
    expect(JSON.parse(metadata ?? "")).toEqual({ city: "Zürich" });
  });

  it("stores four headers and no others", () => {
    const headers = new Headers({
      "Content-Encoding": "br",
      "Content-Language": "de",
      "Content-Disposition": "inline",
      "Set-Cookie": "a=b",
      Location: "/x",
    });
    expect(readContentHeaders(headers)).toEqual({
      contentType: "application/octet-stream",
      contentEncoding: "br",
      contentLanguage: "de",
      contentDisposition: "inline",
      metadata: null,
      tags: [],
    });
    const long = new Headers({ "Content-Type": "x".repeat(1025) });
    expect(() => readContentHeaders(long)).toThrow(Problem);
  });

  it("reads tags from both headers, once each and within their limits", () => {
    const tags = (commas: string, spaces: string): readonly string[] =>
      readTags(new Headers({ "Cache-Tag": commas, "Surrogate-Key": spaces }));
    expect(tags("a, b,,a", "c  b")).toEqual(["a", "b", "c"]);
    const many = Array.from({ length: 33 }, (_, i) => `t${i}`);
    expect(tags(many.slice(0, 32).join(","), "")).toHaveLength(32);
    expect(() => tags(many.join(","), "")).toThrow(Problem);
    expect(tags("x".repeat(128), "")).toHaveLength(1);
    for (const bad of ["x".repeat(129), "a b", "ü"]) expect(() => tags(bad, "")).toThrow(Problem);
  });
});
