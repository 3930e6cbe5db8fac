/**
 * The memory that values may take while requests are at work, reads and writes of this process
 * together. Each body has a bound of its own and the requests at work are counted, but a thousand
 * batches at once, or a hundred reads of a key with many large siblings, each within its bounds,
 * are more than any machine has. A request that comes when the room is full waits a little, in
 * turn, with its body unread on the connection. One that has waited too long is told to come again.
 *
 * Rights are checked before, so a stranger cannot take room from others. A body that is alone is
 * let in whatever its length.
 */
import { WaitingLine } from "./waiting-line.ts";

/**
 * A value at work is in memory some eight times over: as a body, encoded, on its way to two or
 * three peers, and to the disk; 256 MiB then. A Worker, which keeps fewer copies, has 128 MB. It is
 * also a sixth of what may wait for one peer, so that the frontends of six nodes cannot fill that.
 */
const BYTES_MAX = 32 * 1024 * 1024;
/** Less than a request's own timeout: there must be time left to carry it out. */
const WAIT_MS_MAX = 1500;
/**
 * Bodies up to this long, a value of 16 KiB with what is stored beside it, are not worth counting:
 * 2,048 requests at work make 34 MiB of it.
 */
export const SMALL_BYTES = 17 * 1024;

export class BodyRoom {
  readonly #byteCountMax: number;
  readonly #waitMsMax: number;
  readonly #byRequest = new WeakMap<object, number>();
  /** Objects that requests use beside their own, and how many requests use each. */
  readonly #shares = new WeakMap<object, object[]>();
  readonly #shareCounts = new WeakMap<object, number>();
  readonly #line = new WaitingLine();
  #takenByteCount = 0;

  constructor(byteCountMax: number, waitMsMax = WAIT_MS_MAX) {
    this.#byteCountMax = byteCountMax;
    this.#waitMsMax = waitMsMax;
  }

  get takenByteCount(): number {
    return this.#takenByteCount;
  }

  get waitingCount(): number {
    return this.#line.length;
  }

  /** Waits for this much more room for a request. @throws Problem `overloaded` after 1.5 s */
  reserve(request: object, byteCount: number): Promise<void> {
    if (this.#line.length === 0 && this.#fits(request, byteCount)) {
      this.add(request, byteCount);
      return Promise.resolve();
    }
    const waiter = {
      mayBegin: () => this.#fits(request, byteCount),
      begin: () => this.add(request, byteCount),
    };
    return this.#line.wait(waiter, this.#waitMsMax);
  }

  /** Counts what is there already, whether there is room for it or not. */
  add(request: object, byteCount: number): void {
    this.#byRequest.set(request, (this.#byRequest.get(request) ?? 0) + byteCount);
    this.#takenByteCount += byteCount;
  }

  /**
   * The request uses room that is taken under another object: the last request to use it gives it
   * back.
   */
  share(request: object, shared: object): void {
    this.#shareCounts.set(shared, (this.#shareCounts.get(shared) ?? 0) + 1);
    const shares = this.#shares.get(request);
    if (shares === undefined) this.#shares.set(request, [shared]);
    else shares.push(shared);
  }

  /** Counts bytes that are there already, once for all requests that use these very ones. */
  hold(request: object, bytes: Uint8Array): void {
    if ((this.#shareCounts.get(bytes) ?? 0) === 0) this.add(bytes, bytes.length);
    this.share(request, bytes);
  }

  /** The request needs no more than this much of the room that it has. */
  shrinkTo(request: object, byteCount: number): void {
    const surplus = (this.#byRequest.get(request) ?? 0) - byteCount;
    if (surplus <= 0) return;
    this.#byRequest.set(request, byteCount);
    this.#takenByteCount -= surplus;
    this.#line.admit();
  }

  /** The request needs this much less than it has. */
  giveBack(request: object, byteCount: number): void {
    this.shrinkTo(request, Math.max(0, (this.#byRequest.get(request) ?? 0) - byteCount));
  }

  /** The request is answered, or what it held no longer needed. */
  release(request: object): void {
    if (this.#takenByteCount === 0) return;
    this.#takenByteCount -= this.#byRequest.get(request) ?? 0;
    this.#byRequest.delete(request);
    for (const shared of this.#shares.get(request) ?? []) this.#unshare(shared);
    this.#shares.delete(request);
    this.#line.admit();
  }

  #unshare(shared: object): void {
    const count = (this.#shareCounts.get(shared) ?? 0) - 1;
    this.#shareCounts.set(shared, count);
    if (count === 0) this.release(shared);
  }

  #fits(request: object, byteCount: number): boolean {
    const others = this.#takenByteCount - (this.#byRequest.get(request) ?? 0);
    return others === 0 || this.#takenByteCount + byteCount <= this.#byteCountMax;
  }
}

/** This process's own. */
export const bodyRoom = new BodyRoom(BYTES_MAX);
