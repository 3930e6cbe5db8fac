/** Strikes that rot one record which a client has just been answered for. */
import { name } from "./judge.ts";
import type { Machine } from "./machine.ts";
import { rotRecord } from "./rot.ts";
import { type Acknowledged, atAck, cut, fell, type Strike, type Wire } from "./strike-parts.ts";

/** Rots the record of an acknowledged write, whose key is written no more. */
function rot({ world, victim, prng }: Strike, { operation }: Acknowledged): void {
  if (operation.kind !== "write") return;
  victim.isDamaged = true;
  world.hushed.add(operation.key);
  const where = rotRecord(victim.disk, operation.key, prng);
  world.trace.add(`rot at ${victim.id}: ${name(operation.key)} in ${where}`);
}

/** How long a follower has no word from the writer: less than its knowledge is good for. */
const APART_MS_MIN = 3000;

/**
 * One member hears of another's writes only through the victim. When the victim has one of these on
 * its disk, of whatever key, the record rots before the follower has come for it.
 */
export function rotAtAck(strike: Strike): void {
  const { world, plan, lastsMs } = strike;
  // At the beginning no member follows another one yet.
  const waitsMs = plan.stormMs / 3 - world.events.now;
  if (waitsMs > 0) return world.events.after(waitsMs, () => rotAtAck(strike));
  const { follower, writer } = plan.bounds?.apart ?? { follower: -1, writer: -1 };
  const [behind, ahead] = [world.machines[follower], world.machines[writer]];
  if (behind === undefined || ahead === undefined) return;
  const there: Wire = [behind.id, ahead.id];
  cut(world, [there, [ahead.id, behind.id]], APART_MS_MIN + lastsMs);
  const isSuch = ({ machine, operation, result }: Acknowledged): boolean =>
    machine === ahead && "key" in operation && result.tally.durable > 1;
  atAck(strike, (answer) => rot(strike, answer), isSuch);
}

/**
 * One of the others is down for a while. What is acknowledged meanwhile rots at the victim, and all
 * others that have it are down until that one is back, and longer. Of three owners it and the victim
 * are a majority.
 */
export function rotAmongStale(strike: Strike): void {
  const { world, victim, prng, lastsMs } = strike;
  const others = world.machines.filter((machine) => machine !== victim);
  const stale = others[prng.below(others.length)];
  if (stale === undefined) return;
  const missesMs = 300 + prng.below(1500);
  const until = world.events.now + missesMs;
  fell(strike, stale, { how: () => stale.kill(), lastsMs: missesMs });
  const isSuch = ({ result }: Acknowledged): boolean =>
    world.events.now < until && result.tally.durable > 1;
  const fellOther = (machine: Machine): void => {
    const downMs = until - world.events.now + lastsMs;
    fell(strike, machine, { how: () => machine.kill(), lastsMs: downMs });
  };
  const work = (answer: Acknowledged): void => {
    rot(strike, answer);
    for (const machine of others) if (machine !== stale) fellOther(machine);
  };
  atAck(strike, work, isSuch);
}
