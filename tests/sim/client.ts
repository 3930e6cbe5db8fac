/** A simulated client: reads and writes, through any node, with whatever options come to mind. */
import { CausalContext } from "../../core/causal-context.ts";
import { contextShowing, etagOf, liveSiblings } from "../../core/entry.ts";
import type { Precondition } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import type { GetResult, Result } from "../../core/results.ts";
import { plainContent } from "../support/content.ts";
import type { Write } from "./history.ts";
import { IdSet } from "./id-set.ts";
import { type Judge, name } from "./judge.ts";
import type { Machine } from "./machine.ts";
import type { KeyKind, Plan, PlannedClient, PlannedKey } from "./plan.ts";
import { hash } from "./settings.ts";
import type { World } from "./world.ts";

/** What a client keeps of its last answer for a key. */
interface Session {
  readonly context: CausalContext;
  /** The ETag of what it showed; null when that was nothing. */
  readonly etag: string | null;
  readonly saw: IdSet;
  /** When the operation that gave it began. */
  readonly sawAt: number;
}

export interface ClientParts {
  readonly plan: Plan;
  readonly planned: PlannedClient;
  readonly world: World;
  readonly judge: Judge;
  readonly counts: Counts;
}

export interface Counts {
  operations: number;
  acknowledged: number;
  /** Operations without an answer yet. */
  open: number;
}

/** What a write has to reach, by its options. */
interface Asked {
  readonly durableCount: number;
  readonly isStrict: boolean;
  readonly hasPrimaries: boolean;
}

/** `dw` where no option names it: a majority of three. */
const QUORUM = 2;
/** After so long a client takes no answer for an answer, in ms. */
const PATIENCE_MS = 5000;
/** The codes that HTTP tells as a 4xx: the write was applied nowhere. */
const REFUSALS = ["invalid-option", "precondition-failed", "too-many-siblings", "overloaded"];
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Repeated where one should be likelier. */
const READS: Readonly<Record<KeyKind, readonly QuorumOptions[]>> = {
  causal: [{}, {}, {}, { r: 1 }, { consistency: "all" }, { consistency: "strict" }],
  blind: [{}, {}, { r: 1 }],
  strict: [{ consistency: "strict" }, { consistency: "strict" }, { r: 2, pr: 2 }],
};
const WRITES: Readonly<Record<KeyKind, readonly QuorumOptions[]>> = {
  causal: [{}, {}, {}, { w: 1, dw: 1 }, { consistency: "all" }, { w: 2, dw: 0 }, { w: 2, dw: 1 }],
  blind: [{}, {}, { w: 1, dw: 1 }],
  strict: [{ consistency: "strict" }, { consistency: "strict" }, { w: 2, pw: 2 }],
};

/** In ms; 0 for no bound. */
const BOUNDS_MS: readonly number[] = [0, 0, 300, 1200, 2500, 6000];

/** Where N changes, no fixed number of replicas stays a majority of all primaries for long. */
const resized = ({ isResized }: Plan, kind: KeyKind, options: QuorumOptions): QuorumOptions =>
  isResized && kind === "strict" ? { consistency: "strict" } : options;

export class Client {
  readonly #parts: ClientParts;
  readonly #prng: Prng;
  /** Apart from the others, which it does not shift. */
  readonly #boundPrng: Prng;
  readonly #sessions = new Map<string, Session>();
  #count = 0;
  isOver = false;

  constructor(parts: ClientParts) {
    this.#parts = parts;
    this.#prng = new Prng(parts.planned.prng);
    this.#boundPrng = Prng.fromSeed(((parts.plan.seed ^ 0xb0d) >>> 0) * 64 + parts.planned.index);
  }

  start(): void {
    this.#rest();
  }

  #rest(): void {
    const { world, plan } = this.#parts;
    world.events.after(0.5 + this.#prng.below(2 * plan.restMs), () => this.#act());
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#prng.below(items.length)] as T;
  }

  #act(): void {
    if (this.isOver) return;
    this.#parts.counts.operations++;
    this.#count++;
    const key = this.#pick(this.#parts.plan.keys);
    const machine = this.#pick(this.#parts.world.machines);
    const { events, hushed } = this.#parts.world;
    const isQuiet = events.now >= key.quietAtMs || hushed.has(key.name);
    if (this.#prng.chance(1, 2) || isQuiet) this.#read(key, machine);
    else this.#write(key, machine);
  }

