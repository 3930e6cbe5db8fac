import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import { contextShowing, liveSiblings } from "../../core/entry.ts";
import { Prng } from "../../core/prng.ts";
import type { Keeper } from "../../replica/keeper.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import { KEY, keeperOver, mintRequest, START, sent } from "./replica.ts";

/**
 * With one version vector for a whole set of siblings, two clients that interleave make each
 * other's values siblings for ever: Riak before dotted versions.
 */
describe("two clients that interleave a thousand times", () => {
  class Client {
    context = CausalContext.empty;

    write(keeper: Keeper, op: string): void {
      const request = mintRequest(op, { covers: this.context });
      const minted = keeper.mint(request, START);
      keeper.keepMinted(KEY, null, minted);
      // What the answer to a PUT names: what was written, not what lies beside it.
      this.context = contextShowing(minted.entry, [minted.sibling], START);
    }

    read(keeper: Keeper): void {
      const { entry } = keeper.hold(KEY);
      this.context = contextShowing(entry, liveSiblings(entry, START), START);
    }
  }

  const newKeepers = (count: number): Keeper[] => {
    const prng = Prng.fromSeed(3);
    return Array.from({ length: count }, () => keeperOver(new MemoryStore(), prng.fork()));
  };
  const siblingCount = (keeper: Keeper): number => keeper.hold(KEY).entry.siblings.length;

  it("never leave more siblings than clients at one replica", () => {
    const [keeper] = newKeepers(1) as [Keeper];
    const [fresh, stale] = [new Client(), new Client()];
    for (let round = 0; round < 1000; round++) {
      fresh.write(keeper, `fresh${round}`);
      // It never reads: all it knows is its own last write.
      stale.write(keeper, `stale${round}`);
      expect(siblingCount(keeper)).toBeLessThanOrEqual(2);
    }
    fresh.read(keeper);
    fresh.write(keeper, "resolved");
    expect(siblingCount(keeper)).toBe(1);
    expect(keeper.hold(KEY).entry.context.actorCount).toBe(1);
  });

  it("nor over three replicas that hear of each other in turn", () => {
    const keepers = newKeepers(3);
    const [reader, writer] = [new Client(), new Client()];
    for (let round = 0; round < 1000; round++) {
      const keeper = keepers[round % 3] as Keeper;
      reader.read(keeper);
      reader.write(keeper, `reader${round}`);
      writer.write(keepers[(round * 7) % 3] as Keeper, `writer${round}`);
      for (const from of keepers) {
        for (const to of keepers) to.absorb(KEY, sent(from.hold(KEY).entry), null, START);
      }
      for (const each of keepers) expect(siblingCount(each)).toBeLessThanOrEqual(2);
    }
    expect((keepers[0] as Keeper).hold(KEY).entry.context.encode()).toHaveLength(6);
  });
});
