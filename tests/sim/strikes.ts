/** What each kind of fault does, and for how long. */
import { storeKey } from "../../core/keys.ts";
import { Prng } from "../../core/prng.ts";
import { majority } from "../../core/quorum-options.ts";
import { openChange } from "../../ring/ring-change.ts";
import { contentOf, outcomeOf } from "./client.ts";
import type { Judge } from "./judge.ts";
import type { Machine } from "./machine.ts";
import { type ChangeKind, changeOf } from "./operator.ts";
import { type FaultKind, N_MIN, type Plan, type PlannedFault, SIZES } from "./plan.ts";
import { rotAmongStale, rotAtAck } from "./rot-strikes.ts";
import { NAMESPACE, settings } from "./settings.ts";
import { atAck, cut, fell, type Strike, type Wire } from "./strike-parts.ts";
import type { Answer, World } from "./world.ts";

/** Most faults are over in less than the shorter time; some are there to stay a while. */
const LASTS_MS_MAX = 3000;
export const LONG_MS_MAX = 8000;
/** The longest that a purge asks around, in ms. */
const PURGE_MS = 4000;
/** How far ahead a clock is set that is set back again. */
const FAR_MS_MAX = 12_000;

function cutPower(strike: Strike, machine: Machine): void {
  strike.judge.powerWasCut(strike.world.events.now);
  const lastsMs = 20 + strike.prng.below(LASTS_MS_MAX);
  fell(strike, machine, { how: () => machine.cutPower(), lastsMs });
}

function isolate({ world, machine, prng, lastsMs }: Strike, isTwoWay: boolean): void {
  const others = world.machines.filter((other) => other !== machine && prng.chance(2, 3));
  const isOutward = prng.chance(1, 2);
  const wires = others.flatMap((other) => {
    const out: Wire = [machine.id, other.id];
    const back: Wire = [other.id, machine.id];
    if (isTwoWay) return [out, back];
    return isOutward ? [out] : [back];
  });
  cut(world, wires, lastsMs);
}

/** When the fault is over. */
const later = ({ world, lastsMs }: Strike, work: () => void): void =>
  world.events.after(lastsMs, work);

function failDisk(strike: Strike, step: "write" | "sync"): void {
  const { world, machine, lastsMs } = strike;
  machine.failNext = step;
  // Somebody looks after a replica that takes no more writes.
  world.events.after(lastsMs, () => {
    if (machine.store?.health() !== "failed") return;
    machine.kill();
    world.forsake(machine);
    machine.boot();
  });
}

function flipBit(strike: Strike): void {
  const { world, victim, prng } = strike;
  const files = victim.disk.list().filter((file) => (victim.disk.byteCount(file) ?? 0) > 0);
  const file = files[prng.below(Math.max(1, files.length))];
  if (file === undefined) return;
  victim.isDamaged = true;
  const bytes = victim.disk.bytesOf(file);
  const at = prng.below(bytes.length);
  bytes[at] = (bytes[at] as number) ^ (1 << prng.below(8));
  world.trace.add(`bit-flip ${victim.id} ${file} at ${at} of ${bytes.length}`);
  if (prng.chance(1, 2)) {
    fell(strike, victim, { how: () => victim.kill(), lastsMs: 20 + prng.below(500) });
  }
}

/** Somebody sets a clock: a little either way, for good, or far ahead, and back a while later. */
function jumpClock(strike: Strike): void {
  const { machine, prng } = strike;
  const isForGood = prng.chance(1, 2);
  const byMs = isForGood ? prng.below(8000) - 4000 : 4000 + prng.below(FAR_MS_MAX);
  setClock(strike, machine, byMs);
  if (!isForGood) later(strike, () => setClock(strike, machine, -byMs));
}

function setClock({ world }: Strike, machine: Machine, byMs: number): void {
  machine.skewMs += byMs;
  world.noteSkew(machine.skewMs);
  world.trace.add(`clock of ${machine.id} jumps by ${byMs} ms`);
}

/**
 * A member is stopped, and two start from its folder: itself, and another one, which must refuse
 * it.
 */
function mistakeFolder(strike: Strike): void {
  const { world, machine, prng } = strike;
  const others = world.machines.filter((other) => other !== machine && other.isWhole);
  const other = others[prng.below(Math.max(1, others.length))];
  if (other === undefined || !machine.isWhole) return;
  const lastsMs = 20 + prng.below(500);
  fell(strike, other, { how: () => other.stop(), lastsMs });
  fell(strike, machine, { how: () => machine.mistakeFolder(other), lastsMs });
}

/** Cuts some machines off from all others, members or not, for so many ms. */
function rift(world: World, far: readonly string[], lastsMs: number): void {
  const near = world.machines.map(({ id }) => id).filter((id) => !far.includes(id));
  const set = (by: 1 | -1): void => {
    for (const a of far) {
      for (const b of near) {
        world.network.cut(a, b, by);
        world.network.cut(b, a, by);
      }
    }
  };
  world.trace.add(`cut all but ${near.join(" ")}`);
  set(1);
  world.events.after(lastsMs, () => {
    world.trace.add(`mend all but ${near.join(" ")}`);
    set(-1);
  });
}

