/**
 * A cluster of real nodes on virtual time: real coordinators, keepers, codec and ring, over a
 * network and disks that misbehave by the dice of one seed. Messages cross as encoded bytes.
 */
import { createHash } from "node:crypto";
import xxhash from "xxhash-wasm";
import type { ReplicaId } from "../../core/ids.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { decodeMessage, encodeMessage, type Message } from "../../core/messages.ts";
import type { NamespaceSettings, Operation, Result } from "../../core/operations.ts";
import type { Prng } from "../../core/prng.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import type { RingDocument } from "../../ring/ring.ts";
import type { Effect, Input } from "../../src/node/boundary.ts";
import { Knowledge } from "../../src/node/knowledge.ts";
import { Node } from "../../src/node/node.ts";
import { Events } from "./events.ts";

const hasher = await xxhash();

/** How often each kind of fault strikes, as chances in 1,000 unless the name says otherwise. */
export interface Dice {
  readonly lossPerMille: number;
  readonly duplicatePerMille: number;
  readonly slowPerMille: number;
  readonly cutEveryMs: number;
  readonly killEveryMs: number;
  readonly pauseEveryMs: number;
  readonly clockSkewMsMax: number;
}

export const calm: Dice = {
  lossPerMille: 0,
  duplicatePerMille: 0,
  slowPerMille: 0,
  cutEveryMs: 0,
  killEveryMs: 0,
  pauseEveryMs: 0,
  clockSkewMsMax: 0,
};

interface SimNode {
  readonly id: ReplicaId;
  store: MemoryStore;
  node: Node | null;
  isPaused: boolean;
  /** What arrives while the process is stopped. */
  readonly backlog: Input[];
  skewMs: number;
  timerAt: number;
  /** Distinguishes the lives of a process: what was meant for an earlier one is dropped. */
  life: number;
}

const beats = { heartbeatMs: 1000, suspectAfterMs: 3000, tombstoneGraceMs: 2000 };

export interface Faults {
  lost: number;
  repeated: number;
  delayed: number;
  cuts: number;
  kills: number;
  pauses: number;
}

export const settings: NamespaceSettings = {
  n: 3,
  r: "quorum",
  w: "quorum",
  dw: "quorum",
  ttl: null,
  maxValueBytes: 1_048_576,
  maxBytes: null,
  trustedContent: false,
};

export class World {
  readonly events = new Events();
  readonly nodes = new Map<ReplicaId, SimNode>();
  readonly faults: Faults = { lost: 0, repeated: 0, delayed: 0, cuts: 0, kills: 0, pauses: 0 };
  readonly hash = new KeyedHash(new Uint8Array(16).fill(7));
  readonly #prng: Prng;
  readonly #ring: RingDocument;
  readonly #answers = new Map<string, (result: Result | null) => void>();
  readonly #cut = new Set<string>();
  readonly #trace = createHash("sha256");
  #token = 0;
  dice: Dice;

  constructor(prng: Prng, ring: RingDocument, dice: Dice) {
    this.#prng = prng;
    this.#ring = ring;
    this.dice = dice;
    for (const { id } of ring.members) {
      const store = new MemoryStore({
        clean: false,
        tornByteCount: 0,
        corruptCount: 0,
        lostKeys: [],
      });
      const skewMs = dice.clockSkewMsMax === 0 ? 0 : prng.below(dice.clockSkewMsMax);
      const fresh = { node: null, isPaused: false, backlog: [], timerAt: Infinity, life: 0 };
      this.nodes.set(id, { id, store, skewMs, ...fresh });
      this.boot(id);
    }
  }

  get traceDigest(): string {
    return this.#trace.copy().digest("hex");
  }

  trace(line: string): void {
    this.#trace.update(`${this.events.now.toFixed(4)} ${line}\n`);
  }

