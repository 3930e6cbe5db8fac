import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  Exchange,
  type ExchangeLimits,
  type ExchangeResult,
  type ExchangeSide,
  exchangeLimits,
} from "../../antientropy/exchange.ts";
import {
  answerFetch,
  answerLeafKeys,
  answerLeaves,
  answerRoots,
} from "../../antientropy/exchange-replies.ts";
import { MemoryLeafSums, MerkleForest } from "../../antientropy/merkle-tree.ts";
import type { Reply, Request } from "../../core/messages.ts";

const TREES = Array.from({ length: 20 }, (_, partition) => ({ partition, n: 3 }));

const hashOf = (text: string): number =>
  [...text].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) % 1_000_003, 7);

/** A replica as small as can be: an entry is a set of bytes, and joined by union. */
class Side implements ExchangeSide {
  readonly forest = new MerkleForest(new MemoryLeafSums());
  readonly entries = new Map<string, Uint8Array>();

  readonly digest = (key: string): number => {
    const bytes = this.entries.get(key);
    return bytes === undefined ? 0 : hashOf(`${key}:${bytes.join()}`) + 1;
  };

  /** Entries that cannot be read; once a read was tried they count for nothing. */
  readonly rotten = new Set<string>();

  readonly entryBytes = (key: string): Uint8Array | null => {
    if (this.rotten.has(key)) this.lose(key);
    return this.entries.get(key) ?? null;
  };

  readonly joinedBytes = (key: string): Uint8Array | null => this.entryBytes(key);
  readonly hasNothing = (key: string): boolean => !this.#lost.has(key) && !this.entries.has(key);
  readonly movedSince = (): readonly string[] => [];

  readonly unreadCounts: ExchangeSide["unreadCounts"] =
    () =>
    ({ partition }) =>
      [...this.#lost].filter((key) => placeOf(key).tree.partition === partition).length;

  readonly #lost = new Set<string>();

  lose(key: string): void {
    const { tree, leaf } = placeOf(key);
    this.forest.update(tree, leaf, { from: this.digest(key), to: 0 });
    this.rotten.delete(key);
    this.entries.delete(key);
    this.#lost.add(key);
  }

  readonly absorb = (key: string, bytes: Uint8Array): boolean => {
    const from = this.digest(key);
    this.#lost.delete(key);
    const all = [...new Set([...(this.entries.get(key) ?? []), ...bytes])].sort((a, b) => a - b);
    this.entries.set(key, Uint8Array.from(all));
    const { tree, leaf } = placeOf(key);
    this.forest.update(tree, leaf, { from, to: this.digest(key) });
    return true;
  };

  readonly keysIn: ExchangeSide["keysIn"] = (tree, leaves) =>
    [...this.entries.keys()].flatMap((key) => {
      const place = placeOf(key);
      const isThere = place.tree.partition === tree.partition && leaves.has(place.leaf);
      return isThere ? [[key, this.digest(key)] as const] : [];
    });
}

const placeOf = (key: string) => ({
  tree: { partition: hashOf(key) % TREES.length, n: 3 },
  leaf: hashOf(`leaf ${key}`) % 256,
});

function answer(side: Side, body: Request, limits: ExchangeLimits): Reply {
  switch (body.kind) {
    case "roots":
      return answerRoots(side, body);
    case "leaves":
      return answerLeaves(side, body);
    case "leafKeys":
      return answerLeafKeys(side, body);
    case "fetch":
      return answerFetch(side, body, limits);
    case "deliver":
      for (const [key, bytes] of body.items as [string, Uint8Array][]) side.absorb(key, bytes);
      return { kind: "stored", durable: true };
    default:
      throw new Error(`an exchange asks for no ${body.kind}`);
  }
}

interface Ran {
  readonly result: ExchangeResult;
  readonly messageCount: number;
  readonly tookMs: number;
}

/** @param lostAt the message that is never answered */
function exchange(mine: Side, theirs: Side, limits = exchangeLimits, lostAt = Infinity): Ran {
  const results: ExchangeResult[] = [];
  const sent: Request[] = [];
  const side = mine;
  const run = new Exchange(
    { peer: "r2", trees: TREES, side, limits },
    { ask: (_, body) => sent.push(body), finish: (result) => results.push(result) },
  );
  let now = 1000;
  let answered = 0;
  run.start(now);
  while (!run.isOver) {
    const body = sent[answered];
    if (body !== undefined && answered < lostAt) {
      answered++;
      run.reply("r2", answer(theirs, body, limits), now);
      continue;
    }
    now = run.wakeAt;
    run.wake(now);
  }
  const [result] = results;
  if (result === undefined || results.length > 1) throw new Error("an exchange ends once");
  return { result, messageCount: sent.length, tookMs: now - 1000 };
}

function sideOf(entries: readonly (readonly [string, readonly number[]])[]): Side {
  const side = new Side();
  for (const [key, bytes] of entries) side.absorb(key, Uint8Array.from(bytes));
  return side;
}

const plainOf = (side: Side): unknown =>
  [...side.entries].map(([key, bytes]) => [key, [...bytes]]).sort();

const entry = fc.tuple(
  fc.integer({ min: 0, max: 300 }).map((i) => `k${i}`),
  fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 5 }),
);
const sides = fc.array(entry, { maxLength: 120 });
const small: ExchangeLimits = {
  ...exchangeLimits,
  treeCountMax: 3,
  batchCountMax: 4,
  batchBytesMax: 9,
};

