/** Starts handoff rounds: one at a time a target, skipping targets that are believed to be away. */

import { type HandoffResult, HandoffRound, handoffLimits } from "../../antientropy/handoff.ts";
import type { ReplicaId } from "../../core/ids.ts";
import type { Millis } from "../../core/time.ts";
import type { Knowledge } from "./knowledge.ts";
import type { Service, TaskStart } from "./service.ts";

export interface HandoffHost {
  readonly knowledge: Knowledge;
  run<R>(start: TaskStart<R>, now: Millis): void;
}

/** All of a round's batches together; a batch has a shorter time of its own. */
const ROUND_MS_MAX = 600_000;

export class Handoff {
  readonly #service: Service;
  readonly #host: HandoffHost;
  readonly #busy = new Set<ReplicaId>();
  deliveredCount = 0;

  constructor(service: Service, host: HandoffHost) {
    this.#service = service;
    this.#host = host;
  }

  /**
   * Begins a round for every target with hints. With `done` (an operator asked) suspected targets
   * are tried too, and it is called when all rounds are over.
   */
  start(now: Millis, done: ((deliveredCount: number) => void) | null): void {
    const { liveness } = this.#host.knowledge;
    const targets = [...this.#service.keeper.store.hintCounts().keys()].filter(
      (id) => !this.#busy.has(id) && (done !== null || liveness.isWorthTrying(id, now)),
    );
    let openCount = targets.length;
    let deliveredCount = 0;
    const over = (result: HandoffResult): void => {
      this.#busy.delete(result.target);
      this.deliveredCount += result.deliveredCount;
      deliveredCount += result.deliveredCount;
      if (--openCount === 0) done?.(deliveredCount);
    };
    if (targets.length === 0) done?.(0);
    for (const target of targets) this.#begin(target, { over, now });
  }

  #begin(target: ReplicaId, of: { over: (result: HandoffResult) => void; now: Millis }): void {
    this.#busy.add(target);
    const { store } = this.#service.keeper;
    this.#host.run<HandoffResult>(
      {
        timeoutMs: ROUND_MS_MAX,
        again: null,
        make: (out) => new HandoffRound({ target, store, limits: handoffLimits }, out),
        finish: of.over,
      },
      of.now,
    );
  }
}
