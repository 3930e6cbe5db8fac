import { encode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import type { Operation } from "../../core/operations.ts";
import { decodeWithTexts } from "../../src/frontend/http/msgpack-texts.ts";
import { makeApp, type TestApp } from "./support.ts";

interface OpResult {
  readonly key: string;
  readonly status: number;
  readonly code?: string;
  readonly option?: string;
}

async function run(app: TestApp, ops: readonly unknown[]): Promise<readonly OpResult[]> {
  const answer = await app.call("POST", "/v1/kv/ns:batch", { body: JSON.stringify({ ops }) });
  expect(answer.status).toBe(207);
  return ((await answer.json()) as { results: readonly OpResult[] }).results;
}

const put = (more: object): unknown => ({ op: "put", key: "k", value: "dg==", ...more });

describe("an op of a batch", () => {
  it("is refused for a member that there is not, and the others are carried out", async () => {
    const app = await makeApp();
    const results = await run(app, [
      put({ tll: 5 }),
      put({ key: "other" }),
      { op: "get", key: "k" },
    ]);
    expect(results[0]).toMatchObject({ status: 400, code: "invalid-request", option: "tll" });
    expect(results.slice(1).map(({ status }) => status)).toEqual([201, 404]);
    for (const op of ["get", "delete"]) {
      const [result] = await run(app, [{ op, key: "k", contxt: "x" }]);
      expect(result).toMatchObject({ status: 400, option: "contxt" });
    }
  });

  it("stores tags with a value", async () => {
    const app = await makeApp();
    expect((await run(app, [put({ tags: ["a", "b", "a"] })]))[0]?.status).toBe(201);
    expect(app.backend.last).toMatchObject({ content: { tags: ["a", "b"] } });
    for (const tags of [
      "a",
      [1],
      [""],
      ["a b"],
      ["x".repeat(129)],
      Array.from({ length: 33 }, (_, i) => `${i}`),
    ]) {
      expect((await run(app, [put({ tags })]))[0]).toMatchObject({
        status: 400,
        code: "invalid-tag",
      });
    }
    expect((await run(app, [put({ tags: null })]))[0]?.status).toBe(204);
  });

  it("comes after those before it that have its key, and waits for no others", async () => {
    const app = await makeApp();
    const { backend } = app;
    const execute = backend.execute.bind(backend);
    const begun: string[] = [];
    // A write is on its way for longer than a read.
    backend.execute = (async (operation: Operation, trace: string) => {
      if ("key" in operation) begun.push(`${operation.kind} ${operation.key.split("\0")[1]}`);
      if (operation.kind === "write") await new Promise((resolve) => setImmediate(resolve));
      return execute(operation as never, trace);
    }) as typeof backend.execute;
    const results = await run(app, [
      put({}),
      { op: "get", key: "k" },
      put({ key: "other" }),
      { op: "delete", key: "k" },
      { op: "get", key: "k" },
      put({}),
    ]);
    expect(results.map(({ status }) => status)).toEqual([201, 200, 201, 204, 404, 201]);
    expect(results.map(({ key }) => key)).toEqual(["k", "k", "other", "k", "k", "k"]);
    expect(begun.slice(0, 2)).toEqual(["write k", "write other"]);
  });
});

describe("a batch of MessagePack", () => {
  const HEADERS = { "Content-Type": "application/msgpack" };
  const send = async (app: TestApp, body: Uint8Array<ArrayBuffer>): Promise<Response> =>
    app.call("POST", "/v1/kv/ns:batch", { body, headers: HEADERS });

  /** The package's own decoder would show long keys without the U+FEFF that they begin with. */
  const resultsOf = async (answer: Response): Promise<readonly OpResult[]> => {
    const body = decodeWithTexts(new Uint8Array(await answer.arrayBuffer()));
    return (body as { results: readonly OpResult[] }).results;
  };

  /** A batch of one put with an ASCII letter in the place of which other bytes then stand. */
  function withBytes(
    op: object,
    letter: string,
    bytes: readonly number[],
  ): Uint8Array<ArrayBuffer> {
    const plain = encode({ ops: [op] });
    const at = plain.indexOf(letter.charCodeAt(0));
    const result = plain.slice();
    result.set(bytes, at);
    return result;
  }

  it.each([
    ["a byte of Latin-1", [0xff, 0x41]],
    ["an overlong slash", [0xc0, 0xaf]],
    ["a surrogate", [0xed, 0xa0, 0x80]],
    ["a character beyond the last", [0xf4, 0x90, 0x80, 0x80]],
    ["a character that is cut off", [0x41, 0x41, 0x41, 0xc3]],
  ])("is refused where a text is no UTF-8, which would be another key: %s", async (_, bytes) => {
    const app = await makeApp();
    for (const op of [
      { op: "put", key: "ZZZZ", value: "dg==" },
      { op: "put", key: "k", value: "ZZZZ" },
      { op: "put", key: "k", value: "dg==", metadata: { m: "ZZZZ" } },
    ]) {
      const answer = await send(app, withBytes(op, "Z", bytes));
      expect(answer.status).toBe(400);
      const { code, detail } = (await answer.json()) as { code: string; detail: string };
      expect(code).toBe("invalid-request");
      expect(detail).toContain("UTF-8");
    }
    expect(app.backend.operations).toEqual([]);
  });

  it("takes any characters in texts, and any bytes in bytes", async () => {
    const app = await makeApp();
    for (const key of ["\0", "ÿ", "\u2028", "\ufeff", "\u{10ffff}", "ä".repeat(256)]) {
      const value = Uint8Array.of(0xff, 0xc0, 0xaf);
      const answer = await send(app, encode({ ops: [{ op: "put", key, value }] }));
      expect(answer.status).toBe(207);
      expect(app.backend.last).toMatchObject({ key: `ns\0${key}`, content: { value } });
    }
  });

  /** Longer than the package's decoder looks at by itself, and shorter. */
  const LONG = `\ufeff${"x".repeat(300)}`;
  const TEXTS = ["\ufeff", "\ufeffx", "\ufeff\ufeff", LONG, `${LONG}ä\ufeff`, "ä".repeat(120)];

  it("keeps values and keys that begin with U+FEFF, however long they are", async () => {
    const app = await makeApp();
    for (const text of ["x", ...TEXTS]) {
      const answer = await send(app, encode({ ops: [{ op: "put", key: text, value: text }] }));
      expect(answer.status).toBe(207);
      const results = await resultsOf(answer);
      expect(results).toMatchObject([{ key: text, status: 201 }]);
      const value = new TextEncoder().encode(text);
      expect(app.backend.last).toMatchObject({ key: `ns\0${text}`, content: { value } });
    }
  });

  it("keeps such texts in metadata, wherever they stand", async () => {
    const app = await makeApp();
    for (const text of TEXTS) {
      for (const metadata of [text, [text], { value: text }, { [text]: 1 }, [[{ m: [text] }]]]) {
        await send(app, encode({ ops: [{ op: "put", key: text, value: "v", metadata }] }));
        const stored = app.backend.last as { content?: { metadata?: string } } | undefined;
        expect(JSON.parse(stored?.content?.metadata ?? "null")).toEqual(metadata);
        expect(app.backend.last).toMatchObject({ key: `ns\0${text}` });
      }
    }
  });

  it("takes bytes for no text, and refuses metadata that JSON has no words for", async () => {
    const app = await makeApp();
    const bytes = new TextEncoder().encode("k");
    const answer = await send(
      app,
      encode({
        ops: [
          { op: "get", key: bytes },
          put({ tags: [bytes] }),
          put({ context: bytes }),
          ...[bytes, [bytes], { m: bytes }, [{ m: [bytes] }], [Number.NaN], { m: -Infinity }].map(
            (metadata) => put({ metadata }),
          ),
        ],
      }),
    );
    const results = await resultsOf(answer);
    expect(results.map(({ code }) => code)).toEqual([
      ...["invalid-key", "invalid-tag", "invalid-context"],
      ...Array.from({ length: 6 }, () => "invalid-metadata"),
    ]);
    expect(app.backend.operations).toEqual([]);
  });
});
