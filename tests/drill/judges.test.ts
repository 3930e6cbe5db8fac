import { describe, expect, it } from "vitest";
import { judgeBounded, judgeCollected, judgeSession, type SessionEvent } from "./judges.ts";
import {
  describeHistory,
  isLinearizable,
  minimalViolation,
  type RegisterOp,
} from "./linearizability.ts";

const op = (
  kind: "write" | "read",
  value: string | null,
  [begin, end]: readonly [number, number],
): RegisterOp => ({ client: "c", kind, value, begin, end });
const write = (value: string | null, begin: number, end = Infinity) =>
  op("write", value, [begin, end]);
const read = (value: string | null, begin: number, end: number) => op("read", value, [begin, end]);

/** By trying all orders: what the search must agree with. */
function hasOrder(left: readonly RegisterOp[], value: string | null = null): boolean {
  if (left.every(({ end }) => end === Infinity)) return true;
  const firstEnd = Math.min(...left.map(({ end }) => end));
  return left.some((next) => {
    if (next.begin > firstEnd || (next.kind === "read" && next.value !== value)) return false;
    return hasOrder(
      left.filter((other) => other !== next),
      next.kind === "read" ? value : next.value,
    );
  });
}

describe("a register's history", () => {
  it.each<[string, readonly RegisterOp[]]>([
    ["of nobody", []],
    ["of reads of nothing", [read(null, 0, 1)]],
    [
      "of one after another",
      [write("a", 0, 1), read("a", 2, 3), write("b", 4, 5), read("b", 6, 7)],
    ],
    ["in which two write at once", [write("a", 0, 9), write("b", 1, 8), read("a", 10, 11)]],
    [
      "in which a read during a write shows either",
      [write("a", 0, 9), read(null, 1, 2), read("a", 3, 4)],
    ],
    [
      "in which a write of unknown outcome shows late",
      [write("a", 0), write("b", 1, 2), read("b", 3, 4), read("a", 9, 10)],
    ],
    [
      "in which a write of unknown outcome never shows",
      [write("a", 0), write("b", 1, 2), read("b", 3, 4)],
    ],
    [
      "in which a delete of unknown outcome comes late",
      [write("a", 0, 1), write(null, 2), read("a", 3, 4), read(null, 5, 6)],
    ],
  ])("%s is in order", (_, history) => {
    expect(isLinearizable(history)).toBe(true);
  });

  it.each<[string, readonly RegisterOp[]]>([
    ["a finished write is not seen", [write("a", 0, 1), read(null, 2, 3)]],
    ["an older value is shown", [write("a", 0, 1), write("b", 2, 3), read("a", 4, 5)]],
    ["reads go back", [write("a", 0, 1), write("b", 2, 20), read("b", 3, 4), read("a", 5, 6)]],
    [
      "two readers see two orders",
      [write("a", 0, 9), write("b", 0, 9), read("a", 10, 11), read("b", 12, 13), read("a", 14, 15)],
    ],
    [
      "a deleted value is back",
      [write("a", 0, 1), write(null, 2, 3), read(null, 4, 5), read("a", 6, 7)],
    ],
    ["a value is shown before anybody wrote it", [read("a", 0, 1), write("a", 2, 3)]],
    ["a value is shown that nobody wrote", [read("x", 0, 1)]],
    [
      "a write of unknown outcome shows, goes, and shows again",
      [write("a", 0), write("b", 1, 2), read("a", 3, 4), read("b", 5, 6), read("a", 7, 8)],
    ],
  ])("is out of order when %s", (_, history) => {
    expect(isLinearizable(history)).toBe(false);
    expect(hasOrder(history)).toBe(false);
  });

  it("is judged as by trying all orders", () => {
    let seed = 7;
    const below = (bound: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * bound);
    };
    const verdicts = [0, 0];
    for (let i = 0; i < 3000; i++) {
      const history = Array.from({ length: 1 + below(6) }, (): RegisterOp => {
        const begin = below(12);
        const isRead = below(2) === 0;
        const end = !isRead && below(4) === 0 ? Infinity : begin + 0.5 + below(8);
        const value = [null, "a", "b"][below(3)] ?? null;
        return op(isRead ? "read" : "write", value, [begin, end]);
      });
      const expected = hasOrder(history);
      expect(isLinearizable(history), describeHistory(history).join("\n")).toBe(expected);
      verdicts[Number(expected)] = (verdicts[Number(expected)] ?? 0) + 1;
    }
    expect(Math.min(...verdicts)).toBeGreaterThan(300);
  });

  it("of a hundred operations with many unknown is judged at once", () => {
    const history: RegisterOp[] = [];
    for (let i = 0; i < 40; i++) {
      history.push(write(`v${i}`, i * 10, i % 2 === 0 ? i * 10 + 15 : Infinity));
      history.push(read(`v${i}`, i * 10 + 5, i * 10 + 9), read(`v${i}`, i * 10 + 6, i * 10 + 9));
    }
    expect(isLinearizable(history)).toBe(true);
    expect(isLinearizable([...history, read("v0", 1000, 1001)])).toBe(false);
  });

  it("that is out of order is told by as little of it as shows that", () => {
    const history = [
      ...[write("a", 0, 1), read("a", 2, 3), write("b", 4, 5), read("b", 6, 7)],
      ...[write("c", 8, 9), read("b", 10, 11), write("d", 12, 13), read("d", 14, 15)],
    ];
    const least = minimalViolation(history);
    expect(least).toEqual([write("b", 4, 5), write("c", 8, 9), read("b", 10, 11)]);
    expect(describeHistory(least)).toHaveLength(3);
  });
});

