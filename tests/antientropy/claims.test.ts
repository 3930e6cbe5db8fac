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
  it("is as old as the question that it was proven by, and there is none before", () => {
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

  it("follows what went on from where it had gone, also in a circle", () => {
    const claims = claimsOf();
    for (const id of ["c", "d", "e"]) claims.reached(id, 10);
    claims.moved("c", ["d"], 20);
    claims.reached("c", 18);
    claims.moved("d", ["e"], 30);
    claims.reached("d", 25);
    claims.moved("e", ["c"], 40);
    claims.reached("e", 35);
    expect(["c", "d", "e"].map((id) => claims.ageOf(id, 50))).toEqual([40, 40, 40]);
    claims.reached("c", 45);
    expect(["c", "d", "e"].map((id) => claims.ageOf(id, 50))).toEqual([5, 25, 15]);
  });

  it("about one that lost its past waits for as long though a clock jumps meanwhile", () => {
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
 * A world of one key: versions are numbers, each member holds a set of them. Writes are acknowledged
 * by members other than b, hints move, disks are lost, and messages arrive late; b asks and follows.
 */
class World {
  readonly holds = new Map(MEMBERS.map((id) => [id, new Set<number>()]));
  readonly acked: { readonly by: string; readonly at: number; readonly version: number }[] = [];
  readonly onTheWay: { readonly to: string; readonly version: number; readonly until: number }[] =
    [];
  readonly moves = new Map<string, Set<string>>();
  readonly claims = claimsOf();
  now = 1;
  #version = 0;

  of(id: string): Set<number> {
    return this.holds.get(id) as Set<number>;
  }

  /** A member acknowledges a write, and sends it to another, where it may arrive late. */
  write(by: string, to: string): void {
    const version = ++this.#version;
    this.of(by).add(version);
    this.acked.push({ by, at: this.now, version });
    if (to !== by) this.onTheWay.push({ to, version, until: this.now + DELAY });
  }

  arrive(): void {
    const next = this.onTheWay.shift();
    if (next !== undefined && next.until >= this.now) this.of(next.to).add(next.version);
  }

  /** All that one has goes to another, who is its home. */
  move(from: string, to: string): void {
    if (from === to || to === "b") return;
    for (const version of this.of(from)) this.of(to).add(version);
    this.of(from).clear();
    this.moves.set(from, (this.moves.get(from) ?? new Set()).add(to));
  }

  lose(id: string): void {
    this.of(id).clear();
    this.claims.lost(id, this.now + DELAY);
    if (id === "b") this.claims.begin(MEMBERS);
    if (id === "b") this.claims.lost("b", this.now + DELAY);
  }

  /** b asks, something may happen, and then it has what is there by then. */
  follow(id: string, between: () => void): void {
    const askedAt = this.now;
    this.now++;
    between();
    for (const version of this.of(id)) this.of("b").add(version);
    const moved = [...(this.moves.get(id) ?? [])];
    this.moves.delete(id);
    this.claims.moved(id, moved, this.now);
    this.claims.reached(id, askedAt);
  }

  /** A write that is older than its member's claim, is somewhere, and not at b. */
  broken(): string | null {
    const bound = Math.max(...MEMBERS.map((id) => this.claims.ageOf(id, this.now)));
    for (const { version, by, at } of this.acked) {
      const survives = MEMBERS.some((id) => this.of(id).has(version));
      if (!survives || this.of("b").has(version) || this.now - at <= bound) continue;
      return `${version} of ${by} at ${at}, bound ${bound} at ${this.now}`;
    }
    return null;
  }
}

const DELAY = 3;

describe("the law of claims", () => {
  const other = fc.constantFrom("c", "d", "e");
  const event = fc.record({
    what: fc.constantFrom("write", "write", "arrive", "move", "lose", "follow", "follow", "wait"),
    id: other,
    to: other,
    meanwhile: fc.constantFrom("write", "move", "arrive", "none"),
  });

  it("what all claims together bound is there, whatever moves, is lost or comes late", () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 40 }), (events) => {
        const world = new World();
        const act = (what: string, id: string, to: string): void => {
          if (what === "write") world.write(id, to);
          if (what === "arrive") world.arrive();
          if (what === "move") world.move(id, to);
          if (what === "lose") world.lose(id);
        };
        for (const { what, id, to, meanwhile } of events) {
          world.now++;
          if (what === "follow") world.follow(id, () => act(meanwhile, id, to));
          else act(what, id, to);
          expect(world.broken()).toBeNull();
        }
      }),
      { numRuns: 20_000 },
    );
  });
});
