/** What a frontend makes of looks for changes: polls, streams, and what streams share. */
import { beforeEach, describe, expect, it, vi } from "vitest";
import { applyMint, emptyEntry } from "../../core/entry.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import type { ChangesOperation, ChangesResult, FeedPosition } from "../../core/feed.ts";
import { storeKey } from "../../core/keys.ts";
import type { Result } from "../../core/results.ts";
import { hlcFromMillis } from "../../core/time.ts";
import { ToldEntry } from "../../core/told-entry.ts";
import { parseExposition } from "../support/exposition.ts";
import { noSources } from "./memory-backend.ts";
import { makeApp, type TestApp } from "./support.ts";

const ndjson = { Accept: "application/x-ndjson" };
const sse = { Accept: "text/event-stream" };

let app: TestApp;
beforeEach(async () => {
  app = await makeApp();
});

/** A source that counts: each of its changes is a key. */
class Source {
  head = 0;
  looks: ChangesOperation[] = [];
  /** Looks that are answered by nobody, first. */
  awayFor = 0;
  #held: (() => void)[] = [];

  readonly answer = async (operation: ChangesOperation): Promise<Result> => {
    this.looks.push(operation);
    if (this.awayFor-- > 0) return noSources;
    const after = this.#after(operation.from);
    if (after === this.head && operation.holdMs > 0) {
      await new Promise<void>((resolve) => this.#held.push(resolve));
    }
    return this.#told(operation.from === "now" ? this.head : after, operation.limit);
  };

  write(count = 1): void {
    this.head += count;
    for (const resolve of this.#held.splice(0)) resolve();
  }

  get heldCount(): number {
    return this.#held.length;
  }

  #after(from: ChangesOperation["from"]): number {
    if (typeof from !== "string") return from.sources[0]?.after ?? 0;
    return from === "now" ? this.head : 0;
  }

  #told(after: number, limit: number): ChangesResult {
    const upTo = Math.min(this.head, after + limit);
    const changes = Array.from({ length: upTo - after }, (_, i) => changeOf(after + i + 1));
    const isCaughtUp = upTo === this.head;
    return { kind: "changes", changes, position: positionOf(upTo), isCaughtUp };
  }
}

function changeOf(number: number): ChangesResult["changes"][number] {
  const content = {
    ...{ value: new TextEncoder().encode(`v${number}`), contentType: "text/plain" },
    ...{ contentEncoding: null, contentLanguage: null, contentDisposition: null },
    ...{ metadata: null, tags: [] },
  };
  const sibling = {
    ...{ dot: { actor: "actor000", counter: 1 }, time: hlcFromMillis(app.backend.nowMs) },
    ...{ op: `op${number}`, expiresAt: 0, content },
  };
  const entry = applyMint(emptyEntry, { sibling, covers: emptyEntry.context, isRetry: false });
  const key = storeKey("demo", `k${number}`);
  return {
    what: "key",
    key,
    partition: 1,
    run: 7,
    entry: ToldEntry.fromBytes(encodeEntry(entry, null)),
  };
}

const positionOf = (after: number): FeedPosition => ({
  ...{ layout: 1, purgedThrough: 0 },
  sources: [{ id: "r1", run: 7, after, ended: 0, until: 0, isResync: false }],
  ...{ proven: [], left: [], dueThrough: 0 },
});

function sourceOf(): Source {
  const source = new Source();
  app.backend.changes = source.answer;
  return source;
}

class Lines {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(answer: Response) {
    if (answer.body === null) throw new Error("an answer without a body");
    this.#reader = answer.body.getReader();
  }

  /** The next line, or event. */
  async next(end = "\n"): Promise<string> {
    while (!this.#rest.includes(end)) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("it has ended");
      this.#rest += this.#decoder.decode(value, { stream: true });
    }
    const at = this.#rest.indexOf(end);
    const line = this.#rest.slice(0, at);
    this.#rest = this.#rest.slice(at + end.length);
    return line;
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }
}

async function streamOf(target: string, headers: Record<string, string>): Promise<Lines> {
  const answer = await app.get(target, headers);
  expect(answer.status).toBe(200);
  return new Lines(answer);
}

const keyIn = (line: string): unknown => (JSON.parse(line) as { key?: string }).key;
const tokenIn = (line: string): string => (JSON.parse(line) as { token: string }).token;

