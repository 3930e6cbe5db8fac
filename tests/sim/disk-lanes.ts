/** The two lanes of a machine's log, flushes and work in the background, each with a job at most. */
import type { Prng } from "../../core/prng.ts";
import { DiskFailure } from "../../replica/log-disk.ts";
import type { LogJob } from "../../replica/log-jobs.ts";
import type { LogStore } from "../../replica/log-store.ts";
import type { MemoryDisk } from "../replica/log-memory-disk.ts";

const RETRY_MS = 1000;
const BACKGROUND_MS = 400;

interface Waiter {
  readonly token: number;
  readonly sequence: number;
}

export interface LanesHost {
  readonly machine: {
    readonly store: LogStore | null;
    readonly disk: MemoryDisk;
    readonly life: number;
    readonly diskSlowness: number;
  };
  readonly prng: Prng;
  /** Does the work later, unless the process's life ends before. */
  later(delayMs: number, work: () => void): void;
  flushed(token: number, ok: boolean): void;
}

export class DiskLanes {
  readonly #host: LanesHost;
  #waiters: Waiter[] = [];
  #flushing: LogJob | null = null;
  #working: LogJob | null = null;
  #looks = 0;

  constructor(host: LanesHost) {
    this.#host = host;
  }

  get isIdle(): boolean {
    return this.#flushing === null && this.#working === null;
  }

  /** The process has ended: nobody waits any more. */
  clear(): void {
    this.#waiters = [];
    this.#flushing = null;
    this.#working = null;
  }

  /** Tells once all that was written so far is durable, or never will be. */
  flush(token: number): void {
    const { store } = this.#host.machine;
    if (store === null) return;
    const sequence = store.writtenSequence;
    if (store.durableSequence >= sequence)
      return this.#host.later(0, () => this.#host.flushed(token, true));
    if (store.health() !== "writable")
      return this.#host.later(0, () => this.#host.flushed(token, false));
    this.#waiters.push({ token, sequence });
    this.#pump(false);
  }

  #pump(retry: boolean): void {
    if (this.#flushing !== null) return;
    const job = this.#host.machine.store?.nextFlush({ retry });
    if (job === undefined) return;
    this.#flushing = job;
    this.#host.later(this.#diskMs(), () => {
      this.#flushing = null;
      this.#run(job);
      this.#wakeWaiters();
    });
  }

  #wakeWaiters(): void {
    const { store } = this.#host.machine;
    if (store === null) return;
    const isWritable = store.health() === "writable";
    const isDone = ({ sequence }: Waiter): boolean =>
      !isWritable || sequence <= store.durableSequence;
    const done = this.#waiters.filter(isDone);
    this.#waiters = this.#waiters.filter((waiter) => !isDone(waiter));
    if (this.#waiters.length > 0) this.#pump(false);
    if (store.health() === "full") this.#host.later(RETRY_MS, () => this.#retry());
    const { life } = this.#host.machine;
    for (const { token, sequence } of done) {
      if (this.#host.machine.life === life)
        this.#host.flushed(token, sequence <= store.durableSequence);
    }
  }

  #retry(): void {
    this.#host.machine.store?.retryBackground();
    this.#pump(true);
  }

  /** Work in the background, from now on. */
  arm(): void {
    this.#host.later(BACKGROUND_MS, () => {
      if (this.#working === null) this.#work();
      this.arm();
    });
  }

  #work(): void {
    // As a host does while there are writes, and while there are none.
    const leavesDying = this.#looks++ % 2 === 0;
    const job = this.#host.machine.store?.nextBackground({ leavesDying });
    if (job === undefined) return this.#pump(false);
    this.#working = job;
    this.#host.later(this.#diskMs(), () => {
      this.#working = null;
      this.#run(job);
    });
  }

  #diskMs(): number {
    return (0.3 + this.#host.prng.below(40) / 10) * this.#host.machine.diskSlowness;
  }

  #run(job: LogJob): void {
    const { store } = this.#host.machine;
    if (store === null) return;
    let doneCount = 0;
    try {
      for (const step of job.steps) {
        this.#host.machine.disk.run(step);
        doneCount++;
      }
    } catch (error) {
      if (!(error instanceof DiskFailure)) throw error;
      return store.finished(job, { doneCount, failure: error });
    }
    store.finished(job, { doneCount });
  }

  /** A crash may come between any two steps of the disk's jobs. */
  tear(): void {
    for (const job of [this.#flushing, this.#working]) {
      const count = job === null ? 0 : this.#host.prng.below(job.steps.length + 1);
      try {
        for (const step of job?.steps.slice(0, count) ?? []) this.#host.machine.disk.run(step);
      } catch (error) {
        if (!(error instanceof DiskFailure)) throw error;
      }
    }
  }
}
