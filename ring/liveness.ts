/**
 * What this node believes of the others' health, from what its requests and heartbeats observed.
 *
 * A replica is suspected after silences in a row, or at once when its host refused the connection.
 * Suspicion reorders and never removes: a suspected replica is asked last, and once in a while (the
 * half-open probe of a circuit breaker) first again. Latency is an exponentially decaying mean, so
 * that the nearest and healthiest come first; the hedge delay follows the observed 95th percentile
 * (Dean and Barroso, "The Tail at Scale", 2013) by stochastic approximation: each sample above the
 * estimate moves it up by 19 steps, each below moves it down by one.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { Millis } from "../core/time.ts";

interface Health {
  latencyMs: number;
  silenceCount: number;
  suspectedAt: Millis;
  probedAt: Millis;
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

const LATENCY_WEIGHT = 0.2;
const LATENCY_MS_START = 5;

export class Liveness {
  readonly #config: LivenessConfig;
  readonly #health = new Map<ReplicaId, Health>();
  #p95Ms: number;

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

  /** A reply came, this long after the request went out. */
  answered(id: ReplicaId, latencyMs: number): void {
    const health = this.#of(id);
    health.latencyMs += LATENCY_WEIGHT * (Math.max(0, latencyMs) - health.latencyMs);
    health.silenceCount = 0;
    health.suspectedAt = 0;
    const step = Math.max(0.05, this.#p95Ms / 200);
    this.#p95Ms = Math.max(0.1, this.#p95Ms + (latencyMs > this.#p95Ms ? 19 * step : -step));
  }

  /** A request went unanswered for longer than it should. */
  silent(id: ReplicaId, now: Millis): void {
    const health = this.#of(id);
    health.silenceCount++;
    const isSuspect = health.silenceCount >= this.#config.silenceCountMax;
    if (isSuspect && health.suspectedAt === 0) health.suspectedAt = now;
  }

  /** The connection was refused or broke: known at once. */
  refused(id: ReplicaId, now: Millis): void {
    const health = this.#of(id);
    health.silenceCount = Math.max(health.silenceCount, this.#config.silenceCountMax);
    if (health.suspectedAt === 0) health.suspectedAt = now;
  }

  isSuspect(id: ReplicaId): boolean {
    return (this.#health.get(id)?.suspectedAt ?? 0) !== 0;
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

  /** Below zero when a is to be asked before b: the healthy first, then the nearest. */
  compare(a: ReplicaId, b: ReplicaId): number {
    const x = this.#health.get(a);
    const y = this.#health.get(b);
    const suspicion = Number((x?.suspectedAt ?? 0) !== 0) - Number((y?.suspectedAt ?? 0) !== 0);
    if (suspicion !== 0) return suspicion;
    return (x?.latencyMs ?? LATENCY_MS_START) - (y?.latencyMs ?? LATENCY_MS_START);
  }

  #of(id: ReplicaId): Health {
    let health = this.#health.get(id);
    if (health === undefined) {
      health = { latencyMs: LATENCY_MS_START, silenceCount: 0, suspectedAt: 0, probedAt: 0 };
      this.#health.set(id, health);
    }
    return health;
  }
}
