/**
 * The only interpreter of a node's effects on a real host: small enough to be read whole, because
 * the simulator has one of its own and does not test it. A host supplies clock, timer, network and
 * disk; the driver keeps nothing but who is waiting for which answer.
 */
import { assert } from "../../core/assert.ts";
import { IdTable } from "../../core/id-table.ts";
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import type { Result, ResultOf } from "../../core/results.ts";
import type { Millis, Now, WallMillis } from "../../core/time.ts";
import type { Duplicate } from "../node/knowledge/lives.ts";
import type { Node } from "../node/node.ts";
import type { Address, Effect, Input } from "../node/peers/boundary.ts";

export interface DriverHost {
  /** Both clocks, as they are now; see `hostClock`. */
  now(): Now;
  /**
   * Sends a message. If that turns out to be impossible, calls the driver's `unreachable`, at once
   * or later. It never throws and never waits.
   */
  send(to: Address, message: Message): void;
  /**
   * Resolves when all that the store was given so far is durable; rejects when it will never be.
   */
  flush(): Promise<void>;
  /**
   * Calls back once after that time, in ms; returns a function that cancels it. Default:
   * `setTimeout`.
   */
  setTimer?(callback: () => void, delayMs: number): () => void;
  /** Two processes run under one id; when this is the one that is to end, the host ends it. */
  duplicate?(duplicate: Duplicate, isToEnd: boolean): void;
}

type JobName = "handoff" | "exchange" | "sweep" | "migrate" | "change" | "evict" | "collect";

const hostTimer: NonNullable<DriverHost["setTimer"]> = (callback, delayMs) => {
  const timer = setTimeout(callback, delayMs);
  return () => clearTimeout(timer);
};

export class Driver {
  readonly node: Node;
  readonly #host: DriverHost;
  readonly #waiting = new IdTable<(result: Result) => void>();
  readonly #idle: (() => void)[] = [];
  readonly #onEnding = new Set<() => void>();
  /** The host is about to stop: endless answers must come to an end. */
  isEnding = false;
  #lastToken = 0;
  #lastFlush: { readonly whole: Promise<void> | null; readonly tokens: number[] } = {
    whole: null,
    tokens: [],
  };
  #takeTimerBack: () => void = () => {};
  #timerAt: Millis = Infinity;
  #isClosed = false;

  constructor(node: Node, host: DriverHost) {
    this.node = node;
    this.#host = host;
  }

  /** To be called by the host before it stops. */
  beginToEnd(): void {
    this.isEnding = true;
    for (const callback of [...this.#onEnding]) callback();
  }

  /** Calls it once the host is about to stop. @returns a function that cancels that */
  onEnding(callback: () => void): () => void {
    this.#onEnding.add(callback);
    return () => this.#onEnding.delete(callback);
  }

  /** What the wall clock shows, or ought to (see cluster-clock.ts). */
  get wall(): WallMillis {
    return this.node.knowledge.clusterClock.believed(this.#host.now());
  }

  /** The host's time that only goes on. */
  get monotonic(): Millis {
    return this.#host.now().monotonic;
  }

  /** Clients' operations that have no answer yet. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  execute<Asked extends Operation>(
    operation: Asked,
    trace: string,
  ): Promise<ResultOf<Asked["kind"]>> {
    const token = ++this.#lastToken;
    return new Promise((resolve) => {
      // The node's parts are typed by kind (`Respond`); a token alone says nothing of it.
      this.#waiting.add(token, resolve as (result: Result) => void);
      this.#step({ kind: "client", token, operation, trace });
    });
  }

  receive(from: Address, message: Message): void {
    this.#step({ kind: "message", from, message });
  }

  /** Messages that came together are one step. */
  receiveAll(from: Address, messages: readonly Message[]): void {
    this.#stepAll(messages.map((message) => ({ kind: "message", from, message })));
  }

  /** @param isUnsent nothing of the request can have come there */
  unreachable(to: Address, call: number, isUnsent = false): void {
    this.#step({ kind: "unreachable", to, call, isUnsent });
  }

  /** Runs one of the node's background jobs now. */
  runJob(name: JobName): void {
    this.#step({ kind: "job", name });
  }

  /** Resolves when the node waits for nobody's reply any more. */
  whenIdle(): Promise<void> {
    if (this.node.openCallCount === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Sets the first timer, for work that the node does by itself. */
  wake(): void {
    this.#setTimer();
  }

  /** Stops the timer: nothing happens any more by itself. */
  close(): void {
    this.#isClosed = true;
    this.#takeTimerBack();
  }

  #step(input: Input): void {
    this.#stepAll([input]);
  }

  #stepAll(inputs: readonly Input[]): void {
    for (const effect of this.node.stepAll(inputs, this.#host.now())) this.#carryOut(effect);
    this.#setTimer();
    if (this.#idle.length > 0 && this.node.openCallCount === 0) {
      for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  #carryOut(effect: Effect): void {
    switch (effect.kind) {
      case "send":
        return this.#host.send(effect.to, effect.message);
      case "answer": {
        const resolve = this.#waiting.get(effect.token);
        assert(resolve !== undefined, "an answer has somebody waiting for it");
        this.#waiting.delete(effect.token);
        return resolve(effect.result);
      }
      case "flush":
        return this.#flush(effect.token);
      case "duplicate":
        return this.#host.duplicate?.(effect.duplicate, effect.isToEnd);
    }
  }

  /** Flushes that end together are reported together: a host's group has one promise. */
  #flush(token: number): void {
    const whole = this.#host.flush();
    if (whole === this.#lastFlush.whole) return void this.#lastFlush.tokens.push(token);
    const tokens = [token];
    this.#lastFlush = { whole, tokens };
    const tell = (ok: boolean): void => {
      if (this.#lastFlush.tokens === tokens) this.#lastFlush = { whole: null, tokens: [] };
      this.#stepAll(tokens.map((ended) => ({ kind: "flushed", token: ended, ok })));
    };
    whole.then(
      () => tell(true),
      () => tell(false),
    );
  }

  #setTimer(): void {
    const { wakeAt } = this.node;
    if (this.#isClosed || wakeAt >= this.#timerAt) return;
    this.#takeTimerBack();
    this.#timerAt = wakeAt;
    // Timers count whole milliseconds, and would round down.
    const delayMs = Math.max(0, Math.ceil(wakeAt - this.#host.now().monotonic));
    const setTimer = this.#host.setTimer ?? hostTimer;
    this.#takeTimerBack = setTimer(() => {
      this.#timerAt = Infinity;
      // Its reason may be gone by now, and a step is costly for an idle node.
      if (this.node.wakeAt > this.#host.now().monotonic) this.#setTimer();
      else this.#step({ kind: "tick" });
    }, delayMs);
  }
}
