/**
 * The wires between machines: they lose, repeat, delay, reorder, and can be cut one way. In some
 * runs messages travel as bytes, in the others as they are: the codec is a tenth of a run's time.
 */
import type { Content, Entry, Sibling } from "../../core/entry.ts";
import { decodeKept } from "../../core/entry-codec.ts";
import { decodeMessage, encodeMessage, type Message, type RequestOf } from "../../core/messages.ts";
import type { Prng } from "../../core/prng.ts";
import type { Events } from "./events.ts";
import type { Machine } from "./machine.ts";
import type { Noise } from "./plan.ts";
import type { Trace } from "./trace.ts";

export interface NetworkFaults {
  lost: number;
  repeated: number;
  delayed: number;
}

interface Wire {
  readonly name: string;
  cutCount: number;
}

/** How long a message may be late, in ms. */
const DELAY_MS_MAX = 1500;

export class Network {
  readonly faults: NetworkFaults = { lost: 0, repeated: 0, delayed: 0 };
  readonly #events: Events;
  readonly #prng: Prng;
  readonly #trace: Trace;
  /** By sender and then by receiver. */
  readonly #wires = new Map<string, Map<string, Wire>>();
  /** By receiver, how much longer a message takes, in ms. */
  readonly slowTo = new Map<string, number>();
  /** Told of a write that a coordinator may hear of when its client was answered long ago. */
  onSecondCoordination: (content: Content | null) => void = () => {};
  /** Told of every entry that somebody is told to store, whether that arrives or not. */
  onStore: (from: Machine, key: string, entry: Entry) => void = () => {};
  /** Told of every write of which a coordinator says over a wire that it is done. */
  onCoordinated: (from: Machine, key: string, sibling: Sibling) => void = () => {};
  /** The same for every entry that is sent, in whatever message. */
  onEntry: (key: string, entry: Entry) => void = () => {};
  /** Writes that a coordinator was asked for over a wire and has not answered: by caller and call. */
  readonly #coordinating = new Map<string, Map<number, RequestOf<"coordinate">>>();
  noise: Noise;
  readonly #sendsBytes: boolean;

  constructor(parts: {
    readonly events: Events;
    readonly prng: Prng;
    readonly noise: Noise;
    /** Whether messages go through their codec, which must change nothing else. */
    readonly sendsBytes: boolean;
    readonly trace: Trace;
  }) {
    this.#events = parts.events;
    this.#prng = parts.prng;
    this.#trace = parts.trace;
    this.noise = parts.noise;
    this.#sendsBytes = parts.sendsBytes;
  }

  /** @param by 1 for one more cut, -1 for one fewer */
  cut(from: string, to: string, by: 1 | -1): void {
    this.#wire(from, to).cutCount += by;
  }

  #wire(from: string, to: string): Wire {
    const known = this.#wires.get(from)?.get(to);
    if (known !== undefined) return known;
    const wire = { name: `${from}>${to}`, cutCount: 0 };
    this.#wires.set(from, (this.#wires.get(from) ?? new Map<string, Wire>()).set(to, wire));
    return wire;
  }

  send(from: Machine, target: Machine, message: Message): void {
    const { body } = message;
    this.#show(from, message);
    this.#showDone(from, target, message);
    const bytes = this.#sendsBytes ? encodeMessage(message) : null;
    const wire = this.#wire(from.id, target.id);
    const isLost = wire.cutCount > 0 || this.#roll(this.noise.lossPerMille);
    this.#trace.sent(wire.name, message, isLost);
    if (isLost) {
      this.faults.lost++;
      return;
    }
    this.#deliver(from, target, bytes ?? message);
    this.#noteCoordination(from, message);
    const isRepeated = this.#roll(this.noise.repeatPerMille);
    if (body.kind === "coordinate" && (body.isRetry || isRepeated)) {
      this.onSecondCoordination(body.content);
    }
    if (isRepeated) {
      this.faults.repeated++;
      this.#deliver(from, target, bytes ?? message);
    }
  }

  /**
   * An entry is decoded once, for all that look at it; where messages travel as they are, for its
   * receivers too.
   */
  #show(from: Machine, { body }: Message): void {
    if (body.kind === "store" || body.kind === "storeAlone") {
      const { entry } = decodeKept(body.entry);
      this.onStore(from, body.key, entry);
      this.onEntry(body.key, entry);
    } else if (body.kind === "deliver" || body.kind === "fetched") {
      for (const [key, bytes] of body.items) {
        this.onEntry(key, decodeKept(bytes).entry);
      }
    }
  }

  /**
   * Whether somebody who was asked to coordinate the write may yet do so, while its client was
   * answered by another: by the node it talks to, for one, which asks itself over no wire.
   *
   * @param start what the write's content begins with, and that of no other
   */
  mayBeMintedYet(start: Uint8Array): boolean {
    for (const values of this.#coordinating.values()) {
      for (const { content } of values.values()) {
        if (content !== null && startsWith(content.value, start)) return true;
      }
    }
    return false;
  }

  #noteCoordination({ address }: Machine, { type, call, body }: Message): void {
    if (type !== "request" || body.kind !== "coordinate") return;
    const values = this.#coordinating.get(address) ?? new Map<number, RequestOf<"coordinate">>();
    this.#coordinating.set(address, values.set(call, body));
  }

  #showDone(from: Machine, { address }: Machine, { call, body }: Message): void {
    if (body.kind !== "coordinated") return;
    const request = this.#coordinating.get(address)?.get(call);
    if (request !== undefined) {
      this.onCoordinated(from, request.key, body.sibling);
    }
  }

  #deliver(from: Machine, target: Machine, sent: Message | Uint8Array): void {
    const isDelayed = this.#roll(this.noise.delayPerMille);
    if (isDelayed) this.faults.delayed++;
    const slowMs = this.slowTo.get(target.id) ?? 0;
    const delayMs = slowMs + 0.2 + this.#prng.below(isDelayed ? DELAY_MS_MAX : 4);
    // A request comes by a connection of this life, and its reply goes back by no other.
    const { life, address } = from;
    const { life: targetLife } = target;
    // What is sent to a process that runs may lie in a socket of it when it ends.
    const isUnsent = target.node === null;
    this.#events.after(delayMs, () => {
      const message = sent instanceof Uint8Array ? decodeMessage(sent) : sent;
      if (message.type === "reply") {
        if (target.life !== targetLife) return;
        this.#coordinating.get(target.address)?.delete(message.call);
        return target.input({ kind: "message", from: from.id, message });
      }
      if (target.node !== null) return target.input({ kind: "message", from: address, message });
      this.#events.after(0.2, () => {
        if (from.life !== life) return;
        from.input({ kind: "unreachable", to: target.id, call: message.call, isUnsent });
      });
    });
  }

  #roll(perMille: number): boolean {
    return perMille > 0 && this.#prng.chance(perMille, 1000);
  }
}

const startsWith = (bytes: Uint8Array, start: Uint8Array): boolean =>
  bytes.length >= start.length && start.every((byte, i) => bytes[i] === byte);
