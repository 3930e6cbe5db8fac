/**
 * One run of the simulator from one seed. First anything fails while clients write; then all faults
 * end, and within a budget every hint must be home and every primary of every key must agree.
 */
import { CausalContext } from "../../core/causal-context.ts";
import { contextShowing, type Entry, liveSiblings } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import type { ExplainResult, Result } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import type { RingDocument } from "../../ring/ring.ts";
import { Oracle } from "./oracle.ts";
import { calm, type Dice, type Faults, World } from "./world.ts";

export interface SimReport {
  readonly seed: number;
  readonly operationCount: number;
  readonly acknowledgedCount: number;
  readonly simulatedMs: number;
  readonly faults: Faults;
  readonly failures: readonly string[];
  readonly traceDigest: string;
}

interface Session {
  readonly context: CausalContext;
  readonly observed: readonly string[];
}

const CLIENT_COUNT = 6;
const PHASE_MS = 12_000;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

function rollDice(prng: Prng): Dice {
  const on = (): boolean => prng.chance(1, 2);
  return {
    lossPerMille: on() ? 1 + prng.below(50) : 0,
    duplicatePerMille: on() ? 1 + prng.below(50) : 0,
    slowPerMille: on() ? 1 + prng.below(50) : 0,
    cutEveryMs: on() ? 500 + prng.below(3000) : 0,
    killEveryMs: on() ? 500 + prng.below(3000) : 0,
    pauseEveryMs: on() ? 500 + prng.below(3000) : 0,
    clockSkewMsMax: on() ? 1 + prng.below(30_000) : 0,
  };
}

function makeRing(prng: Prng): RingDocument {
  const count = 3 + prng.below(5);
  const zoneCount = 1 + prng.below(3);
  const members = Array.from({ length: count }, (_, i) => ({
    id: `r${i + 1}`,
    zone: `z${i % zoneCount}`,
    url: `http://127.0.0.1:${7101 + i}`,
    weight: 1 + prng.below(2),
  }));
  const at = (i: number): string => (members[i % count] as { id: string }).id;
  const assignment = Array.from({ length: 16 }, (_, p) => [at(p), at(p + 1), at(p + 2)]);
  return { version: 1, name: "sim", seed: "42", partitions: 16, n: 3, members, assignment };
}

class Run {
  readonly #prng: Prng;
  readonly #world: World;
  readonly #oracle = new Oracle();
  readonly #ids: readonly string[];
  readonly #keys: readonly string[];
  #opCount = 0;
  #acknowledgedCount = 0;
  #isOver = false;

  constructor(seed: number) {
    this.#prng = Prng.fromSeed(seed);
    const ring = makeRing(this.#prng);
    this.#ids = ring.members.map(({ id }) => id);
    this.#world = new World(this.#prng.fork(), ring, rollDice(this.#prng));
    const keyCount = 1 + this.#prng.below(8);
    this.#keys = Array.from({ length: keyCount }, (_, i) => storeKey("sim", `k${i}`));
  }

  run(seed: number): SimReport {
    const { events } = this.#world;
    const began = events.now;
    for (let i = 0; i < CLIENT_COUNT; i++) this.#client(new Map());
    this.#breakThings();
    this.#runFor(PHASE_MS);
    const failures = this.#heal();
    return {
      seed,
      operationCount: this.#opCount,
      acknowledgedCount: this.#acknowledgedCount,
      simulatedMs: Math.round(events.now - began),
      faults: this.#world.faults,
      failures,
      traceDigest: this.#world.traceDigest,
    };
  }

  #runFor(ms: number): void {
    const { events } = this.#world;
    const until = events.now + ms;
    while (events.next(until)) {
      // Events run themselves.
    }
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#prng.below(items.length)] as T;
  }

