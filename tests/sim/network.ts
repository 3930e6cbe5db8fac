/**
 * The wires between machines: they lose, repeat, delay, reorder, and can be cut one way. In some
 * runs messages travel as bytes, in the others as they are: the codec is a tenth of a run's time.
 */
import { decodeMessage, encodeMessage, type Message } from "../../core/messages.ts";
import type { Prng } from "../../core/prng.ts";
import type { Events } from "./events.ts";
import type { Machine } from "./machine.ts";
import type { Noise } from "./plan.ts";

export interface NetworkFaults {
  lost: number;
  repeated: number;
  delayed: number;
}

/** How long a message may be late, in ms. */
const DELAY_MS_MAX = 1500;

export class Network {
  readonly faults: NetworkFaults = { lost: 0, repeated: 0, delayed: 0 };
  readonly #events: Events;
  readonly #prng: Prng;
  readonly #trace: (line: string) => void;
  /** How many cuts lie on a wire. */
  readonly #cuts = new Map<string, number>();
  /** Told of a write that a coordinator may hear of when its client was answered long ago. */
  onSecondCoordination: (content: readonly unknown[]) => void = () => {};
  /** Told of every entry that somebody is told to store, whether that arrives or not. */
  onStore: (key: string, entry: Uint8Array) => void = () => {};
  /** The same of every entry that is sent, by whatever way. */
  onEntry: (key: string, entry: Uint8Array) => void = () => {};
  /** Writes that a coordinator was asked for over a wire and has not answered, by their call. */
  readonly #coordinating = new Map<string, unknown>();
  noise: Noise;
  readonly #sendsBytes: boolean;

  constructor(parts: {
    readonly events: Events;
    readonly prng: Prng;
    readonly noise: Noise;
    /** Whether messages go through their codec; nothing else may come of it. */
    readonly sendsBytes: boolean;
    readonly trace: (line: string) => void;
  }) {
    this.#events = parts.events;
    this.#prng = parts.prng;
    this.#trace = parts.trace;
    this.noise = parts.noise;
    this.#sendsBytes = parts.sendsBytes;
  }

  /** @param by 1 for one more cut, -1 for one fewer */
  cut(from: string, to: string, by: 1 | -1): void {
    const wire = `${from}>${to}`;
    this.#cuts.set(wire, (this.#cuts.get(wire) ?? 0) + by);
  }

  send(from: Machine, target: Machine, message: Message): void {
    const { body } = message;
    if (body.kind === "store") this.onStore(body.key, body.entry);
    if (body.kind === "store") this.onEntry(body.key, body.entry);
    else if (body.kind === "deliver" || body.kind === "fetched") {
      for (const item of body.items) this.onEntry(...(item as [string, Uint8Array]));
    }
    const bytes = this.#sendsBytes ? encodeMessage(message) : null;
    const wire = `${from.id}>${target.id}`;
    const isLost = (this.#cuts.get(wire) ?? 0) > 0 || this.#roll(this.noise.lossPerMille);
    const what = `${wire} ${message.type} ${message.body.kind} #${message.call}`;
    this.#trace(isLost ? `${what} LOST` : what);
    if (isLost) {
      this.faults.lost++;
      return;
    }
    const deliver = (): void =>
      this.#deliver(from, target, () => (bytes === null ? message : decodeMessage(bytes)));
    deliver();
    this.#noteCoordination(from, message);
    const isRepeated = this.#roll(this.noise.repeatPerMille);
    if (body.kind === "coordinate" && (body.isRetry || isRepeated)) {
      this.onSecondCoordination(body.content);
    }
    if (isRepeated) {
      this.faults.repeated++;
      deliver();
    }
  }

  /**
   * Whether somebody who was asked to coordinate the write may yet do so, while its client was
   * answered by another: by the node it talks to, for one, which asks itself over no wire.
   */
  mayBeMintedYet(isIt: (value: Uint8Array) => boolean): boolean {
    for (const value of this.#coordinating.values()) {
      if (value instanceof Uint8Array && isIt(value)) return true;
    }
    return false;
  }

  #noteCoordination(from: Machine, { type, call, body }: Message): void {
    if (type === "request" && body.kind === "coordinate") {
      this.#coordinating.set(`${from.id}#${from.life}/${call}`, body.content[0]);
    }
  }

  #deliver(from: Machine, target: Machine, read: () => Message): void {
    const isDelayed = this.#roll(this.noise.delayPerMille);
    if (isDelayed) this.faults.delayed++;
    const delayMs = 0.2 + this.#prng.below(isDelayed ? DELAY_MS_MAX : 4);
    const { life } = from;
    const { life: targetLife } = target;
    this.#events.after(delayMs, () => {
      const message = read();
      // A request comes by a connection of this life, and its reply goes back by no other.
      const address = message.type === "request" ? `${from.id}#${life}` : from.id;
      if (message.type === "reply" && target.life !== targetLife) return;
      if (message.type === "reply") {
        this.#coordinating.delete(`${target.id}#${target.life}/${message.call}`);
      }
      if (target.node !== null) return target.input({ kind: "message", from: address, message });
      if (message.type !== "request") return;
      this.#events.after(0.2, () => {
        if (from.life !== life) return;
        from.input({ kind: "unreachable", to: target.id, call: message.call });
      });
    });
  }

  #roll(perMille: number): boolean {
    return perMille > 0 && this.#prng.chance(perMille, 1000);
  }
}
