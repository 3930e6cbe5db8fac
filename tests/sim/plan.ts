/**
 * What a seed decides before anything runs: the cluster, the keys, the clients, and a list of
 * faults with their times. A plan is data, so that a failing one can be shrunk: each fault and each
 * client draws from a generator of its own, and leaving one out shifts nobody else's dice.
 */
import { assert } from "../../core/assert.ts";
import { storeKey } from "../../core/keys.ts";
import { N_MAX } from "../../core/limits.ts";
import { Prng } from "../../core/prng.ts";
import type { RingMember } from "../../ring/members.ts";
import type { RingDocument } from "../../ring/ring.ts";
import type { PlannedDoors } from "./doors.ts";
import type { PlannedLessees } from "./lessees.ts";
import { CHANGE_KINDS, type ChangeKind } from "./operator.ts";
import { NAMESPACE } from "./settings.ts";
import type { PlannedStream } from "./stream.ts";

/**
 * How each fault is named in plans, traces and totals. Those of the second group destroy data that
 * was durable: all of a run's strike one and the same replica, the victim, so that a write which
 * two replicas had on stable storage must survive them. A new kind is a name here and a line in
 * strikes.ts.
 */
export const FAULT_KINDS = [
  "kill",
  "power-cut",
  "power-cut-all",
  "power-cut-at-ack",
  "stop",
  "pause",
  "slow-node",
  "cut-one-way",
  "cut-two-way",
  "disk-full",
  "disk-write-fails",
  "disk-sync-fails",
  "disk-slow",
  "clock-jump",
  "wrong-folder",
] as const;
export const DESTRUCTIVE_KINDS = ["bit-flip", "read-fails", "disk-lost"] as const;
export type FaultKind =
  | (typeof FAULT_KINDS)[number]
  | (typeof DESTRUCTIVE_KINDS)[number]
  | ChangeKind
  | "resize"
  | "purge";

export interface PlannedFault {
  readonly index: number;
  readonly kind: FaultKind;
  readonly atMs: number;
  readonly prng: readonly [number, number, number, number];
}

export interface PlannedClient {
  readonly index: number;
  readonly prng: readonly [number, number, number, number];
}

/** Chances in 1,000 for each message. */
export interface Noise {
  readonly lossPerMille: number;
  readonly repeatPerMille: number;
  readonly delayPerMille: number;
}

export const NO_NOISE: Noise = { lossPerMille: 0, repeatPerMille: 0, delayPerMille: 0 };

/**
 * - `causal`: every write carries a context, maybe an empty one; some have a TTL.
 * - `blind`: some writes carry none, and replace what their coordinator holds.
 * - `strict`: reads and writes count primaries alone, r + w > n.
 */
export type KeyKind = "causal" | "blind" | "strict";

export interface PlannedKey {
  readonly name: string;
  readonly kind: KeyKind;
  /** From then on it is only read: what a mistake brought back is not overwritten again. */
  readonly quietAtMs: number;
}

export interface Timing {
  readonly handoffMs: number;
  readonly antiEntropyMs: number;
  readonly tombstoneGraceMs: number;
  readonly expiryGraceMs: number;
  readonly collectMs: number;
  readonly heartbeatMs: number;
  readonly suspectAfterMs: number;
  /** Between two canaries of a member; 0 in most runs: they are writes as any other. */
  readonly canaryMs: number;
}

export interface Plan {
  readonly seed: number;
  readonly ring: RingDocument;
  /** Machines that may join: none in a run in which members do not change. */
  readonly spares: readonly RingMember[];
  readonly timing: Timing;
  /** How far clocks are off from the start, in ms, one a member; those of spares are right. */
  readonly skewsMs: readonly number[];
  readonly segmentByteCountMax: number;
  /** What a log keeps of records that it read lately, in bytes; 0 for none. */
  readonly recentBytesMax: number;
  /** Whether messages go through their codec. */
  readonly sendsBytes: boolean;
  /** Of the keys' namespace; null when nothing is evicted. */
  readonly maxBytes: number | null;
  /** Of the keys' namespace, at first. */
  readonly n: number;
  /** Whether it changes. */
  readonly isResized: boolean;
  readonly keys: readonly PlannedKey[];
  readonly clients: readonly PlannedClient[];
  /** How long clients work and faults strike, in ms. */
  readonly stormMs: number;
  /** Mean rest of a client between two operations, in ms. */
  readonly restMs: number;
  readonly noise: Noise;
  readonly faults: readonly PlannedFault[];
  /** The id of the one replica that may lose durable data. */
  readonly victim: string;
  /** Of values with short TTLs; null in most runs. */
  readonly stream: PlannedStream | null;
  /** Who asks for leases; null in most runs. */
  readonly lessees: PlannedLessees | null;
  /** Of a site behind cache doors; null in most runs. */
  readonly doors: PlannedDoors | null;
  /** Whether all keys are deleted at the end, and must be gone from every disk. */
  readonly isCleared: boolean;
}