  /** Submits, and hears of it once: by the answer, or by running out of patience. */
  #submit(
    machine: Machine,
    operation: Parameters<World["submit"]>[1],
    done: (result: Result | null) => void,
  ): void {
    const { world, judge, counts } = this.#parts;
    let isOpen = true;
    counts.open++;
    const once = (result: Result | null): void => {
      if (!isOpen) return;
      isOpen = false;
      counts.open--;
      done(result);
      this.#rest();
    };
    const begunAt = world.events.now;
    world.submit(machine, operation, once);
    if (!isOpen) return;
    world.events.after(PATIENCE_MS, () => {
      if (isOpen && machine.wasAwakeSince(begunAt)) {
        judge.accuse("deadline", `${machine.id} has not answered after ${PATIENCE_MS} ms`);
      }
      once(null);
    });
  }

  #read({ name: key, kind }: PlannedKey, machine: Machine): void {
    const { world, judge } = this.#parts;
    const plain = resized(this.#parts.plan, kind, this.#pick(READS[kind]));
    const options = { ...plain, ...this.#bound(kind) };
    const session = this.#prng.chance(1, 2) ? this.#sessions.get(key) : undefined;
    const debt = kind === "strict" ? judge.strictBegins(key, world.events.now) : null;
    const context = session?.context ?? null;
    const sawAt = world.events.now;
    const what = `client ${this.#parts.planned.index} via ${machine.id}: get ${name(key)}`;
    world.trace.add(`${what} ${JSON.stringify(options)}${session === undefined ? "" : " session"}`);
    this.#submit(machine, { kind: "get", key, options, session: context }, (result) => {
      if (result?.kind !== "got") return world.trace.add(`${what} -> ${outcomeOf(result)}`);
      const { seen, mine } = this.#takeRead(key, machine, result);
      const { now } = world.events;
      if (session !== undefined) judge.sessionRead(key, session.saw, { seen, now });
      if (debt !== null) judge.strictRead(key, debt, { seen, now });
      const { maxStaleMs, staleW } = options;
      if (maxStaleMs !== undefined) {
        const bound = result.staleBoundMs ?? Infinity;
        if (bound > maxStaleMs)
          judge.accuse("staleness", `${bound} ms are shown for ${maxStaleMs}`);
        judge.boundedRead(key, { olderThan: sawAt - bound, staleW }, { seen, now });
      }
      if (debt !== null && options.consistency === "strict") {
        judge.strictShowed(key, seen);
        judge.strictMissed(key, debt, { seen, now });
        judge.strictUnpurged(key, debt, seen);
      }
      this.#sessions.set(key, { ...mine, sawAt });
    });
  }

  /** Many reads of a replica or two are to show how stale they are. */
  #bound(kind: KeyKind): { readonly maxStaleMs?: number; readonly staleW: number } {
    const staleW = 1 + this.#boundPrng.below(2);
    const maxStaleMs = BOUNDS_MS[this.#boundPrng.below(BOUNDS_MS.length)] ?? 0;
    return kind === "strict" || maxStaleMs === 0 ? { staleW } : { maxStaleMs, staleW };
  }

  /** It shows either the newest or all siblings: the two contexts that the HTTP face hands out. */
  #takeRead(
    key: string,
    machine: Machine,
    { entry }: GetResult,
  ): { seen: IdSet; mine: Omit<Session, "sawAt"> } {
    const { world, judge, planned } = this.#parts;
    const live = liveSiblings(entry, machine.clock);
    const values = live.map((sibling) => idOf(sibling.content?.value));
    world.trace.add(`client ${planned.index}: ${name(key)} is ${values.join(" | ") || "nothing"}`);
    const seen = judge.seen(key, values, world.events.now);
    const shownCount = this.#prng.chance(1, 2) ? live.length : 1;
    const shown = live.slice(0, shownCount);
    const saw = judge.seen(key, values.slice(0, shownCount), world.events.now);
    const etag = shown.length === 0 ? null : etagOf(shown, hash);
    return { seen, mine: { context: contextShowing(entry, shown, machine.clock), etag, saw } };
  }

  #write({ name: key, kind }: PlannedKey, machine: Machine): void {
    const { world, judge, planned, counts } = this.#parts;
    const value = `${planned.index}.${this.#count}`;
    const session = this.#sessions.get(key);
    const isBlind = kind === "blind" && this.#prng.chance(1, 2);
    const isDelete = session !== undefined && this.#prng.chance(1, 8);
    const hasTtl = kind === "causal" && !isDelete && this.#prng.chance(1, 4);
    const ttlMs = hasTtl ? 100 + this.#prng.below(this.#prng.chance(1, 2) ? 400 : 4000) : 0;
    const options = resized(this.#parts.plan, kind, this.#pick(WRITES[kind]));
    const condition = kind === "causal" ? this.#condition(session) : null;
    const begunAt = world.events.now;
    const { saw, sawAt } = session ?? { saw: new IdSet(), sawAt: begunAt };
    const begun = { value, isDelete, isBlind, ttlMs, begunAt };
    const write = judge.history(key).begin(begun, { saw, sawAt });
    const what = `client ${planned.index} via ${machine.id}: ${isDelete ? "delete" : "put"}`;
    world.trace.add(
      `${what} ${name(key)} = ${value} over [${[...saw].map((id) => valueAt(judge, key, id))}]` +
        `${isBlind ? " blind" : ""}${condition?.isAlone === true ? " if it is that" : ""}${ttlMs > 0 ? ` ttl ${ttlMs}` : ""} ${JSON.stringify(options)}`,
    );
    const operation = {
      kind: "write",
      key,
      options,
      content: isDelete ? null : contentOf(value, this.#prng.below(200)),
      ttlMs,
      // A client that knows nothing says so: an empty context covers nothing.
      context:
        isBlind || condition?.isAlone === true ? null : (session?.context ?? CausalContext.empty),
      precondition: condition,
    } as const;
    this.#submit(machine, operation, (result) => {
      world.trace.add(`${what} ${name(key)} = ${value} -> ${outcomeOf(result)}`);
      if (result?.kind === "written") counts.acknowledged++;
      const asked = {
        durableCount: typeof options.dw === "number" ? options.dw : QUORUM,
        isStrict: options.consistency === "strict",
        hasPrimaries: kind === "strict",
      };
      this.#takeWritten(key, { write, ...asked }, result);
    });
  }

  /**
   * Some writes have a condition: beside a context, or alone. Alone, it names what was shown, and
   * the write covers that, as one with the context would.
   */
  #condition(session: Session | undefined): (Precondition & { readonly isAlone: boolean }) | null {
    if (this.#prng.chance(1, 16)) return { ifMatch: [], ifNoneMatch: ["*"], isAlone: false };
    if (session === undefined || !this.#prng.chance(1, 4)) return null;
    if (session.etag === null) return { ifMatch: [], ifNoneMatch: ["*"], isAlone: true };
    return { ifMatch: [session.etag], ifNoneMatch: [], isAlone: true };
  }

  #takeWritten(
    key: string,
    { write, ...asked }: Asked & { readonly write: Write },
    result: Result | null,
  ): void {
    const { world, judge } = this.#parts;
    if (result?.kind === "written") {
      const { network } = world;
      if (network.mayBeMintedYet(contentStartOf(write.value))) {
        judge.wasRetried(write.value);
      }
      const durableCount = Math.max(asked.durableCount, result.tally.durable);
      const { tally } = result;
      judge.acknowledged(key, write, { ...asked, durableCount, at: world.events.now, tally });
      const { context, sibling } = result;
      const etag = write.isDelete ? null : etagOf([sibling], hash);
      this.#sessions.set(key, { context, etag, saw: IdSet.of(write.id), sawAt: world.events.now });
      return;
    }
    const isRefused = result?.kind === "failed" && REFUSALS.includes(result.failure.code);
    write.fate = isRefused ? "refused" : "maybe";
    if (this.#prng.chance(1, 2)) this.#sessions.delete(key);
  }
}

const valueAt = (judge: Judge, key: string, id: number): string =>
  judge.history(key).writes[id]?.value ?? "?";

export function outcomeOf(result: Result | null): string {
  if (result === null) return "no answer";
  return result.kind === "failed" ? result.failure.code : result.kind;
}

/** The write's name, and some bytes so that records differ in length. */
export const contentOf = (value: string, padCount: number) =>
  plainContent(`${value} ${"x".repeat(padCount)}`);

/** The bytes that the content of this write, and of no other, begins with. */
const contentStartOf = (value: string): Uint8Array => encoder.encode(`${value} `);

export const idOf = (value: Uint8Array | undefined): string =>
  decoder.decode(value).split(" ", 1)[0] ?? "";