describe("an exchange", () => {
  it("makes both replicas hold the join of what they held, in one pass", () => {
    fc.assert(
      fc.property(sides, sides, fc.constantFrom(exchangeLimits, small), (a, b, limits) => {
        const [mine, theirs, joined] = [sideOf(a), sideOf(b), sideOf([...a, ...b])];
        const { result } = exchange(mine, theirs, limits);
        expect(result.isComplete).toBe(true);
        expect(plainOf(mine)).toEqual(plainOf(joined));
        expect(plainOf(theirs)).toEqual(plainOf(joined));
        expect(exchange(mine, theirs, limits).messageCount).toBe(1);
      }),
    );
  });

  it("is broken off by silence anywhere, and the next one finds what is left", () => {
    fc.assert(
      fc.property(sides, sides, fc.nat(12), (a, b, lostAt) => {
        const [mine, theirs, joined] = [sideOf(a), sideOf(b), sideOf([...a, ...b])];
        exchange(mine, theirs, small, lostAt);
        expect(exchange(mine, theirs, small).result.isComplete).toBe(true);
        expect([plainOf(mine), plainOf(theirs)]).toEqual([plainOf(joined), plainOf(joined)]);
      }),
    );
  });

  it.each([exchangeLimits, small])(
    "counts the keys that the peer cannot read, and gives it what it has of them",
    (limits) => {
      const mine = sideOf([
        ["k1", [1]],
        ["k2", [2]],
      ]);
      const theirs = sideOf([
        ["k1", [1, 9]],
        ["k3", [3]],
        ["k4", [4]],
      ]);
      for (const key of ["k1", "k3"]) theirs.rotten.add(key);
      const { result } = exchange(mine, theirs, limits);
      expect(result).toMatchObject({ isComplete: true, keysUnread: 2 });
      expect(plainOf(mine)).toEqual([
        ["k1", [1]],
        ["k2", [2]],
        ["k4", [4]],
      ]);
      expect(plainOf(theirs)).toEqual(plainOf(mine));
      // It knows that it cannot read the third, and has nothing of it in its trees.
      expect(exchange(mine, theirs, limits).result).toMatchObject({ keysUnread: 1, keysSent: 0 });
    },
  );

  it("spends no more bytes a second than its limit, both ways together", () => {
    const of = (from: number): Side =>
      sideOf(Array.from({ length: 40 }, (_, i) => [`k${from + i}`, [1, 2, 3, 4, 5]]));
    const limits = { ...small, bytesPerSecondMax: 10 };
    const { result, tookMs } = exchange(of(0), of(40), limits);
    expect(result).toMatchObject({ isComplete: true, byteCount: 400 });
    // The last batch need not be waited for.
    const last = (limits.batchBytesMax * 1000) / limits.bytesPerSecondMax;
    expect(tookMs).toBeGreaterThanOrEqual((400 * 1000) / limits.bytesPerSecondMax - last);
    expect(exchange(of(0), of(40)).tookMs).toBeLessThan(1);
  });

  it("does not take for unread what the other forgets on the way, and brings none of it back", () => {
    const theirs = sideOf(["k1", "k2", "k3"].map((key) => [key, [1]] as const));
    const mine = new Side();
    const { entryBytes } = theirs;
    // Its time is over between the list of keys and the question for them.
    const forget = (key: string): void => {
      const { tree, leaf } = placeOf(key);
      theirs.forest.update(tree, leaf, { from: theirs.digest(key), to: 0 });
      theirs.entries.delete(key);
    };
    Object.assign(theirs, {
      entryBytes: (key: string) => {
        if (key !== "k2") forget(key);
        return entryBytes(key);
      },
    });
    const { result } = exchange(mine, theirs);
    expect(result).toMatchObject({ isComplete: true, keysUnread: 0, keysReceived: 1, keysSent: 0 });
    expect([...mine.entries.keys()]).toEqual(["k2"]);
  });

  it("stops when its own replica takes nothing in", () => {
    const mine = new Side();
    Object.assign(mine, { absorb: () => false });
    const { result } = exchange(mine, sideOf([["k1", [1]]]));
    expect(result).toMatchObject({ isComplete: false, keysReceived: 0 });
  });
});
