import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Marks } from "../../antientropy/marks.ts";
import {
  Tail,
  type TailPlan,
  type TailResult,
  type TailSide,
  tailLimits,
} from "../../antientropy/tail.ts";
import { pageOf, type TailedSide } from "../../antientropy/tail-replies.ts";
import type { Reply, Request } from "../../core/messages.ts";

const FOLLOWER = "b";

/** A replica as small as can be: an entry is a set of numbers, joined by union. */
class Peer implements TailedSide {
  run = 1;
  head = 0;
  readonly own = new Map<string, { readonly position: number; readonly entry: Set<number> }>();
  readonly hinted = new Map<string, { readonly position: number; readonly entry: Set<number> }>();
  /** Everything that ever stood at a position and concerns the follower, as it was when it came. */
  readonly history: { readonly position: number; readonly key: string; readonly value: number }[] =
    [];
  readonly rotten = new Set<string>();
  readonly moves = new Map<string, number>();

  write(key: string, value: number, isHint: boolean): void {
    const table = isHint ? this.hinted : this.own;
    const entry = new Set([...(table.get(key)?.entry ?? []), value]);
    table.set(key, { position: ++this.head, entry });
    if (this.concerns(key)) this.history.push({ position: this.head, key, value });
  }

  forget(key: string): void {
    this.own.delete(key);
    this.hinted.delete(key);
  }

  moveHint(key: string, to: Peer): void {
    const hint = this.hinted.get(key);
    if (hint === undefined) return;
    for (const value of hint.entry) to.write(key, value, false);
    this.moves.set("home", Math.max(this.moves.get("home") ?? 0, hint.position));
    this.hinted.delete(key);
    this.head++;
  }

  readonly concerns = (key: string): boolean => !key.startsWith("x");
  readonly isShared = (key: string): boolean => !key.startsWith("s");
  readonly hasLost = (): boolean => false;
  readonly movedSince = (position: number): readonly string[] =>
    [...this.moves].filter(([, last]) => last > position).map(([id]) => id);

  arrivals(after: number, countMax: number) {
    const rows = [...this.own].map(([key, { position }]) => ({ key, position, partition: 0 }));
    return rows
      .filter(({ position }) => position > after)
      .sort((a, b) => a.position - b.position)
      .slice(0, countMax)
      .map((row) => ({ ...row, digest: 0 }));
  }

  hints(after: number, countMax: number) {
    const rows = [...this.hinted].map(([key, { position }]) => ({ key, position, target: "t" }));
    return rows
      .filter(({ position }) => position > after)
      .sort((a, b) => a.position - b.position)
      .slice(0, countMax);
  }

