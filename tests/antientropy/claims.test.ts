import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Claims } from "../../antientropy/claims.ts";

const MEMBERS = ["b", "c", "d", "e"];

function claimsOf(self = "b"): Claims {
  const claims = new Claims(self);
  claims.begin(MEMBERS);
  return claims;
}

describe("a claim", () => {
  it("is as old as the question that proved it, and there is none before", () => {
    const claims = claimsOf();
    expect([claims.ageOf("b", 5), claims.ageOf("c", 5)]).toEqual([0, Infinity]);
    claims.reached("c", 10);
    claims.reached("c", 7);
    expect(claims.ageOf("c", 25)).toBe(15);
    claims.begin(MEMBERS);
    expect(claims.ageOf("c", 25)).toBe(Infinity);
  });

  it("stays what it was until a hint that went elsewhere was looked for there", () => {
    const claims = claimsOf();
    claims.reached("c", 10);
    claims.reached("d", 10);
    claims.moved("c", ["d", "b", "gone"], 20);
    claims.reached("c", 18);
    expect([claims.ageOf("c", 30), claims.isSettled("c")]).toEqual([20, false]);
    // Asked before it can have been there.
    claims.reached("d", 19);
    expect(claims.ageOf("c", 30)).toBe(20);
    claims.reached("c", 25);
    claims.reached("d", 20);
    expect([claims.ageOf("c", 30), claims.isSettled("c")]).toEqual([5, true]);
  });

  it("waits for no more than what went elsewhere before its own question was answered", () => {
    const claims = claimsOf();
    for (const id of ["c", "d", "e"]) claims.reached(id, 10);
    claims.moved("c", ["d"], 20);
    claims.reached("c", 18);
    claims.moved("d", ["e"], 30);
    claims.reached("d", 25);
    claims.moved("e", ["c"], 40);
    claims.reached("e", 35);
    // What went to d before 20 has become d's own record: where d's hints go is another matter.
    expect(["c", "d", "e"].map((id) => claims.ageOf(id, 50))).toEqual([32, 25, 40]);
    claims.reached("c", 45);
    expect(["c", "d", "e"].map((id) => claims.ageOf(id, 50))).toEqual([5, 25, 15]);
  });

  it("rises though hints go between all of them all the time", () => {
    const claims = claimsOf();
    const others = ["c", "d", "e"];
    for (let at = 1000; at <= 60_000; at += 1000) {
      for (const [i, id] of others.entries()) {
        claims.moved(
          id,
          others.filter((other) => other !== id),
          at + 100 * (i + 1),
        );
        claims.reached(id, at);
      }
      if (at < 3000) continue;
      for (const id of others) expect(claims.ageOf(id, at + 400)).toBeLessThanOrEqual(1400);
    }
  });

  it("rises however late a target of hints answers, whatever went there meanwhile", () => {
    const claims = claimsOf();
    for (let at = 1000; at <= 60_000; at += 1000) {
      claims.moved("c", ["d"], at + 100);
      claims.reached("c", at);
      if (at % 10_000 !== 0) continue;
      claims.reached("d", at);
      // d was asked since about the time before.
      if (at > 10_000) expect(claims.ageOf("c", at + 100)).toBeLessThanOrEqual(10_100);
    }
  });

  it("waits for all that went elsewhere before its question, however many questions are open", () => {
    const claims = claimsOf();
    for (const id of ["c", "d", "e"]) claims.reached(id, 10);
    claims.moved("c", ["d"], 20);
    claims.reached("c", 19);
    claims.moved("c", ["e"], 30);
    claims.reached("c", 29);
    claims.reached("c", 39);
    claims.reached("d", 50);
    expect([claims.ageOf("c", 60), claims.settledAt("c")]).toEqual([41, 19]);
    claims.reached("e", 50);
    expect([claims.ageOf("c", 60), claims.isSettled("c")]).toEqual([21, true]);
  });

  it("about one that lost its past waits anew where another is lost before that is over", () => {
    const claims = claimsOf();
    for (const id of ["c", "d", "e"]) claims.reached(id, 10);
    claims.lost("c", 20);
    claims.lost("d", 30);
    for (const id of ["c", "d", "e"]) claims.reached(id, 29);
    expect(claims.ageOf("c", 40)).toBe(30);
    for (const id of ["d", "e"]) claims.reached(id, 31);
    expect(claims.ageOf("c", 40)).toBe(30);
    claims.reached("c", 31);
    expect([claims.ageOf("c", 40), claims.ageOf("d", 40)]).toEqual([9, 9]);
  });

  it("stands while what went to one that lost its disk may be nowhere but with others", () => {
    const claims = claimsOf();
    for (const id of ["c", "d", "e"]) claims.reached(id, 10);
    claims.moved("c", ["d"], 20);
    claims.reached("c", 18);
    claims.lost("d", 25);
    claims.reached("d", 26);
    claims.reached("c", 27);
    expect(claims.ageOf("c", 30)).toBe(20);
    claims.reached("e", 26);
    expect(claims.ageOf("c", 30)).toBe(3);
  });

  it("stands as well where that is heard after the loss", () => {
    const claims = claimsOf();
    for (const id of ["c", "d", "e"]) claims.reached(id, 10);
    claims.lost("d", 25);
    claims.moved("c", ["d"], 26);
    claims.reached("c", 26);
    claims.reached("d", 27);
    expect(claims.ageOf("c", 30)).toBe(20);
    claims.reached("e", 26);
    expect(claims.ageOf("c", 30)).toBe(4);
    // What goes there later is in its new life.
    claims.moved("c", ["d"], 40);
    claims.reached("c", 39);
    claims.reached("d", 41);
    expect(claims.ageOf("c", 45)).toBe(6);
  });

  it("about one that lost its past waits just as long though a clock jumps meanwhile", () => {
    const claims = claimsOf();
    for (const id of ["c", "d", "e"]) claims.reached(id, 10);
    claims.lost("c", 20);
    claims.skipped(1000, 1015);
    for (const id of ["c", "d", "e"]) claims.reached(id, 1017);
    expect(claims.ageOf("c", 1018)).toBe(1008);
    for (const id of ["c", "d", "e"]) claims.reached(id, 1020);
    expect(claims.ageOf("c", 1030)).toBe(10);
    // It is over: whatever jumps later changes nothing of it.
    claims.skipped(1000, 2040);
    for (const id of ["c", "d", "e"]) claims.reached(id, 2041);
    expect(claims.ageOf("c", 2041)).toBe(0);
  });

  it("about one that lost its past waits until all others were asked after that", () => {
    const claims = claimsOf();
    for (const id of ["c", "d", "e"]) claims.reached(id, 10);
    claims.lost("c", 20);
    claims.reached("c", 30);
    expect(claims.ageOf("c", 40)).toBe(30);
    claims.reached("d", 30);
    claims.reached("e", 19);
    expect(claims.ageOf("c", 40)).toBe(30);
    claims.reached("e", 35);
    expect(claims.ageOf("c", 40)).toBe(10);
  });

  it("of a replica about itself is worth nothing while it may lack what it had", () => {
    const claims = claimsOf();
    claims.lost("b", 20);
    expect([claims.ageOf("b", 40), claims.isWhole("b")]).toEqual([Infinity, false]);
    for (const id of ["c", "d"]) claims.reached(id, 20);
    expect(claims.ageOf("b", 40)).toBe(Infinity);
    claims.reached("e", 21);
    expect([claims.ageOf("b", 40), claims.isWhole("b")]).toEqual([0, true]);
  });
});

