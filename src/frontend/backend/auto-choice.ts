/**
 * `consistency=auto`: the least r whose chance to see a write, as the model says of this deployment
 * just now, is what the request asks for. Delays are asked for beside requests, not in their way: a
 * request goes by what was told in the last half minute. One that comes before anything is
 * known, or while too little was measured, reads with r = n - w + 1, which sees every write.
 */

import { namespaceOf } from "../../../core/keys.ts";
import type { GetOperation } from "../../../core/operations.ts";
import { type QuorumRules, quorumNumber } from "../../../core/quorum-options.ts";
import type { ResultOf, StalenessResult } from "../../../core/results.ts";
import { areFew, type Chances, chancesOf } from "../../staleness/forecast.ts";
import type { Backend, ClusterView } from "./backend.ts";
import { planOf, reportsOf, toldDelays } from "./fleet-view.ts";
import { resolutionOf } from "./rules.ts";

/** Delays older than this, in ms, are asked for anew while requests still go by them. */
const FRESH_MS = 30_000;
/** The same while they are of few round trips, for frontends that can ask cheaply. */
const FEW_FRESH_MS = 5000;
/** Requests do not go by anything older than this, in ms. */
const USED_MS = 600_000;
/** A question without an answer after this time, in ms, is asked again. */
const ASKING_MS = 5000;
/** What `max_stale` alone asks for. */
const MIN_P_DEFAULT = 0.999;

/**
 * What members told of their delays, and what the model makes of it. Only values are kept: on
 * Workers a promise dies with the request that made it, and others would wait for it in vain.
 */
class FleetWatch {
  #told: StalenessResult | null = null;
  /** Whether that is so little that rare delays are not known yet. */
  areFew = true;
  #toldAt = -Infinity;
  #askedAt = -Infinity;
  /** What follows from it, by n and dw; null: nothing was measured. */
  readonly #chances = new Map<string, Chances | null>();

  /**
   * Has members asked when that is due; waits for them where nothing is known.
   *
   * @param isCheap whether to ask sooner while they can tell of few round trips
   */
  async refresh(backend: Backend, isCheap = false): Promise<void> {
    const now = performance.now();
    const age = now - this.#toldAt;
    const freshMs = isCheap && this.areFew ? FEW_FRESH_MS : FRESH_MS;
    if (age < freshMs || now - this.#askedAt < ASKING_MS) return;
    this.#askedAt = now;
    // Where nobody answers, requests go by what is known, and the next one asks again.
    const asking = this.ask(backend).catch(() => null);
    if (age > USED_MS) await asking;
  }

  /** null: nothing is known. */
  chances(view: ClusterView, { n, dw }: Pick<QuorumRules, "n" | "dw">): Chances | null {
    if (this.#told === null || performance.now() - this.#toldAt > USED_MS) return null;
    const name = `${n} ${dw}`;
    const known = this.#chances.get(name);
    if (known !== undefined) return known;
    const plan = planOf(view, this.#told, { n, dw });
    const chances = chancesOf({ ...plan, from: "other" });
    this.#chances.set(name, chances);
    return chances;
  }

  /** Has members asked, and keeps what they tell. @throws Problem when the question fails */
  async ask(backend: Backend): Promise<StalenessResult> {
    const told = await toldDelays(backend, "");
    this.#told = told;
    this.areFew = areFew({ reports: reportsOf(told) });
    this.#toldAt = performance.now();
    this.#chances.clear();
    return told;
  }
}

const watches = new WeakMap<object, FleetWatch>();

/** One for each frontend: all of its requests share what is known. */
export function watchOf(backend: Backend): FleetWatch {
  const { shared = backend } = backend;
  const watch = watches.get(shared) ?? new FleetWatch();
  watches.set(shared, watch);
  return watch;
}

/** @returns null where nothing is known */
async function choose(
  backend: Backend,
  { key, options }: GetOperation,
): Promise<{ readonly r: number; readonly p: number } | null> {
  const view = backend.view();
  const settings = view.namespaces.get(namespaceOf(key)) ?? view.defaults;
  const resolution = resolutionOf(view, settings, options);
  if (!resolution.ok) return null;
  const { rules } = resolution;
  const watch = watchOf(backend);
  await watch.refresh(backend);
  const chances = watch.areFew ? null : watch.chances(view, rules);
  if (chances === null) return null;
  const w = quorumNumber(options.staleW ?? rules.w, rules.n);
  const enough = options.minP ?? MIN_P_DEFAULT;
  for (let r = 1; r < rules.n; r++) {
    const p = chances(r, w, options.maxStaleMs ?? 0);
    if (p >= enough) return { r, p };
  }
  return { r: rules.n, p: 1 };
}

/**
 * Runs a read, for `read-room.ts` alone; one with `auto` says in its result what was expected of
 * it.
 */
export function executeRead(
  backend: Backend,
  operation: GetOperation,
  trace: string,
): Promise<ResultOf<"get">> {
  const { consistency, r } = operation.options;
  const isChosen = consistency === "auto" && r === undefined;
  return isChosen
    ? chooseAndRead(backend, operation, trace)
    : backend.fetchValues(operation, trace);
}

async function chooseAndRead(
  backend: Backend,
  operation: GetOperation,
  trace: string,
): Promise<ResultOf<"get">> {
  const chosen = await choose(backend, operation);
  if (chosen === null) return backend.fetchValues(operation, trace);
  const options = { ...operation.options, r: chosen.r };
  const result = await backend.fetchValues({ ...operation, options }, trace);
  return result.kind === "got" ? { ...result, predictedP: chosen.p } : result;
}
