/**
 * Canaries: writes that a member makes to itself and its peers, and reads that look for them, to
 * measure what src/staleness predicts (the t-visibility of Bailis et al., VLDB 2012).
 *
 * **A canary** is one write in a namespace of its own, with a random w, and one read that begins a
 * time t after it was acknowledged, with a random t out of a fixed list. The read begins at the
 * frontend that wrote, or at another member's.
 *
 * **The read** asks all n replicas at once, without hedge and repair. What a read with each r would
 * have shown follows from the replies and their order: r of them are asked first, in the frontend's
 * own order, the others one by one after the hedge delay, and the first r replies count.
 *
 * **At another member** the read begins at a time that is given by the peer's own clock. A peer
 * that is told too late reads at once: so no t is measured that is shorter than the way there.
 *
 * **A read counts** for the time of the list that it began near to, whatever it was meant for:
 * timers ring late. A read that began between two of them counts for none.
 *
 * **It costs** one write and n reads each time, `everyMs` apart at least. Keys are some hundred,
 * written again and again; they expire when canaries stop. While a primary of a key is suspected
 * the key is left alone: its write would only become one hint more.
 */
import type { CausalContext } from "../../../core/causal-context.ts";
import { CodecError } from "../../../core/check.ts";
import type { DelayReport } from "../../../core/delay-report.ts";
import type { Content } from "../../../core/entry.ts";
import { decodedOrNull } from "../../../core/entry-codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { CANARY_NAMESPACE, namespaceOf, storeKey } from "../../../core/keys.ts";
import type { Reply, RequestOf } from "../../../core/messages.ts";
import type { Operation } from "../../../core/operations.ts";
import type { Prng } from "../../../core/prng.ts";
import type { QuorumOptions } from "../../../core/quorum-options.ts";
import type { Result } from "../../../core/results.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import type { TaskHost } from "../peers/tasks.ts";
import { CanaryTally } from "./canary-tally.ts";
import { PeerClocks } from "./peer-clocks.ts";

/** The times after which a canary is looked for, in ms. */
export const CANARY_TIMES: readonly number[] = [0, 1, 2, 5, 10, 20, 40, 50, 60, 80, 100];
/**
 * Keys of one member: enough to spread over partitions as all keys do, because distances from
 * frontends to owners go by partition.
 */
const KEYS_COUNT = 512;
/** How many canaries of a member are on their way at once, at most. */
const OPEN_COUNT_MAX = 64;
/** Far more than the time between two writes of a key. */
const TTL_MS = 3_600_000;
/** At how many other members its canaries are looked for: those after it in the ring's list. */
const READERS_MAX = 8;
const TIMEOUT_MS = 2000;
/** How far from a time a read may begin and still count for it: in ms, or as a part of the time. */
const OFF_MS_MAX = 0.5;
const OFF_SHARE_MAX = 0.05;
/** How late a timer usually rings, in ms, and how fast that is learnt. */
const LATENESS_MS_START = 0.5;
const LATENESS_WEIGHT = 0.05;
const LATENESS_MS_MAX = 5;
/** The farthest that a probe is put off: the longest time, and clocks that are somewhat apart. */
const AHEAD_MS_MAX = 10_000;
/** Canaries are about owners alone: nobody stands in for one that is away. */
const PRIMARIES: QuorumOptions = { sloppy: false };
const MICROS = 1000;
const toMicros = (ms: Millis): number => Math.round(ms * MICROS);

const content: Content = {
  value: new Uint8Array(8),
  contentType: "application/octet-stream",
  contentEncoding: null,
  contentLanguage: null,
  contentDisposition: null,
  metadata: null,
  tags: [],
};

export interface CanaryHost extends TaskHost {
  readonly prng: Prng;
  /** The node's own time at this very step. */
  now(): Millis;
  setAlarm(at: Millis, work: () => void): void;
  /** Carries a client's operation out. */
  operate(operation: Operation, answer: (result: Result) => void): void;
  /** Whether its own replica knows what it has. */
  isReady(): boolean;
}

/** A reply to the read: its place in the frontend's order, when it came, what it showed. */
export interface ProbeReply {
  readonly place: number;
  readonly ms: number;
  readonly sees: boolean;
}

/**
 * Whether a read with r = 1, 2, … would have seen the write, as far as there are replies.
 *
 * @param hedgeMs the delay after which each replica beyond the first r is asked
 */
