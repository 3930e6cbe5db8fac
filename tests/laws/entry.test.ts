import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext, type Dot } from "../../core/causal-context.ts";
import {
  applyMint,
  compareDots,
  contextShowing,
  digestOf,
  type Entry,
  emptyEntry,
  etagOf,
  heldBy,
  isLive,
  isOvertaken,
  liveSiblings,
  merge,
  newestFirst,
  noteAliases,
  overtake,
  RETRIES_BEHIND_MAX,
  type Retry,
  type Sibling,
  sameKnowledge,
} from "../../core/entry.ts";
import { decodeEntry, encodeEntry } from "../../core/entry-codec.ts";
import { runsOf } from "./model.ts";
import { hash, mintRequest, START } from "./replica.ts";

/**
 * Twelve writes, some of which are one operation minted two or three times, some tombstones, some
 * expired at START. Somebody's knowledge is any part of these: what is seen, and what of that is
 * alive.
 */
const OPERATIONS = ["o1", "o1", "o2", "o3", "o3", "o3", "o4", "o5", "o6", "o6", "o7", "o8"];
const universe: readonly Sibling[] = OPERATIONS.map((op, i) => ({
  dot: {
    actor: ["AAAAAAAA", "BBBBBBBB", "CCCCCCCC"][i % 3] as string,
    counter: 1 + Math.floor(i / 3),
  },
  time: START * 1024 + (i % 4),
  op,
  expiresAt: i % 5 === 1 ? START : i % 5 === 2 ? START + 1 : 0,
  content: i % 4 === 3 ? null : mintRequest(op).content,
}));
const names = universe.map(({ dot }) => `${dot.actor}.${dot.counter}`);
const isRetried = (op: string): boolean => OPERATIONS.filter((other) => other === op).length > 1;
const byDot = (a: { dot: Dot }, b: { dot: Dot }): number => compareDots(a.dot, b.dot);

/** The same ones so far apart that an actor's first is long ago by the time of its last. */
const farApart = universe.map(({ dot, ...rest }) => ({
  ...rest,
  dot: { ...dot, counter: 1 + ((dot.counter - 1) * RETRIES_BEHIND_MAX) / 2 },
}));

/** What is known of each write of the universe, and whether a retry is noted. */
const entriesOf = (...known: readonly string[]): fc.Arbitrary<Entry> => entriesIn(universe, known);
const entriesIn = (versions: readonly Sibling[], known: readonly string[]): fc.Arbitrary<Entry> =>
  fc
    .array(fc.tuple(fc.constantFrom(...known), fc.boolean()), {
      minLength: universe.length,
      maxLength: universe.length,
    })
    .map((states) => {
      let context = CausalContext.empty;
      const siblings: Sibling[] = [];
      const retries: Retry[] = [];
      const overtaken: Sibling[] = [];
      for (const [i, [state, isNoted]] of states.entries()) {
        const version = versions[i] as Sibling;
        const { dot, op } = version;
        if (state === "overtaken" || state === "passed") overtaken.push(version);
        if (state === "unseen" || state === "passed") continue;
        context = context.with(dot);
        if (state !== "over") siblings.push(version);
        if (isNoted && isRetried(op)) retries.push({ op, dot });
      }
      const lists = { siblings: siblings.sort(byDot), retries: retries.sort(byDot) };
      const raw = overtake({ context, ...lists }, overtaken);
      // Merged with itself an entry is settled, as all are that a replica stores.
      return merge(raw, raw);
    });

/** A version that was overtaken was held before, or is known by its dot alone: it was passed. */
const entries = entriesOf("unseen", "over", "alive", "alive", "overtaken", "passed");
const plain = entriesOf("unseen", "over", "alive").map((entry) => ({ ...entry, retries: [] }));
const form = (entry: Entry): unknown => [
  entry.context.encode(),
  entry.siblings.map((sibling) => [sibling.dot, isOvertaken(sibling)]),
  entry.retries,
];

describe("the universe of these tests", () => {
  it("has a name for each of its writes", () => {
    expect(new Set(names).size).toBe(universe.length);
  });
});