  /** A client: reads, writes with what it read, sometimes with something older, again and again. */
  #client(sessions: Map<string, Session>): void {
    const again = (): void => {
      this.#world.events.after(1 + this.#prng.below(120), () => this.#client(sessions));
    };
    if (this.#isOver) return;
    const key = this.#pick(this.#keys);
    this.#opCount++;
    if (this.#prng.chance(1, 2)) this.#read(key, sessions, again);
    else this.#write(key, sessions, again);
  }

  #read(key: string, sessions: Map<string, Session>, again: () => void): void {
    const isStrict = this.#prng.chance(1, 8);
    const options = isStrict ? ({ consistency: "strict" } as const) : {};
    const operation = { kind: "get", key, options, session: null } as const;
    this.#world.submit(this.#pick(this.#ids), operation, (result) => {
      if (result?.kind === "got") sessions.set(key, this.#observe(result.entry));
      again();
    });
  }

  /** Either the newest alone or all siblings: the two contexts that the HTTP face hands out. */
  #observe(entry: Entry): Session {
    const { now } = this.#world.events;
    const live = liveSiblings(entry, now);
    const shown = this.#prng.chance(1, 2) ? live : live.slice(0, 1);
    const observed = shown.map((sibling) => decoder.decode(sibling.content?.value));
    return { context: contextShowing(entry, shown, now), observed };
  }

  #write(key: string, sessions: Map<string, Session>, again: () => void): void {
    const id = `w${this.#opCount}`;
    const session = sessions.get(key);
    const isDelete = session !== undefined && this.#prng.chance(1, 8);
    const observed = session?.observed ?? [];
    this.#oracle.begin(key, id, { isDelete, observed });
    const content = {
      value: encoder.encode(id),
      contentType: "text/plain",
      contentEncoding: null,
      contentLanguage: null,
      contentDisposition: null,
      metadata: null,
      tags: [],
    };
    const operation = {
      kind: "write",
      key,
      options: this.#prng.chance(1, 6) ? { w: 1, dw: 1 } : {},
      content: isDelete ? null : content,
      ttlMs: 0,
      // A client that knows nothing says so: an empty context covers nothing.
      context: session?.context ?? CausalContext.empty,
      precondition: null,
    } as const;
    this.#world.submit(this.#pick(this.#ids), operation, (result) => {
      this.#oracle.end(key, id, fateOf(result));
      if (result?.kind === "written") {
        this.#acknowledgedCount++;
        const seen = [...this.#oracle.closure(key, [id])];
        sessions.set(key, { context: result.context, observed: isDelete ? seen.slice(1) : seen });
      } else if (this.#prng.chance(1, 2)) sessions.delete(key);
      again();
    });
  }

  #breakThings(): void {
    const { dice } = this.#world;
    this.#every(dice.killEveryMs, () => {
      const id = this.#pick(this.#ids);
      this.#world.faults.kills++;
      this.#world.kill(id);
      this.#world.events.after(50 + this.#prng.below(4000), () => this.#world.boot(id));
    });
    this.#every(dice.pauseEveryMs, () => {
      const id = this.#pick(this.#ids);
      this.#world.faults.pauses++;
      this.#world.pause(id, true);
      this.#world.events.after(50 + this.#prng.below(4000), () => this.#world.pause(id, false));
    });
    this.#every(dice.cutEveryMs, () => {
      const from = this.#pick(this.#ids);
      this.#world.faults.cuts++;
      const isTwoWay = this.#prng.chance(1, 2);
      for (const to of this.#ids) {
        if (to === from) continue;
        this.#world.cut(from, to);
        if (isTwoWay) this.#world.cut(to, from);
      }
      this.#world.events.after(50 + this.#prng.below(4000), () => this.#world.healNetwork());
    });
  }

  #every(everyMs: number, strike: () => void): void {
    if (everyMs === 0) return;
    this.#world.events.after(everyMs / 2 + this.#prng.below(everyMs), () => {
      if (this.#isOver) return;
      strike();
      this.#every(everyMs, strike);
    });
  }

  /** All faults end. What must hold now does not depend on which of them there were. */
  #heal(): readonly string[] {
    this.#isOver = true;
    this.#world.dice = calm;
    this.#world.healNetwork();
    for (const id of this.#ids) {
      this.#world.boot(id);
      this.#world.pause(id, false);
    }
    this.#runFor(60_000);
    return [...this.#checkHints(), ...this.#keys.flatMap((key) => this.#checkKey(key))];
  }

  #await(operation: Parameters<World["submit"]>[1]): Result | null {
    const results: (Result | null)[] = [];
    this.#world.submit(this.#ids[0] as string, operation, (result) => results.push(result));
    this.#runFor(4_000);
    return results[0] ?? null;
  }

  #checkHints(): readonly string[] {
    return [...this.#world.nodes.values()].flatMap(({ id, store }) =>
      [...store.hintCounts()].map(([target, count]) => `${id} still holds ${count} for ${target}`),
    );
  }

  #checkKey(key: string): readonly string[] {
    const explained = this.#await({ kind: "explain", key }) as ExplainResult | null;
    if (explained?.kind !== "explained") return [`${key} cannot be explained after healing`];
    const { now } = this.#world.events;
    const primaries = explained.replicas.filter(({ role }) => role === "primary");
    const views = primaries.map(({ entry }) =>
      entry === null ? "" : `${entry.context} ${entry.siblings.map(({ op }) => op).join(",")}`,
    );
    const faults = views.every((view) => view === views[0]) ? [] : [`${key}: primaries differ`];
    const entry = primaries[0]?.entry ?? null;
    const live = entry === null ? [] : liveSiblings(entry, now);
    const ids = live.map((sibling) => decoder.decode(sibling.content?.value));
    return [...faults, ...this.#oracle.judge(key, ids)];
  }
}

function fateOf(result: Result | null): "acknowledged" | "indeterminate" | "refused" {
  if (result?.kind === "written") return "acknowledged";
  if (result?.kind !== "failed") return "indeterminate";
  const refusals = ["invalid-option", "precondition-failed", "too-many-siblings"];
  return refusals.includes(result.failure.code) ? "refused" : "indeterminate";
}

export const simulate = (seed: number): SimReport => new Run(seed).run(seed);