/** The writes that are on their way when a purge comes. */
const MEANWHILE = { count: 24, everyMs: 1, ttlMs: 1000, prefix: storeKey(NAMESPACE, "purged/") };

/**
 * Writes values that nobody reads and that end soon, while a purge comes to their coordinators. A
 * write that the purge ends must not be answered as done.
 */
function writeMeanwhile({ world, prng }: Strike, via: readonly string[]): void {
  const { count, everyMs, ttlMs, prefix } = MEANWHILE;
  const rest = { options: {}, ttlMs, context: null, precondition: null } as const;
  for (let i = 0; i < count; i++) {
    const machine = world.machine(via[prng.below(via.length)] as string);
    const key = `${prefix}${prng.below(1000)}`;
    const operation = { kind: "write", key, content: contentOf("purged", 0), ...rest } as const;
    world.events.after(i * everyMs, () => world.submit(machine, operation, () => {}));
  }
}

/**
 * All that was written is purged, through whichever node comes to mind: often one of a majority that
 * is cut off from all others, before and for a while after.
 */
function purge(strike: Strike): void {
  const { world, judge, prng, lastsMs } = strike;
  const ids = strike.machine.node?.knowledge.ring.memberIds ?? [];
  if (ids.length === 0) return;
  // Two are enough for a strict quorum of a key; members that run hear of the purge.
  const nearCount = Math.max(majority(ids.length), ids.length - 2);
  const first = prng.below(ids.length);
  const turned = ids.map((_, i) => ids[(first + i) % ids.length] as string);
  const isUp = (id: string): boolean => world.machine(id).wasAwakeSince(world.events.now);
  const near = [...turned.filter(isUp), ...turned.filter((id) => !isUp(id))].slice(0, nearCount);
  const far = ids.filter((id) => !near.includes(id));
  const isCut = prng.chance(2, 3);
  // The member that asks for it may also be one of the minority.
  const isByFew = isCut && far.some(isUp) && prng.chance(1, 3);
  if (isCut) rift(world, far, PURGE_MS + (isByFew ? PURGE_MS : lastsMs));
  const askable = isByFew ? far.filter(isUp) : near;
  const machine = world.machine(askable[prng.below(askable.length)] as string);
  writeMeanwhile(strike, near);
  const { ended } = judge.purgeBegins(world.events.now);
  const operation = { kind: "purge", namespace: NAMESPACE, what: { everything: true } } as const;
  world.trace.add(`purge via ${machine.id}`);
  world.submit(machine, operation, (result) => {
    const told = result?.kind === "purged" ? result : null;
    const learnt = told === null ? "" : ` by ${told.learntCount} of ${told.memberCount}`;
    world.trace.add(`purge via ${machine.id} -> ${outcomeOf(result)}${learnt}`);
    ended(
      world.events.now,
      told === null ? "maybe" : told.learntCount < told.memberCount ? "some" : "all",
    );
  });
}

/**
 * One of the others is down for a while; when it is back the victim has an empty disk, and all that
 * met what was written meanwhile are down. Of three owners it and the victim are a majority.
 */
function wipeAmongStale(strike: Strike): void {
  const { world, victim, prng, lastsMs } = strike;
  const others = world.machines.filter((machine) => machine !== victim);
  const stale = others[prng.below(others.length)] as Machine;
  const missesMs = 300 + prng.below(1500);
  fell(strike, stale, { how: () => stale.kill(), lastsMs: missesMs });
  world.events.after(missesMs, () => {
    fell(strike, victim, { how: () => victim.loseDisk(), lastsMs: 20 });
    for (const machine of others) {
      if (machine !== stale) fell(strike, machine, { how: () => machine.kill(), lastsMs });
    }
  });
}

/**
 * Power fails when a client has just been answered: half of the time when the write is on a single
 * disk. That key is written no more.
 */
function cutPowerAtAck(strike: Strike): void {
  const { world, prng, plan } = strike;
  const isOfKeys = ({ operation }: Answer): boolean =>
    operation.kind === "write" && plan.keys.some(({ name }) => name === operation.key);
  const isSole = prng.chance(1, 2);
  const cutSome = ({ machine, operation }: Answer): void => {
    if (isSole && operation.kind === "write") world.hushed.add(operation.key);
    const isAll = prng.chance(2, 3);
    for (const other of world.machines) {
      if (isAll || other === machine || other === strike.machine) cutPower(strike, other);
    }
  };
  if (!isSole) return atAck(strike, cutSome);
  atAck(strike, cutSome, (answer) => isOfKeys(answer) && answer.result.tally.durable === 1);
}

