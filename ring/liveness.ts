/**
 * What this node believes of the others' health, from what its requests and heartbeats observed.
 *
 * A replica is suspected after silences in a row, when its heartbeats stay away for longer than
 * their own rhythm explains (phi.ts), or at once when its host refused the connection.
 * Suspicion reorders and never removes: a suspected replica is asked last, and once in a while (the
 * half-open probe of a circuit breaker) first again. Latency is an exponentially decaying mean, so
 * that the nearest and healthiest come first. A request that is still out tells something too: a
 * replica that owes answers and has said nothing at all for the hedge delay is slower than it used
 * to be. It comes after the others at once, long before it is suspected.
 *
 * The hedge delay follows the observed 95th percentile (Dean and Barroso, "The Tail at Scale",
 * 2013) by stochastic approximation: each sample above the estimate moves it up by 19 steps, each
 * below moves it down by one. It looks back over 200 answers, or over about a second where more
 * come than that: a busy node would else take the best 20 ms of its disk for the rule, and hedge a
 * fifth of all requests instead of a twentieth, which makes it busier.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Millis } from "../core/time.ts";
import { PHI_SUSPECT, Phi } from "./phi.ts";

interface Health {
  latencyMs: number;
  /** Requests that have neither been answered nor given up. */
  openCount: number;
  /** When the first request went out since it last said anything; Infinity: none has. */
  quietSince: Millis;
  silenceCount: number;
  suspectedAt: Millis;
  probedAt: Millis;
  readonly heartbeats: Phi;
}

export interface LivenessConfig {
  /** Silences in a row before a replica is suspected. */
  readonly silenceCountMax: number;
  /** How long a suspected replica is left alone between two probes, in ms. */
  readonly probeMs: number;
  /** Bounds of the hedge delay, in ms. */
  readonly hedgeMsMin: number;
  readonly hedgeMsMax: number;
}

export const livenessDefaults: LivenessConfig = {
  silenceCountMax: 2,
  probeMs: 1000,
  hedgeMsMin: 10,
  hedgeMsMax: 250,
};

/** How many answers the 95th percentile looks back over at least, and how long, in ms. */
const SAMPLE_COUNT_MIN = 200;
const SAMPLE_MS = 1000;
const LATENCY_WEIGHT = 0.2;
const LATENCY_MS_START = 5;

export class Liveness {
  readonly #config: LivenessConfig;
  readonly #health = new Map<ReplicaId, Health>();
  #p95Ms: number;
  /** Answers since `#sampledSince`, and how many there were in the second before that. */
  #sampleCount = 0;
  #sampledSince: Millis = 0;
  #sampleCountBefore = SAMPLE_COUNT_MIN;
  /** How often a member became suspected. */
  suspicionCount = 0;

  constructor(config: LivenessConfig = livenessDefaults) {
    assert(
      config.hedgeMsMin > 0 && config.hedgeMsMin <= config.hedgeMsMax,
      "a hedge delay's range",
    );
    this.#config = config;
    this.#p95Ms = config.hedgeMsMax / 4;
  }

