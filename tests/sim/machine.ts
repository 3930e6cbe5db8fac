/**
 * One member of the cluster: a process with a real node and a real log engine, on a machine with a
 * clock that is off and a disk that fails. On virtual time, it does what
 * `src/local/log/file-log.ts` and `src/driver/driver.ts` do on a real host.
 */
import { type Entry, emptyEntry } from "../../core/entry.ts";
import { decodeEntry } from "../../core/entry-codec.ts";
import type { NamespaceSettings } from "../../core/namespace-settings.ts";
import { wholeOf } from "../../core/pieces.ts";
import type { Prng } from "../../core/prng.ts";
import type { StoreKey } from "../../core/store.ts";
import type { Millis, WallMillis } from "../../core/time.ts";
import { DiskFailure, LogFolderError } from "../../replica/log-disk.ts";
import type { Checksum } from "../../replica/log-format.ts";
import { LogStore } from "../../replica/log-store.ts";
import type { Ring, RingDocument } from "../../ring/ring.ts";
import { Knowledge } from "../../src/node/knowledge/knowledge.ts";
import { ForeignStore } from "../../src/node/knowledge/store-owner.ts";
import { Node } from "../../src/node/node.ts";
import type { NodeParts } from "../../src/node/node-parts.ts";
import type { Effect, Input } from "../../src/node/peers/boundary.ts";
import { type Fault, MemoryDisk } from "../replica/log-memory-disk.ts";
import { stop } from "../replica/log-run.ts";
import { DiskLanes } from "./disk-lanes.ts";
import type { Events } from "./events.ts";
import type { Timing } from "./plan.ts";
import { hash, hasher, NAMESPACE, settings } from "./settings.ts";

/** What a node wants of the world beyond its disk. */
export type Wish = Exclude<Effect, { kind: "flush" }>;

export interface MachineParts {
  readonly id: string;
  readonly ring: RingDocument;
  readonly timing: Timing;
  readonly segmentByteCountMax: number;
  readonly recentBytesMax: number;
  readonly aloneFrom: number;
  /** Of the keys' namespace, as the cluster begins. */
  readonly namespace: NamespaceSettings;
  readonly skewMs: number;
  readonly prng: Prng;
  readonly events: Events;
  /** Carries out what the node wants of the world; the disk is provided here. */
  readonly carryOut: (machine: Machine, effect: Wish) => void;
  readonly trace: (line: string) => void;
  /** Reports something that no fault excuses. */
  readonly accuse: (oracle: string, detail: string) => void;
  /** The node knows of another ring, or of another step of a change. */
  readonly onRing: (ring: Ring) => void;
}

/** Virtual time 0, in ms since 1970. */
export const EPOCH_MS = 1_700_000_000_000;
/** The same by a process's own time: far from the wall clock's, so that to mix them up shows. */
const BEGINNING_MS = 1_000_000_000;

export class Machine {
  readonly id: string;
  readonly #parts: MachineParts;
  readonly #prng: Prng;
  disk = new MemoryDisk();
  store: LogStore | null = null;
  node: Node | null = null;
  /** Distinguishes the lives of a process: what was meant for an earlier one is dropped. */
  life = 0;
  /** The address of a connection that this life of the process began. */
  address = "";
  skewMs: number;
  /** Added to the handling of every input, in ms. */
  slowMs = 0;
  diskSlowness = 1;
  isDiskFull = false;
  /** Some reads of the log fail. */
  failsReads = false;
  /** The next step of that kind fails for good. */
  failNext: "write" | "sync" | null = null;
  /** Durable bytes of this disk were destroyed at some time. */
  isDamaged = false;
  /** Power failed while it wrote: bad bytes before good ones may be the last write's own. */
  #mayBeTorn = false;
  isPaused = false;
  /** Its own disk, while somebody has given it a copy of another's. */
  #ownDisk: MemoryDisk | null = null;
  /** Since when its process runs without a break, in virtual time. */
  #awakeSince = 0;
  /** Keys that its processes chose to evict. */
  #evictionCount = 0;
  readonly #backlog: Input[] = [];
  #timerAt = Infinity;
  readonly #lanes: DiskLanes;

