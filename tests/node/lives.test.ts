import { beforeEach, describe, expect, it } from "vitest";
import { Prng } from "../../core/prng.ts";
import { type Duplicate, Lives } from "../../src/node/knowledge/lives.ts";

interface Process {
  readonly lives: Lives;
  readonly noticed: Duplicate[];
  readonly ends: boolean[];
}

let seed = 0;
let now = 0;
beforeEach(() => {
  seed = 1;
  now = 1_750_000_000_000;
});

/** A process of a member, that begins a millisecond after the one before it. */
function begin(self: string): Process {
  now++;
  const noticed: Duplicate[] = [];
  const ends: boolean[] = [];
  const lives = new Lives({
    self,
    prng: Prng.fromSeed(seed++),
    wall: () => now,
    isMember: (id) => ["r1", "r2"].includes(id),
    notice: (duplicate, isToEnd) => {
      noticed.push(duplicate);
      ends.push(isToEnd);
    },
  });
  lives.greeting("r1");
  return { lives, noticed, ends };
}

/** A heartbeat that arrives when it is called, and whose answer arrives when the result is. */
function greet(from: Process, to: Process, toId: string): { arrive: () => { answer: () => void } } {
  const { body, mark } = from.lives.greeting(toId);
  return {
    arrive: () => {
      const reply = to.lives.greet(body, now);
      return { answer: () => from.lives.answered(toId, reply, { mark, now }) };
    },
  };
}

const beat = (from: Process, to: Process, toId = "r1"): void =>
  greet(from, to, toId).arrive().answer();

describe("two processes under one id", () => {
  it("are noticed by a member that hears both again after it has heard both", () => {
    const [r1, a, b] = [begin("r1"), begin("r2"), begin("r2")];
    for (let i = 0; i < 3; i++) for (const process of [a, b]) beat(process, r1);
    expect(r1.noticed).toHaveLength(1);
    expect(r1.noticed[0]?.replica).toBe("r2");
    expect(r1.lives.duplicates(now)).toEqual([["r2", now]]);
  });

  it("are told of it themselves, and the younger alone that it is to end", () => {
    const [r1, a, b] = [begin("r1"), begin("r2"), begin("r2")];
    for (let i = 0; i < 4; i++) for (const process of [b, a]) beat(process, r1);
    expect([a.ends, b.ends]).toEqual([[false], [true]]);
    expect(a.noticed).toEqual(r1.noticed);
    expect(b.noticed).toEqual(r1.noticed);
  });

  it("are noticed when one answers heartbeats and the other sends them", () => {
    const [r1, a, b] = [begin("r1"), begin("r2"), begin("r2")];
    for (let i = 0; i < 3; i++) {
      beat(a, r1);
      beat(r1, b, "r2");
    }
    expect(r1.noticed).toHaveLength(1);
  });

  it("are told of for ten minutes after one of them has ended", () => {
    const [r1, a, b] = [begin("r1"), begin("r2"), begin("r2")];
    for (let i = 0; i < 3; i++) for (const process of [a, b]) beat(process, r1);
    const at = now;
    now += 599_999;
    beat(a, r1);
    expect(r1.lives.duplicates(now)).toEqual([["r2", at]]);
    now += 1;
    expect(r1.lives.duplicates(now)).toEqual([]);
  });
});

describe("a process that was started anew", () => {
  it("is no second one, whatever of the first comes late and in whatever order", () => {
    const [r1, a] = [begin("r1"), begin("r2")];
    beat(a, r1);
    beat(a, r1);
    const late = [greet(a, r1, "r1"), greet(a, r1, "r1"), greet(a, r1, "r1")];
    const b = begin("r2");
    for (let i = 0; i < 3; i++) {
      beat(b, r1);
      late[i]?.arrive();
      beat(b, r1);
    }
    expect(r1.noticed).toEqual([]);
  });

  it("is none for a member that was started anew itself and hears of the first after it", () => {
    const before = begin("r1");
    const a = begin("r2");
    for (let i = 0; i < 5; i++) beat(a, before);
    const late = greet(a, before, "r1");
    const b = begin("r2");
    const r1 = begin("r1");
    beat(b, r1);
    const { body } = a.lives.greeting("r1");
    expect(r1.lives.greet(body, now).rival).toBe("");
    late.arrive();
    for (let i = 0; i < 3; i++) beat(b, r1);
    expect(r1.noticed).toEqual([]);
  });
});

it("believes no name that is none, and remembers nobody who is no member", () => {
  const r1 = begin("r1");
  const said = { kind: "greet", echo: "" } as const;
  for (const run of ["", "b", "zzzzzzzzz-", "zzzzzzzzz-!"])
    r1.lives.greet({ ...said, from: "r2", run }, now);
  r1.lives.greet({ ...said, from: "r9", run: "000000001-a" }, now);
  r1.lives.answered("r2", { kind: "greeted", run: "", mark: "", rival: "0" }, { mark: 0, now });
  expect(r1.noticed).toEqual([]);
});
