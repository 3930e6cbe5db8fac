import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { History, type Write } from "./history.ts";
import { IdSet } from "./id-set.ts";

const noClocks = { skewMsMin: 0, skewMsMax: 0 };

interface Planned {
  /** Which earlier writes its context shows. */
  readonly saw: readonly number[];
  /** It has no context. */
  readonly isBlind: boolean;
  /** Nobody minted what it saw any more. */
  readonly areQuiet: boolean;
}

const writes = fc.array(
  fc.record({
    saw: fc.array(fc.nat(70), { maxLength: 3 }),
    isBlind: fc.boolean(),
    areQuiet: fc.boolean(),
  }),
  { minLength: 1, maxLength: 70 },
);
const ids = fc.array(fc.nat(70), { maxLength: 12 });

function historyOf(plans: readonly Planned[]): History {
  const history = new History();
  for (const [id, { saw, isBlind, areQuiet }] of plans.entries()) {
    const session = { saw: within(saw, id), sawAt: areQuiet ? Infinity : -Infinity };
    const begun = { value: `${id}`, isDelete: false, isBlind, ttlMs: 0, begunAt: id };
    const write = history.begin(begun, session);
    write.fate = "acknowledged";
    write.endedAt = id + 0.5;
    write.quietAt = write.endedAt;
    write.primaryCount = 2;
    write.durableCount = 1 + (id % 2);
    if (isBlind) history.coverAnswered(write, { primaries: 2, n: 3 });
  }
  return history;
}

const within = (some: readonly number[], count: number): IdSet =>
  IdSet.of(...some.filter((id) => id < count));

const union = (sets: readonly IdSet[]): Set<number> => new Set(sets.flatMap((set) => [...set]));

describe("the model of a key", () => {
  it("says what is missing, and what was covered for good, as by going through all", () => {
    const check = (
      plans: readonly Planned[],
      owing: readonly number[],
      seeing: readonly number[],
    ): void => {
      const history = historyOf(plans);
      const [owed, seen] = [within(owing, plans.length), within(seeing, plans.length)];
      const of = (which: Iterable<number>): Write[] =>
        [...which].map((id) => history.writes[id] as Write);
      const past = union(of(owed).map(({ covers }) => covers));
      const closure = new Set([...owed, ...past]);
      const forGood = union(of(closure).map(({ coversForGood }) => coversForGood));
      expect(history.missing(owed, seen)).toEqual(
        [...owed].filter((id) => !seen.has(id) && !past.has(id)),
      );
      expect([...history.closure(owed)].sort()).toEqual([...closure].sort());
      for (const id of seen) expect(history.isCoveredForGood(id, owed)).toBe(forGood.has(id));
    };
    fc.assert(fc.property(writes, ids, ids, check), { numRuns: 300 });
  });

  it("takes for covered by a write without a context what was begun before its answer", () => {
    const history = new History();
    const ids = [0, 10, 20].map((begunAt) => {
      const begun = { value: `${begunAt}`, isDelete: false, isBlind: begunAt === 0, ttlMs: 0 };
      const write = history.begin({ ...begun, begunAt }, { saw: new IdSet(), sawAt: 0 });
      write.quietAt = begunAt + 20;
      write.endedAt = begunAt + 15;
      return write.id;
    });
    expect([...history.maybeCovered(noClocks)]).toEqual([ids[1]]);
  });
});
