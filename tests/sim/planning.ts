/** The plan of a seed (see plan.ts): a run of dice, each part of it thrown apart from the others. */
import { assert } from "../../core/assert.ts";
import { storeKey } from "../../core/keys.ts";
import { N_MAX } from "../../core/limits.ts";
import { Prng } from "../../core/prng.ts";
import type { RingDocument } from "../../ring/ring.ts";
import { CHANGE_KINDS, type ChangeKind } from "./operator.ts";
import {
  DESTRUCTIVE_KINDS,
  FAULT_KINDS,
  type FaultKind,
  type KeyKind,
  type Plan,
  type PlannedFault,
  type PlannedKey,
  SIZES,
  type Timing,
  words,
} from "./plan.ts";
import { NAMESPACE } from "./settings.ts";
import { withBounds, withPurges, withRot, withWipes } from "./situations.ts";

const MACHINES_MAX = 10;
/** About how many operations all clients of a run begin together. */
const OPERATION_COUNT = 2000;

function ringOf(prng: Prng): RingDocument {
  const count = 3 + prng.below(5);
  const zoneCount = 1 + prng.below(3);
  const members = Array.from({ length: count }, (_, i) => ({
    id: `r${i + 1}`,
    zone: `z${i % zoneCount}`,
    url: `http://127.0.0.1:${7101 + i}`,
    weight: 1,
  }));
  const idAt = (i: number): string => `r${(i % count) + 1}`;
  const assignment = Array.from({ length: 16 }, (_, p) => [idAt(p), idAt(p + 1), idAt(p + 2)]);
  return { version: 1, name: "sim", seed: "42", partitions: 16, n: 3, members, assignment };
}

function keysOf(prng: Prng, stormMs: number): readonly PlannedKey[] {
  const count = 1 + prng.below(prng.chance(1, 3) ? 16 : 6);
  const kinds: readonly KeyKind[] = ["causal", "causal", "strict", "blind"];
  return Array.from({ length: count }, (_, i) => ({
    name: storeKey(NAMESPACE, `k${i}`),
    kind: kinds[prng.below(kinds.length)] as KeyKind,
    quietAtMs: prng.chance(1, 2) ? prng.below(stormMs) : stormMs,
  }));
}

function timingOf(prng: Prng): Timing {
  const pick = (...times: readonly number[]): number => times[prng.below(times.length)] as number;
  const rhythm = { handoffMs: pick(500, 2000), antiEntropyMs: pick(800, 3000, 20_000) };
  const tombstoneGraceMs = pick(500, 1000, 2500);
  return {
    ...rhythm,
    tombstoneGraceMs,
    expiryGraceMs: tombstoneGraceMs / 2,
    collectMs: 250,
    heartbeatMs: 1000,
    suspectAfterMs: 3000,
    canaryMs: 0,
  };
}

/** A seed strikes with some kinds only, so that rare combinations get whole runs of their own. */
function faultsOf(prng: Prng, stormMs: number): readonly PlannedFault[] {
  const kinds: FaultKind[] = FAULT_KINDS.filter(() => prng.chance(1, 2));
  if (prng.chance(1, 3)) kinds.push(...DESTRUCTIVE_KINDS.filter(() => prng.chance(1, 2)));
  if (kinds.length === 0) kinds.push("kill");
  const count = 20 + prng.below(1 + prng.below(80));
  const times = Array.from({ length: count }, () => prng.below(stormMs)).sort((a, b) => a - b);
  return times.map((atMs, index) => ({
    index,
    kind: kinds[prng.below(kinds.length)] as FaultKind,
    atMs,
    prng: words(prng),
  }));
}

/** @param seed 0 to 2^53 - 1 */
export function planOf(seed: number): Plan {
  const prng = Prng.fromSeed(seed);
  const on = (most: number): number => (prng.chance(1, 2) ? 1 + prng.below(most) : 0);
  const ring = ringOf(prng);
  const stormMs = 10_000 + prng.below(10_000);
  const clientCount = 1 + prng.below(16);
  const skewMsMax = prng.chance(1, 3) ? 1 + prng.below(20_000) : 1 + prng.below(50);
  const plan = {
    seed,
    ring,
    spares: [],
    timing: timingOf(prng),
    skewsMs: ring.members.map(() => prng.below(skewMsMax)),
    segmentByteCountMax: 2000 + prng.below(30_000),
    keys: keysOf(prng, stormMs),
    clients: Array.from({ length: clientCount }, (_, index) => ({ index, prng: words(prng) })),
    stormMs,
    restMs: Math.max(1, Math.round((stormMs * clientCount) / OPERATION_COUNT) - 8),
    noise: { lossPerMille: on(40), repeatPerMille: on(40), delayPerMille: on(40) },
    faults: faultsOf(prng, stormMs),
    victim: `r${1 + prng.below(ring.members.length)}`,
    isCleared: prng.chance(1, 3),
    maxBytes: null,
    stream: null,
    lessees: null,
    bounds: null,
    doors: null,
    n: ring.n,
    isResized: false,
  };
  const whole = { ...plan, ...machineryOf(seed) };
  const changing = prng.chance(1, 2) ? withChanges(whole, prng) : whole;
  const namespaced = withNamespace(changing, ownPrng(seed, 1));
  const purging = withPurges(namespaced, ownPrng(seed, 1).fork());
  const asked = withLessees(withStream(purging, seed), seed);
  const wiped = withWipes(withCanaries(withDoors(asked, seed)), ownPrng(seed, 9));
  return withRot(withBounds(wiped, ownPrng(seed, 11)), ownPrng(seed, 13));
}

