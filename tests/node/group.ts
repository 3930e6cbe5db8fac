/**
 * Some nodes on virtual time that nothing happens to: every message arrives at once, every flush is
 * durable at once. It shows what nodes do together when nothing fails; the simulator does the rest.
 */
import xxhash from "xxhash-wasm";
import type { CausalContext } from "../../core/causal-context.ts";
import type { Entry } from "../../core/entry.ts";
import type { ReplicaId } from "../../core/ids.ts";
import { KeyedHash } from "../../core/keyed-hash.ts";
import { storeKey } from "../../core/keys.ts";
import { decodeMessage, encodeMessage, type Message } from "../../core/messages.ts";
import type { NamespaceSettings } from "../../core/namespace-settings.ts";
import type { Operation } from "../../core/operations.ts";
import { Prng } from "../../core/prng.ts";
import type { Result } from "../../core/results.ts";
import { StoreCorruption, type StoreKey } from "../../core/store.ts";
import type { Now } from "../../core/time.ts";
import { MemoryStore } from "../../replica/memory-store.ts";
import {
  type ClusterDocument,
  encodeDocument,
  withNamespace,
} from "../../ring/cluster-document.ts";
import { bootstrapRing } from "../../ring/ring.ts";
import { Knowledge } from "../../src/node/knowledge/knowledge.ts";
import { Node } from "../../src/node/node.ts";
import type { Effect, Input } from "../../src/node/peers/boundary.ts";
import { plainContent } from "../support/content.ts";

const hasher = await xxhash();
const CALL_OF_NOBODY = 1_000_000_000;
export const START = 1_750_000_000_000;

const settings: NamespaceSettings = {
  ...{ n: 3, r: "quorum", w: "quorum", dw: "quorum", ttl: null, maxValueBytes: 1_048_576 },
  ...{ maxBytes: null, trustedContent: false },
};
const quiet = { handoffMs: 0, antiEntropyMs: 0, heartbeatMs: 0, collectMs: 0 };

export interface GroupOptions {
  readonly count: number;
  /** Of the one namespace, `demo`. */
  readonly demo?: Partial<NamespaceSettings>;
  readonly trackedKeysMax?: number;
  readonly recordsPerRun?: number;
  /** How many bytes of values beside a write have it go to the others alone. */
  readonly aloneFrom?: number;
  /** How long a replica takes to read all that it has; 0, the default: only when asked. */
  readonly scrubMs?: number;
  /** Between two canaries of a node; 0, the default: only when one is asked for. */
  readonly canaryMs?: number;
  /** Above 0 the nodes are always awake, and notice when they were not. */
  readonly heartbeatMs?: number;
  /** Of the ring; fewer are faster. */
  readonly partitions?: number;
}

/** A write of a value of this length, or a delete. */
export function writeOf(
  name: string,
  byteCount: number | null,
  context: CausalContext | null = null,
): Operation {
  const content = byteCount === null ? null : plainContent(new Uint8Array(byteCount));
  const rest = { options: {}, content, ttlMs: 0, context, precondition: null };
  return { kind: "write", key: storeKey("demo", name), ...rest };
}

type Arrival = Extract<Input, { kind: "message" }>;

interface Member {
  readonly store: MemoryStore;
  readonly node: Node;
}

export class Group {
  readonly members = new Map<ReplicaId, Member>();
  /** Messages for which this is true never arrive. */
  loses: (message: Message, to: ReplicaId, from: ReplicaId) => boolean = () => false;
  /** Messages for which this is true arrive when `letGo` is called. */
  holdsBack: (message: Message, to: ReplicaId) => boolean = () => false;
  /** Disks for which this is true are slow: what they are to keep is safe when `letGo` is called. */
  isSlowDisk: (id: ReplicaId) => boolean = () => false;
  #heldBack: { readonly to: ReplicaId; readonly input: Arrival }[] = [];
  #unflushed: { readonly of: ReplicaId; readonly token: number }[] = [];
  now = START;
  /** How far the wall clocks of some are off, in ms. */
  readonly wallOffMs = new Map<ReplicaId, number>();
  readonly #options: GroupOptions;
  readonly #results = new Map<number, Result>();
  readonly #inputs: { readonly to: ReplicaId; readonly input: Input }[] = [];
  readonly #disks = new Map<ReplicaId, MemoryStore>();
  /** What has come for processes that are frozen. */
  readonly #frozen = new Map<ReplicaId, Input[]>();
  /** How often each process was started. */
  readonly #lives = new Map<ReplicaId, number>();
  #lastToken = 0;
  #wipeCount = 0;

