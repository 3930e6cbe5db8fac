/**
 * The memory that bodies may take, of all requests of this process together. Each body has a bound
 * of its own and the requests at work are counted, but a thousand batches at once, each within its
 * bounds, are more than any machine has. Who comes when it is full is told to come again.
 *
 * Only who may write gets here, since rights are checked before a body is read: a stranger cannot
 * take room from others. A body that is alone is let in whatever its length.
 */
import { Problem } from "./problems.ts";

/** Some ninety of the largest values, or one batch of the largest; a Worker has 128 MB for all. */
const BYTES_MAX = 96 * 1024 * 1024;

export class BodyRoom {
  readonly #byteCountMax: number;
  readonly #byRequest = new WeakMap<object, number>();
  #takenByteCount = 0;

  constructor(byteCountMax: number) {
    this.#byteCountMax = byteCountMax;
  }

  get takenByteCount(): number {
    return this.#takenByteCount;
  }

  /** Room for that much more of a request's body. @throws Problem `overloaded` */
  take(request: object, byteCount: number): void {
    const own = this.#byRequest.get(request) ?? 0;
    const others = this.#takenByteCount - own;
    if (others > 0 && this.#takenByteCount + byteCount > this.#byteCountMax) {
      throw new Problem("overloaded", "Too many large bodies are at work. Try again shortly.");
    }
    this.#byRequest.set(request, own + byteCount);
    this.#takenByteCount += byteCount;
  }

  /** The request is answered, or its body no longer needed. */
  release(request: object): void {
    if (this.#takenByteCount === 0) return;
    this.#takenByteCount -= this.#byRequest.get(request) ?? 0;
    this.#byRequest.delete(request);
  }
}

/** This process's own. */
export const bodyRoom = new BodyRoom(BYTES_MAX);