  /** How long to wait for a reply before the next replica is asked beside it. */
  get hedgeMs(): number {
    const { hedgeMsMin, hedgeMsMax } = this.#config;
    return Math.min(hedgeMsMax, Math.max(hedgeMsMin, this.#p95Ms));
  }

  /** A request goes out. Every one of these is followed by one `ended`. */
  asked(id: ReplicaId, now: Millis): void {
    const health = this.#of(id);
    health.openCount++;
    if (health.quietSince === Infinity) health.quietSince = now;
  }

  /** A request needs no answer any more, because one came or because nobody waits for it. */
  ended(id: ReplicaId): void {
    const health = this.#of(id);
    health.openCount--;
    assert(health.openCount >= 0, "a request ends once");
    if (health.openCount === 0) health.quietSince = Infinity;
  }

  /** It said something, if only the first half of an answer. */
  heard(id: ReplicaId): void {
    this.#of(id).quietSince = Infinity;
  }

  /** A reply came, this long after the request went out. */
  answered(id: ReplicaId, latencyMs: number, now: Millis): void {
    const health = this.#of(id);
    health.quietSince = Infinity;
    health.latencyMs += LATENCY_WEIGHT * (Math.max(0, latencyMs) - health.latencyMs);
    health.silenceCount = 0;
    health.suspectedAt = 0;
    const step = Math.max(10, this.#p95Ms) / this.#sampleCountAt(now);
    this.#p95Ms = Math.max(0.1, this.#p95Ms + (latencyMs > this.#p95Ms ? 19 * step : -step));
  }

  /** Over how many answers to look back. */
  #sampleCountAt(now: Millis): number {
    this.#sampleCount++;
    const elapsedMs = now - this.#sampledSince;
    if (elapsedMs >= SAMPLE_MS) {
      const perSecond = (this.#sampleCount * SAMPLE_MS) / elapsedMs;
      this.#sampleCountBefore = Math.max(SAMPLE_COUNT_MIN, perSecond);
      this.#sampleCount = 0;
      this.#sampledSince = now;
    }
    return this.#sampleCountBefore;
  }

  /** A request went unanswered for longer than it should. */
  silent(id: ReplicaId, now: Millis): void {
    const health = this.#of(id);
    health.silenceCount++;
    if (health.silenceCount >= this.#config.silenceCountMax) this.#suspect(health, now);
  }

  /**
   * A heartbeat was answered; a peer that was silent for `suspectAfterMs` counts as having been
   * away.
   */
  beat(id: ReplicaId, suspectAfterMs: number, now: Millis): void {
    this.#of(id).heartbeats.beat(now, suspectAfterMs);
  }

  /**
   * Suspects members whose heartbeats stay away: by phi from half of `suspectAfterMs` on, and at
   * the latest when all of it is over. It looks only at members that were heard of before.
   */
  review(suspectAfterMs: number, now: Millis): void {
    assert(suspectAfterMs > 0, "silence has a length");
    for (const health of this.#health.values()) {
      const { lastAt } = health.heartbeats;
      const silentMs = lastAt === null ? 0 : now - lastAt;
      if (silentMs < suspectAfterMs / 2) continue;
      const isOver = silentMs >= suspectAfterMs || health.heartbeats.at(now) >= PHI_SUSPECT;
      if (isOver) this.#suspect(health, now);
    }
  }

  /** The connection was refused or broke: known at once. */
  refused(id: ReplicaId, now: Millis): void {
    const health = this.#of(id);
    health.silenceCount = Math.max(health.silenceCount, this.#config.silenceCountMax);
    this.#suspect(health, now);
  }

  isSuspect(id: ReplicaId): boolean {
    return (this.#health.get(id)?.suspectedAt ?? 0) !== 0;
  }

  /** Since when a suspected replica has said nothing; null when it is not suspected. */
  silentSince(id: ReplicaId): Millis | null {
    const { suspectedAt = 0, heartbeats } = this.#health.get(id) ?? {};
    if (suspectedAt === 0) return null;
    return Math.min(suspectedAt, heartbeats?.lastAt ?? suspectedAt);
  }

  /** Whether a suspected replica is due to be tried again; saying yes uses the turn up. */
  takeProbe(id: ReplicaId, now: Millis): boolean {
    const health = this.#of(id);
    if (health.suspectedAt === 0) return false;
    if (now - Math.max(health.probedAt, health.suspectedAt) < this.#config.probeMs) return false;
    health.probedAt = now;
    return true;
  }

  /** For work that can wait: healthy, or suspected and due to be tried again. */
  isWorthTrying(id: ReplicaId, now: Millis): boolean {
    return !this.isSuspect(id) || this.takeProbe(id, now);
  }

  /**
   * Below zero when a is to be asked before b: healthy ones before suspects, then those without an
   * overdue answer, then the nearest.
   */
  compare(a: ReplicaId, b: ReplicaId, now: Millis): number {
    const x = this.#health.get(a);
    const y = this.#health.get(b);
    const suspicion = Number((x?.suspectedAt ?? 0) !== 0) - Number((y?.suspectedAt ?? 0) !== 0);
    if (suspicion !== 0) return suspicion;
    const quietness = Number(this.#isQuiet(x, now)) - Number(this.#isQuiet(y, now));
    if (quietness !== 0) return quietness;
    return (x?.latencyMs ?? LATENCY_MS_START) - (y?.latencyMs ?? LATENCY_MS_START);
  }

  #isQuiet(health: Health | undefined, now: Millis): boolean {
    return health !== undefined && now - health.quietSince > this.hedgeMs;
  }

  #suspect(health: Health, now: Millis): void {
    if (health.suspectedAt !== 0) return;
    health.suspectedAt = now;
    this.suspicionCount++;
  }

  #of(id: ReplicaId): Health {
    let health = this.#health.get(id);
    if (health === undefined) {
      health = {
        latencyMs: LATENCY_MS_START,
        openCount: 0,
        quietSince: Infinity,
        silenceCount: 0,
        suspectedAt: 0,
        probedAt: 0,
        heartbeats: new Phi(),
      };
      this.#health.set(id, health);
    }
    return health;
  }
}
