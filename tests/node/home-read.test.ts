/** Reads that the node's own replica answers alone: as a coordinator would, and without one. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { type Entry, emptyEntry } from "../../core/entry.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import type { Result } from "../../core/results.ts";
import type { StoreKey } from "../../core/store.ts";
import { Asking } from "../../src/node/asking.ts";
import { written } from "../replica/probe.ts";
import { Bench, START } from "./bench.ts";
import { keyWhere } from "./keys.ts";

const isMine = (owners: readonly string[]): boolean => owners[0] === "r1";
const isOthers = (owners: readonly string[]): boolean => !owners.includes("r1");

let bench: Bench;
let mine: StoreKey;
/** Of r1 too, and nothing is stored there. */
let nothing: StoreKey;
beforeEach(() => {
  bench = new Bench({ takesFaults: true });
  mine = keyWhere(bench.knowledge.ring, isMine);
  nothing = keyWhere(bench.knowledge.ring, (owners) => owners[1] === "r1");
});
afterEach(() => vi.restoreAllMocks());

/** A value, or what is left of one. */
function entryOf(change: Partial<Entry["siblings"][number]> = {}): Entry {
  const entry = written("one");
  return { ...entry, siblings: entry.siblings.map((sibling) => ({ ...sibling, ...change })) };
}

function store(key: StoreKey, entry: Entry): void {
  const bytes = encodeEntry(entry, null);
  const how = { hintFor: null, ack: "received", tells: false } as const;
  bench.ask({ kind: "store", key, entry: bytes, ...how });
}

/** What comes of a read in the same step; null: nothing yet. */
function read(
  options: QuorumOptions,
  key = mine,
  session: CausalContext | null = null,
): Result | null {
  const operation = { kind: "get", key, options, session } as const;
  const effects = bench.step({ kind: "client", token: 1, trace: "", operation });
  const answers = effects.flatMap((effect) => (effect.kind === "answer" ? [effect.result] : []));
  expect(answers.length).toBeLessThan(2);
  return answers[0] ?? null;
}

/** A replica with a fault is asked by a coordinator, even where the fault does nothing. */
function byCoordinator(options: QuorumOptions): Result | null {
  const fault = { kind: "slow", delayMs: 0, sharePerMille: 0, until: START + 60_000 } as const;
  bench.ask({ kind: "fault", isChange: true, fault });
  const result = read(options);
  bench.ask({ kind: "fault", isChange: true, fault: null });
  return result;
}

const tasksOf = () => vi.spyOn(Asking.prototype, "run");

describe("a read of one replica, at a primary of the key", () => {
  it.each([
    ["a value", entryOf()],
    ["siblings", written("two", { base: written("one"), isBeside: true })],
    ["what is left of a delete", entryOf({ content: null })],
    ["a value that will end", entryOf({ expiresAt: START + 5000 })],
  ])("takes no coordinator, and is what one would answer: %s", (_, entry) => {
    store(mine, entry);
    for (const options of [{ r: 1 }, { r: 1, pr: 1 }, { r: 1, notfoundOk: false }] as const) {
      const expected = byCoordinator(options);
      expect(expected?.kind).toBe("got");
      const tasks = tasksOf();
      expect(read(options)).toEqual(expected);
      expect(tasks).not.toHaveBeenCalled();
      vi.restoreAllMocks();
    }
  });

  it("counts as an answer of the replica, for whoever asks how quick it is", () => {
    store(mine, entryOf());
    const { latencies } = bench.knowledge;
    read({ r: 1 });
    read({ r: 1 });
    expect(latencies.recent(["r1"], bench.now).get("r1")?.reads).toEqual([0, 0]);
  });

  it.each<readonly [string, QuorumOptions]>([
    ["more replicas", { r: 2 }],
    ["a majority of its zone", { consistency: "local_quorum" }],
    ["a majority, strictly", { consistency: "strict" }],
    ["a bound that nobody can prove", { r: 1, maxStaleMs: 1, staleW: 1 }],
  ])("takes one where it asks for %s", (_, options) => {
    store(mine, entryOf());
    const tasks = tasksOf();
    read(options);
    expect(tasks).toHaveBeenCalled();
  });

  it("takes one where it has seen what the replica has not, has nothing, or is not its own", () => {
    const others = keyWhere(bench.knowledge.ring, isOthers);
    store(others, entryOf());
    store(mine, entryOf());
    const tasks = tasksOf();
    read({ r: 1 }, others);
    expect(tasks).toHaveBeenCalledTimes(1);
    read({ r: 1 }, mine, CausalContext.empty.with({ actor: "actor009", counter: 1 }));
    expect(tasks).toHaveBeenCalledTimes(2);
    read({ r: 1 }, nothing);
    expect(tasks).toHaveBeenCalledTimes(3);
  });

  it("takes one where the replica does not know what it had", () => {
    store(mine, entryOf());
    const { keeper } = bench.node.service ?? {};
    expect(keeper).toBeDefined();
    const held = { entry: emptyEntry, bytes: null, digest: 0, isUnknown: true };
    if (keeper !== undefined) vi.spyOn(keeper, "hold").mockReturnValue(held);
    const tasks = tasksOf();
    expect(read({ r: 1 })).toBeNull();
    expect(tasks).toHaveBeenCalled();
  });
});
