/**
 * `consistency=auto`: the least r whose chance to see a write, as the model says of this deployment
 * just now, is what the request asks for. Delays are asked for beside requests, not in their way: a
 * request goes by what was told in the last half minute. Who comes before anything is known, or
 * while too little was measured, reads with r = n - w + 1, which sees every write.
 */

import { namespaceOf } from "../../../core/keys.ts";
import type { GetOperation } from "../../../core/operations.ts";
import { type QuorumRules, resolveOptions } from "../../../core/quorum-options.ts";
import type { Result, StalenessResult } from "../../../core/results.ts";
import { type Chances, chancesOf } from "../../staleness/forecast.ts";
import type { Backend } from "./backend.ts";
import { planOf, toldDelays } from "./fleet-view.ts";

/** What is older is asked for anew while requests still go by it, in ms. */
const FRESH_MS = 30_000;
/** What is older is not gone by any more. */
const USED_MS = 600_000;
/** A question that somebody has asked and not heard the end of in this time is asked again. */
const ASKING_MS = 5000;
/** What `max_stale` alone asks for. */
const MIN_P_DEFAULT = 0.999;

interface Chosen {
  readonly r: number;
  readonly p: number;
}

class AutoChoice {
  readonly #backend: Backend;
  #told: StalenessResult | null = null;
  #toldAt = -Infinity;
  #askedAt = -Infinity;
  /** Of what was told, by n and dw; null: too little was measured. */
  readonly #chances = new Map<string, Chances | null>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** null: nothing is known. */
  async choose({ key, options }: GetOperation): Promise<Chosen | null> {
    const view = this.#backend.view();
    const settings = view.namespaces.get(namespaceOf(key)) ?? view.defaults;
    const resolution = resolveOptions(
      options,
      { ...settings, timeoutMs: 1 },
      view.ring.zones.length,
    );
    if (!resolution.ok) return null;
    const { rules } = resolution;
    await this.#refresh();
    const chances = this.#chancesOf(rules);
    if (chances === null) return null;
    const w = options.staleW ?? rules.w;
    const t = options.maxStaleMs ?? 0;
    const enough = options.minP ?? MIN_P_DEFAULT;
    for (let r = 1; r < rules.n; r++) {
      const p = chances(r, w, t);
      if (p >= enough) return { r, p };
    }
    return { r: rules.n, p: 1 };
  }

  async #refresh(): Promise<void> {
    const now = performance.now();
    const age = now - this.#toldAt;
    if (age < FRESH_MS || now - this.#askedAt < ASKING_MS) return;
    this.#askedAt = now;
    const asking = this.#ask();
    if (age > USED_MS) await asking;
  }

  async #ask(): Promise<void> {
    try {
      this.#told = await toldDelays(this.#backend, "");
      this.#toldAt = performance.now();
      this.#chances.clear();
    } catch {
      // Nobody answers: requests go by what is known, and the next one asks again.
    }
  }

  #chancesOf({ n, dw }: QuorumRules): Chances | null {
    if (this.#told === null || performance.now() - this.#toldAt > USED_MS) return null;
    const name = `${n} ${dw}`;
    const known = this.#chances.get(name);
    if (known !== undefined) return known;
    const plan = planOf(this.#backend.view(), this.#told, { n, dw });
    const chances = chancesOf({ ...plan, from: "other" });
    this.#chances.set(name, chances);
    return chances;
  }
}

const choices = new WeakMap<Backend, AutoChoice>();

/** Runs a read; one with `auto` says in its result what was expected of it. */
export async function executeRead(
  backend: Backend,
  operation: GetOperation,
  trace: string,
): Promise<Result> {
  const { consistency, r } = operation.options;
  if (consistency !== "auto" || r !== undefined) return backend.execute(operation, trace);
  const choice = choices.get(backend) ?? new AutoChoice(backend);
  choices.set(backend, choice);
  const chosen = await choice.choose(operation);
  if (chosen === null) return backend.execute(operation, trace);
  const options = { ...operation.options, r: chosen.r };
  const result = await backend.execute({ ...operation, options }, trace);
  return result.kind === "got" ? { ...result, predictedP: chosen.p } : result;
}