export function visibleByCount(replies: readonly ProbeReply[], hedgeMs: number): boolean[] {
  return replies.map((_, i) => {
    const r = i + 1;
    const at = ({ place, ms }: ProbeReply): number => ms + Math.max(0, place - i) * hedgeMs;
    const inTime = [...replies].sort((a, b) => at(a) - at(b)).slice(0, r);
    return inTime.some(({ sees }) => sees);
  });
}

/** The time of the list that an elapsed time is near to; null: it is near to none. */
export function timeNear(elapsedMs: number): number | null {
  const isNear = (t: number): boolean =>
    Math.abs(elapsedMs - t) <= Math.max(OFF_MS_MAX, t * OFF_SHARE_MAX);
  return CANARY_TIMES.find(isNear) ?? null;
}

type Over = (results: readonly boolean[], readAt: Millis) => void;

interface Canary {
  readonly key: StoreKey;
  readonly reader: ReplicaId;
  readonly w: number;
  readonly t: number;
}

export class Canaries {
  readonly #id: ReplicaId;
  readonly #host: CanaryHost;
  readonly #tally = new CanaryTally();
  readonly #clocks = new PeerClocks();
  /** See `#free`: null until the first is taken, so that it costs nothing without canaries. */
  #made: StoreKey[] | null = null;
  #latenessMs = LATENESS_MS_START;

  constructor(id: ReplicaId, host: CanaryHost) {
    this.#id = id;
    this.#host = host;
  }

