/**
 * Work that nobody waits for, one table: a name, how often, what to do. Each run is one bounded
 * unit; an interval is counted from the end of the last run, with a jitter so that nodes do not
 * fall into step.
 */
import { assert } from "../../../core/assert.ts";
import type { Prng } from "../../../core/prng.ts";
import type { Millis } from "../../../core/time.ts";

export interface Job {
  readonly name: string;
  /** 0: only when it is asked for. */
  readonly everyMs: number;
  run(now: Millis): void;
}

interface Scheduled {
  readonly job: Job;
  at: Millis;
}

export class JobTable {
  readonly #prng: Prng;
  readonly #jobs: Scheduled[] = [];

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  get wakeAt(): Millis {
    let earliest = Infinity;
    for (const { at } of this.#jobs) if (at < earliest) earliest = at;
    return earliest;
  }

  add(job: Job, now: Millis): void {
    assert(job.everyMs >= 0, "an interval is not negative");
    const at = job.everyMs === 0 ? Infinity : now + this.#jittered(job.everyMs);
    this.#jobs.push({ job, at });
  }

  /** Runs a job out of turn. */
  runNow(name: string, now: Millis): void {
    const scheduled = this.#jobs.find(({ job }) => job.name === name);
    assert(scheduled !== undefined, "a job of the table");
    scheduled.job.run(now);
  }

  /** Runs whatever is due. */
  run(now: Millis): void {
    for (const scheduled of this.#jobs) {
      if (scheduled.at > now) continue;
      scheduled.at = now + this.#jittered(scheduled.job.everyMs);
      scheduled.job.run(now);
    }
  }

  /** Between three and five quarters of the interval. */
  #jittered(everyMs: number): number {
    return (everyMs * (768 + this.#prng.below(512))) / 1024;
  }
}
