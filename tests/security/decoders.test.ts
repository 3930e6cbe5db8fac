/**
 * Every reader of foreign bytes, given anything: what comes out is a value, or the refusal that its
 * callers expect. Any other exception would be taken for a bug of ours and end the process. A
 * reader whose time grows with the square of its input would end the service, and shows here by the
 * suite's limit.
 */

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/check.ts";
import { decode, encode } from "../../core/codec.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import type { Codec } from "../../core/message-fields.ts";
import * as messageValues from "../../core/message-values.ts";
import { decodeMessage, encodeMessage, type Message } from "../../core/messages.ts";
import type { NamespaceSettings } from "../../core/namespace-settings.ts";
import { parseClusterConfig } from "../../ring/cluster-config.ts";
import { decodeDocument, encodeDocument, stampOf } from "../../ring/cluster-document.ts";
import { agreedRing, bootstrapRing, parseRingDocument, RingError } from "../../ring/ring.ts";
import { beginChange } from "../../ring/ring-change.ts";
import { parseTokens } from "../../src/frontend/http/auth.ts";
import { contextToToken, tokenToSession } from "../../src/frontend/http/context-token.ts";
import { readOptions } from "../../src/frontend/http/options.ts";
import { Problem } from "../../src/frontend/http/problems.ts";
import { readTraceparent, readTracestate } from "../../src/frontend/http/trace.ts";
import { readParts } from "../../src/frontend/kv/multipart.ts";
import { FrameError, FrameReader } from "../../src/local/peers/frames.ts";
import { makeApp } from "../frontend/support.ts";
import { written } from "../replica/probe.ts";
import { twisted } from "./twisted.ts";

const hash = new KeyedHash(new Uint8Array(16).fill(7));
const runs = { numRuns: 3000, seed: 20_261_121 };
const ACTOR = "AAAAAAAA";

/** What it gives; null when it refuses as it should. Anything else it throws fails the test. */
function taken<T>(refusal: abstract new (...parts: never[]) => Error, read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof refusal)) throw error;
    return null;
  }
}

const members = ["r1", "r2", "r3"].map((id) => ({ id, zone: "a", url: "", weight: 1 }));
const ring = bootstrapRing({ name: "x", partitions: 8, n: 2, members }, "42");
const changing = beginChange(
  agreedRing(ring),
  { members: members.slice(1), assignment: ring.assignment.map(() => ["r2", "r3"]) },
  { ballot: 7, forced: ["r1"] },
);
const settings: NamespaceSettings = {
  n: 2,
  r: "quorum",
  w: 1,
  dw: 0,
  ttl: 1.5,
  maxValueBytes: 9,
  maxBytes: null,
  trustedContent: true,
};
const document = encodeDocument({
  ring: changing,
  namespaces: new Map([
    ["a", { revision: 3, settings }],
    ["b", { revision: 4, settings: null }],
  ]),
  purges: { floor: 1, epochs: new Map([["a\0e", 9]]) },
});
const entry = encodeEntry(written("value"), null);
const message: Message = {
  type: "request",
  call: 1,
  stamp: 2,
  budgetMs: 3,
  trace: "",
  body: { kind: "store", key: "a\0k", entry, hintFor: null, ack: "durable", tells: false },
};

/** Good bytes with some of them altered, taken out, doubled or put in. */
const mutantsOf = (good: Uint8Array): fc.Arbitrary<Uint8Array> =>
  fc
    .array(fc.tuple(fc.nat(good.length), fc.nat(8), fc.uint8Array({ maxLength: 8 })), {
      minLength: 1,
      maxLength: 4,
    })
    .map((edits) => {
      const bytes = [...good];
      for (const [at, gone, more] of edits) bytes.splice(at, gone, ...more);
      return Uint8Array.from(bytes);
    });

const scalar = fc.oneof(
  fc.constantFrom<unknown>(null, true, 0, -1, 1, 0.5, 2 ** 31, Number.MAX_SAFE_INTEGER, 1e300, ""),
  fc.constantFrom<unknown>(ACTOR, "r1", "a\0k", "__proto__", "filling", "9".repeat(30), "\ud800"),
  fc.string({ maxLength: 6 }),
);
const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof({ maxDepth: 4 }, scalar, fc.array(tie("tree"), { maxLength: 5 })),
}));

