/**
 * Strict reads and writes of one key that race, while messages are late, pass one another and are
 * lost, clocks are apart, N and members change, processes end and start again, and an owner loses
 * its disk: a read finds what finished before
 * it began, what was shown, or done, before a finished write began never comes back alone, and of
 * any two values that are shown alone one came first. More of them:
 * `RACES=20000 RACES_FROM=1000 npx vitest run tests/node/strict-races.test.ts`.
 */
import { describe, expect, it } from "vitest";
import { type Situation, StrictRace } from "./strict-race.ts";
import { missing, type Seen, tallyOf } from "./upheavals.ts";

const RUNS = Number(process.env["RACES"] ?? 60);
const FIRST = Number(process.env["RACES_FROM"] ?? 1);

const JOINS_AND_LEAVES = ["join", "newcomer leaves"] as const;

const situations: readonly Situation[] = [
  { name: "with three owners", n: 3 },
  { name: "with four owners", n: 4 },
  { name: "of which one is wiped", n: 3, hasWipe: true },
  { name: "while a fourth is to become one", n: 3, nextN: 4 },
  { name: "while a fourth is to become one, and is down", n: 3, nextN: 4, hasDead: true },
  { name: "while a fourth becomes one", n: 3, nextN: 4, hasSteps: true },
  { name: "while one of four goes", n: 4, nextN: 3, hasSteps: true },
  ...[
    {
      name: "of which one is wiped, with a dead fourth",
      n: 3,
      nextN: 4,
      hasDead: true,
      hasWipe: true,
    },
  ],
  { name: "that end and start again", n: 3, unrest: { downMax: 2 } },
  { name: "while a member joins", n: 3, unrest: { moves: ["join"] } },
  { name: "while an owner leaves", n: 3, unrest: { moves: ["owner leaves"] } },
  { name: "while an owner is replaced", n: 3, unrest: { moves: ["owner replaced"] } },
  { name: "while a member joins and leaves again", n: 3, unrest: { moves: JOINS_AND_LEAVES } },
  { name: "while weights change", n: 3, unrest: { moves: ["reweight", "reweight"] } },
  { name: "with stops and a join", n: 3, unrest: { moves: ["join"], downMax: 1 } },
  {
    ...{ name: "with stops, slow disks and a member that joins and leaves", n: 3 },
    ...{ unrest: { moves: JOINS_AND_LEAVES, downMax: 2 }, hasSlowDisks: true },
  },
  {
    ...{ name: "with stops, an owner replaced and an early delete", n: 3, hasEarlyDelete: true },
    unrest: { moves: ["owner replaced", "newcomer leaves"], downMax: 2 },
  },
];

describe.each(situations)("strict reads and writes that race $name", (situation) => {
  it("never go back", () => {
    const faults: string[] = [];
    const all: Seen[] = [];
    // Members take many messages to change: such a race is as long as three of the others.
    const runs = situation.unrest === undefined ? RUNS : Math.ceil(RUNS / 3);
    for (let seed = FIRST; seed < FIRST + runs; seed++) {
      const race = new StrictRace(seed, situation);
      race.run();
      if (race.seen !== undefined) all.push(race.seen);
      for (const fault of race.judge()) faults.push(`${seed}: ${fault} (${race.text})`);
    }
    expect(faults).toEqual([]);
    // Else nothing of what the situation says has happened.
    expect(missing(situation, tallyOf(all), runs)).toEqual([]);
  }, 3_600_000);
});