/**
 * A world of one key: versions are numbers. Each member holds a set of them as its own, and hints
 * for others beside that. Members other than b acknowledge writes, hints go home, records are
 * copied, disks are lost, and messages arrive late; b asks and follows.
 */
class World {
  readonly #own = new Map(MEMBERS.map((id) => [id, new Set<number>()]));
  /** By the member that keeps them, and the one they are for. */
  readonly #hints = new Map<string, Set<number>>();
  readonly #acked: { readonly count: number; readonly at: number; readonly version: number }[] = [];
  readonly #onTheWay: {
    readonly to: string;
    readonly versions: readonly number[];
    until: number;
  }[] = [];
  readonly #moves = new Map<string, Set<string>>();
  /** Members whose loss b has not met yet. */
  readonly #unmet = new Set<string>();
  readonly claims = claimsOf();
  now = 1;
  #version = 0;

  own(id: string): Set<number> {
    return this.#own.get(id) as Set<number>;
  }

  hints(id: string, home: string): Set<number> {
    const name = `${id} for ${home}`;
    const known = this.#hints.get(name) ?? new Set();
    this.#hints.set(name, known);
    return known;
  }

  #all(id: string): readonly number[] {
    return [...this.own(id), ...MEMBERS.flatMap((home) => [...this.hints(id, home)])];
  }

  act(what: string, id: string, to: string): void {
    if (what === "write") this.#write(id, to);
    if (what === "stand in") this.#standIn(id, to, 1);
    if (what === "both") this.#standIn(id, to, 2);
    if (what === "arrive") this.#arrive();
    if (what === "move") this.#move(id, to);
    if (what === "copy") this.#copy(id, to);
    if (what === "hand on") this.#handOn(id, to);
    if (what === "lose") this.#lose(id);
    if (what === "lose b") this.#lose("b");
  }

  /** A member acknowledges a write, and sends it to another, where it may arrive late. */
  #write(by: string, to: string): void {
    const version = ++this.#version;
    this.own(by).add(version);
    this.#acked.push({ count: 1, at: this.now, version });
    this.#send(to, [version]);
  }

  /** One keeps a write for another, and with a count of two a third has it too. */
  #standIn(by: string, home: string, count: 1 | 2): void {
    const third = MEMBERS.find((id) => ![by, home, "b"].includes(id)) as string;
    const version = ++this.#version;
    this.hints(by, home).add(version);
    if (count === 2) this.own(third).add(version);
    this.#acked.push({ count, at: this.now, version });
  }

  #send(to: string, versions: readonly number[]): void {
    this.#onTheWay.push({ to, versions, until: this.now + DELAY });
  }

  #arrive(): void {
    const next = this.#onTheWay.shift();
    if (next === undefined || next.until < this.now) return;
    for (const version of next.versions) this.own(next.to).add(version);
  }

  /** An exchange, or a read's repair. */
  #copy(from: string, to: string): void {
    this.#send(to, this.#all(from));
  }

  #move(from: string, home: string): void {
    const hints = this.hints(from, home);
    if (from === home || hints.size === 0) return;
    for (const version of hints) this.own(home).add(version);
    hints.clear();
    this.#moves.set(from, (this.#moves.get(from) ?? new Set()).add(home));
  }

  /** When b has followed both, a hint goes home and on to the third; then its home is lost. */
  #handOn(by: string, home: string): void {
    if (home === by || home === "b") return;
    const third = MEMBERS.find((id) => ![by, home, "b"].includes(id)) as string;
    this.#standIn(by, home, 1);
    this.now++;
    for (const id of [home, third]) this.follow(id, () => {});
    this.#move(by, home);
    for (const version of this.#all(home)) this.own(third).add(version);
    this.#lose(home);
  }

  #lose(id: string): void {
    this.own(id).clear();
    for (const home of MEMBERS) this.hints(id, home).clear();
    this.#moves.delete(id);
    if (id !== "b") return void this.#unmet.add(id);
    this.claims.begin(MEMBERS);
    this.claims.lost("b", this.now + DELAY);
  }

  /** b asks, something may happen, and then b gets what is there by that time. */
  follow(id: string, between: () => void): void {
    if (this.#unmet.delete(id)) this.claims.lost(id, this.now + DELAY);
    const askedAt = this.now;
    this.now++;
    between();
    if (this.#unmet.has(id)) return;
    for (const version of this.#all(id)) this.own("b").add(version);
    const moved = [...(this.#moves.get(id) ?? [])];
    this.#moves.delete(id);
    this.claims.moved(id, moved, this.now);
    this.claims.reached(id, askedAt);
  }

  /**
   * A write that is not at b although it is older than the bound of as many claims as acknowledged
   * it.
   */
  broken(): string | null {
    const ages = MEMBERS.map((id) => this.claims.ageOf(id, this.now)).sort((a, b) => b - a);
    for (const { version, count, at } of this.#acked) {
      const bound = ages[count - 1] as number;
      const survives = MEMBERS.some((id) => this.#all(id).includes(version));
      if (!survives || this.own("b").has(version) || this.now - at <= bound) continue;
      return `${version} of ${at}, bound ${bound} at ${this.now}`;
    }
    return null;
  }
}

const DELAY = 3;

describe("the law of claims", () => {
  const other = fc.constantFrom("c", "d", "e");
  const home = fc.constantFrom("b", "c", "d", "e");
  const happens = ["write", "stand in", "both", "arrive", "move", "copy", "hand on", "lose"];
  const event = fc.record({
    what: fc.constantFrom(...happens, "move", "lose b", "follow", "round", "round", "wait"),
    id: other,
    to: home,
    meanwhile: fc.constantFrom("none", ...happens),
    of: other,
  });

  it("what the claims together bound is there, whatever moves, is lost or comes late", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const world = new World();
        for (const { what, id, to, meanwhile, of } of events) {
          world.now++;
          for (const peer of what === "round" ? MEMBERS.slice(1) : [id]) {
            if (what === "follow" || what === "round")
              world.follow(peer, () => world.act(peer === id ? meanwhile : "none", of, to));
            else world.act(what, id, to);
          }
          expect(world.broken()).toBeNull();
        }
      }),
      { numRuns: 50_000 },
    );
  });
});
