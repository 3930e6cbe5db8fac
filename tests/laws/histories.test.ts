/**
 * Whole histories at random: three replicas, three clients, messages in any order, twice or never,
 * crashes, an emptied disk, hints. After every step the real entries are compared with the naive
 * model; in the end all are joined, and judged by what clients were told.
 *
 * `PROPERTY_RUNS=20000 npx vitest run tests/laws` runs more of them.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CausalContext } from "../../core/causal-context.ts";
import {
  contextShowing,
  digestOf,
  type Entry,
  emptyEntry,
  liveSiblings,
  merge,
  type Sibling,
} from "../../core/entry.ts";
import { Prng } from "../../core/prng.ts";
import { type Happening, History, histories, type Known, runsOf } from "./model.ts";
import { hash, KEY, mintRequest, Replica, START, sent } from "./replica.ts";

const CLIENT_COUNT = 3;
/** The replica whose disk may be emptied: a safe write is durable on another one too. */
const FRAIL = "r2";

interface Client {
  context: CausalContext;
  observed: Known;
}

interface Flight {
  readonly entry: Entry;
  readonly known: Known;
}

const opsOf = (siblings: readonly Sibling[]): Known => new Set(siblings.map(({ op }) => op));
const at = <T>(items: readonly T[], index: number): T => items[index % items.length] as T;

class World {
  readonly history = new History();
  readonly replicas: readonly Replica[];
  readonly clients: Client[];
  readonly flights: Flight[] = [];
  readonly #dots = new Map<string, string>();
  now = START;

  constructor(seed: number) {
    const prng = Prng.fromSeed(seed);
    this.replicas = ["r0", "r1", "r2"].map((id) => new Replica(id, prng.fork()));
    const newcomer = (): Client => ({ context: CausalContext.empty, observed: new Set() });
    this.clients = Array.from({ length: CLIENT_COUNT }, newcomer);
  }

  play(happenings: readonly Happening[]): void {
    for (const happening of happenings) {
      this.#happen(happening);
      for (const replica of this.replicas) this.#compare(replica);
    }
  }