/** Far more often than anybody would have them. */
const CANARY_MS = 250;
const withCanaries = (plan: Plan): Plan =>
  plan.seed % 8 === 7 ? { ...plan, timing: { ...plan.timing, canaryMs: CANARY_MS } } : plan;

/** Apart from all other draws of a plan: older seeds keep their runs where it changes nothing. */
function ownPrng(seed: number, drawCount: number): Prng {
  const prng = Prng.fromSeed(seed);
  for (let i = 0; i < drawCount; i++) prng.u32();
  return prng.fork();
}

function withLessees(plan: Plan, seed: number): Plan {
  const own = ownPrng(seed, 5);
  if (!own.chance(1, 4)) return plan;
  const lessees = { keyCount: 1 + own.below(3), leaseMs: 300 + own.below(2700), prng: words(own) };
  return { ...plan, lessees };
}

function withDoors(plan: Plan, seed: number): Plan {
  const own = ownPrng(seed, 7);
  if (!own.chance(1, 4)) return plan;
  const counts = { keyCount: 1 + own.below(4), visitorCount: 2 + own.below(6) };
  return { ...plan, doors: { ...counts, leaseMs: 300 + own.below(2700), prng: words(own) } };
}

/** Where nothing is evicted, as what is evicted is gone anyhow. */
function withStream(plan: Plan, seed: number): Plan {
  const own = ownPrng(seed, 3);
  if (plan.maxBytes !== null || !own.chance(1, 4)) return plan;
  const stream = { everyMs: 30 + own.below(70), ttlMs: 100 + own.below(1500), prng: words(own) };
  return { ...plan, stream };
}

/**
 * In some runs the keys' namespace is bounded, in some its N changes, in some two members are
 * swapped for two others at once. With few members every quorum of one N meets every quorum of
 * another, so there N seldom changes.
 */
function withNamespace(plan: Plan, prng: Prng): Plan {
  const maxBytes = prng.chance(1, 6) ? 200 + prng.below(2000) : null;
  const memberCount = plan.ring.members.length;
  const resizeCount = prng.chance(1, memberCount >= N_MAX ? 3 : 12) ? 8 + prng.below(16) : 0;
  const swapCount = plan.spares.length >= 2 && prng.chance(1, 2) ? 1 + prng.below(3) : 0;
  const isResized = resizeCount > 0;
  const kinds: FaultKind[] = [
    ...Array.from({ length: resizeCount }, () => "resize" as const),
    ...Array.from({ length: swapCount }, () => "swap" as const),
  ];
  // Indexes name faults on the command line, whatever order their times give them.
  const from = Math.max(...plan.faults.map(({ index }) => index)) + 1;
  const changes = kinds.map((kind, i) => ({
    ...{ index: from + i, kind },
    ...{ atMs: prng.below(plan.stormMs), prng: words(prng) },
  }));
  const faults = [...plan.faults, ...changes].sort((a, b) => a.atMs - b.atMs);
  // Strict reads show at once what reads may miss while owners change.
  const isStrict = (): boolean => kinds.length > 0 && prng.chance(1, 2);
  const keys = plan.keys.map((key) => (isStrict() ? { ...key, kind: "strict" as const } : key));
  const wanted = SIZES[prng.below(SIZES.length)] as number;
  const n = isResized ? Math.min(wanted, memberCount) : plan.ring.n;
  return { ...plan, maxBytes, n, isResized, keys, faults };
}

/**
 * Settings that no answer may depend on, except where disks are damaged; each way has its share: to
 * read all from the disk, to keep all or some of it (a record has some 1000 bytes), to send writes
 * without their siblings, to send bytes.
 */
const machineryOf = (seed: number) => ({
  recentBytesMax: [65_536, 0, 16_000, 65_536][seed % 4] as number,
  aloneFrom: seed % 3 === 0 ? Number.POSITIVE_INFINITY : 0,
  sendsBytes: Math.floor(seed / 4) % 8 === 0,
});

/** Repeated where one should be likelier: above all those that give a partition new owners. */
const CHANGES: readonly ChangeKind[] = [
  ...CHANGE_KINDS,
  ...(["join", "leave", "replace", "replace", "replace"] as const),
];

/** Some changes of members, at any time but the very end, among the other faults. */
function withChanges(plan: Plan, prng: Prng): Plan {
  const { members } = plan.ring;
  const spares = Array.from({ length: 1 + prng.below(3) }, (_, i) => ({
    id: `s${i + 1}`,
    zone: `z${i}`,
    url: `http://127.0.0.1:${7201 + i}`,
    weight: 1 + prng.below(2),
  }));
  const changes = Array.from({ length: 1 + prng.below(8) }, (_, i) => ({
    index: plan.faults.length + i,
    kind: CHANGES[prng.below(CHANGES.length)] as ChangeKind,
    atMs: prng.below(plan.stormMs),
    prng: words(prng),
  }));
  assert(members.length + spares.length <= MACHINES_MAX, "a small cluster");
  const faults = [...plan.faults, ...changes].sort((a, b) => a.atMs - b.atMs);
  return { ...plan, spares, faults };
}
