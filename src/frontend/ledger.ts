/** What is noted of every request that was answered, whichever way it came in. */

import type { HttpMetrics } from "../metrics/http-metrics.ts";
import { bodyRoom } from "./http/body-room.ts";
import type { PlainRequest } from "./http/exchange.ts";
import type { Problem } from "./http/problems.ts";
import { type EventLog, logTraced } from "./http/trace.ts";

/** For metrics: the request matched no route. */
export const NO_PATTERN = "none";

export interface Entry {
  readonly startedAt: number;
  /** A pattern, never a path. */
  readonly route: string;
  readonly status: number;
  readonly problem: Problem | null;
  readonly hasSiblings: boolean;
}

export class Ledger {
  readonly #metrics: HttpMetrics;
  readonly #log: EventLog | undefined;

  constructor(metrics: HttpMetrics, log: EventLog | undefined) {
    this.#metrics = metrics;
    this.#log = log;
  }

  /** The request is over: the room that it took for values is given back. */
  close(request: PlainRequest, entry: Entry): void {
    bodyRoom.release(request);
    this.note(request, entry);
  }

  /** It is answered, and the host will say when the answer is out. */
  note(request: PlainRequest, entry: Entry): void {
    const { startedAt, route, status, problem, hasSiblings } = entry;
    const { method, headers } = request;
    const seconds = (performance.now() - startedAt) / 1000;
    const code = problem?.code ?? null;
    const answered = { method, route, status, seconds, code, hasSiblings };
    this.#metrics.observe(answered);
    if (this.#log !== undefined) logTraced(this.#log, headers, answered);
  }
}
