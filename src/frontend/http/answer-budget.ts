/**
 * How many bytes of values one answer to many questions may hold. A request for a thousand keys is
 * a few kilobytes long, and its answer could be a gigabyte: more than any host has for one client.
 */
import { Problem } from "./problems.ts";

export class AnswerBudget {
  readonly #byteCountMax: number;
  #left: number;

  constructor(byteCountMax: number) {
    this.#byteCountMax = byteCountMax;
    this.#left = byteCountMax;
  }

  /** Makes room for one value. @throws Problem `value-too-large` when the answer is full */
  take(byteCount: number): void {
    if (byteCount <= this.#left) {
      this.#left -= byteCount;
      return;
    }
    const extras = { limit: this.#byteCountMax };
    const detail = "The answer is full: ask for this key in another request.";
    throw new Problem("value-too-large", detail, { extras });
  }
}