const path = fc.array(fc.nat(12), { minLength: 1, maxLength: 6 });

describe("foreign bytes", () => {
  const readers: readonly [string, Uint8Array, (bytes: Uint8Array) => unknown][] = [
    ["a message", encodeMessage(message), (bytes) => encodeMessage(decodeMessage(bytes))],
    ["an entry", entry, (bytes) => encodeEntry(decodeEntry(bytes).entry, null)],
    ["a cluster document", document, (bytes) => encodeDocument(decodeDocument(bytes))],
    ["MessagePack", encode([1, [ACTOR, new Uint8Array(3)], null]), decode],
  ];

  it.each(readers)("are a value or a refusal, and a value is what its bytes say: %s", (...of) => {
    const [, good, read] = of;
    expect(taken(CodecError, () => read(good))).not.toBeNull();
    const any = fc.oneof(fc.uint8Array({ maxLength: 300 }), mutantsOf(good), tree.map(encode));
    let takenCount = 0;
    fc.assert(
      fc.property(any, (bytes) => {
        const again = taken(CodecError, () => read(bytes));
        if (!(again instanceof Uint8Array)) return;
        takenCount++;
        // What was accepted is stable: written and read again, it is the same.
        expect(read(again)).toEqual(again);
      }),
      runs,
    );
    expect(takenCount).toBeLessThan(runs.numRuns);
  });

  it("are documents that can be stamped and merged, or none", () => {
    const plain = JSON.parse(decode(document) as string) as unknown;
    fc.assert(
      fc.property(path, tree, (where, other) => {
        const bytes = encode(JSON.stringify(twisted(plain, where, () => other)));
        const read = taken(CodecError, () => decodeDocument(bytes));
        if (read !== null) expect(stampOf(read, hash)).toBeGreaterThan(0);
      }),
      runs,
    );
  });

  it("are a ring document, or refused by its own error", () => {
    const plain: unknown = JSON.parse(JSON.stringify(changing));
    expect(taken(RingError, () => parseRingDocument(plain))).not.toBeNull();
    fc.assert(
      fc.property(path, tree, (where, other) => {
        taken(RingError, () => parseRingDocument(twisted(plain, where, () => other)));
        taken(RingError, () => parseRingDocument(other));
      }),
      runs,
    );
  });

  it("are frames, or end the connection", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), (chunks) => {
        const reader = new FrameReader(
          () => 64,
          () => {},
        );
        for (const chunk of chunks) taken(FrameError, () => reader.push(Buffer.from(chunk)));
      }),
      runs,
    );
  });

  const isCodec = (value: object): value is Codec<unknown> => "decode" in value;
  const codecs = Object.values<object>(messageValues).filter(isCodec);

  it("are values within messages, or a CodecError", () => {
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 8 }), (list) => {
        for (const codec of codecs) {
          taken<unknown>(CodecError, () => codec.decode([...list]));
        }
      }),
      runs,
    );
  });
});

