/** Requests that wait for room or for a turn: first come, first served, and for a bounded time. */
import { Problem } from "./problems.ts";

export interface Waiter {
  mayBegin(): boolean;
  /** Takes what was waited for. */
  begin(): void;
}

export class WaitingLine {
  #waiting: Waiter[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  /** Resolves when it has begun. @throws Problem `overloaded` when it has waited for `waitMs` */
  wait(waiter: Waiter, waitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting = this.#waiting.filter((other) => other !== inLine);
        reject(new Problem("overloaded", "Too many large values are at work. Try again shortly."));
        this.admit();
      }, waitMs);
      const inLine: Waiter = {
        mayBegin: () => waiter.mayBegin(),
        begin: () => {
          clearTimeout(timer);
          waiter.begin();
          resolve();
        },
      };
      this.#waiting.push(inLine);
    });
  }

  /** Lets in those that may begin now; nobody overtakes the first. */
  admit(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined || !first.mayBegin()) return;
      this.#waiting.shift();
      first.begin();
    }
  }
}
