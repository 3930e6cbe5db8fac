/**
 * Kinds of plans that meet what dice alone would meet once in thousands of runs: a purge that some
 * of the members miss, an emptied disk among replicas that are behind, bounds of staleness, and rot
 * where a replica is followed.
 */
import type { Prng } from "../../core/prng.ts";
import {
  type FaultKind,
  isDestructive,
  type Noise,
  type Plan,
  type PlannedFault,
  words,
} from "./plan.ts";

/** Indexes name faults on the command line, whatever order their times give them. */
function withFaults(plan: Plan, kinds: readonly FaultKind[], prng: Prng): readonly PlannedFault[] {
  const from = Math.max(-1, ...plan.faults.map(({ index }) => index)) + 1;
  const more = kinds.map((kind, i) => ({
    ...{ index: from + i, kind },
    ...{ atMs: prng.below(plan.stormMs), prng: words(prng) },
  }));
  return [...plan.faults, ...more].sort((a, b) => a.atMs - b.atMs);
}

/** In some runs all that was written is purged now and then, mostly by a majority alone. */
export function withPurges(plan: Plan, prng: Prng): Plan {
  const count = prng.chance(1, 4) ? 2 + prng.below(9) : 0;
  const kinds = Array.from({ length: count }, () => "purge" as const);
  const faults = withFaults(plan, kinds, prng);
  const isStrict = (): boolean => count > 0 && prng.chance(1, 2);
  const keys = plan.keys.map((key) => (isStrict() ? { ...key, kind: "strict" as const } : key));
  const purging = { ...plan, keys, faults };
  return count > 0 && prng.chance(1, 2) ? withCertainPurge(purging, prng) : purging;
}

/**
 * By how much clocks differ at most, in ms, when they tell whether a write or a purge was first.
 */
const CLOSE_MS = 40;

/**
 * That a purge has ended a value is certain only if every clock says that the value was written
 * before it, and if it is read strictly when the purge is over, while some have not heard of it. So
 * clocks agree, no disk is lost, there is one purge, and most keys are quiet by then.
 */
function withCertainPurge(plan: Plan, prng: Prng): Plan {
  const atMs = Math.round(plan.stormMs / 4) + prng.below(Math.round(plan.stormMs / 4));
  const purge = plan.faults.find(({ kind }) => kind === "purge");
  const isKept = ({ kind }: PlannedFault): boolean =>
    kind !== "purge" && kind !== "clock-jump" && !isDestructive(kind) && prng.chance(1, 3);
  const others = plan.faults.filter(isKept);
  const all = purge === undefined ? others : [...others, { ...purge, atMs }];
  const keys = plan.keys.map((key) => {
    const quietAtMs = prng.below(atMs);
    // Keys that are not quiet have writes on their way.
    return prng.chance(2, 3) ? { name: key.name, kind: "strict" as const, quietAtMs } : key;
  });
  const skewsMs = plan.skewsMs.map((ms) => ms % CLOSE_MS);
  return { ...plan, keys, skewsMs, faults: all.sort((x, y) => x.atMs - y.atMs) };
}

/**
 * In some runs the victim's disk is emptied, or rots what it has just taken, at a time when the
 * only other owner left has missed some writes. The two are a majority of a key's owners, and know
 * less than one of them did. Fewer other faults leave room for that, and all keys are strict. Rot
 * is met where it is read, so then nothing is remembered of the disk.
 */
export function withWipes(plan: Plan, prng: Prng): Plan {
  const ownersChange = plan.spares.length > 0 || plan.isResized;
  if (ownersChange || plan.maxBytes !== null || !prng.chance(1, 3)) return plan;
  const isKept = ({ kind }: PlannedFault): boolean =>
    !isDestructive(kind) && !kind.startsWith("power-cut") && prng.chance(1, 4);
  const left = { ...plan, faults: plan.faults.filter(isKept) };
  const kind = prng.chance(1, 2) ? "wipe-among-stale" : "rot-among-stale";
  const kinds = Array.from({ length: 2 + prng.below(3) }, () => kind);
  const faults = withFaults(left, kinds, prng);
  const keys = plan.keys.map((key) => ({ ...key, kind: "strict" as const }));
  return {
    ...plan,
    ...(kind === "rot-among-stale" ? { recentBytesMax: 0 } : {}),
    ...{ keys, faults },
  };
}