  /** Keys that no canary is about just now. */
  get #free(): StoreKey[] {
    this.#made ??= Array.from({ length: KEYS_COUNT }, (_, i) =>
      storeKey(CANARY_NAMESPACE, `${this.#id}/${i}`),
    );
    return this.#made;
  }

  /** Reads that were looked at, since the start. */
  get probeCount(): number {
    return this.#tally.probeCount;
  }

  /** What this member tells of its delays and canaries. */
  report(now: Millis): Omit<DelayReport, "lagsMs"> {
    const { knowledge } = this.#host;
    return {
      hedgeMs: knowledge.liveness.hedgeMs,
      peers: knowledge.latencies.recent(knowledge.ring.membersBut(this.#id), now),
      canaries: this.#tally.recent(now),
    };
  }

  /** One canary, unless too many are on their way, or the replica is not ready. */
  run(): void {
    const { prng, knowledge } = this.#host;
    if (!this.#host.isReady()) return;
    const key = this.#takeKey();
    if (key === undefined) return;
    const { n } = knowledge.settingsOf(CANARY_NAMESPACE);
    const readers = this.#readers();
    const isOther = readers.length > 0 && prng.chance(1, 2);
    const reader = isOther ? (readers[prng.below(readers.length)] as ReplicaId) : this.#id;
    const t = CANARY_TIMES[prng.below(CANARY_TIMES.length)] as number;
    const canary = { key, reader, w: 1 + prng.below(n), t };
    const options = { w: canary.w, sloppy: false, timeoutMs: TIMEOUT_MS };
    const about = { content, ttlMs: TTL_MS, context: null, precondition: null };
    this.#host.operate({ kind: "write", key, options, ...about }, (result) => {
      if (result.kind === "written") this.#look(canary, result.context);
      else this.#free.push(key);
    });
  }

  /** Reads a peer's canary here. @throws CodecError for a malformed key */
  probe({ key, seen, at }: RequestOf<"probe">, respond: (reply: Reply) => void): void {
    if (namespaceOf(key) !== CANARY_NAMESPACE) throw new CodecError("a probe is of a canary");
    const cameAt = this.#host.now();
    const due = Math.min(at / MICROS, cameAt + AHEAD_MS_MAX);
    this.#atTime(due, () => {
      const readAt = this.#host.now();
      this.#read(key, seen, (results) => {
        const times = { cameAt: toMicros(cameAt), readAt: toMicros(readAt) };
        respond({ kind: "probed", results, ...times, leftAt: toMicros(this.#host.now()) });
      });
    });
  }

  /** The key that was left alone for longest, of those that have all of their primaries. */
  #takeKey(): StoreKey | undefined {
    if (KEYS_COUNT - this.#free.length >= OPEN_COUNT_MAX) return undefined;
    const { liveness } = this.#host.knowledge;
    const now = this.#host.now();
    const isWhole = (key: StoreKey): boolean =>
      this.#replicasOf(key, now).every((id) => id === this.#id || !liveness.isSuspect(id));
    const at = this.#free.findIndex(isWhole);
    return at < 0 ? undefined : this.#free.splice(at, 1)[0];
  }

  /** Members that canaries are looked for at, beside this one. */
  #readers(): readonly ReplicaId[] {
    const { memberIds } = this.#host.knowledge.ring;
    const own = memberIds.indexOf(this.#id);
    const after = [...memberIds.slice(own + 1), ...memberIds.slice(0, Math.max(0, own))];
    return after.slice(0, READERS_MAX);
  }

  #look(canary: Canary, seen: CausalContext): void {
    const ackedAt = this.#host.now();
    const { key, reader, t } = canary;
    const over: Over = (results, readAt) => {
      const near = timeNear(readAt - ackedAt);
      const of = { ...canary, t: near ?? t };
      if (near !== null && results.length > 0) this.#tally.add(of, results, this.#host.now());
      this.#free.push(key);
    };
    if (reader !== this.#id) return this.#lookElsewhere(canary, seen, over);
    this.#atTime(ackedAt + t, () => {
      const readAt = this.#host.now();
      this.#read(key, seen, (results) => over(results, readAt));
    });
  }

  #lookElsewhere({ key, reader, t }: Canary, seen: CausalContext, over: Over): void {
    const sentAt = this.#host.now();
    const aheadMs = this.#clocks.aheadMs(reader, sentAt);
    // Where its clock is not known, the peer reads as soon as it can, and tells what it shows.
    const at = aheadMs === null ? 0 : toMicros(Math.max(0, sentAt + t + aheadMs));
    const done = (replies: Replies, gotAt: Millis): void => {
      const reply = replies.get(reader);
      if (reply?.kind !== "probed") return over([], sentAt);
      const [cameAt, leftAt] = [reply.cameAt / MICROS, reply.leftAt / MICROS];
      this.#clocks.note(reader, { sentAt, cameAt, leftAt, gotAt });
      const readAt = reply.readAt / MICROS - (this.#clocks.aheadMs(reader, gotAt) ?? 0);
      over(reply.results, readAt);
    };
    const timeoutMs = t + 2 * TIMEOUT_MS;
    const body = { kind: "probe", key, seen, at } as const;
    askAll(this.#host, { targets: [reader], body, timeoutMs, done }, sentAt);
  }

  /** Calls back at that time, or near it: timers ring late, and mostly by as much. */
  #atTime(due: Millis, work: () => void): void {
    const alarmAt = due - this.#latenessMs;
    if (alarmAt <= this.#host.now()) return work();
    this.#host.setAlarm(alarmAt, () => {
      const lateMs = this.#host.now() - alarmAt;
      this.#latenessMs += LATENESS_WEIGHT * (Math.min(lateMs, LATENESS_MS_MAX) - this.#latenessMs);
      work();
    });
  }

  #read(key: StoreKey, seen: CausalContext, done: (results: readonly boolean[]) => void): void {
    const { knowledge, now: clock } = this.#host;
    const startedAt = clock();
    const order = this.#replicasOf(key, startedAt);
    const replies: ProbeReply[] = [];
    const heard = (from: ReplicaId, body: Reply): void => {
      if (body.kind !== "held" || body.isUnknown) return;
      const entry = body.entry === null ? null : decodedOrNull(body.entry);
      const sees = entry?.context.includes(seen) === true;
      replies.push({ place: order.indexOf(from), ms: clock() - startedAt, sees });
    };
    const body = { kind: "read", key, digestOnly: false, durably: false } as const;
    const over = (): void => done(visibleByCount(replies, knowledge.liveness.hedgeMs));
    askAll(
      this.#host,
      { targets: order, body, timeoutMs: TIMEOUT_MS, heard, done: over },
      startedAt,
    );
  }

  /** In the order in which a read from here asks them. */
  #replicasOf(key: StoreKey, now: Millis): readonly ReplicaId[] {
    const { knowledge } = this.#host;
    const resolution = knowledge.resolve(key, PRIMARIES);
    if (!resolution.ok) return [];
    const from = { self: this.#id, now };
    const partition = knowledge.ring.partitionOf(key);
    return knowledge.candidates(partition, resolution.rules, from).map(({ id }) => id);
  }
}