describe("foreign texts", () => {
  const texts = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }),
    fc.string({
      unit: fc.constantFrom(..."AZaz09-_=&?%;,:/\"'{}[]\\ \r\n\0".split("")),
      maxLength: 60,
    }),
  );

  it("are a context of this very key, or refused", () => {
    const context = CausalContext.decode([ACTOR, [1, 3, 7, 9]]);
    const good = contextToToken({ hash, key: "a\0k" }, context);
    const edited = fc
      .tuple(fc.nat(good.length - 1), fc.constantFrom(..."ABCxyz019-_=".split("")))
      .map(([at, char]) => good.slice(0, at) + char + good.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(texts, edited), (token) => {
        const read = taken(Problem, () => tokenToSession({ hash, key: "a\0k" }, token));
        if (token === good) expect(read?.context.equals(context)).toBe(true);
        else expect(read).toBeNull();
        expect(taken(Problem, () => tokenToSession({ hash, key: "a\0other" }, token))).toBeNull();
      }),
      runs,
    );
  });

  it("are a cursor of this very list, or refused", async () => {
    const app = await makeApp();
    for (const key of ["a", "b", "c"]) await app.put(`/v1/kv/ns/${key}`, "v");
    const page = (await (await app.get("/v1/kv/ns?limit=1")).json()) as { cursor: string };
    await fc.assert(
      fc.asyncProperty(fc.oneof(texts, fc.constant(`${page.cursor}A`)), async (cursor) => {
        const answer = await app.get(
          `/v1/kv/ns?cursor=${encodeURIComponent(cursor.toWellFormed())}`,
        );
        expect([cursor, answer.status]).toEqual([cursor, cursor === "" ? 200 : 400]);
      }),
      { ...runs, numRuns: 300 },
    );
    const foreign = await app.get(`/v1/kv/other?cursor=${page.cursor}`);
    expect(foreign.status).toBe(400);
  });

  it("are options, forms, traces, tokens and clusters, or a refusal of their own", () => {
    fc.assert(
      fc.property(texts, texts, tree, (text, other, value) => {
        taken(Problem, () => readOptions(text, other));
        taken(Problem, () =>
          readParts(`multipart/form-data; boundary=${text}`, Buffer.from(other)),
        );
        expect(typeof readTraceparent(text)).toBe("string");
        expect(typeof readTracestate(text)).toBe("string");
        taken(CodecError, () => parseTokens(text));
        taken(CodecError, () => parseTokens(JSON.stringify({ tokens: value })));
        expect(() => parseClusterConfig(value as object)).toThrow(/^(?!.*\n)/);
      }),
      runs,
    );
  });

  it("are answered with a 4xx wherever they stand in a target", async () => {
    const app = await makeApp();
    // Well-formed requests are told that nothing can be done just now.
    app.backend.failure = { code: "overloaded", detail: "" };
    const start = fc.constantFrom(
      ...["/", "/v1/", "/v1/kv/", "/v1/kv/ns/", "/v1/kv/ns?", "/v1/namespaces/", "/ui"],
      ...["/v1/cluster/", "/client/v4/accounts/a/storage/kv/namespaces/", "/v1/workerd-kv/ns/"],
    );
    const targets = fc.tuple(start, texts).map(([from, text]) => from + text);
    await fc.assert(
      fc.asyncProperty(
        targets,
        fc.constantFrom("GET", "DELETE", "POST"),
        async (target, method) => {
          const { status } = await app.call(method, target);
          expect([target, status >= 500]).toEqual([target, false]);
        },
      ),
      { ...runs, numRuns: 1500 },
    );
  });
});

/** Each would take minutes of a reader whose time grows with the square. */
describe("the longest inputs of a kind", { timeout: 30_000 }, () => {
  const COUNT = 200_000;
  const numbers = Array.from({ length: COUNT }, (_, i) => i);

  it("are read in time that grows with their length: an entry of ranges and siblings", () => {
    const ranges = numbers.flatMap((i) => [3 * i + 1, 3 * i + 1]);
    const siblings = numbers.map((i) => [ACTOR, 3 * i + 1, 1, "op", 0, null]);
    const { entry: read } = decodeEntry(encode([[ACTOR, ranges], siblings, [], null]));
    expect(read.siblings).toHaveLength(COUNT);
  });

  it("are read in time that grows with their length: JSON that nests in a document", () => {
    const deep = `${"[".repeat(COUNT)}${"]".repeat(COUNT)}`;
    const text = decode(document) as string;
    for (const bad of [
      deep,
      text.replace('"trustedContent":true', `"trustedContent":true,"x":${deep}`),
    ]) {
      expect(taken(CodecError, () => decodeDocument(encode(bad)))).toBeNull();
    }
  });

  it("are read in time that grows with their length: a frame in single bytes", () => {
    const frames: Uint8Array[] = [];
    const reader = new FrameReader(
      () => COUNT,
      (frame) => frames.push(frame),
    );
    const head = Buffer.alloc(4);
    head.writeUInt32BE(COUNT);
    reader.push(head);
    for (let i = 0; i < COUNT; i++) reader.push(Buffer.of(1));
    expect(frames.map(({ length }) => length)).toEqual([COUNT]);
  });

  it("are read in time that grows with their length: headers of blanks and commas", () => {
    const blanks = " ".repeat(16_000);
    const commas = '"a",'.repeat(4000);
    for (const text of [blanks, commas, `Bearer${blanks}`, `n=1${blanks}`, ";".repeat(16_000)]) {
      taken(Problem, () => readOptions("", text));
      taken(Problem, () => readParts(`multipart/form-data${text}`, Buffer.from(text)));
      expect(readTracestate(text)).toBe("");
    }
  });
});
