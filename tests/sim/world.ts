/** A cluster on virtual time: machines with real nodes and logs, wires between them, clients. */
import type { Message } from "../../core/messages.ts";
import type { Operation, Result } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import type { Effect } from "../../src/node/boundary.ts";
import { Events } from "./events.ts";
import { Machine } from "./machine.ts";
import { Network } from "./network.ts";
import type { Plan } from "./plan.ts";
import { Trace } from "./trace.ts";

/** A client's operation at a node; null when the node was down or died under it. */
export type Done = (result: Result | null) => void;

export interface WorldParts {
  readonly plan: Plan;
  readonly print: ((line: string) => void) | null;
  readonly accuse: (oracle: string, detail: string) => void;
}

export class World {
  readonly events = new Events();
  readonly trace: Trace;
  readonly network: Network;
  readonly machines: readonly Machine[];
  readonly #byId: ReadonlyMap<string, Machine>;
  readonly #waiting = new Map<string, Done>();
  /** How far any clock was ever behind and ahead, in ms: what a TTL may be off by. */
  skewMsMin = 0;
  skewMsMax = 0;
  /** Asked at each answer to a client, before the client hears of it. */
  onAnswer: (machine: Machine, result: Result) => void = () => {};
  #token = 0;

  constructor({ plan, print, accuse }: WorldParts) {
    const prng = Prng.fromSeed(plan.seed).fork();
    const { events } = this;
    this.trace = new Trace(events, print);
    const trace = this.trace.add;
    this.network = new Network({ events, prng: prng.fork(), noise: plan.noise, trace });
    const { ring, timing, segmentByteCountMax } = plan;
    this.machines = ring.members.map(
      ({ id }, i) =>
        new Machine({
          id,
          ring,
          timing,
          segmentByteCountMax,
          skewMs: plan.skewsMs[i] ?? 0,
          prng: prng.fork(),
          events,
          carryOut: (machine, effect) => this.#carryOut(machine, effect),
          trace,
          accuse,
        }),
    );
    this.#byId = new Map(this.machines.map((machine) => [machine.id, machine]));
    for (const machine of this.machines) {
      this.noteSkew(machine.skewMs);
      machine.boot();
    }
  }

  machine(id: string): Machine {
    const machine = this.#byId.get(id);
    if (machine === undefined) throw new Error(`no machine ${id}`);
    return machine;
  }

  noteSkew(skewMs: number): void {
    this.skewMsMin = Math.min(this.skewMsMin, skewMs);
    this.skewMsMax = Math.max(this.skewMsMax, skewMs);
  }

  submit(machine: Machine, operation: Operation, done: Done): void {
    if (machine.node === null) return done(null);
    const token = ++this.#token;
    this.#waiting.set(`${machine.id}/${token}`, done);
    machine.input({ kind: "client", token, operation, trace: "" });
  }

  /** To be called when a process has ended: nobody who waits for it gets an answer. */
  forsake(machine: Machine): void {
    for (const [name, done] of [...this.#waiting]) {
      if (!name.startsWith(`${machine.id}/`)) continue;
      this.#waiting.delete(name);
      done(null);
    }
  }

  #carryOut(machine: Machine, effect: Exclude<Effect, { kind: "flush" }>): void {
    if (effect.kind === "send") return this.#send(machine, effect.to, effect.message);
    const name = `${machine.id}/${effect.token}`;
    const done = this.#waiting.get(name);
    this.#waiting.delete(name);
    if (done === undefined) return;
    done(effect.result);
    this.onAnswer(machine, effect.result);
  }

  #send(from: Machine, to: string, message: Message): void {
    const target = this.#byId.get(to);
    if (target !== undefined) this.network.send(from, target, message);
  }
}