  constructor(parts: MachineParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.skewMs = parts.skewMs;
    this.#prng = parts.prng;
    this.#lanes = new DiskLanes({
      machine: this,
      prng: parts.prng,
      later: (delayMs, work) => this.#later(delayMs, work),
      flushed: (token, ok) => this.#take({ kind: "flushed", token, ok }),
    });
    this.#armDisk();
  }

  /** The wall clock of the machine. */
  get clock(): WallMillis {
    return Math.floor(EPOCH_MS + this.#parts.events.now + this.skewMs);
  }

  /** The time that its process counts by. */
  get #monotonic(): Millis {
    return Math.floor(BEGINNING_MS + this.#parts.events.now);
  }

  /** Whether its process has run without a break since then, in virtual time. */
  wasAwakeSince(at: number): boolean {
    return this.node !== null && !this.isPaused && this.#awakeSince <= at;
  }

  /** Starts the process, if it does not run; again a while later when the disk does not let it. */
  boot(): void {
    if (this.node !== null) return;
    this.#beginLife();
    const store = this.#openStore();
    if (store === null) return this.#later(500, () => this.boot());
    this.store = store;
    this.isPaused = false;
    this.#awakeSince = this.#parts.events.now;
    this.#backlog.length = 0;
    this.#timerAt = Infinity;
    const { ring, timing, namespace, aloneFrom } = this.#parts;
    const isOwn = namespace.n !== settings.n || namespace.maxBytes !== settings.maxBytes;
    const records = isOwn ? [[NAMESPACE, { revision: 1, settings: namespace }] as const] : [];
    const knowledge = new Knowledge({
      document: { ring, namespaces: new Map(records) },
      hash,
      keyHasher: hasher,
      defaults: settings,
      timeoutMs: 2000,
      zoneIn: (current) => current.member(this.id)?.zone ?? "",
    });
    const replica = { id: this.id, store, aloneFrom, ...timing };
    this.node = this.#makeNode({ knowledge, prng: this.#prng.fork(), replica });
    if (this.node === null) return;
    const { clean, tornByteCount, corruptCount } = store.recovery;
    this.#parts.trace(`boot ${this.id} clean=${clean} torn=${tornByteCount} bad=${corruptCount}`);
    this.#setTimer();
    this.#lanes.arm();
  }

  #beginLife(): void {
    this.life++;
    this.address = `${this.id}#${this.life}`;
  }

  /** Makes the node; on the wrong folder it refuses, and its operator puts the right one back. */
  #makeNode(parts: NodeParts): Node | null {
    try {
      return new Node(parts);
    } catch (error) {
      if (!(error instanceof ForeignStore) || this.#ownDisk === null) throw error;
      this.#parts.trace(`refused ${this.id}: ${error.message}`);
      this.#end();
      this.disk = this.#ownDisk;
      this.#ownDisk = null;
      this.#armDisk();
      this.#later(500, () => this.boot());
      return null;
    }
  }

  /** The process has ended, and its next start gets a copy of another's folder by mistake. */
  mistakeFolder(other: Machine): void {
    this.kill();
    this.#ownDisk ??= this.disk;
    this.disk = other.disk.crash("keep");
    this.#armDisk();
    this.#parts.trace(`${this.id} gets a copy of the folder of ${other.id}`);
  }

  /** Nothing in its folder is damaged, or may be torn. */
  get isWhole(): boolean {
    return !this.isDamaged && !this.#mayBeTorn && this.#ownDisk === null;
  }

  /** The process is gone; what it wrote is with the operating system. */
  kill(): void {
    this.#end();
    this.disk = this.disk.crash("keep");
    this.#armDisk();
    this.#parts.trace(`kill ${this.id}`);
  }

  /** The machine is gone: what was not synced is lost, or torn, or there. */
  cutPower(): void {
    const wasUp = this.node !== null;
    this.#end();
    const isWhole = this.#prng.chance(1, 3);
    if (!isWhole) this.#mayBeTorn = true;
    this.disk = this.disk.crash(isWhole ? "drop" : { prng: this.#prng });
    this.#armDisk();
    this.#parts.trace(`power-cut ${this.id}${wasUp ? "" : " (was down)"}`);
  }

  /** A stop in order: what was written is synced, and the log says goodbye. */
  stop(): void {
    // A job that is on its way is waited for by a real host; here it is cut short by a kill.
    const isIdle = this.#lanes.isIdle;
    if (this.store === null || this.isPaused || !isIdle) return this.kill();
    if (this.store.health() === "writable") stop(this.store, this.disk);
    this.#end();
    this.disk = this.disk.crash("keep");
    this.#armDisk();
    this.#parts.trace(`stop ${this.id}`);
  }

  /** A new, empty disk. */
  loseDisk(): void {
    this.#end();
    this.disk = new MemoryDisk();
    this.#armDisk();
    this.isDamaged = true;
    this.#parts.trace(`disk-lost ${this.id}`);
  }

  /** Everything that can be mended from outside is; a log that has failed needs a restart. */
  mend(): void {
    this.isDiskFull = false;
    this.failsReads = false;
    this.failNext = null;
    this.diskSlowness = 1;
    this.slowMs = 0;
    this.pause(false);
    if (this.store?.health() === "failed") this.kill();
  }

  pause(isPaused: boolean): void {
    if (this.node === null || this.isPaused === isPaused) return;
    this.isPaused = isPaused;
    this.#awakeSince = this.#parts.events.now;
    this.#parts.trace(`${isPaused ? "pause" : "resume"} ${this.id}`);
    if (!isPaused) for (const input of this.#backlog.splice(0)) this.#step(input);
  }

  input(input: Input): void {
    if (this.node === null) return;
    if (this.slowMs > 0) this.#later(this.slowMs, () => this.#take(input));
    else this.#take(input);
  }

  #take(input: Input): void {
    if (this.isPaused) this.#backlog.push(input);
    else this.#step(input);
  }

  #step(input: Input): void {
    if (this.node === null) return;
    const { life } = this;
    const { knowledge } = this.node;
    const { ring } = knowledge;
    const effects = this.node.step(input, { monotonic: this.#monotonic, wall: this.clock });
    if (knowledge.ring !== ring) this.#noteRing(knowledge.ring);
    for (const effect of effects) {
      // A power cut may have waited for just this answer.
      if (this.life !== life) return;
      if (effect.kind === "flush") this.#lanes.flush(effect.token);
      else this.#parts.carryOut(this, effect);
    }
    this.#setTimer();
  }

  #noteRing(ring: Ring): void {
    const { version, members, change } = ring.document;
    const ids = members.map(({ id }) => id).join(" ");
    const step =
      change === undefined
        ? ""
        : `, ${change.to === null ? "called off" : change.phase}, acks ${change.acks.join(" ")}`;
    this.#parts.trace(`${this.id} has ring ${version} of ${ids}${step}`);
    this.#parts.onRing(ring);
  }

  #setTimer(): void {
    const wakeAt = this.node?.wakeAt ?? Infinity;
    if (wakeAt >= this.#timerAt) return;
    this.#timerAt = wakeAt;
    const { life } = this;
    // A host's timers count whole milliseconds: in the middle of one it is not time yet.
    this.#parts.events.after(Math.max(0, Math.ceil(wakeAt) - this.#monotonic), () => {
      if (this.life !== life || this.#timerAt !== wakeAt) return;
      this.#timerAt = Infinity;
      // As a driver does: the reason for the timer may be gone by now.
      if ((this.node?.wakeAt ?? Infinity) > this.#monotonic) this.#setTimer();
      else this.#take({ kind: "tick" });
    });
  }

  #later(delayMs: number, work: () => void): void {
    const { life } = this;
    this.#parts.events.after(delayMs, () => {
      if (this.life === life) work();
    });
  }

  /** Where nothing was damaged or torn, everything in the log's index can be read. */
  checkReads(): void {
    if (this.store === null || this.isDamaged || this.store.recovery.corruptCount > 0) return;
    const { corruptReadsCount } = this.store.metrics();
    if (corruptReadsCount === 0) return;
    this.#parts.accuse("recovery", `${this.id} had ${corruptReadsCount} unreadable records`);
  }

  /** What is stored here of a key, as this machine's purges leave it. */
  held(key: StoreKey): Entry {
    const bytes = this.store?.readEntry(key);
    const entry = bytes === undefined ? emptyEntry : decodeEntry(bytes).entry;
    return this.node?.knowledge.purges.apply(key, entry) ?? entry;
  }

  get evictionCount(): number {
    return this.#evictionCount + (this.node?.knowledge.counters.evictions ?? 0);
  }

  #end(): void {
    this.checkReads();
    this.#evictionCount = this.evictionCount;
    this.#lanes.tear();
    this.#beginLife();
    this.node = null;
    this.store = null;
    this.#lanes.clear();
    this.slowMs = 0;
  }

  #openStore(): LogStore | null {
    const { segmentByteCountMax, recentBytesMax } = this.#parts;
    const checksum: Checksum = (bytes, seed) => hasher.h32Raw(wholeOf(bytes), seed);
    const prng = this.#prng.fork();
    try {
      const sizes = { segmentByteCountMax, recentBytesMax };
      const store = LogStore.open({ disk: this.disk, checksum, prng, ...sizes });
      const { corruptCount } = store.recovery;
      if (corruptCount > 0 && !this.isDamaged && !this.#mayBeTorn) {
        this.#parts.accuse("recovery", `${this.id} reports ${corruptCount} corrupt records`);
      }
      // The torn part has been cut now: it must not be found again.
      if (corruptCount === 0) this.#mayBeTorn = false;
      return store;
    } catch (error) {
      if (error instanceof DiskFailure) return null;
      if (!(error instanceof LogFolderError)) throw error;
      if (!this.isDamaged) this.#parts.accuse("recovery", `${this.id}: ${error.message}`);
      // What an operator does when the start stops and nothing can be repaired.
      this.loseDisk();
      return null;
    }
  }

  // The disk's lanes.

  #armDisk(): void {
    this.disk.readFault = () => this.failsReads && this.#prng.chance(1, 4);
    this.disk.fault = (step): Fault | undefined => {
      if (this.failNext === "write" && step.do === "write") return this.#failOnce();
      if (this.failNext === "sync" && step.do === "sync") return this.#failOnce();
      const takesRoom = step.do === "write" || step.do === "create";
      return this.isDiskFull && takesRoom ? { kind: "full", partial: true } : undefined;
    };
  }

  #failOnce(): Fault {
    this.failNext = null;
    return { kind: "failed", partial: this.#prng.chance(1, 2) };
  }
}
