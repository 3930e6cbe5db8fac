/** Large values are carried out a few at a time, and what is small passes between. */
import { describe, expect, it } from "vitest";
import { LargeTurns } from "../../src/local/http/large-turns.ts";

const MIB = 1_048_576;
/** A loop that is never busy owes no rest. */
const RESTED = { active: 0, idle: 0 };
const LONG = { waitMsMax: 60_000, turnMsMax: 60_000, loopTime: () => RESTED };

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
async function turnsOfTheLoop(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await nextTurn();
}

/** Work that says when it begins, and ends when it is told to. */
function workLog() {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const work = (i: number) => (): Promise<number> => {
    begun.push(i);
    return new Promise((resolve) => {
      ends[i] = () => resolve(i);
    });
  };
  return { begun, work, end: (i: number) => ends[i]?.() };
}

describe("the turns of large values", () => {
  it("are a few at a time, in the order in which they came", async () => {
    const turns = new LargeTurns({ byteCountMax: 4 * MIB, ...LONG });
    const { begun, work, end } = workLog();
    const all = Array.from({ length: 10 }, (_, i) => turns.take(work(i), MIB));
    await turnsOfTheLoop(10);
    expect(begun).toEqual([0, 1, 2, 3]);
    end(2);
    await turnsOfTheLoop(10);
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    for (let i = 0; i < 10; i++) {
      end(i);
      await turnsOfTheLoop(3);
    }
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(await Promise.all(all)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(turns.waitingCount).toBe(0);
  });

  it("let one in by itself whatever its length, and nothing beside it", async () => {
    const turns = new LargeTurns({ byteCountMax: 4 * MIB, ...LONG });
    const { begun, work, end } = workLog();
    const all = [turns.take(work(0), MIB), turns.take(work(1), 9 * MIB), turns.take(work(2), MIB)];
    await turnsOfTheLoop(10);
    expect(begun).toEqual([0]);
    end(0);
    await turnsOfTheLoop(10);
    expect(begun).toEqual([0, 1]);
    end(1);
    await turnsOfTheLoop(10);
    end(2);
    expect(await Promise.all(all)).toEqual([0, 1, 2]);
  });

  it("begin one at a time, with a turn of the event loop for all others between", async () => {
    const turns = new LargeTurns({ byteCountMax: 4 * MIB, ...LONG });
    const order: string[] = [];
    const large = Array.from({ length: 3 }, (_, i) =>
      turns.take(async () => void order.push(`large ${i}`), MIB),
    );
    const small = (async () => {
      for (let i = 0; i < 2; i++) {
        await nextTurn();
        order.push("small");
      }
    })();
    await Promise.all([...large, small]);
    expect(order).toEqual(["large 0", "large 1", "small", "large 2", "small"]);
  });

  it("leave the loop a quarter of the time that they took before the next one begins", async () => {
    let time = { active: 1000, idle: 5000 };
    const turns = new LargeTurns({ ...LONG, loopTime: () => time });
    const { begun, work, end } = workLog();
    // So long that it would be held back for a minute.
    const all = [turns.take(work(0), 1000 * MIB)];
    time = { active: 1040, idle: 5000 };
    all.push(turns.take(work(1), MIB));
    end(0);
    await turnsOfTheLoop(20);
    expect(begun).toEqual([0]);
    time = { active: 1044, idle: 5011 };
    await expect.poll(() => begun).toEqual([0, 1]);
    end(1);
    expect(await Promise.all(all)).toEqual([0, 1]);
  });

  it("put off a rest too short for a timer, and take it with the next", async () => {
    let time = { active: 0, idle: 0 };
    const turns = new LargeTurns({ ...LONG, loopTime: () => time });
    const begun: number[] = [];
    const takesThree = (i: number) => async (): Promise<void> => {
      begun.push(i);
      time = { ...time, active: time.active + 3 };
    };
    const all = [0, 1, 2].map((i) => turns.take(takesThree(i), 100 * MIB));
    await turnsOfTheLoop(20);
    expect(begun).toEqual([0, 1]);
    time = { ...time, idle: 1 };
    await Promise.all(all);
    expect(begun).toEqual([0, 1, 2]);
  });

  it("go on where others leave the loop no rest", async () => {
    let active = 0;
    const loopTime = () => {
      active += 1000;
      return { active, idle: 0 };
    };
    const turns = new LargeTurns({ ...LONG, loopTime });
    const all = Array.from({ length: 3 }, (_, i) => turns.take(async () => i, MIB / 8));
    expect(await Promise.all(all)).toEqual([0, 1, 2]);
  });

  it("go on to the next when the work of one fails", async () => {
    const turns = new LargeTurns({ byteCountMax: MIB, ...LONG });
    const failing = turns.take(() => Promise.reject(new Error("broken")), MIB);
    const throwing = turns.take(() => {
      throw new Error("broken at once");
    }, MIB);
    const next = turns.take(async () => "done", MIB);
    await expect(failing).rejects.toThrow("broken");
    await expect(throwing).rejects.toThrow("broken at once");
    expect(await next).toBe("done");
  });

  it("are given up by whoever has waited too long, and nothing of it is done", async () => {
    const turns = new LargeTurns({ byteCountMax: MIB, ...LONG, waitMsMax: 1 });
    const { begun, work, end } = workLog();
    const first = turns.take(work(0), MIB);
    await expect(turns.take(work(1), 5 * MIB)).rejects.toMatchObject({ code: "overloaded" });
    end(0);
    await first;
    const later = turns.take(work(2), MIB);
    await turnsOfTheLoop(3);
    end(2);
    await later;
    expect([begun, turns.waitingCount]).toEqual([[0, 2], 0]);
  });

  it("are over when their work waits for others, and it still has its end", async () => {
    const turns = new LargeTurns({ byteCountMax: MIB, ...LONG, turnMsMax: 1 });
    const { begun, work, end } = workLog();
    const slow = turns.take(work(0), MIB);
    const next = turns.take(work(1), MIB);
    await expect.poll(() => begun).toEqual([0, 1]);
    for (const i of [1, 0]) end(i);
    expect(await Promise.all([slow, next])).toEqual([0, 1]);
    const last = [turns.take(work(2), MIB), turns.take(work(3), MIB)];
    await expect.poll(() => begun.length).toBe(4);
    for (const i of [2, 3]) end(i);
    expect(await Promise.all(last)).toEqual([2, 3]);
  });

  it("are waited for no longer than a request says", async () => {
    const turns = new LargeTurns({ byteCountMax: MIB, ...LONG });
    const { work, end } = workLog();
    const first = turns.take(work(0), MIB);
    await expect(turns.take(work(1), MIB, 1)).rejects.toMatchObject({ code: "overloaded" });
    end(0);
    await first;
  });
});
