/**
 * What requests cost on Workers, counted: the calls to Durable Objects that are billed as requests,
 * and the rows of SQLite that are billed as read and written, at all replicas together. The table of
 * docs/deploy.md says the same, or this fails.
 */
import { runDurableObjectAlarm, runInDurableObject, SELF } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import deployDocs from "../../docs/deploy.md?raw";
import { RecentRecords } from "../../replica/recent-records.ts";
import { ReplicaObject } from "../../worker/index.ts";
import { stubOf } from "./support.ts";

const IDS = ["r1", "r2", "r3", "r4", "r5"];
const NAMESPACE = "http://localhost/v1/kv/costs";

type Exec = SqlStorage["exec"];
type Cursor = ReturnType<Exec>;

const cursors: Cursor[] = [];
/** Writes that are billed as rows beside SQL: the object's own words, and its alarm. */
let otherWrites = 0;
let calls: { readonly mock: { readonly calls: readonly unknown[] } };

/** All objects of a test share one isolate, and so the prototypes of their storages. */
async function meter(): Promise<void> {
  await runInDurableObject(stubOf("r1"), (_, { storage }) => {
    const sql = Object.getPrototypeOf(storage.sql) as { exec: Exec };
    const exec = sql.exec as (this: unknown, query: string, ...bindings: unknown[]) => Cursor;
    vi.spyOn(sql, "exec").mockImplementation(function (this: unknown, query, ...bindings) {
      const cursor = exec.call(this, query, ...bindings);
      cursors.push(cursor);
      return cursor;
    } as Exec);
    const count = (target: object, name: "put" | "setAlarm"): void => {
      const methods = target as Record<string, (...args: unknown[]) => unknown>;
      const real = methods[name] as (...args: unknown[]) => unknown;
      vi.spyOn(methods, name).mockImplementation(function (this: unknown, ...args) {
        otherWrites++;
        return real.apply(this, args);
      });
    };
    count(Object.getPrototypeOf(storage.kv) as object, "put");
    count(Object.getPrototypeOf(storage) as object, "setAlarm");
  });
}

/** The parts that go on after an answer are over when nothing was counted for a hedge delay. */
async function settle(): Promise<void> {
  let before = -1;
  await vi.waitUntil(
    () => {
      const isStill = before === calls.mock.calls.length + cursors.length;
      before = calls.mock.calls.length + cursors.length;
      return isStill;
    },
    { interval: 260, timeout: 10_000 },
  );
}

interface Cost {
  readonly calls: number;
  readonly rowsRead: number;
  readonly rowsWritten: number;
}

async function costOf(request: () => Promise<unknown>): Promise<Cost> {
  cursors.length = 0;
  otherWrites = 0;
  const callsBefore = calls.mock.calls.length;
  await request();
  await settle();
  const sum = (of: (cursor: Cursor) => number): number =>
    cursors.map(of).reduce((a, b) => a + b, 0);
  return {
    calls: calls.mock.calls.length - callsBefore,
    rowsRead: sum((cursor) => cursor.rowsRead),
    rowsWritten: sum((cursor) => cursor.rowsWritten) + otherWrites,
  };
}

/** A busy machine hedges, stands in and hints, which costs more: the cheapest of a few is usual. */
async function usualCost(request: (round: number) => Promise<unknown>): Promise<Cost> {
  const weigh = ({ calls: count, rowsRead, rowsWritten }: Cost): number =>
    1_000_000 * count + 1000 * rowsWritten + rowsRead;
  let usual = await costOf(() => request(0));
  for (let round = 1; round < 3; round++) {
    const cost = await costOf(() => request(round));
    if (weigh(cost) < weigh(usual)) usual = cost;
  }
  return usual;
}

const rowOf = (name: string, cost: Cost): string =>
  `| ${name} | ${cost.calls} | ${cost.rowsRead} | ${cost.rowsWritten} |`;

/** The rows of the tables with three numbers, without the spaces that line their columns up. */
const documentedRows = (): readonly string[] =>
  deployDocs
    .split("\n")
    .map((line) => line.replaceAll(/ +/g, " ").trim())
    .filter((line) => /^\|[^|]+\|( \d+ \|){3}$/.test(line));

async function ask(path: string, init: { method?: string; body?: string } = {}): Promise<void> {
  const response = await SELF.fetch(`${NAMESPACE}/${path}`, init);
  await response.arrayBuffer();
}
const put = (path: string, byteCount = 1024): Promise<void> =>
  ask(path, { method: "PUT", body: "v".repeat(byteCount) });

describe("what a request costs on Workers", () => {
  beforeEach(async () => {
    calls = vi.spyOn(ReplicaObject.prototype, "exchange");
    // The first call makes the tables; the first write since the last alarm sets it.
    for (let i = 0; i < 40; i++) await put(`warm/${i}`);
    expect(new Set(calls.mock.calls.map((call) => (call as string[])[0])).size).toBe(IDS.length);
    await meter();
    await settle();
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("is for the comparisons after a write what docs/deploy.md says", async () => {
    // The first comparisons find the trees that are shared, and send what the writes above left.
    for (let i = 0; i < 5; i++) {
      for (const id of IDS) await runDurableObjectAlarm(stubOf(id));
    }
    await settle();
    await put("k?w=all");
    await settle();
    const costs: Cost[] = [];
    for (const id of IDS) costs.push(await costOf(() => runDurableObjectAlarm(stubOf(id))));
    const cost = costs.find((one) => one.calls > 0);
    if (cost === undefined) throw new Error("an owner compares after a write");
    expect(documentedRows().at(-1)).toBe(rowOf("An alarm that compares with one peer", cost));
  });

  it("is what docs/deploy.md says", async () => {
    // Comparisons are counted above, and not in the midst of this.
    vi.spyOn(ReplicaObject.prototype, "alarm").mockResolvedValue();
    // Each is read once: an object knows more of the last key that it looked up than of others.
    let lastKey = 0;
    for (let i = 1; i <= 20; i++) await put(`k${i}`);
    const get = (more: string) => usualCost(() => ask(`k${++lastKey}${more}`));
    const lately = await get("");
    vi.spyOn(RecentRecords.prototype, "get").mockReturnValue(undefined);
    const counted: [string, Cost][] = [
      ["GET of what was read or written lately", lately],
      ["GET", await get("")],
      ["GET with `r=1`", await get("?r=1")],
      ["GET with `consistency=strict`", await get("?consistency=strict")],
      ["GET with `r=all`", await get("?r=all")],
      ["GET of nothing", await usualCost(() => ask("none"))],
      ["PUT of a new key", await usualCost((round) => put(`new/${round}`))],
      ["PUT of a key that is there", await usualCost((round) => put(`new/${round}`, 1500))],
      ["PUT of a new key with `ttl=60`", await usualCost((round) => put(`timed/${round}?ttl=60`))],
      ["DELETE", await usualCost((round) => ask(`new/${round}`, { method: "DELETE" }))],
    ];
    const rows = counted.map(([name, cost]) => rowOf(name, cost));
    expect(documentedRows().slice(0, -1)).toEqual(rows);
  });
});