describe("merge is a join, noted retries included", () => {
  it("commutative", () => {
    fc.assert(
      fc.property(entries, entries, (a, b) => {
        expect(form(merge(a, b))).toEqual(form(merge(b, a)));
      }),
      runsOf(2000),
    );
  });

  it("associative", () => {
    fc.assert(
      fc.property(entries, entries, entries, (a, b, c) => {
        expect(form(merge(merge(a, b), c))).toEqual(form(merge(a, merge(b, c))));
      }),
      runsOf(2000),
    );
  });

  it("idempotent, and absorbing what it has absorbed", () => {
    fc.assert(
      fc.property(entries, entries, (a, b) => {
        expect(form(merge(a, a))).toEqual(form(a));
        expect(form(merge(merge(a, b), b))).toEqual(form(merge(a, b)));
        expect(form(merge(a, emptyEntry))).toEqual(form(a));
      }),
      runsOf(2000),
    );
  });

  it("gives the very entry that came where that replaces what is held", () => {
    fc.assert(
      fc.property(plain, fc.constantFrom(...universe), (held, sibling) => {
        fc.pre(!held.context.covers(sibling.dot));
        const came = { ...held, context: held.context.with(sibling.dot), siblings: [sibling] };
        expect(merge(held, came)).toBe(came);
        expect(form(merge(came, held))).toEqual(form(came));
        const noted = { ...came, retries: [{ op: sibling.op, dot: sibling.dot }] };
        expect(form(merge(held, noted))).toEqual(form(merge(noted, held)));
      }),
    );
  });

  it("that leaves both sides as they were", () => {
    fc.assert(
      fc.property(entries, entries, (a, b) => {
        const before = JSON.stringify([form(a), form(b)]);
        merge(a, b);
        expect(JSON.stringify([form(a), form(b)])).toBe(before);
      }),
    );
  });

  it("keeps exactly what neither side has seen overwritten", () => {
    fc.assert(
      fc.property(plain, plain, (a, b) => {
        const over = (entry: Entry, dot: Dot): boolean =>
          entry.context.covers(dot) && !entry.siblings.some((s) => s.dot === dot);
        const alive = [...new Set([...a.siblings, ...b.siblings])].filter(
          ({ dot }) => !over(a, dot) && !over(b, dot),
        );
        expect(merge(a, b).siblings).toEqual(alive.sort(byDot));
      }),
      runsOf(2000),
    );
  });
});

describe("a version that was overtaken", () => {
  const versions = fc.subarray([...universe], { minLength: 1 });
  const isIn = (entry: Entry, { dot }: Sibling): boolean =>
    entry.siblings.some((one) => one.dot.actor === dot.actor && one.dot.counter === dot.counter);

  it("is shown to nobody, and stays so whatever is joined", () => {
    fc.assert(
      fc.property(entries, entries, versions, (entry, other, lower) => {
        const left = merge(other, overtake(entry, lower));
        const shown = liveSiblings(left, START).map(({ dot }) => dot);
        for (const { dot } of lower) expect(shown).not.toContainEqual(dot);
        expect(form(merge(entry, overtake(entry, lower)))).toEqual(form(overtake(entry, lower)));
      }),
      runsOf(2000),
    );
  });

  it("is named to those alone who are shown another version of its operation", () => {
    fc.assert(
      fc.property(entries, (entry) => {
        const shown = liveSiblings(entry, START);
        const context = contextShowing(entry, shown, START);
        for (const sibling of entry.siblings.filter(isOvertaken)) {
          const isShown = shown.some(({ op }) => op === sibling.op);
          expect(context.covers(sibling.dot)).toBe(isShown);
        }
      }),
      runsOf(2000),
    );
  });

  it("stays beside a write without a context for as long as another may come", () => {
    fc.assert(
      fc.property(entries, fc.nat({ max: 4 }), (entry, i) => {
        const since = START * 1024 + i - 1;
        const covers = heldBy(entry, since);
        for (const sibling of entry.siblings) {
          const stays = isOvertaken(sibling) && sibling.time > since;
          expect(covers.covers(sibling.dot)).toBe(!stays);
        }
      }),
    );
  });

  it("ends with its operation, and with it all other versions of that", () => {
    const [first, second] = universe as [Sibling, Sibling];
    const { op } = first;
    const both = { context: CausalContext.empty.with(first.dot).with(second.dot) };
    const retries = [first, second].map(({ dot }) => ({ op, dot }));
    const risen = overtake({ ...both, siblings: [first, second], retries }, [first]);
    expect(isIn(risen, second)).toBe(true);
    const over = { ...emptyEntry, context: CausalContext.empty.with(first.dot) };
    expect(merge(risen, over).siblings).toEqual([]);
    expect(merge(over, risen).siblings).toEqual([]);
  });
});

