/**
 * Frontends that ask for the right to fetch a key from its origin, beside all that the clients do.
 * One asks until it has it, and renews it for a while; then it gives it back, or dies without a
 * word, and another one begins. A lease is only in memory: to lose one loses nothing, and two may
 * have it while faults strike. What must hold is that none outlives its time.
 */
import { storeKey } from "../../core/keys.ts";
import type { LeaseOperation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import type { Result } from "../../core/results.ts";
import type { StoreKey } from "../../core/store.ts";
import { outcomeOf } from "./client.ts";
import { type Judge, name } from "./judge.ts";
import type { Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import { NAMESPACE } from "./settings.ts";
import type { World } from "./world.ts";

/** Of a run; null in those without any. */
export interface PlannedLessees {
  readonly keyCount: number;
  /** After so long without a renewal, in ms, somebody else gets the lease. */
  readonly leaseMs: number;
  readonly prng: readonly [number, number, number, number];
}

/** Between two questions of one that waits, in ms. */
const ASK_AGAIN_MS = 100;
/** Attempts at reaching a primary when no faults are left. */
const ASKS_MAX = 20;

const isGiven = (result: Result | null): boolean =>
  result?.kind === "leased" && (result.state === "granted" || result.state === "again");

export class Lessees {
  readonly #world: World;
  readonly #plan: Plan;
  readonly #planned: PlannedLessees;
  readonly #prng: Prng;
  #count = 0;

  constructor(plan: Plan, planned: PlannedLessees, world: World) {
    this.#world = world;
    this.#plan = plan;
    this.#planned = planned;
    this.#prng = new Prng(planned.prng);
  }

  get #keys(): readonly StoreKey[] {
    const at = (i: number): StoreKey => storeKey(NAMESPACE, `leased/${i}`);
    return Array.from({ length: this.#planned.keyCount }, (_, i) => at(i));
  }

  start(): void {
    for (const key of this.#keys) this.#seek(key, this.#newcomer());
  }

  #newcomer(): string {
    return `f${++this.#count}`;
  }

  #ask(
    key: StoreKey,
    { holder, act }: Pick<LeaseOperation, "holder" | "act">,
    done: (result: Result | null) => void,
  ): void {
    const { machines } = this.#world;
    const { leaseMs } = this.#planned;
    const machine = machines[this.#prng.below(machines.length)] as Machine;
    const { n } = this.#plan;
    this.#world.submit(machine, { kind: "lease", key, n, holder, leaseMs, act }, done);
  }

  /** Asks until it is given. Any other answer, or none, is one more reason to ask again. */
  #seek(key: StoreKey, holder: string): void {
    const { events } = this.#world;
    if (events.now >= this.#plan.stormMs) return;
    this.#ask(key, { holder, act: "ask" }, (result) => {
      if (isGiven(result)) return this.#hold(key, holder, this.#prng.below(4));
      events.after(ASK_AGAIN_MS, () => this.#seek(key, holder));
    });
  }

  #hold(key: StoreKey, holder: string, renewals: number): void {
    const { events } = this.#world;
    if (events.now >= this.#plan.stormMs) return;
    if (renewals === 0) {
      // Half of them die with it.
      if (this.#prng.chance(1, 2)) this.#ask(key, { holder, act: "release" }, () => {});
      return this.#seek(key, this.#newcomer());
    }
    events.after(this.#planned.leaseMs / 3, () => {
      this.#ask(key, { holder, act: "ask" }, () => {});
      this.#hold(key, holder, renewals - 1);
    });
  }

  /** To be called when all faults have ended, and every replica is there. */
  check(judge: Judge, step: () => void): void {
    const { events } = this.#world;
    // Counted from now: a machine that slept answers old questions when it wakes.
    const endsAt = events.now + this.#planned.leaseMs;
    while (events.now <= endsAt) step();
    for (const key of this.#keys) {
      const results: Result[] = [];
      for (let i = 0; i < ASKS_MAX && results.every(({ kind }) => kind !== "leased"); i++) {
        this.#ask(key, { holder: this.#newcomer(), act: "ask" }, (answer) => {
          if (answer !== null) results.push(answer);
        });
        step();
      }
      const last = results.find(({ kind }) => kind === "leased") ?? results[0] ?? null;
      if (isGiven(last)) continue;
      const said = last?.kind === "leased" ? last.state : outcomeOf(last);
      judge.accuse("lease", `${name(key)}: nobody has asked for long, and the answer is ${said}`);
    }
  }
}