  constructor(options: GroupOptions) {
    this.#options = options;
    for (let i = 1; i <= options.count; i++) this.start(`r${i}`);
  }

  get ids(): readonly ReplicaId[] {
    return [...this.members.keys()];
  }

  node(id: ReplicaId): Node {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`no ${id}`);
    return member.node;
  }

  /** The process ends; its disk stays. */
  stop(id: ReplicaId): void {
    this.#disks.set(id, this.storeOf(id));
    this.members.delete(id);
    // Its connections end with it: an answer to what it asked comes to nobody.
    this.#heldBack = this.#heldBack.filter(
      ({ to, input }) => to !== id || input.message.type === "request",
    );
    this.#unflushed = this.#unflushed.filter(({ of }) => of !== id);
  }

  /** The process stands still (SIGSTOP): what comes for it waits, its timers too. */
  freeze(id: ReplicaId): void {
    this.#frozen.set(id, []);
  }

  /** It goes on, with all that has come meanwhile. */
  wake(id: ReplicaId): void {
    const waiting = this.#frozen.get(id) ?? [];
    this.#frozen.delete(id);
    for (const input of waiting) this.#take(id, input);
    this.#take(id, { kind: "tick" });
  }

  /** A new, empty disk instead of the one that it had. */
  wipe(id: ReplicaId): void {
    this.#wipeCount++;
    this.members.delete(id);
    this.#disks.set(id, new MemoryStore());
  }

  /** Of a node that runs, or ran. */
  storeOf(id: ReplicaId): MemoryStore {
    const store = this.members.get(id)?.store ?? this.#disks.get(id);
    if (store === undefined) throw new Error(`no ${id}`);
    return store;
  }

  /** The process ends; its next start finds the newest records of some keys damaged, and no older ones. */
  damage(id: ReplicaId, lostKeys: readonly StoreKey[]): void {
    this.stop(id);
    const store = this.storeOf(id);
    const { crash } = store;
    const recovery = { clean: false, tornByteCount: 0, corruptCount: lostKeys.length, lostKeys };
    store.crash = () => Object.assign(crash.call(store), { recovery });
  }

  /** A node with the store that it had, or an empty one. */
  start(id: ReplicaId): void {
    const { count, demo = {}, heartbeatMs = 0, scrubMs = 0, canaryMs = 0 } = this.#options;
    const { trackedKeysMax, recordsPerRun, aloneFrom, partitions = 64 } = this.#options;
    const before = this.members.get(id)?.store ?? this.#disks.get(id);
    const store = before?.crash() ?? new MemoryStore();
    const ids = Array.from({ length: count }, (_, i) => `r${i + 1}`);
    const members = ids.map((member) => ({ id: member, zone: "a", url: "", weight: 1 }));
    const ring = bootstrapRing({ name: "group", partitions, n: Math.min(3, count), members }, "42");
    const n = Math.min(3, count);
    const document = withNamespace({ ring, namespaces: new Map() }, "demo", {
      ...settings,
      n,
      ...demo,
    });
    const knowledge = new Knowledge({
      document,
      hash: new KeyedHash(new Uint8Array(16).fill(7)),
      keyHasher: hasher,
      defaults: { ...settings, n },
      timeoutMs: 2000,
      zoneIn: () => "a",
    });
    const graces = { suspectAfterMs: 3000, tombstoneGraceMs: 60_000 };
    const times = { ...quiet, scrubMs, canaryMs, heartbeatMs, ...graces };
    const limits = {
      ...(trackedKeysMax && { trackedKeysMax }),
      ...(recordsPerRun && { recordsPerRun }),
      ...(aloneFrom !== undefined && { aloneFrom }),
    };
    const replica = { id, store, ...times, ...limits };
    // A process gives other names than the one before it.
    const life = this.#lives.get(id) ?? 0;
    this.#lives.set(id, life + 1);
    const prng = Prng.fromSeed(Number(id.slice(1)) + 1000 * this.#wipeCount + 1_000_000 * life);
    this.members.set(id, { store, node: new Node({ knowledge, prng, replica }) });
  }

  /** A client of this node asks for something; nobody waits for the answer. */
  begin(at: ReplicaId, operation: Operation): number {
    const token = ++this.#lastToken;
    this.#take(at, { kind: "client", token, operation, trace: "" });
    return token;
  }

  /** What the client of an operation that was begun has been told by now. */
  answerOf(token: number): Result | undefined {
    return this.#results.get(token);
  }

  /** What a client of this node is told; everything that follows at once has happened by then. */
  execute(at: ReplicaId, operation: Operation): Result {
    const token = this.begin(at, operation);
    for (let i = 0; i < 100 && !this.#results.has(token); i++) this.pass(50);
    const result = this.#results.get(token);
    if (result === undefined) throw new Error("no answer");
    this.#results.delete(token);
    return result;
  }

  put(at: ReplicaId, key: string, byteCount: number): Result {
    return this.execute(at, writeOf(key, byteCount));
  }

  remove(at: ReplicaId, key: string): Result {
    return this.execute(at, writeOf(key, null));
  }

  /** What a client of this node finds. */
  read(at: ReplicaId, key: string, r = 2): Entry {
    const options = { r };
    const get = { kind: "get", key: storeKey("demo", key), options, session: null } as const;
    const result = this.execute(at, get);
    if (result.kind !== "got") throw new Error(result.kind);
    return result.entry;
  }

  /** Whether a client of this node finds a value. */
  has(at: ReplicaId, key: string, r = 2): boolean {
    return hasValue(this.read(at, key, r));
  }

  /** Another N for the namespace. */
  resize(at: ReplicaId, n: number): Result {
    const all = { ...settings, ...this.#options.demo, n };
    return this.execute(at, { kind: "configure", namespace: "demo", settings: all });
  }

  /** A node hears of a document, from whoever. */
  tell(id: ReplicaId, document: ClusterDocument): void {
    const body = { kind: "document", document: encodeDocument(document) } as const;
    const head = { type: "request", call: CALL_OF_NOBODY, stamp: 0, budgetMs: 2000 } as const;
    this.#take(id, { kind: "message", from: "r1", message: { ...head, trace: "", body } });
  }

  /** Runs a job of every node, and whatever follows at once. */
  runAll(name: string): void {
    for (const id of this.ids) this.run(id, name);
  }

  run(id: ReplicaId, name: string): void {
    this.#take(id, { kind: "job", name });
  }

  /** What was held back arrives now; what is said next is not held back. */
  letGo(): void {
    this.holdsBack = () => false;
    this.isSlowDisk = () => false;
    while (this.#unflushed.length > 0) this.flushOne();
    for (const { to, input } of this.#heldBack.splice(0)) this.#take(to, input);
  }

  /** Of the slow disks, the one that waits longest has kept all that it was to keep. */
  flushOne(): void {
    const oldest = this.#unflushed.shift();
    if (oldest === undefined) return;
    this.members.get(oldest.of)?.store.flush();
    this.#take(oldest.of, { kind: "flushed", token: oldest.token, ok: true });
  }

  /** Of what was held back, the oldest of some kind arrives now. */
  letOneGo(isIt: (message: Message, to: ReplicaId) => boolean = () => true): void {
    const at = this.#heldBack.findIndex(({ input, to }) => isIt(input.message, to));
    const [oldest] = at < 0 ? [] : this.#heldBack.splice(at, 1);
    if (oldest !== undefined) this.#take(oldest.to, oldest.input);
  }

  pass(ms: number): void {
    this.now += ms;
    for (const id of this.ids) this.#take(id, { kind: "tick" });
  }

  /** Passes a little time, until it is so, or so much has passed in ms. */
  passUntil(isSo: () => boolean, msMax: number): void {
    for (let ms = 0; ms < msMax && !isSo(); ms += 10) this.pass(10);
  }

  /** So many seconds, in each of which every node goes on with what changes. */
  change(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.pass(1000);
      this.runAll("change");
    }
  }

  /** Some of what a replica has cannot be read any more, until it is written again. */
  rot(id: ReplicaId, keys: Set<string>): void {
    const { store } = this.node(id).service?.keeper ?? {};
    if (store === undefined) return;
    const { readEntry, writeEntry } = store;
    store.isSound = (key) => !keys.has(key);
    store.readEntry = (key) => {
      if (keys.has(key)) throw new StoreCorruption("a bad checksum");
      return readEntry.call(store, key);
    };
    store.writeEntry = (key, record) => {
      keys.delete(key);
      writeEntry.call(store, key, record);
    };
  }

  usage(id: ReplicaId): number {
    return this.members.get(id)?.store.usage().get("demo")?.byteCount ?? 0;
  }

  /** Every key of a replica with a digest of all that it knows of it. */
  digests(id: ReplicaId): ReadonlyMap<StoreKey, number> {
    const { keeper } = this.node(id).service ?? {};
    const digests = new Map<StoreKey, number>();
    for (let partition = 0; partition < 64; partition++) {
      for (const { key, digest } of keeper?.store.entriesOf(partition) ?? []) {
        digests.set(key, digest);
      }
    }
    return digests;
  }

  #clocksOf(id: ReplicaId): Now {
    return { monotonic: this.now, wall: this.now + (this.wallOffMs.get(id) ?? 0) };
  }

  #take(to: ReplicaId, input: Input): void {
    this.#inputs.push({ to, input });
    for (let next = this.#inputs.shift(); next !== undefined; next = this.#inputs.shift()) {
      const frozen = this.#frozen.get(next.to);
      if (frozen !== undefined) {
        frozen.push(next.input);
        continue;
      }
      const node = this.members.get(next.to)?.node;
      if (node === undefined) this.#refuse(next.to, next.input);
      const effects = node?.step(next.input, this.#clocksOf(next.to)) ?? [];
      for (const effect of effects) this.#carryOut(next.to, effect);
    }
  }

  /** Where no process listens the connection is refused. */
  #refuse(to: ReplicaId, input: Input): void {
    if (input.kind !== "message" || input.message.type !== "request") return;
    const { call } = input.message;
    const [from = "", life] = input.from.split("#");
    // The first process of a member asked without a number, where a test asks in its place.
    if (life !== undefined && life !== this.#lifeOf(from)) return;
    this.#inputs.push({ to: from, input: { kind: "unreachable", to, call, isUnsent: true } });
  }

  #carryOut(from: ReplicaId, effect: Effect): void {
    if (effect.kind === "answer") this.#results.set(effect.token, effect.result);
    if (effect.kind === "flush" && this.isSlowDisk(from)) {
      this.#unflushed.push({ of: from, token: effect.token });
    } else if (effect.kind === "flush") {
      this.members.get(from)?.store.flush();
      this.#inputs.push({ to: from, input: { kind: "flushed", token: effect.token, ok: true } });
    }
    if (effect.kind === "send") this.#send(from, effect);
  }

  #send(by: ReplicaId, effect: Extract<Effect, { kind: "send" }>): void {
    const isRequest = effect.message.type === "request";
    const [to = "", life] = effect.to.split("#");
    if (!isRequest && life !== this.#lifeOf(to)) return;
    if (this.loses(effect.message, to, by)) return;
    const message = decodeMessage(encodeMessage(effect.message));
    // An answer goes to the very process that has asked.
    const from = isRequest ? `${by}#${this.#lifeOf(by)}` : by;
    const input = { kind: "message", from, message } as const;
    (this.holdsBack(message, to) ? this.#heldBack : this.#inputs).push({ to, input });
  }

  /** As it stands in the addresses of its requests. */
  #lifeOf(id: ReplicaId): string {
    return String(this.#lives.get(id));
  }
}

const hasValue = ({ siblings }: Entry): boolean => siblings.some(({ content }) => content !== null);
