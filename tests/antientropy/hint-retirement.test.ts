import { describe, expect, it } from "vitest";
import { handoffLimits } from "../../antientropy/handoff.ts";
import { HintRetirement, type RetirementPlan } from "../../antientropy/hint-retirement.ts";
import { encodeEntry } from "../../core/entry-codec.ts";
import type { RequestOf } from "../../core/messages.ts";
import { millisOfHlc } from "../../core/time.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { written } from "../replica/probe.ts";

const stored = { kind: "stored", durable: true } as const;
const entry = written("first");
const bytes = encodeEntry(entry, null);
const writtenAt = millisOfHlc(entry.siblings[0]?.time ?? 0);

function retire(changes: Partial<RetirementPlan> = {}, keys: readonly string[] = ["n\0a", "n\0b"]) {
  const store = new MemoryStore();
  for (const key of keys) store.writeHint("r9", key, bytes);
  const sent: { to: string; body: RequestOf<"deliver"> }[] = [];
  const finished: number[] = [];
  const limits = handoffLimits;
  const moves: unknown[] = [];
  const moving: RetirementPlan["moving"] = (...move) => moves.push(move);
  const plan = { target: "r9", store, limits, moving, olderThan: writtenAt + 1 };
  const round = new HintRetirement(
    { ...plan, keepersOf: () => ["r1", "r2"], ...changes },
    {
      ask: (to, body) => sent.push({ to, body }),
      finish: ({ deliveredCount }) => finished.push(deliveredCount),
    },
  );
  round.start(0);
  return { store, sent, finished, round, moves, held: () => store.hintCounts().get("r9") ?? 0 };
}

describe("the retirement of hints", () => {
  it("drops a hint when every other primary has it on stable storage, not before", () => {
    const { sent, finished, round, moves, held } = retire();
    expect(sent.map(({ to, body }) => [to, body.items.length])).toEqual([
      ["r1", 2],
      ["r2", 2],
    ]);
    round.reply("r1", stored);
    expect([held(), finished, moves]).toEqual([2, [], []]);
    round.reply("r2", stored);
    expect(moves).toEqual([
      ["r9", ["n\0a"], ["r1", "r2"]],
      ["r9", ["n\0b"], ["r1", "r2"]],
    ]);
    expect([held(), finished]).toEqual([0, [2]]);
  });

  it("keeps all when one of them fails, refuses, has it in memory alone or is silent", () => {
    const endings = [
      (round: HintRetirement) => round.failed("r2"),
      (round: HintRetirement) => round.reply("r2", { kind: "refused", code: "disk" }),
      (round: HintRetirement) => round.reply("r2", { kind: "stored", durable: false }),
      (round: HintRetirement) => round.wake(round.wakeAt),
    ];
    for (const end of endings) {
      const { finished, round, held } = retire();
      round.reply("r1", stored);
      end(round);
      expect([held(), finished, round.isOver]).toEqual([2, [0], true]);
    }
  });

  it("leaves alone what is younger than the window or has a keeper that is away", () => {
    const young = retire({ olderThan: writtenAt });
    expect([young.sent, young.finished, young.held()]).toEqual([[], [0], 2]);
    const some = retire({ keepersOf: (key) => (key === "n\0a" ? null : ["r1"]) });
    some.round.reply("r1", stored);
    expect([some.finished, some.store.hintTargets("n\0a")]).toEqual([[1], ["r9"]]);
  });

  it("keeps a hint of a key that has no other keeper, because it may be the only copy", () => {
    const { sent, finished, held } = retire({ keepersOf: () => [] });
    expect([sent, finished, held()]).toEqual([[], [0], 2]);
  });

  it("keeps a hint that a write has joined meanwhile", () => {
    const { store, finished, round, held } = retire({ keepersOf: () => ["r1"] }, ["n\0a"]);
    store.writeHint("r9", "n\0a", encodeEntry(written("next", { base: entry }), null));
    round.reply("r1", stored);
    expect([held(), finished]).toEqual([1, [0]]);
  });
});
