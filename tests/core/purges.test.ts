import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { digestOf, type Entry } from "../../core/entry.ts";
import { SOFT_PURGES_COUNT_MAX } from "../../core/limits.ts";
import {
  mergePurges,
  noPurges,
  PurgeIndex,
  type Purges,
  parsePurges,
  plainPurges,
  purgeName,
  softName,
  withFloor,
  withPurge,
  withSoftPurge,
} from "../../core/purges.ts";
import { HLC_MAX, hlcFromMillis } from "../../core/time.ts";
import { hash, mintRequest } from "../laws/replica.ts";

const names = [
  purgeName("a", "everything", ""),
  purgeName("a", "tag", "red"),
  purgeName("a", "prefix", "img/"),
  purgeName("b", "tag", "red"),
];
const steps = fc.array(
  fc.record({
    name: fc.constantFrom(...names),
    time: fc.integer({ min: 1, max: 30 }),
    isFloor: fc.boolean(),
  }),
  { maxLength: 8 },
);
const madeOf = (list: readonly { name: string; time: number; isFloor: boolean }[]): Purges =>
  list.reduce((purges: Purges, { name, time, isFloor }) => {
    if (isFloor) return withFloor(purges, Math.floor(time / 3));
    return time > purges.floor ? withPurge(purges, [name], time) : purges;
  }, noPurges);
const purges = steps.map(madeOf);
const same = (a: Purges, b: Purges): void => expect(plainPurges(a)).toEqual(plainPurges(b));

function entryOf(time: number, tags: readonly string[]): Entry {
  const dot = { actor: "AAAAAAAA", counter: time };
  const content = {
    ...(mintRequest("op").content as NonNullable<Entry["siblings"][0]["content"]>),
  };
  const sibling = { dot, time, op: "op", expiresAt: 0, content: { ...content, tags } };
  return { context: CausalContext.empty.with(dot), siblings: [sibling], retries: [] };
}

describe("merging purges", () => {
  it("is a join, and travels", () => {
    fc.assert(
      fc.property(purges, purges, purges, (a, b, c) => {
        same(mergePurges(a, b), mergePurges(b, a));
        same(mergePurges(mergePurges(a, b), c), mergePurges(a, mergePurges(b, c)));
        expect(mergePurges(a, a)).toBe(a);
        expect(mergePurges(mergePurges(a, b), b)).toEqual(mergePurges(a, b));
        same(parsePurges(JSON.parse(JSON.stringify(plainPurges(a)))), a);
      }),
    );
  });

  it("forgets nothing that some part of it still purges", () => {
    fc.assert(
      fc.property(purges, purges, fc.integer({ min: 1, max: 30 }), (a, b, time) => {
        const merged = mergePurges(a, b);
        const isPurged = (by: Purges): boolean => {
          const entry = entryOf(time, ["red"]);
          return new PurgeIndex(by).apply("a\0img/1", entry) !== entry;
        };
        const isOver = time <= merged.floor;
        if ((isPurged(a) || isPurged(b)) && !isOver) expect(isPurged(merged)).toBe(true);
        if (!isPurged(a) && !isPurged(b)) expect(isPurged(merged)).toBe(false);
      }),
    );
  });
});

it("leaves times to come: no epoch is of the year 2200", () => {
  expect(() => parsePurges([0, [[names[0], HLC_MAX + 1]]])).toThrow("times to come");
  expect(parsePurges([0, [[names[0], HLC_MAX]]]).epochs.size).toBe(1);
});

describe("an entry seen through purges", () => {
  const index = new PurgeIndex(withPurge(noPurges, [names[1] as string, names[2] as string], 10));

  it("loses the values written up to then, and none of its versions", () => {
    const entry = entryOf(10, ["blue", "red"]);
    const seen = index.apply("a\0x", entry);
    expect(seen.siblings.map(({ content }) => content)).toEqual([null]);
    expect(digestOf(seen, hash)).toBe(digestOf(entry, hash));
  });

  it.each([
    ["another tag", "a\0x", entryOf(10, ["blue"])],
    ["another namespace", "b\0img/1", entryOf(10, ["red"])],
    ["another prefix", "a\0im", entryOf(10, [])],
    ["a later write", "a\0img/1", entryOf(11, ["red"])],
  ])("is left as it is: %s", (_, key, entry) => {
    expect(index.apply(key, entry)).toBe(entry);
  });
});

describe("soft purges", () => {
  const site = "_site.a";
  const answer = (at: number, tags: string[] = [], name = "http://h/p") => ({ name, tags, at });

  it("make stale what was asked for before, hide nothing, and no floor ends them", () => {
    let purges = withSoftPurge(noPurges, [softName(site, "tag", "red")], hlcFromMillis(100));
    purges = withFloor(
      withPurge(purges, [purgeName("b", "everything", "")], hlcFromMillis(150)),
      hlcFromMillis(200),
    );
    const index = new PurgeIndex(parsePurges(plainPurges(purges)));
    expect(index.isEmpty).toBe(true);
    expect(index.concerns(site)).toBe(false);
    expect(index.ofAnswer(site, answer(100, ["red"]))).toBe("stale");
    expect(index.ofAnswer(site, answer(101, ["red"]))).toBe("valid");
    expect(index.ofAnswer(site, answer(100, ["blue"]))).toBe("valid");
    const hard = withPurge(purges, [purgeName(site, "prefix", "/p\n")], hlcFromMillis(300));
    const both = new PurgeIndex(hard);
    expect(both.ofAnswer(site, answer(300))).toBe("gone");
    expect(both.ofAnswer(site, answer(300, [], "http://h/pq"))).toBe("valid");
    expect(both.ofAnswer(site, answer(300, [], "http://h/p\nx-device:=tv"))).toBe("gone");
  });

  it("become one of the whole site where there are too many", () => {
    let purges = noPurges;
    for (let i = 0; i <= SOFT_PURGES_COUNT_MAX; i++) {
      purges = withSoftPurge(purges, [softName(site, "tag", `t${i}`)], hlcFromMillis(i + 1));
    }
    expect([...purges.epochs.keys()]).toEqual([softName(site, "everything", "")]);
    const index = new PurgeIndex(purges);
    expect(index.ofAnswer(site, answer(SOFT_PURGES_COUNT_MAX, ["other"]))).toBe("stale");
  });
});