describe("notes of an operation's further dots", () => {
  const remembered = fc.subarray(universe.map(({ op, dot }) => ({ op, dot })));

  it("only add: the entry before adds nothing to the one after, and no note comes twice", () => {
    fc.assert(
      fc.property(entries, remembered, (entry, memory) => {
        const noted = noteAliases(entry, memory);
        expect(form(merge(entry, noted))).toEqual(form(noted));
        expect(form(noteAliases(noted, memory))).toEqual(form(noted));
        const dots = noted.retries.map(({ dot }) => `${dot.actor}.${dot.counter}`);
        expect(new Set(dots).size).toBe(dots.length);
      }),
      runsOf(2000),
    );
  });
});

describe("notes of retries", () => {
  it("are bounded: those of writes long ago go, the same ones on every replica", () => {
    const dotAt = (counter: number) => ({ actor: "AAAAAAAA", counter });
    let entry = emptyEntry;
    const along: Entry[] = [];
    for (let counter = 1; counter <= 3 * RETRIES_BEHIND_MAX; counter++) {
      const from = { dot: dotAt(counter), time: counter, op: `op${counter}`, expiresAt: 0 };
      const sibling = { ...from, content: null };
      entry = applyMint(entry, { sibling, covers: entry.context, isRetry: true });
      along.push(entry);
    }
    expect(entry.retries.map(({ dot }) => dot.counter)).toHaveLength(RETRIES_BEHIND_MAX);
    for (const older of along) expect(sameKnowledge(merge(older, entry), entry)).toBe(true);
  });
});

describe("versions that were overtaken", () => {
  const dotAt = (counter: number): Dot => ({ actor: "AAAAAAAA", counter });
  /** A write without a context, which another one has overtaken at once. */
  function passedBy(entry: Entry, counter: number): Entry {
    const from = { dot: dotAt(counter), time: counter, op: `op${counter}`, expiresAt: 0 };
    const sibling = { ...from, content: null };
    const covers = heldBy(entry, 0);
    return overtake(applyMint(entry, { sibling, covers, isRetry: false }), [sibling]);
  }

  it("are bounded: those of writes long ago go, the same ones on every replica", () => {
    const along: Entry[] = [];
    let entry = emptyEntry;
    for (let counter = 1; counter <= 3 * RETRIES_BEHIND_MAX; counter++) {
      entry = passedBy(entry, counter);
      along.push(entry);
    }
    expect(entry.siblings).toHaveLength(RETRIES_BEHIND_MAX);
    for (const older of along) {
      expect(sameKnowledge(merge(older, entry), entry)).toBe(true);
      expect(sameKnowledge(merge(entry, older), entry)).toBe(true);
    }
  });

  it("go without the other versions of their operation", () => {
    const others = { actor: "BBBBBBBB", counter: 1 };
    const again = { time: 9, op: "op1", expiresAt: 0, content: null, dot: others } as const;
    const minted = { sibling: again, covers: CausalContext.empty, isRetry: true } as const;
    const second = noteAliases(applyMint(passedBy(emptyEntry, 1), minted), []);
    expect(second.retries).toHaveLength(2);
    let entry = second;
    for (let counter = 2; counter <= 2 * RETRIES_BEHIND_MAX; counter++) {
      const sibling = { ...again, dot: dotAt(counter), op: `op${counter}` };
      const covers = heldBy(entry, 0).without(others);
      entry = overtake(applyMint(entry, { sibling, covers, isRetry: false }), [sibling]);
    }
    expect(entry.siblings.some(({ dot }) => dot === others)).toBe(true);
    expect(entry.siblings.some(({ dot }) => dot.counter === 1 && dot !== others)).toBe(false);
  });

  it("of writes long ago go in whatever order entries are joined", () => {
    const known = ["unseen", "over", "alive", "overtaken", "passed"];
    const far = entriesIn(farApart, known).map((entry) => {
      const bare = { ...entry, retries: [] };
      return merge(bare, bare);
    });
    fc.assert(
      fc.property(far, far, far, (a, b, c) => {
        expect(form(merge(a, b))).toEqual(form(merge(b, a)));
        expect(form(merge(merge(a, b), c))).toEqual(form(merge(a, merge(b, c))));
        expect(form(merge(merge(a, b), b))).toEqual(form(merge(a, b)));
      }),
      runsOf(2000),
    );
  });
});

