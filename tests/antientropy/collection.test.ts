import { describe, expect, it } from "vitest";
import { CollectionRound } from "../../antientropy/collection.ts";
import type { Request } from "../../core/messages.ts";

function roundOf(
  others: readonly string[],
  keys: readonly (readonly [string, number])[],
  isSecond = true,
) {
  const asked: (readonly [string, Request])[] = [];
  const finished: (readonly (readonly [string, number])[])[] = [];
  const round = new CollectionRound(
    { others, keys, isSecond },
    { ask: (to, body) => asked.push([to, body]), finish: (result) => finished.push(result) },
  );
  round.start(0);
  return { round, asked, finished };
}

const collects = (asked: readonly (readonly [string, Request])[]) =>
  asked.filter(([, body]) => body.kind === "collect");

describe("a collection round", () => {
  it("collects only the keys that nobody objects to", () => {
    const { round, asked, finished } = roundOf(
      ["r2", "r3"],
      [
        ["a", 1],
        ["b", 2],
      ],
    );
    round.reply("r2", { kind: "confirmed", objections: [] });
    expect(finished).toEqual([]);
    round.reply("r3", { kind: "confirmed", objections: [0] });
    expect(finished).toEqual([[["b", 2]]]);
    expect(collects(asked)).toEqual([
      ["r2", { kind: "collect", keys: [["b", 2]] }],
      ["r3", { kind: "collect", keys: [["b", 2]] }],
    ]);
  });

  it("tells nobody to drop what all agree on for the first time", () => {
    const { round, asked, finished } = roundOf(["r2"], [["a", 1]], false);
    round.reply("r2", { kind: "confirmed", objections: [] });
    expect(finished).toEqual([[["a", 1]]]);
    expect(collects(asked)).toEqual([]);
  });

  it("collects nothing when a member cannot be reached", () => {
    const { round, asked, finished } = roundOf(["r2", "r3"], [["a", 1]]);
    round.reply("r2", { kind: "confirmed", objections: [] });
    round.failed();
    expect(finished).toEqual([[]]);
    expect(collects(asked)).toEqual([]);
  });

  it("collects nothing when a member stays silent", () => {
    const { round, asked, finished } = roundOf(["r2"], [["a", 1]]);
    round.wake(round.wakeAt);
    expect(finished).toEqual([[]]);
    expect(collects(asked)).toEqual([]);
    round.reply("r2", { kind: "confirmed", objections: [] });
    expect(finished).toHaveLength(1);
  });

  it("counts a repeated reply once", () => {
    const { round, finished } = roundOf(["r2", "r3"], [["a", 1]]);
    round.reply("r2", { kind: "confirmed", objections: [] });
    round.reply("r2", { kind: "confirmed", objections: [] });
    expect(finished).toEqual([]);
  });
});
