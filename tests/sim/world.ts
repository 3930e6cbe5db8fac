/** A cluster on virtual time: machines with real nodes and logs, wires between them, clients. */
import type { Message } from "../../core/messages.ts";
import type { Operation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import type { Result } from "../../core/results.ts";
import type { RingMember } from "../../ring/members.ts";
import { compareRings, type Ring, type RingDocument } from "../../ring/ring.ts";
import { Events } from "./events.ts";
import { Machine, type Wish } from "./machine.ts";
import { Network } from "./network.ts";
import type { Plan } from "./plan.ts";
import { NAMESPACE, settings } from "./settings.ts";
import { Trace } from "./trace.ts";

/** The ring by a machine's cluster file: one that may join has itself in it, beside the members. */
function ringFor({ ring, spares }: Plan, member: RingMember): RingDocument {
  if (!spares.includes(member)) return ring;
  return { ...ring, members: [...ring.members, member], isProvisional: true };
}

/** A client's operation at a node; null when the node was down or died under it. */
export type Done = (result: Result | null) => void;

interface Waiting {
  readonly machine: Machine;
  readonly operation: Operation;
  readonly done: Done;
}

/** What a client was told. */
export interface Answer {
  readonly machine: Machine;
  readonly operation: Operation;
  readonly result: Result;
}

export interface WorldParts {
  readonly plan: Plan;
  readonly print: ((line: string) => void) | null;
  readonly accuse: (oracle: string, detail: string) => void;
  readonly onRing: (ring: Ring) => void;
}

export class World {
  readonly events = new Events();
  readonly trace: Trace;
  readonly network: Network;
  readonly machines: readonly Machine[];
  readonly #byId: ReadonlyMap<string, Machine>;
  readonly #waiting = new Map<number, Waiting>();
  /** How far any clock was ever behind and ahead, in ms: a TTL may be off by as much. */
  skewMsMin = 0;
  skewMsMax = 0;
  /** Told of each answer to a client, right after the client. */
  readonly answerWatches = new Set<(answer: Answer) => void>();
  /** Keys that are only read from now on: what became of them is not hidden by a later write. */
  readonly hushed = new Set<string>();
  readonly #accuse: WorldParts["accuse"];
  #token = 0;

  constructor({ plan, print, accuse, onRing }: WorldParts) {
    const prng = Prng.fromSeed(plan.seed).fork();
    const { events } = this;
    this.#accuse = accuse;
    this.trace = new Trace(events, print);
    const trace = this.trace.add;
    const { noise, sendsBytes } = plan;
    this.network = new Network({ events, prng: prng.fork(), noise, sendsBytes, trace: this.trace });
    const { timing, segmentByteCountMax, recentBytesMax, aloneFrom, maxBytes, n } = plan;
    const namespace = { ...settings, maxBytes, n };
    this.machines = [...plan.ring.members, ...plan.spares].map(
      (member, i) =>
        new Machine({
          id: member.id,
          ring: ringFor(plan, member),
          timing,
          segmentByteCountMax,
          recentBytesMax,
          aloneFrom,
          namespace,
          skewMs: plan.skewsMs[i] ?? 0,
          prng: prng.fork(),
          events,
          carryOut: (machine, effect) => this.#carryOut(machine, effect),
          trace,
          accuse,
          onRing,
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

  /** The newest ring that any running machine knows. */
  get ring(): Ring {
    const rings = this.machines.flatMap(({ node }) => (node === null ? [] : [node.knowledge.ring]));
    const [first, ...others] = rings;
    if (first === undefined) throw new Error("no machine is up");
    return others.reduce((a, b) => (compareRings(b.document, a.document) > 0 ? b : a), first);
  }

  /** How many owners a key has, by the newest settings that any running machine knows. */
  get n(): number {
    let [revision, n] = [0, this.ring.document.n];
    for (const { node } of this.machines) {
      const record = node?.knowledge.document.namespaces.get(NAMESPACE);
      if (record === undefined || record.revision <= revision) continue;
      revision = record.revision;
      n = record.settings?.n ?? n;
    }
    return n;
  }

  /** The machines that are members now. */
  get members(): readonly Machine[] {
    return this.ring.memberIds.map((id) => this.machine(id));
  }

  noteSkew(skewMs: number): void {
    this.skewMsMin = Math.min(this.skewMsMin, skewMs);
    this.skewMsMax = Math.max(this.skewMsMax, skewMs);
  }

  submit(machine: Machine, operation: Operation, done: Done): void {
    if (machine.node === null) return done(null);
    const token = ++this.#token;
    this.#waiting.set(token, { machine, operation, done });
    machine.input({ kind: "client", token, operation, trace: "" });
  }

  /** To be called when a process has ended: nobody who waits for it gets an answer. */
  forsake(machine: Machine): void {
    for (const [token, { machine: other, done }] of [...this.#waiting]) {
      if (other !== machine) continue;
      this.#waiting.delete(token);
      done(null);
    }
  }

  #carryOut(machine: Machine, effect: Wish): void {
    if (effect.kind === "send") return this.#send(machine, effect.to, effect.message);
    if (effect.kind === "duplicate") {
      // A machine has one process at a time, whatever the network does with what it sent.
      const { replica, elder, younger } = effect.duplicate;
      const why = `${machine.id} takes ${replica} for two: ${elder} and ${younger}`;
      return this.#accuse("identity", why);
    }
    const waiting = this.#waiting.get(effect.token);
    if (waiting === undefined) return;
    this.#waiting.delete(effect.token);
    waiting.done(effect.result);
    const answer = { machine, operation: waiting.operation, result: effect.result };
    for (const watch of [...this.answerWatches]) watch(answer);
  }

  #send(from: Machine, to: string, message: Message): void {
    const target = this.#byId.get(to) ?? this.#atConnection(to);
    if (target !== undefined) this.network.send(from, target, message);
  }

  /** Connections end with the process: what was asked by an earlier one is answered to nobody. */
  #atConnection(address: string): Machine | undefined {
    const machine = this.#byId.get(address.slice(0, address.indexOf("#")));
    return machine?.address === address ? machine : undefined;
  }
}