describe("what was collected", () => {
  const all = new Set(["a", "b", "c"]);

  it("is whole when all that was acknowledged is there, and perhaps more that was tried", () => {
    const acknowledged = new Set(["a", "b"]);
    expect(judgeCollected("s", { acknowledged, attempted: all, found: all })).toEqual([]);
    expect(judgeCollected("s", { acknowledged, attempted: all, found: acknowledged })).toEqual([]);
  });

  it("lost something, or has something that nobody added", () => {
    const found = new Set(["a", "x"]);
    const judged = judgeCollected("s", { acknowledged: all, attempted: all, found });
    expect(judged).toEqual(["s lost b, c", "s invented x"]);
  });
});

describe("a session", () => {
  const wrote = (value: number, isKnown = true): SessionEvent => ({
    kind: "wrote",
    value,
    isKnown,
    via: "r1",
  });
  const saw = (value: number): SessionEvent => ({ kind: "read", value, isKnown: true, via: "r2" });

  it("may see what it wrote, with or without having heard that it was done", () => {
    expect(
      judgeSession("s", [saw(0), wrote(1), saw(1), wrote(2, false), saw(1), saw(2)]),
    ).toBeNull();
  });

  it.each<[string, readonly SessionEvent[], RegExp]>([
    ["its own write is not there", [wrote(1), wrote(2), saw(1)], /read 1 .* had written 2/],
    ["nothing is there", [wrote(1), saw(0)], /read 0 .* had written 1/],
    ["a read goes back", [wrote(1), wrote(2, false), saw(2), saw(1)], /read 1 .* had read 2/],
    ["it reads what it never wrote", [wrote(1), saw(2)], /had not written/],
  ])("is broken when %s", (_, events, why) => {
    expect(judgeSession("s", events)).toMatch(why);
  });
});

describe("a bounded read", () => {
  const log = [
    { value: 1, at: 100, acked: 2 },
    { value: 2, at: 200, acked: 3 },
    { value: 3, at: 300, acked: 1 },
  ];
  const read = (at: number, values: readonly number[], ackedMin = 2): string | null =>
    judgeBounded({ key: "k", at, values, via: "r1" }, log, { maxStaleMs: 1000, ackedMin });

  it("may lack what is younger than its bound, or was acknowledged by too few", () => {
    expect(read(1100, [])).toBeNull();
    expect(read(1200, [1])).toBeNull();
    expect(read(1201, [2])).toBeNull();
    expect(read(5000, [2])).toBeNull();
    expect(read(5000, [3, 1])).toBeNull();
  });

  it("must have what is older", () => {
    expect(read(1101, [])).toBe("k read 0 via r1 1001 ms after 1 was acknowledged by 2");
    expect(read(1201, [1])).toContain("after 2 was acknowledged by 3");
    expect(read(1301, [2], 1)).toContain("after 3 was acknowledged by 1");
  });
});