/** Asks for a change of members through whichever node comes to mind. */
function change(kind: ChangeKind): (strike: Strike) => void {
  return ({ world, plan, machine, prng }) => {
    const known = machine.node?.knowledge.ring.document;
    if (known === undefined) return;
    const machines = [...plan.ring.members, ...plan.spares];
    const body = changeOf(kind, { ring: known, machines, prng });
    world.trace.add(`${kind} via ${machine.id}: ${JSON.stringify(body)}`);
    world.submit(machine, { kind: "commit", change: body }, (result) => {
      world.trace.add(`${kind} via ${machine.id} -> ${outcomeOf(result)}`);
    });
  };
}

/** Another N for the keys' namespace, through whichever node comes to mind. */
function resize({ world, plan, machine, prng }: Strike): void {
  const known = machine.node?.knowledge.ring.document;
  if (known === undefined) return;
  // Joining members may not stay: a change that is called off would leave fewer members than
  // owners.
  const next = openChange(known)?.to.members.length ?? Infinity;
  const before = machine.node?.knowledge.settingsOf(NAMESPACE).n;
  const sizes = SIZES.filter((size) => size !== before);
  const wanted = sizes[prng.below(sizes.length)] as number;
  const n = Math.min(wanted, known.members.length, next);
  if (n < N_MIN) return;
  const changed = { ...settings, maxBytes: plan.maxBytes, n };
  const operation = { kind: "configure", namespace: NAMESPACE, settings: changed } as const;
  world.trace.add(`resize via ${machine.id}: N becomes ${n}`);
  world.submit(machine, operation, (result) => {
    world.trace.add(`resize via ${machine.id} to ${n} -> ${outcomeOf(result)}`);
  });
}

const STRIKES: Readonly<Record<FaultKind, (strike: Strike) => void>> = {
  kill: (s) => fell(s, s.machine, { how: () => s.machine.kill(), lastsMs: s.lastsMs }),
  "power-cut": (s) => cutPower(s, s.machine),
  "power-cut-all": (s) => {
    for (const machine of s.world.machines) cutPower(s, machine);
  },
  "power-cut-at-ack": cutPowerAtAck,
  stop: (s) => fell(s, s.machine, { how: () => s.machine.stop(), lastsMs: s.lastsMs }),
  pause: (s) => {
    s.machine.pause(true);
    later(s, () => s.machine.pause(false));
  },
  "slow-node": (s) => {
    s.machine.slowMs = 10 + s.prng.below(300);
    later(s, () => {
      s.machine.slowMs = 0;
    });
  },
  "cut-one-way": (s) => isolate(s, false),
  "cut-two-way": (s) => isolate(s, true),
  "disk-full": (s) => {
    s.machine.isDiskFull = true;
    later(s, () => {
      s.machine.isDiskFull = false;
    });
  },
  "disk-write-fails": (s) => failDisk(s, "write"),
  "disk-sync-fails": (s) => failDisk(s, "sync"),
  "disk-slow": (s) => {
    s.machine.diskSlowness = 5 + s.prng.below(50);
    later(s, () => {
      s.machine.diskSlowness = 1;
    });
  },
  "clock-jump": jumpClock,
  "wrong-folder": mistakeFolder,
  "bit-flip": flipBit,
  "read-fails": (s) => {
    s.victim.isDamaged = true;
    s.victim.failsReads = true;
    later(s, () => {
      s.victim.failsReads = false;
    });
  },
  "disk-lost": (s) => {
    const lose = (): void => {
      // Where it is back at once, clients come before its peers have told it anything; and one of
      // those that have what it lost may be down.
      const isBackAtOnce = s.prng.chance(1, 2);
      const lastsMs = isBackAtOnce ? 20 : s.lastsMs;
      fell(s, s.victim, { how: () => s.victim.loseDisk(), lastsMs });
      if (!isBackAtOnce || s.machine === s.victim) return;
      fell(s, s.machine, { how: () => s.machine.kill(), lastsMs: s.lastsMs });
    };
    if (s.prng.chance(1, 2)) lose();
    else atAck(s, lose);
  },
  "wipe-among-stale": wipeAmongStale,
  "rot-at-ack": rotAtAck,
  "rot-among-stale": rotAmongStale,
  join: change("join"),
  leave: change("leave"),
  reweight: change("reweight"),
  replace: change("replace"),
  abort: change("abort"),
  swap: change("swap"),
  purge,
  resize,
};

/** Carries out one fault of the plan, now. */
export function strike(
  on: { readonly world: World; readonly judge: Judge; readonly plan: Plan },
  { kind, prng: words, index }: PlannedFault,
): void {
  const { world, judge, plan } = on;
  const prng = new Prng(words);
  const machine = world.machines[prng.below(world.machines.length)] as Machine;
  const lastsMs = 20 + prng.below(prng.chance(1, 5) ? LONG_MS_MAX : LASTS_MS_MAX);
  const victim = world.machine(plan.victim);
  world.trace.add(`fault ${index}: ${kind} (${machine.id}, ${lastsMs} ms)`);
  STRIKES[kind]({ world, judge, plan, prng, machine, lastsMs, victim });
}