const MACHINES_MAX = 10;
/** To no N below: what was on two disks when it was acknowledged would be lost with one. */
export const N_MIN = 2;
/** All clients of a run together begin about so many operations. */
const OPERATION_COUNT = 2000;

const words = (prng: Prng): readonly [number, number, number, number] => [
  prng.u32(),
  prng.u32(),
  prng.u32(),
  prng.u32(),
];

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
    doors: null,
    n: ring.n,
    isResized: false,
  };
  const whole = { ...plan, ...machineryOf(seed) };
  const changing = prng.chance(1, 2) ? withChanges(whole, prng) : whole;
  const namespaced = withNamespace(changing, namespacePrng(seed));
  const purging = withPurges(namespaced, namespacePrng(seed).fork());
  const asked = withLessees(withStream(purging, seed), seed);
  return withCanaries(withDoors(asked, seed));
}

/** Far more often than anybody would have them. */
const CANARY_MS = 250;
const withCanaries = (plan: Plan): Plan =>
  plan.seed % 8 === 7 ? { ...plan, timing: { ...plan.timing, canaryMs: CANARY_MS } } : plan;

function withLessees(plan: Plan, seed: number): Plan {
  const prng = Prng.fromSeed(seed);
  for (let i = 0; i < 5; i++) prng.u32();
  const own = prng.fork();
  if (!own.chance(1, 4)) return plan;
  const lessees = { keyCount: 1 + own.below(3), leaseMs: 300 + own.below(2700), prng: words(own) };
  return { ...plan, lessees };
}

function withDoors(plan: Plan, seed: number): Plan {
  const prng = Prng.fromSeed(seed);
  for (let i = 0; i < 7; i++) prng.u32();
  const own = prng.fork();
  if (!own.chance(1, 4)) return plan;
  const counts = { keyCount: 1 + own.below(4), visitorCount: 2 + own.below(6) };
  return { ...plan, doors: { ...counts, leaseMs: 300 + own.below(2700), prng: words(own) } };
}

/** Where nothing is evicted, as what is evicted is gone anyhow. */
function withStream(plan: Plan, seed: number): Plan {
  const prng = Prng.fromSeed(seed);
  for (let i = 0; i < 3; i++) prng.u32();
  const own = prng.fork();
  if (plan.maxBytes !== null || !own.chance(1, 4)) return plan;
  const stream = { everyMs: 30 + own.below(70), ttlMs: 100 + own.below(1500), prng: words(own) };
  return { ...plan, stream };
}

/** Apart from all other draws of a plan: older seeds keep their runs where it changes nothing. */
function namespacePrng(seed: number): Prng {
  const prng = Prng.fromSeed(seed);
  prng.u32();
  return prng.fork();
}

/** In some runs all that was written is purged now and then, mostly by a majority alone. */
function withPurges(plan: Plan, prng: Prng): Plan {
  const count = prng.chance(1, 4) ? 2 + prng.below(9) : 0;
  const from = Math.max(...plan.faults.map(({ index }) => index)) + 1;
  const purges = Array.from({ length: count }, (_, i) => ({
    ...{ index: from + i, kind: "purge" as const },
    ...{ atMs: prng.below(plan.stormMs), prng: words(prng) },
  }));
  const isStrict = (): boolean => count > 0 && prng.chance(1, 2);
  const keys = plan.keys.map((key) => (isStrict() ? { ...key, kind: "strict" as const } : key));
  const faults = [...plan.faults, ...purges].sort((a, b) => a.atMs - b.atMs);
  return { ...plan, keys, faults };
}

/** Repeated where one should be likelier: quorums by the fewest and by the most need not meet. */
export const SIZES: readonly number[] = [N_MIN, N_MIN, N_MAX, N_MAX, 3, 4];

/**
 * In some runs the keys' namespace is bounded, in some its N changes, in some two members are
 * swapped for two others at once. With few members every quorum by one N meets every quorum by
 * another, so there N changes seldom.
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
  // What reads may miss while owners change, strict ones tell at once.
  const isStrict = (): boolean => kinds.length > 0 && prng.chance(1, 2);
  const keys = plan.keys.map((key) => (isStrict() ? { ...key, kind: "strict" as const } : key));
  const wanted = SIZES[prng.below(SIZES.length)] as number;
  const n = isResized ? Math.min(wanted, memberCount) : plan.ring.n;
  return { ...plan, maxBytes, n, isResized, keys, faults };
}

/**
 * Of what no answer may depend on, except where disks are damaged, each way has its share: to read
 * all from the disk, to keep all or some of it (a record has some 1000 bytes), to send bytes.
 */
const machineryOf = (seed: number) => ({
  recentBytesMax: [65_536, 0, 16_000, 65_536][seed % 4] as number,
  sendsBytes: Math.floor(seed / 4) % 8 === 0,
});

/** Repeated where one should be likelier: most of all those that give a partition new owners. */
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
