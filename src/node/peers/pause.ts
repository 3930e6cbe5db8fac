import type { Millis } from "../../../core/time.ts";
import type { Coordinator, Outbox } from "../../../replica/coordination.ts";

/** A while in which nobody is asked anything, before something is looked at again. */
export class Pause implements Coordinator {
  readonly #ms: number;
  readonly #out: Outbox<null>;
  #until: Millis = Infinity;
  isOver = false;

  constructor(ms: number, out: Outbox<null>) {
    this.#ms = ms;
    this.#out = out;
  }

  get wakeAt(): Millis {
    return this.isOver ? Infinity : this.#until;
  }

  start(now: Millis): void {
    this.#until = now + this.#ms;
  }

  reply(): void {}

  failed(): void {}

  wake(now: Millis): void {
    if (this.isOver || now < this.#until) return;
    this.isOver = true;
    this.#out.finish(null);
  }
}
