/** A node that nobody asks for anything: when it wants to be woken, and that nothing waits for it. */
import { describe, expect, it } from "vitest";
import { storeKey } from "../../core/keys.ts";
import { Prng } from "../../core/prng.ts";
import { withNamespace } from "../../ring/cluster-document.ts";
import { agreedRing } from "../../ring/ring-document.ts";
import { JobTable, REST_MS_MAX } from "../../src/node/jobs/job-table.ts";
import { plainContent } from "../support/content.ts";
import { Bench, START } from "./bench.ts";
import { conditionalWrite } from "./writes.ts";

const KEY = storeKey("demo", "k");
const SECOND_MS = 1000;

/** Steps when the node wants to, for so long; how often that was. */
function run(bench: Bench, ms: number): number {
  const end = bench.now + ms;
  let stepsCount = 0;
  for (; bench.node.wakeAt <= end; stepsCount++) {
    bench.now = Math.max(bench.now, Math.ceil(bench.node.wakeAt));
    bench.step({ kind: "tick" });
  }
  bench.now = end;
  return stepsCount;
}

function write(bench: Bench, ttlMs: number): void {
  const content = plainContent("v");
  bench.ask({ ...conditionalWrite, key: KEY, content, ttlMs, ifNoneMatch: [] });
}

/** Everything that it does by itself once at least, and nothing left to do. */
function idleBench(): Bench {
  const bench = new Bench({ collectMs: 50 });
  const { knowledge } = bench;
  // Its members have agreed on their first ring.
  knowledge.learn({ ...knowledge.document, ring: agreedRing(knowledge.document.ring) });
  run(bench, 10 * SECOND_MS);
  return bench;
}

describe("a node that nobody asks for anything", () => {
  it("wants to be woken seldom", () => {
    const bench = idleBench();
    expect(run(bench, 60 * SECOND_MS)).toBeLessThan(60);
  });

  it("is no busier with values that never end", () => {
    const bench = idleBench();
    write(bench, 0);
    run(bench, 10 * SECOND_MS);
    expect(run(bench, 60 * SECOND_MS)).toBeLessThan(60);
  });

  it("forgets a value when its time is over, though the value came while it rested", () => {
    const bench = idleBench();
    write(bench, 700);
    run(bench, 699);
    expect(bench.store.summary(KEY)).toBeDefined();
    run(bench, 2);
    expect(bench.store.summary(KEY)).toBeUndefined();
  });

  it("forgets a value whose end came by a step of the wall clock at its next step", () => {
    const bench = idleBench();
    write(bench, 3_600_000);
    bench.wallOffMs = 3_600_001;
    bench.step({ kind: "tick" });
    run(bench, 1);
    expect(bench.store.summary(KEY)).toBeUndefined();
  });

  it("looks after a namespace's bound as soon as it has one", () => {
    const bench = idleBench();
    write(bench, 0);
    run(bench, 5 * SECOND_MS);
    const { knowledge } = bench;
    const settings = { ...knowledge.settingsOf("demo"), maxBytes: 1 };
    knowledge.learn(withNamespace(knowledge.document, "demo", settings));
    bench.step({ kind: "tick" });
    expect(bench.node.wakeAt).toBeLessThanOrEqual(bench.now + 250);
  });
});

describe("a source that has looked at nothing", () => {
  const dueOf = (bench: Bench): number =>
    bench.node.service?.keeper.arrivals.releasedThrough(bench.now) ?? 0;

  it("says that all which ended until now is told of, when nothing is due", () => {
    const bench = new Bench();
    expect(dueOf(bench)).toBe(START);
    write(bench, 700);
    bench.now += 699;
    expect(dueOf(bench)).toBe(START + 699);
  });

  it("says so of no time at which something ended that it still has", () => {
    const bench = new Bench();
    write(bench, 700);
    bench.now += 5 * SECOND_MS;
    bench.step({ kind: "tick" });
    expect(bench.store.summary(KEY)).toBeDefined();
    expect(dueOf(bench)).toBe(START + 699);
    bench.step({ kind: "job", name: "collect" });
    expect(bench.store.summary(KEY)).toBeUndefined();
    expect(dueOf(bench)).toBe(bench.now);
  });
});

describe("a job that rests", () => {
  it("is run when its rest and its interval are over, and at the latest after some seconds", () => {
    const table = new JobTable(Prng.fromSeed(1));
    let until = Infinity;
    const ranAt: number[] = [];
    const job = { name: "one", everyMs: 100, restsUntil: () => until };
    table.add({ ...job, run: (now) => ranAt.push(now) }, 0);
    const first = table.wakeAt;
    expect(first).toBeGreaterThan(REST_MS_MAX);
    expect(first).toBeLessThanOrEqual(REST_MS_MAX + 125);
    until = 1000;
    expect(table.wakeAt).toBe(1000);
    table.run(999);
    expect(ranAt).toEqual([]);
    table.run(1000);
    until = 0;
    table.run(1001);
    expect(ranAt).toEqual([1000]);
    expect(table.wakeAt).toBeGreaterThanOrEqual(1075);
  });
});
