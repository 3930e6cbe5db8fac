/**
 * The time of a request of many parts. The one that a client names is for the whole: each part has
 * what is left of it, and what has not begun when it is over is not begun any more. Where none is
 * named each part has the deployment's, which the nodes know.
 */
import type { QuorumOptions } from "../../../core/quorum-options.ts";
import { Problem } from "./problems.ts";

export class Deadline {
  readonly #quorum: QuorumOptions;
  readonly #timeoutMs: number;
  readonly #startedAt = performance.now();

  /** It begins to run now. */
  constructor(quorum: QuorumOptions) {
    this.#quorum = quorum;
    this.#timeoutMs = quorum.timeoutMs ?? Number.POSITIVE_INFINITY;
  }

  /**
   * The request's options for a part that begins now.
   *
   * @throws Problem `quorum-timeout` when it is too late to begin
   */
  options(): QuorumOptions {
    if (this.#timeoutMs === Number.POSITIVE_INFINITY) return this.#quorum;
    return { ...this.#quorum, timeoutMs: this.#leftMs() };
  }

  /**
   * What the work gives, for work that takes no time of its own along and changes nothing.
   *
   * @throws Problem `quorum-timeout` when it is over before the work is
   */
  async hold<T>(work: () => Promise<T>): Promise<T> {
    if (this.#timeoutMs === Number.POSITIVE_INFINITY) return work();
    const leftMs = this.#leftMs();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const end = new Promise<never>((_, reject) => {
      const detail = `There was no answer within ${this.#timeoutMs} ms (timeout). Try again.`;
      timer = setTimeout(() => reject(new Problem("quorum-timeout", detail)), leftMs);
    });
    try {
      return await Promise.race([work(), end]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** In whole ms, as options have it. @throws Problem */
  #leftMs(): number {
    const leftMs = this.#startedAt + this.#timeoutMs - performance.now();
    if (leftMs > 0) return Math.ceil(leftMs);
    const over = `The request's ${this.#timeoutMs} ms (timeout) were over before this one's turn`;
    throw new Problem("quorum-timeout", `${over}: nothing was done of it. Send it again.`);
  }
}
