/**
 * Work that nobody waits for, one table: a name, how often, what to do. Each run is one bounded
 * unit; an interval is counted from the end of the last run, with a jitter so that nodes do not
 * fall into step. A job that knows that it has nothing to do rests, and its node with it.
 */
import { assert } from "../../../core/assert.ts";
import type { Prng } from "../../../core/prng.ts";
import type { Millis } from "../../../core/time.ts";

export interface Job {
  readonly name: string;
  /** 0: only when it is asked for. */
  readonly everyMs: number;
  /**
   * Asked after every step: the time until which there is nothing to do, as far as is known;
   * Infinity for nothing at all. Until then the job is not run even when its interval is over, but
   * it rests no longer than `REST_MS_MAX`. Absent: there is always something to do.
   */
  readonly restsUntil?: (() => Millis) | undefined;
  run(now: Millis): void;
}

/** How long, beyond its interval, a job rests at most that was wrongly not woken, in ms. */
export const REST_MS_MAX = 5000;

interface Scheduled {
  readonly job: Job;
  /** When its interval is over. */
  at: Millis;
}

/** When it is to run. */
function timeOf({ job, at }: Scheduled): Millis {
  if (job.restsUntil === undefined || at === Infinity) return at;
  return Math.max(at, Math.min(job.restsUntil(), at + REST_MS_MAX));
}

export class JobTable {
  readonly #prng: Prng;
  readonly #jobs: Scheduled[] = [];

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  get wakeAt(): Millis {
    let earliest = Infinity;
    for (const scheduled of this.#jobs) {
      if (scheduled.at < earliest) earliest = Math.min(earliest, timeOf(scheduled));
    }
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
      if (scheduled.at > now || timeOf(scheduled) > now) continue;
      scheduled.at = now + this.#jittered(scheduled.job.everyMs);
      scheduled.job.run(now);
    }
  }

  /** Between three and five quarters of the interval. */
  #jittered(everyMs: number): number {
    return (everyMs * (768 + this.#prng.below(512))) / 1024;
  }
}