describe("knowledge", () => {
  it("is the same exactly when the digests are, and survives being stored", () => {
    fc.assert(
      fc.property(entries, entries, fc.boolean(), (a, other, isSame) => {
        const b = isSame ? decodeEntry(encodeEntry(a, null)).entry : other;
        const isEqual = JSON.stringify(form(a)) === JSON.stringify(form(b));
        expect(digestOf(a, hash) === digestOf(b, hash)).toBe(isEqual);
        if (isEqual) expect(sameKnowledge(a, b)).toBe(true);
      }),
    );
  });

  it("does not count as the same when one side has more of it", () => {
    fc.assert(
      fc.property(entries, entries, (a, b) => {
        const joined = merge(a, b);
        const isEqual = JSON.stringify(form(joined)) === JSON.stringify(form(a));
        expect(sameKnowledge(joined, a)).toBe(isEqual);
      }),
      runsOf(2000),
    );
  });
});

describe("what a reader is shown", () => {
  it("is what is alive and in time, each operation once, newest first", () => {
    fc.assert(
      fc.property(entries, (entry) => {
        const shown = liveSiblings(entry, START);
        const live = entry.siblings.filter((s) => s.content !== null && s.expiresAt !== START);
        expect(new Set(shown.map(({ op }) => op))).toEqual(new Set(live.map(({ op }) => op)));
        expect(new Set(shown.map(({ op }) => op)).size).toBe(shown.length);
        for (const [i, sibling] of shown.slice(1).entries()) {
          expect(newestFirst(shown[i] as Sibling, sibling)).toBeLessThan(0);
        }
        expect(liveSiblings({ ...entry, siblings: entry.siblings.toReversed() }, START)).toEqual(
          shown,
        );
      }),
    );
  });

  it("comes with a context that covers all that lived, but what was not shown", () => {
    fc.assert(
      fc.property(entries, fc.nat(), (entry, pick) => {
        const live = liveSiblings(entry, START);
        const shown = live.filter((_, i) => (pick >> i) % 2 === 0);
        const context = contextShowing(entry, shown, START);
        const hidden = entry.siblings.filter(
          (s) => (isLive(s, START) || isOvertaken(s)) && !shown.some(({ op }) => op === s.op),
        );
        for (const { dot } of universe) {
          const isHidden = hidden.some((s) => compareDots(s.dot, dot) === 0);
          expect(context.covers(dot)).toBe(entry.context.covers(dot) && !isHidden);
        }
      }),
    );
  });

  it("has an entity tag that says which versions, whatever their order", () => {
    const [a, b] = universe as [Sibling, Sibling];
    expect(etagOf([a, b], hash)).toBe(etagOf([b, a], hash));
    expect(etagOf([a], hash)).not.toBe(etagOf([b], hash));
    expect(etagOf([a], hash)).not.toBe(etagOf([a, b], hash));
    expect(etagOf([a], hash)).toMatch(/^"[0-9a-f]{16}"$/);
  });
});

describe("an instant", () => {
  it("ends a value that has a deadline, and no other", () => {
    const value = { ...(universe[0] as Sibling), expiresAt: 1000 };
    expect([isLive(value, 999), isLive(value, 1000)]).toEqual([true, false]);
    expect(isLive({ ...value, expiresAt: 0 }, Number.MAX_SAFE_INTEGER)).toBe(true);
    expect(isLive({ ...value, content: null }, 0)).toBe(false);
  });
});
