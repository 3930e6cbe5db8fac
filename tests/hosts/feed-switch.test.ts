/** Followers of a change feed whose source is killed: another member goes on where it was. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { NodeProcesses } from "../support/processes.ts";

const ROUNDS = 3;
const WRITES_PER_ROUND = 150;

let nodes: NodeProcesses;
beforeAll(async () => {
  nodes = await NodeProcesses.of(3);
  await Promise.all(nodes.ids.map((id) => nodes.start(id)));
}, 60_000);
afterAll(() => nodes?.close());

interface Told {
  readonly type?: string;
  readonly key?: string;
  readonly run?: string;
  readonly token?: string;
}

const urlOf = (id: string): string => nodes.urls[nodes.ids.indexOf(id)] ?? "";

/** Reads a feed through one frontend after the other, from the last token that it has. */
class Reader {
  readonly keys = new Set<string>();
  readonly marks: string[] = [];
  readonly runs = new Set<string>();
  token = "";

  /** Ends when it is aborted, or the frontend is gone. */
  async follow(id: string, signal: AbortSignal): Promise<void> {
    const since = this.token === "" ? "now" : this.token;
    try {
      const answer = await fetch(`${urlOf(id)}/v1/changes/feed?since=${since}`, {
        headers: { Accept: "application/x-ndjson" },
        signal,
      });
      expect(answer.status).toBe(200);
      let rest = "";
      for await (const text of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#take(JSON.parse(line) as Told);
      }
    } catch (error) {
      // Cut off, because its frontend was killed or it was told to stop.
      const isCut = error instanceof TypeError || (error as Error).name === "AbortError";
      if (!isCut) throw error;
    }
  }

  #take({ type, key, run, token }: Told): void {
    if (token !== undefined && type === undefined) this.token = token;
    else if (key === undefined) this.marks.push(type ?? "");
    else {
      this.keys.add(key);
      this.runs.add(run ?? "");
    }
  }
}

async function write(id: string, key: string): Promise<boolean> {
  try {
    const answer = await fetch(`${urlOf(id)}/v1/kv/feed/${key}?w=2`, { method: "PUT", body: key });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

/** Whether each member knows something of what the others have: then places are proven. */
async function followEachOther(): Promise<boolean> {
  const texts = await Promise.all(
    nodes.urls.map(async (url) => (await fetch(`${url}/metrics`)).text()),
  );
  const lagsOf = (text: string): readonly string[] =>
    text.split("\n").filter((line) => /^starling_replica_lag_seconds\{.*\} [0-9.]+$/.test(line));
  return texts.every((text) => lagsOf(text).length === nodes.ids.length - 1);
}

/** The node at which a feed is read is its source: of three owners the nearest is itself. */
it("goes on without a resync when the source is killed, and nothing is missing", async () => {
  const reader = new Reader();
  const acknowledged = new Set<string>();
  for (let round = 0; round < ROUNDS; round++) {
    const source = nodes.ids[round % 3] ?? "";
    const others = nodes.ids.filter((id) => id !== source);
    await expect.poll(followEachOther, { timeout: 30_000, interval: 50 }).toBe(true);
    const stop = new AbortController();
    const following = reader.follow(source, stop.signal);
    await expect.poll(() => reader.token, { timeout: 10_000, interval: 10 }).not.toBe("");
    let isOver = false;
    let count = 0;
    const writing = others.map(async (id, writer) => {
      for (let i = 0; !isOver; i++) {
        const key = `k${round}.${writer}.${i}`;
        if (await write(id, key)) acknowledged.add(key);
        count++;
      }
    });
    const written = async (more: number): Promise<void> => {
      const until = count + more;
      await expect.poll(() => count, { timeout: 30_000, interval: 5 }).toBeGreaterThan(until);
    };
    await written(WRITES_PER_ROUND);
    await nodes.kill(source);
    await following;
    const next = reader.follow(others[0] ?? "", stop.signal);
    await written(WRITES_PER_ROUND);
    isOver = true;
    await Promise.all(writing);
    const missing = (): readonly string[] =>
      [...acknowledged].filter((key) => !reader.keys.has(key));
    await expect.poll(missing, { timeout: 20_000, interval: 20 }).toEqual([]);
    expect(reader.marks).toContain("switch");
    expect(reader.marks).not.toContain("resync");
    stop.abort();
    await next;
    await nodes.start(source);
  }
  expect(reader.runs.size).toBeGreaterThan(1);
  expect(acknowledged.size).toBeGreaterThan(ROUNDS * WRITES_PER_ROUND);
}, 180_000);