  boot(id: ReplicaId): void {
    const sim = this.#of(id);
    if (sim.node !== null) return;
    const knowledge = new Knowledge({
      document: { ring: this.#ring, namespaces: new Map() },
      hash: this.hash,
      keyHasher: hasher,
      defaults: settings,
      timeoutMs: 2000,
      zone: this.#ring.members.find((member) => member.id === id)?.zone ?? "",
    });
    const replica = { id, store: sim.store, handoffMs: 2000, antiEntropyMs: 3000, ...beats };
    sim.life++;
    sim.isPaused = false;
    sim.backlog.length = 0;
    sim.timerAt = Infinity;
    sim.node = new Node({ knowledge, prng: this.#prng.fork(), replica });
    this.trace(`boot ${id}`);
    this.#setTimer(sim);
  }

  /** The process is gone, and with it whatever had not reached the disk. */
  kill(id: ReplicaId): void {
    const sim = this.#of(id);
    if (sim.node === null) return;
    sim.node = null;
    sim.life++;
    const unsynced = sim.store.writtenCount - sim.store.durableCount;
    sim.store = sim.store.crash(this.#prng.below(unsynced + 1));
    this.trace(`kill ${id}`);
    for (const [name, answer] of [...this.#answers]) {
      if (!name.startsWith(`${id}/`)) continue;
      this.#answers.delete(name);
      answer(null);
    }
  }

  pause(id: ReplicaId, isPaused: boolean): void {
    const sim = this.#of(id);
    if (sim.node === null || sim.isPaused === isPaused) return;
    sim.isPaused = isPaused;
    this.trace(`${isPaused ? "pause" : "resume"} ${id}`);
    if (!isPaused) for (const input of sim.backlog.splice(0)) this.#step(sim, input);
  }

  cut(from: ReplicaId, to: ReplicaId): void {
    this.#cut.add(`${from}>${to}`);
    this.trace(`cut ${from}>${to}`);
  }

  healNetwork(): void {
    this.#cut.clear();
    this.trace("heal");
  }

  /** A client's operation at a node; null when the node was down or died under it. */
  execute(id: ReplicaId, operation: Operation): Promise<Result | null> {
    return new Promise((resolve) => this.submit(id, operation, resolve));
  }

  submit(id: ReplicaId, operation: Operation, done: (result: Result | null) => void): void {
    const sim = this.#of(id);
    if (sim.node === null) return done(null);
    const token = ++this.#token;
    this.#answers.set(`${id}/${token}`, done);
    this.#input(sim, { kind: "client", token, operation, trace: "" });
  }

  #of(id: ReplicaId): SimNode {
    const sim = this.nodes.get(id);
    if (sim === undefined) throw new Error(`no node ${id}`);
    return sim;
  }

  #input(sim: SimNode, input: Input): void {
    if (sim.node === null) return;
    if (sim.isPaused) sim.backlog.push(input);
    else this.#step(sim, input);
  }

  #step(sim: SimNode, input: Input): void {
    if (sim.node === null) return;
    const effects = sim.node.step(input, this.events.now + sim.skewMs);
    for (const effect of effects) this.#carryOut(sim, effect);
    this.#setTimer(sim);
  }

  #setTimer(sim: SimNode): void {
    const wakeAt = (sim.node?.wakeAt ?? Infinity) - sim.skewMs;
    if (wakeAt >= sim.timerAt) return;
    sim.timerAt = wakeAt;
    const { life } = sim;
    this.events.after(Math.max(0, wakeAt - this.events.now), () => {
      if (sim.life !== life || sim.timerAt !== wakeAt) return;
      sim.timerAt = Infinity;
      this.#input(sim, { kind: "tick" });
    });
  }

  #carryOut(sim: SimNode, effect: Effect): void {
    if (effect.kind === "send") return this.#send(sim, effect.to, effect.message);
    if (effect.kind === "flush") return this.#flush(sim, effect.token);
    const name = `${sim.id}/${effect.token}`;
    const answer = this.#answers.get(name);
    this.#answers.delete(name);
    answer?.(effect.result);
  }

  #flush(sim: SimNode, token: number): void {
    const { life, store } = sim;
    const upTo = store.writtenCount;
    this.events.after(1 + this.#prng.below(8), () => {
      if (sim.life !== life) return;
      store.flush(Math.max(upTo, store.durableCount));
      this.#input(sim, { kind: "flushed", token, ok: true });
    });
  }

  #send(from: SimNode, to: string, message: Message): void {
    const bytes = encodeMessage(message);
    const target = this.nodes.get(to);
    if (target === undefined) return;
    this.trace(`${from.id}>${to} ${message.type} ${message.body.kind} ${bytes.length}`);
    if (this.#cut.has(`${from.id}>${to}`) || this.#roll(this.dice.lossPerMille)) {
      this.faults.lost++;
      return;
    }
    this.#deliver(from, target, bytes);
    if (this.#roll(this.dice.duplicatePerMille)) {
      this.faults.repeated++;
      this.#deliver(from, target, bytes);
    }
  }

  #deliver(from: SimNode, target: SimNode, bytes: Uint8Array): void {
    const isSlow = this.#roll(this.dice.slowPerMille);
    if (isSlow) this.faults.delayed++;
    const delayMs = 0.2 + this.#prng.below(isSlow ? 1500 : 4);
    const { life } = from;
    this.events.after(delayMs, () => {
      const message = decodeMessage(bytes.slice());
      if (target.node !== null) this.#input(target, { kind: "message", from: from.id, message });
      else if (message.type === "request" && from.life === life) {
        this.events.after(0.2, () => {
          if (from.life !== life) return;
          this.#input(from, { kind: "unreachable", to: target.id, call: message.call });
        });
      }
    });
  }

  #roll(perMille: number): boolean {
    return perMille > 0 && this.#prng.chance(perMille, 1000);
  }
}
