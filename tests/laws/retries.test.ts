/**
 * Operations that are minted more than once: a frontend that hears nothing asks another replica. By
 * then the first one may have minted and sent its version on, and it may have been overwritten.
 * Meanwhile a reader may see too much. Once all have heard of all, an operation that carried a
 * context is one write, however often it was minted. One without a context replaces what its
 * coordinator holds, so each of its versions is a write of its own; they are shown once.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext, type Dot } from "../../core/causal-context.ts";
import { contextShowing, digestOf, type Entry, liveSiblings, merge } from "../../core/entry.ts";
import { decodeEntry } from "../../core/entry-codec.ts";
import { Prng } from "../../core/prng.ts";
import type { Keeper } from "../../replica/keeper.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import type { Minted, MintRequest } from "../../replica/minting.ts";
import { type Happening, History, histories, type Known, runsOf } from "./model.ts";
import { hash, KEY, keeperOver, mintRequest, START, sent } from "./replica.ts";

const at = <T>(items: readonly T[], index: number): T => items[index % items.length] as T;
const nameOf = ({ actor, counter }: Dot): string => `${actor}.${counter}`;

interface Client {
  context: CausalContext;
  observed: Known;
}

interface Operation {
  readonly request: MintRequest;
  readonly observed: Known;
  readonly versions: Map<Keeper, string>;
}

class RetryWorld {
  /** The naive model of versions, which is told of each minting as a write. */
  readonly #history = new History();
  readonly #operations: Operation[] = [];
  readonly #keepers: readonly Keeper[];
  readonly #clients: readonly Client[];
  readonly #flights: Entry[] = [];
  retryCount = 0;
  aloneCount = 0;

  constructor(seed: number) {
    const prng = Prng.fromSeed(seed);
    this.#keepers = [0, 1, 2].map(() => keeperOver(new MemoryStore(), prng.fork()));
    this.#clients = [0, 1].map(() => ({ context: CausalContext.empty, observed: new Set() }));
  }

  happen({ kind, a, b, c }: Happening): void {
    const keeper = at(this.#keepers, a);
    const client = at(this.#clients, b);
    if (kind === "read") this.#read(client, keeper, c % 2 === 0);
    else if (kind === "write") this.#begin(keeper, client);
    else if (kind === "put") this.#begin(keeper, null);
    else if (kind === "retry") this.#retry(keeper, c);
    else if (kind === "send") this.#flights.push(sent(keeper.hold(KEY).entry));
    else if (this.#flights.length > 0) keeper.absorb(KEY, at(this.#flights, b), null, START);
  }

  #read(client: Client, keeper: Keeper, showsAll: boolean): void {
    const { entry } = keeper.hold(KEY);
    const live = liveSiblings(entry, START);
    const shown = showsAll ? live : live.slice(0, 1);
    client.context = contextShowing(entry, shown, START);
    const ops = shown.map(({ op }) => op);
    client.observed = this.#closure(entry.siblings.filter(({ op }) => ops.includes(op)));
  }

  #closure(siblings: Entry["siblings"]): Known {
    const versions = siblings.map(({ dot }) => nameOf(dot));
    return new Set(versions.flatMap((id) => [id, ...this.#history.covers(id)]));
  }

  #begin(keeper: Keeper, client: Client | null): void {
    const request = mintRequest(`op${this.#operations.length}`, {
      covers: client?.context ?? null,
    });
    const observed = client?.observed ?? new Set<string>();
    const operation = { request, observed, versions: new Map() };
    this.#operations.push(operation);
    this.#mint(operation, keeper);
  }

  #retry(keeper: Keeper, index: number): void {
    const candidates = this.#operations.slice(-4).filter(({ versions }) => !versions.has(keeper));
    if (candidates.length === 0) return;
    this.retryCount++;
    this.#mint(at(candidates, index), keeper);
  }

  #mint({ request, observed, versions }: Operation, keeper: Keeper): void {
    const isPlain = request.covers === null;
    const covers = isPlain ? this.#closure(keeper.hold(KEY).entry.siblings) : observed;
    const isRetry = versions.size > 0;
    const minted = keeper.mint({ ...request, isRetry, aloneFrom: 0 }, START);
    if (!isPlain) this.#judgeAlone(minted);
    keeper.keepMinted(KEY, null, minted);
    const id = nameOf(minted.sibling.dot);
    versions.set(keeper, id);
    this.#history.add(id, { covers, isDelete: false, expiresAt: 0, isAcknowledged: true });
  }

  /** Whoever has the whole entry with the write alone has what all of the entry would bring. */
  #judgeAlone({ entry, before, aloneBytes }: Minted): void {
    if (aloneBytes === undefined) return;
    const part = decodeEntry(aloneBytes).entry;
    const formOf = (of: Entry) => [
      of.context.encode(),
      of.siblings.map(({ dot }) => dot),
      of.retries,
    ];
    expect(formOf(merge(before, part))).toEqual(formOf(entry));
    for (const keeper of this.#keepers) {
      const own = keeper.hold(KEY).entry;
      const made = merge(own, part);
      if (digestOf(made, hash) !== digestOf(entry, hash)) continue;
      this.aloneCount++;
      expect(formOf(merge(own, entry))).toEqual(formOf(made));
    }
  }

  /** What a reader must be shown when all have heard of all. */
  #expected(): Known {
    const alive = this.#history.must(START);
    const live = this.#operations.filter(({ request, versions }) => {
      const ids = [...versions.values()];
      return request.covers === null
        ? ids.some((id) => alive.has(id))
        : ids.every((id) => alive.has(id));
    });
    return new Set(live.map(({ request }) => request.op));
  }

  judge(): void {
    for (let round = 0; round < 4; round++) {
      for (const from of this.#keepers) {
        for (const to of this.#keepers) to.absorb(KEY, sent(from.hold(KEY).entry), null, START);
      }
    }
    const entries = this.#keepers.map((keeper) => keeper.hold(KEY).entry);
    expect(new Set(entries.map((entry) => digestOf(entry, hash))).size, "apart").toBe(1);
    const live = liveSiblings(entries[0] as Entry, START).map(({ op }) => op);
    expect(new Set(live)).toEqual(this.#expected());
    expect(new Set(live).size, "shown twice").toBe(live.length);
  }
}

function runWith(kinds: readonly string[]): number {
  let retryCount = 0;
  let aloneCount = 0;
  fc.assert(
    fc.property(fc.nat(), histories(kinds, 40), (seed, happenings) => {
      const world = new RetryWorld(seed);
      for (const happening of happenings) world.happen(happening);
      world.judge();
      retryCount += world.retryCount;
      aloneCount += world.aloneCount;
    }),
    runsOf(500),
  );
  expect(aloneCount).toBeGreaterThan(100);
  return retryCount;
}

describe("an operation minted more than once", () => {
  const kinds = ["read", "read", "write", "write", "retry", "retry", "send", "receive", "receive"];

  it("is one write in the end: never lost, never back after it was overwritten", () => {
    expect(runWith(kinds)).toBeGreaterThan(250);
  });

  it("without a context too is never lost, and never takes others along", () => {
    expect(runWith([...kinds, "put", "put"])).toBeGreaterThan(250);
  });
});