  #happen({ kind, a, b, c }: Happening): void {
    const replica = at(this.replicas, a);
    const client = at(this.clients, b);
    if (kind === "read") this.#read(client, [replica, at(this.replicas, c)], c % 2 === 0);
    else if (kind === "write") this.#write(replica, client, { context: "own", variant: c });
    else if (kind === "put") this.#write(replica, client, { context: "none", variant: c });
    else if (kind === "send") this.flights.push({ entry: replica.entry, known: replica.known });
    else if (kind === "receive") this.#receive(replica, b, null);
    else if (kind === "receive-hint") this.#receive(replica, b, at(this.#othersOf(replica), c));
    else if (kind === "handoff") this.#handoff(replica, b);
    else if (kind === "flush") this.#flush(replica);
    else if (kind === "crash") replica.crash(b);
    else if (kind === "wipe") this.#frail().wipe();
    else if (kind === "wait") this.now += 10 * (a + 1);
    else if (kind === "release") this.#release(replica);
    else throw new Error(`nothing happens by the name of ${kind}`);
  }

  #frail(): Replica {
    return this.replicas.find(({ id }) => id === FRAIL) as Replica;
  }

  #othersOf(replica: Replica): readonly string[] {
    return this.replicas.filter((other) => other !== replica).map(({ id }) => id);
  }

  #read(client: Client, asked: readonly Replica[], showsAll: boolean): void {
    const entry = asked.reduce((all, { entry }) => merge(all, sent(entry)), emptyEntry);
    const known = new Set(asked.flatMap((replica) => [...replica.known]));
    const live = liveSiblings(entry, this.now);
    expect(opsOf(live)).toEqual(this.history.live(known, this.now));
    const shown = showsAll ? live : live.slice(0, 1);
    client.context = this.#contextOf(entry, shown);
    client.observed = known.difference(opsOf(live).difference(opsOf(shown)));
  }

  /** The context of an answer: all that is shown, and no live sibling that is not. */
  #contextOf(entry: Entry, shown: readonly Sibling[]): CausalContext {
    const context = contextShowing(entry, shown, this.now);
    for (const sibling of liveSiblings(entry, this.now)) {
      expect(context.covers(sibling.dot)).toBe(opsOf(shown).has(sibling.op));
    }
    return context;
  }

  #write(
    replica: Replica,
    client: Client,
    how: { readonly context: "own" | "none"; readonly variant: number },
  ): void {
    const op = `w${this.history.writes.size}`;
    const carries = how.context === "own";
    const covered = carries ? client.observed : replica.known;
    const isDelete = how.variant % 5 === 1;
    const ttlMs = how.variant % 5 === 2 ? 60 : 0;
    const hintFor = how.variant % 4 === 3 ? at(this.#othersOf(replica), how.variant) : null;
    const expiresAt = ttlMs === 0 ? 0 : this.now + ttlMs;
    this.history.add(op, { covers: covered, isDelete, expiresAt, isAcknowledged: false });
    const covers = carries ? client.context : null;
    const request = mintRequest(op, { covers, ttlMs, hintFor });
    const content = isDelete ? null : request.content;
    const minted = replica.write({ ...request, content }, covered, this.now);
    this.#expectFresh(minted.sibling, op);
    const live = this.history.live(replica.slots.get(hintFor) as Known, this.now);
    client.context = this.#contextOf(minted.entry, [minted.sibling]);
    const known = replica.slots.get(hintFor) as Known;
    client.observed = known.difference(live.difference(new Set([op])));
  }

  /** A dot names one write for ever, whatever was lost between. */
  #expectFresh({ dot }: Sibling, op: string): void {
    const name = `${dot.actor}.${dot.counter}`;
    expect(this.#dots.get(name), `${name} was minted before`).toBeUndefined();
    this.#dots.set(name, op);
  }

  #receive(replica: Replica, index: number, hintFor: string | null): void {
    if (this.flights.length === 0) return;
    const { entry, known } = at(this.flights, index);
    replica.absorb(entry, known, this.#at(hintFor, known));
  }

  #at(hintFor: string | null, known: Known) {
    return { hintFor, now: this.now, isSpent: this.history.isSpent(known, this.now) };
  }

  #release(replica: Replica): void {
    replica.release(this.now, (known) => this.history.isSpent(known, this.now));
  }

  #handoff(replica: Replica, index: number): void {
    const targets = replica.hintTargets();
    if (targets.length === 0) return;
    const target = at(targets, index);
    const owner = this.replicas.find(({ id }) => id === target) as Replica;
    const { entry, known } = replica.hint(target);
    owner.absorb(entry, known, this.#at(null, known));
    this.#flush(owner);
    // The holder must not forget first what only a frail disk has.
    if (target !== FRAIL) replica.dropHint(target);
  }

  #flush(replica: Replica): void {
    replica.flush();
    if (replica.id === FRAIL) return;
    for (const id of replica.known) {
      const facts = this.history.writes.get(id);
      if (facts !== undefined) facts.isAcknowledged = true;
    }
  }

  #compare(replica: Replica): void {
    const { entry, known } = replica;
    expect(opsOf(entry.siblings)).toEqual(this.history.alive(known));
    expect(replica.keeper.digest(KEY) === 0, "a record of nothing").toBe(known.size === 0);
    expect(entry.siblings.every(({ dot }) => entry.context.covers(dot))).toBe(true);
    const names = [...this.#dots].filter(([, op]) => known.has(op)).map(([name]) => name);
    const covered = [...this.#dots.keys()].filter((name) => {
      const [actor, counter] = name.split(".") as [string, string];
      return entry.context.covers({ actor, counter: Number(counter) });
    });
    expect(covered).toEqual(names);
    for (const other of this.replicas) {
      const isEqual = other.known.symmetricDifference(known).size === 0;
      expect(digestOf(other.entry, hash) === digestOf(entry, hash)).toBe(isEqual);
    }
  }

  /** Everybody hears of everything; two rounds, as the first ones heard too early. */
  heal(): Entry {
    for (const replica of this.replicas) this.#release(replica);
    for (let round = 0; round < 2; round++) {
      for (const from of this.replicas) {
        for (const to of this.replicas) {
          const { entry, known } = from;
          to.absorb(entry, known, this.#at(null, known));
        }
      }
    }
    const [first, ...rest] = this.replicas.map(({ entry }) => digestOf(entry, hash));
    expect(rest.every((digest) => digest === first)).toBe(true);
    return (this.replicas[0] as Replica).entry;
  }

  judge(): void {
    const siblings = opsOf(this.heal().siblings);
    const must = this.history.must(this.now);
    const may = this.history.may();
    expect([...must.difference(siblings)], "lost writes").toEqual([]);
    expect([...siblings.difference(must.union(may))], "false siblings").toEqual([]);
  }
}

const CALM = ["read", "read", "write", "write", "put", "send", "receive", "receive", "flush"];
const HINTS = [...CALM, "receive-hint", "handoff"];
const FAULTS = [...HINTS, "crash", "wipe", "wait", "release"];

function property(
  kinds: readonly string[],
  lengthMax: number,
): fc.IProperty<[number, Happening[]]> {
  return fc.property(fc.nat(), histories(kinds, lengthMax), (seed, happenings) => {
    const world = new World(seed);
    world.play(happenings);
    world.judge();
  });
}

describe("no write is lost and no sibling is false", () => {
  it("over messages in any order, repeated and lost", () => {
    fc.assert(property(CALM, 60), runsOf(150));
  });

  it("with hints beside the records, handed off or not", () => {
    fc.assert(property(HINTS, 60), runsOf(150));
  });

  it("through crashes that lose what was not durable, an emptied disk, and time", () => {
    fc.assert(property(FAULTS, 80), runsOf(250));
  });
});