describe("while no replica knows what it has", () => {
  it("holds a poll and a stream of lines, and fails them in the end", async () => {
    const source = sourceOf();
    source.awayFor = 2;
    expect((await app.get("/v1/changes/demo")).status).toBe(200);
    source.awayFor = 2;
    const lines = await streamOf("/v1/changes/demo", ndjson);
    expect(tokenIn(await lines.next())).toMatch(/^[\w-]+$/);
    await lines.close();
    source.awayFor = Infinity;
    const answer = await app.get("/v1/changes/demo");
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
  });

  it("opens a stream of events at once, and one that goes on from a token", async () => {
    const source = sourceOf();
    const { next } = (await (await app.get("/v1/changes/demo")).json()) as { next: string };
    source.awayFor = 2;
    const events = await streamOf("/v1/changes/demo", sse);
    expect(await events.next("\n\n")).toBe(":");
    expect(await events.next("\n\n")).toMatch(/^id: [\w-]+\ndata: \{"token":"/);
    source.write();
    expect(await events.next("\n\n")).toMatch(/\ndata: \{"key":"k1"/);
    await events.close();
    source.awayFor = 2;
    const lines = await streamOf(`/v1/changes/demo?since=${next}`, ndjson);
    expect(tokenIn(await lines.next())).toBe(next);
    expect(keyIn(await lines.next())).toBe("k1");
    await lines.close();
  });
});

describe("a stream of events", () => {
  it("names with each event a place from which nothing is missed", async () => {
    const source = sourceOf();
    source.write(3);
    const events = await streamOf("/v1/changes/demo?since=beginning", sse);
    const first = await events.next("\n\n");
    await events.close();
    const id = /^id: (.*)$/m.exec(first)?.[1] ?? "";
    const again = await streamOf("/v1/changes/demo", { ...sse, "Last-Event-ID": id });
    const keys = [];
    for (let i = 0; i < 3; i++) {
      const [, data = ""] = (await again.next("\n\n")).split("\ndata: ");
      keys.push(keyIn(data));
    }
    expect(keys).toEqual(["k1", "k2", "k3"]);
    await again.close();
  });
});

describe("streams of one frontend", () => {
  const COUNT = 10;

  it("look once for all who stand at the same place", async () => {
    const source = sourceOf();
    const streams = [];
    for (let i = 0; i < COUNT; i++) streams.push(await streamOf("/v1/changes/demo", ndjson));
    for (const stream of streams) await stream.next();
    const waiting = streams.map((stream) => stream.next());
    // Until all have asked: a look that is shared is one look.
    await new Promise((resolve) => setImmediate(resolve));
    const before = source.looks.length;
    expect(source.heldCount).toBe(1);
    source.write();
    expect((await Promise.all(waiting)).map(keyIn)).toEqual(Array(COUNT).fill("k1"));
    const tokens = await Promise.all(streams.map((stream) => stream.next()));
    expect(new Set(tokens).size).toBe(1);
    for (let round = 2; round < 5; round++) {
      const next = streams.map((stream) => stream.next());
      source.write();
      expect((await Promise.all(next)).map(keyIn)).toEqual(Array(COUNT).fill(`k${round}`));
      for (const stream of streams) await stream.next();
    }
    expect(source.looks.length - before).toBeLessThanOrEqual(12);
    for (const stream of streams) await stream.close();
  });

  it("share nothing with those of another prefix, or with values", async () => {
    const source = sourceOf();
    const targets = ["", "?prefix=k", "?include=value", "?limit=10"];
    const streams = [];
    for (const query of targets) streams.push(await streamOf(`/v1/changes/demo${query}`, ndjson));
    for (const stream of streams) await stream.next();
    const waiting = streams.map((stream) => stream.next());
    await new Promise((resolve) => setImmediate(resolve));
    expect(source.heldCount).toBe(targets.length);
    source.write();
    const changes = (await Promise.all(waiting)).map((line) => JSON.parse(line) as object);
    expect(changes.map((change) => "value" in change)).toEqual([false, false, true, false]);
    for (const stream of streams) await stream.close();
  });

  it("go on when one of those that share a look is gone", async () => {
    const source = sourceOf();
    const [one, two] = [
      await streamOf("/v1/changes/demo", ndjson),
      await streamOf("/v1/changes/demo", ndjson),
    ];
    await Promise.all([one.next(), two.next()]);
    void one.next().catch(() => {});
    const waiting = two.next();
    await one.close();
    source.write();
    expect(keyIn(await waiting)).toBe("k1");
    await two.close();
  });
});

describe("when the host is about to stop", () => {
  it("streams end, though nobody has answered what they asked", async () => {
    const source = sourceOf();
    const streams = [
      await streamOf("/v1/changes/demo", ndjson),
      await streamOf("/v1/changes/demo", sse),
    ];
    const [lines, events] = streams as [Lines, Lines];
    await lines.next();
    await events.next("\n\n");
    const ends = [lines.next(), events.next("\n\n")];
    await vi.waitUntil(() => source.heldCount > 0);
    app.backend.beginToEnd();
    for (const end of ends) await expect(end).rejects.toThrow("it has ended");
    const refused = await app.get("/v1/changes/demo", ndjson);
    expect(await refused.text()).not.toContain("key");
  });

  it("a poll that is held is answered with where it is", async () => {
    const source = sourceOf();
    const held = app.get("/v1/changes/demo?wait=60000");
    await vi.waitUntil(() => source.heldCount > 0);
    app.backend.beginToEnd();
    expect(await (await held).json()).toMatchObject({ changes: [], caught_up: true });
  });
});

describe("where a bell rings", () => {
  /** It rings when it is told to; time passes as fast as it is waited for. */
  class Bell {
    readonly hung: string[] = [];
    waits = 0;
    isClosed = false;
    isHung = false;
    isRung = false;
    canHang = true;
    #wake = (): void => {};

    async hang(ids: readonly string[]): Promise<"hung" | "hangs" | "none"> {
      if (!this.canHang) return "none";
      const state = this.isHung ? "hangs" : "hung";
      this.isHung = true;
      this.hung.push(...ids);
      return state;
    }

    silence(): void {
      this.isRung = false;
    }

    async rings(): Promise<boolean> {
      this.waits++;
      if (!this.isRung && this.waits % 5 === 0) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      return this.isRung;
    }

    ring(): void {
      this.isRung = true;
      this.#wake();
    }

    close(): void {
      this.isClosed = true;
      this.ring();
    }
  }

  function bellOf(): Bell {
    const bell = new Bell();
    app.backend.openBell = () => bell;
    return bell;
  }

  it("nobody is asked until it does, and what came before it hung is seen", async () => {
    const source = sourceOf();
    const bell = bellOf();
    const lines = await streamOf("/v1/changes/demo", ndjson);
    await lines.next();
    const first = lines.next();
    await vi.waitUntil(() => bell.waits === 5);
    // Nothing is held, and no wait that passed in vain led to a look.
    expect(source.looks.map(({ holdMs }) => holdMs)).toEqual([0, 0, 0]);
    source.write();
    bell.ring();
    expect(keyIn(await first)).toBe("k1");
    await lines.next();
    const second = lines.next();
    await vi.waitUntil(() => bell.waits === 10);
    source.write();
    bell.ring();
    expect(keyIn(await second)).toBe("k2");
    await lines.close();
    expect(bell.isClosed).toBe(true);
  });

  it("questions are held where not all sources can have one", async () => {
    const source = sourceOf();
    const bell = bellOf();
    bell.canHang = false;
    const held = app.get("/v1/changes/demo?wait=30000");
    await vi.waitUntil(() => source.heldCount === 1);
    source.write();
    const { changes } = (await (await held).json()) as { changes: { key: string }[] };
    expect(changes.map(({ key }) => key)).toEqual(["k1"]);
    expect(bell.isClosed).toBe(true);
  });
});

describe("metrics of feeds", () => {
  it("count who follows, what they were sent, and how late it was found", async () => {
    const source = sourceOf();
    const streams = [
      await streamOf("/v1/changes/demo", ndjson),
      await streamOf("/v1/changes/demo", ndjson),
    ];
    for (const stream of streams) await stream.next();
    const waiting = streams.map((stream) => stream.next());
    source.write();
    await Promise.all(waiting);
    const figureOf = async (name: string, form?: string): Promise<number> => {
      const families = parseExposition(await (await app.get("/metrics")).text());
      const [family = ""] = name.split("_count");
      return (families.get(family)?.samples ?? [])
        .filter((sample) => sample.name === name && sample.labels["form"] === form)
        .reduce((sum, { value }) => sum + value, 0);
    };
    expect(await figureOf("starling_feed_subscribers", "ndjson")).toBe(2);
    expect(await figureOf("starling_feed_subscribers", "sse")).toBe(0);
    expect(await figureOf("starling_feed_changes_total")).toBe(2);
    expect(await figureOf("starling_feed_resyncs_total")).toBe(0);
    expect(await figureOf("starling_feed_lag_seconds_count")).toBe(1);
    for (const stream of streams) await stream.close();
    expect(await figureOf("starling_feed_subscribers", "ndjson")).toBe(0);
    // Nobody follows who asks for the head of a stream alone.
    for (const headers of [ndjson, sse]) {
      await app.call("HEAD", "/v1/changes/demo", { headers });
    }
    expect(await figureOf("starling_feed_subscribers", "ndjson")).toBe(0);
    expect(await figureOf("starling_feed_subscribers", "sse")).toBe(0);
  });
});