/** Between two exchanges where they are not to mend what is to be met. */
const RARELY_MS = 20_000;

const quietNoise = (prng: Prng): Pick<Noise, "lossPerMille" | "delayPerMille"> => ({
  lossPerMille: prng.below(10),
  delayPerMille: prng.below(10),
});

/** Messages to a slow member take this long to twice as long: less than a heartbeat waits. */
const SLOW_MS_MIN = 600;

/**
 * In some runs one client writes mostly with one acknowledgement, and others ask one replica, with
 * a bound. A replica's knowledge of the others lasts only seconds, so few faults strike at a time,
 * but many messages are lost or late. And nothing but a later version may replace a version.
 */
export function withBounds(plan: Plan, prng: Prng): Plan {
  const mayVanish = plan.maxBytes !== null || plan.isResized;
  const isOther = ({ kind }: PlannedFault): boolean =>
    kind === "purge" || kind.endsWith("-among-stale");
  if (mayVanish || plan.faults.some(isOther) || !prng.chance(1, 2)) return plan;
  const isKept = ({ kind }: PlannedFault): boolean =>
    !kind.startsWith("power-cut") && prng.chance(1, 3);
  const noise = { lossPerMille: prng.below(200), delayPerMille: prng.below(200) };
  const rates = { restMs: 500 + prng.below(2500), readCount: 4 + prng.below(12) };
  const own = { keyCount: 10 + prng.below(30), ...rates, prng: words(prng) };
  const faults = plan.faults.filter(isKept);
  const index = prng.below(plan.ring.members.length);
  const slow = prng.chance(1, 3) ? { index, ms: SLOW_MS_MIN + prng.below(SLOW_MS_MIN) } : null;
  const bounds = { ...own, slow, apart: null };
  const quiet = quietNoise(prng);
  return {
    ...plan,
    bounds,
    faults,
    noise: { ...plan.noise, ...(slow === null ? noise : quiet) },
    isCleared: false,
  };
}

/** With three members every record is on all of them, and nobody else has a hint for one of them. */
const FEWEST = 3;

/**
 * In some of these one member now and then has no word from a second one, and follows only the
 * third, where what the second one wrote just then rots. The follower must be the one that meets
 * the rot, and nobody may mend it soon: so all is read from the disk, exchanges are rare, and
 * little else happens. No write is blind: one that a second coordinator finds done covers no more
 * than the first coordinator saw, and wires that are cut make many second coordinators.
 */
export function withRot(plan: Plan, prng: Prng): Plan {
  const { bounds } = plan;
  const isSuch = bounds !== null && bounds.slow === null && plan.spares.length === 0;
  if (!isSuch || !prng.chance(2, 3)) return plan;
  const members = plan.ring.members.slice(0, FEWEST);
  const ids = members.map(({ id }) => id);
  const assignment = plan.ring.assignment.map((_, p) =>
    ids.map((_, i) => ids[(p + i) % FEWEST] as string),
  );
  const first = prng.below(FEWEST);
  const rates = { keyCount: 8 + prng.below(8), restMs: 1500, readCount: 16 + prng.below(16) };
  const apart = { follower: first, writer: (first + 1) % FEWEST };
  const isKept = ({ kind }: PlannedFault): boolean => !isDestructive(kind) && prng.chance(1, 8);
  const left = { ...plan, faults: plan.faults.filter(isKept) };
  const kinds = Array.from({ length: 1 + prng.below(3) }, () => "rot-at-ack" as const);
  return {
    ...left,
    keys: plan.keys.map((key) => (key.kind === "blind" ? { ...key, kind: "causal" } : key)),
    ring: { ...plan.ring, members, assignment },
    skewsMs: plan.skewsMs.slice(0, FEWEST),
    victim: ids[(first + 2) % FEWEST] as string,
    faults: withFaults(left, kinds, prng),
    timing: { ...plan.timing, antiEntropyMs: RARELY_MS },
    recentBytesMax: 0,
    noise: { ...plan.noise, ...quietNoise(prng) },
    bounds: { ...bounds, ...rates, apart },
  };
}