  #joined(key: string): Set<number> {
    return new Set([...(this.own.get(key)?.entry ?? []), ...(this.hinted.get(key)?.entry ?? [])]);
  }

  digest(key: string): number {
    return digestOf(this.#joined(key));
  }

  answer(body: Request, limits = { scanCountMax: 3, anchorCountMax: 4 }): Reply {
    if (body.kind === "arrivals") {
      return pageOf(this, body, limits) ?? { kind: "refused", code: "overloaded" };
    }
    if (body.kind !== "fetch") throw new Error(`it is asked for no ${body.kind}`);
    const known = body.keys.map(String).filter((key) => {
      return !this.rotten.has(key) && this.#joined(key).size > 0;
    });
    // Fewer than were asked for: the rest is asked for again.
    const items = known
      .slice(0, 2)
      .map((key) => [key, Uint8Array.from(this.#joined(key))] as const);
    const gone = body.keys.map(String).filter((key) => {
      return !this.rotten.has(key) && this.#joined(key).size === 0;
    });
    return { kind: "fetched", items, moved: this.movedSince(body.after ?? 0), gone, run: this.run };
  }
}

const digestOf = (entry: Iterable<number>): number =>
  [...entry].sort((a, b) => a - b).reduce((sum, value) => (sum * 257 + value + 1) % 1e9, 0);

class Follower implements TailSide {
  readonly entries = new Map<string, Set<number>>();
  /** The part of these that a crash would leave. */
  durable = new Map<string, Set<number>>();
  isFull = false;

  readonly digest = (key: string): number => digestOf(this.entries.get(key) ?? []);

  readonly absorb = (key: string, bytes: Uint8Array): boolean => {
    if (this.isFull) return false;
    this.entries.set(key, new Set([...(this.entries.get(key) ?? []), ...bytes]));
    return true;
  };

  readonly whenDurable = (callback: (ok: boolean) => void): void => {
    this.durable = new Map([...this.entries].map(([key, entry]) => [key, new Set(entry)]));
    callback(true);
  };

  has(key: string, value: number): boolean {
    return this.durable.get(key)?.has(value) === true;
  }
}

/** @param between called before each answer: what happens at the peer meanwhile */
function follow(
  follower: Follower,
  peer: Peer,
  plan: Partial<TailPlan> = {},
  between: () => void = () => {},
): { readonly result: TailResult; readonly kinds: readonly string[] } {
  const sent: Request[] = [];
  const results: TailResult[] = [];
  const tail = new Tail(
    {
      ...{ self: FOLLOWER, peer: "c", run: peer.run, after: 0, isAnchor: false },
      ...{ side: follower, limits: tailLimits },
      ...plan,
    },
    { ask: (_, body) => void sent.push(body), finish: (result) => void results.push(result) },
  );
  tail.start(0);
  for (let i = 0; i < sent.length; i++) {
    between();
    tail.reply("c", peer.answer(sent[i] as Request), 0);
  }
  const [result] = results;
  if (result === undefined || !tail.isOver) throw new Error("it is not over");
  return { result, kinds: sent.map(({ kind }) => kind) };
}

describe("one step of following a peer", () => {
  it("fetches what is lacked, and only that", () => {
    const peer = new Peer();
    peer.write("a", 1, false);
    peer.write("b", 2, true);
    const follower = new Follower();
    follower.absorb("a", Uint8Array.of(1));
    const { result, kinds } = follow(follower, peer);
    expect(result).toMatchObject({ through: 2, isAtEnd: true, keysReceived: 1, moved: [] });
    expect(kinds).toEqual(["arrivals", "fetch"]);
    expect(follower.has("b", 2)).toBe(true);
    expect(follow(follower, peer).kinds).toEqual(["arrivals"]);
  });

  it("goes nowhere past what the peer cannot read, or does not send", () => {
    const peer = new Peer();
    for (const key of ["a", "b", "c"]) peer.write(key, 1, false);
    peer.rotten.add("b");
    const follower = new Follower();
    expect(follow(follower, peer).result.through).toBeNull();
    // The others are here all the same.
    expect([follower.has("a", 1), follower.has("c", 1)]).toEqual([true, true]);
    peer.rotten.clear();
    expect(follow(follower, peer).result.through).toBe(3);
  });

  it("goes past what the peer has forgotten since it listed it, as its time was over", () => {
    const peer = new Peer();
    for (const key of ["a", "b", "c"]) peer.write(key, 1, false);
    const follower = new Follower();
    let turn = 0;
    const forget = (): void => {
      if (++turn === 2) for (const key of ["a", "c"]) peer.forget(key);
    };
    expect(follow(follower, peer, {}, forget).result.through).toBe(3);
    expect(follower.has("b", 1)).toBe(true);
  });

  it("goes past nothing that is gone where the peer's order got another name, for it may be lost", () => {
    const peer = new Peer();
    peer.write("a", 1, false);
    let turn = 0;
    const lose = (): void => {
      if (++turn !== 2) return;
      peer.forget("a");
      peer.run++;
    };
    expect(follow(new Follower(), peer, {}, lose).result.through).toBeNull();
  });

  it("says nothing when its own disk takes nothing, or the peer's order has another name", () => {
    const peer = new Peer();
    peer.write("a", 1, false);
    const follower = new Follower();
    follower.isFull = true;
    expect(follow(follower, peer).result.through).toBeNull();
    expect(follow(new Follower(), peer, { run: 7 }).result.through).toBeNull();
  });

  it("hears of a hint that goes elsewhere between the page and the question for it", () => {
    const peer = new Peer();
    const home = new Peer();
    peer.write("a", 1, true);
    peer.write("a", 2, false);
    let turn = 0;
    const { result } = follow(new Follower(), peer, {}, () => {
      if (++turn === 2) peer.moveHint("a", home);
    });
    expect(result.moved).toEqual(["home"]);
  });

  it("at first asks for what no exchange brings, however many pages that takes", () => {
    const peer = new Peer();
    for (let i = 0; i < 9; i++) peer.write(`k${i}`, 1, false);
    peer.write("s", 5, false);
    peer.write("k1", 7, true);
    const follower = new Follower();
    let after = 0;
    for (let i = 0; i < 9; i++) {
      const { result } = follow(follower, peer, { after, isAnchor: true });
      after = result.through ?? after;
      if (result.isAtEnd) break;
    }
    expect(after).toBe(peer.head);
    expect([...follower.durable.keys()].sort()).toEqual(["k1", "s"]);
  });
});

describe("the law of marks", () => {
  const step = fc.oneof(
    fc.record({ what: fc.constant("write"), key: fc.nat(5), value: fc.nat(200) }),
    fc.record({ what: fc.constant("hint"), key: fc.nat(5), value: fc.nat(200) }),
    fc.record({ what: fc.constantFrom("move", "rot", "heal"), key: fc.nat(5), value: fc.nat(1) }),
    fc.record({ what: fc.constantFrom("follow", "lag"), key: fc.nat(5), value: fc.nat(200) }),
  );
  const names = ["a", "b", "x", "s", "t", "u"];

  type Step = { readonly what: string; readonly key: number; readonly value: number };

  /** A peer, its follower, and the member that its hints are for. */
  class Pair {
    readonly peer = new Peer();
    readonly home = new Peer();
    readonly follower = new Follower();
    readonly marks = new Marks("layout");
    readonly toldOf = new Set<string>();

    get mark(): number {
      return this.marks.of("c", this.peer.run)?.through ?? 0;
    }

    act({ what, key, value }: Step): void {
      const name = names[key] as string;
      if (what === "write" || what === "hint") this.peer.write(name, value, what === "hint");
      else if (what === "move") this.peer.moveHint(name, this.home);
      else if (what === "rot") this.peer.rotten.add(name);
      else if (what === "heal") this.peer.rotten.delete(name);
      else this.#follow(name, what === "lag" ? value : null);
    }

    /** @param comes a value that is written there while the rest of a page is asked for */
    #follow(name: string, comes: number | null): void {
      const askedCount = this.peer.history.length;
      let isFirst = true;
      const { result } = follow(this.follower, this.peer, { after: this.mark }, () => {
        if (comes !== null && !isFirst) this.peer.write(name, comes, false);
        isFirst = false;
      });
      for (const id of result.moved) this.toldOf.add(id);
      if (result.through === null) return;
      this.marks.raise("c", { run: this.peer.run, through: result.through });
      for (const [key, value] of this.#standing())
        expect([key, this.#has(key, value)]).toEqual([key, true]);
      if (result.isAtEnd) this.#checkAll(askedCount);
    }

    #has(key: string, value: number): boolean {
      return this.follower.has(key, value);
    }

    /** What stands at the peer up to the mark, and concerns the follower. */
    #standing(): (readonly [string, number])[] {
      const rows = [...this.peer.own, ...this.peer.hinted].filter(
        ([key, { position }]) => position <= this.mark && this.peer.concerns(key),
      );
      return rows.flatMap(([key, { entry }]) => [...entry].map((value) => [key, value] as const));
    }

    /** What was there when it was asked is here, or went where it was told to look. */
    #checkAll(askedCount: number): void {
      for (const { key, value } of this.peer.history.slice(0, askedCount)) {
        if (this.#has(key, value)) continue;
        expect(this.home.own.get(key)?.entry.has(value)).toBe(true);
        expect([...this.toldOf]).toContain("home");
      }
    }
  }

  it("what stands at the peer up to a mark is held, and at the end all that ever came there", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const pair = new Pair();
        for (const one of steps) pair.act(one);
      }),
      { numRuns: 2000 },
    );
  });

  it("is about one order and one layout: with another of either it is void, and it never falls", () => {
    const marks = new Marks("one");
    marks.raise("c", { run: 3, through: 9 });
    marks.raise("c", { run: 3, through: 7 });
    expect(marks.of("c", 3)).toEqual({ run: 3, through: 9 });
    expect(marks.of("c", 4)).toBeNull();
    marks.raise("c", { run: 4, through: 1 });
    expect(marks.of("c", 4)?.through).toBe(1);
    expect(marks.settle("one")).toBe(false);
    expect(marks.settle("two")).toBe(true);
    expect(marks.of("c", 4)).toBeNull();
  });
});
