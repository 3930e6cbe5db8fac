/** What strikes are made of. */

import type { Prng } from "../../core/prng.ts";
import type { Result } from "../../core/results.ts";
import type { Judge } from "./judge.ts";
import type { Machine } from "./machine.ts";
import type { Plan } from "./plan.ts";
import type { Answer, World } from "./world.ts";

export interface Strike {
  readonly world: World;
  readonly judge: Judge;
  readonly plan: Plan;
  readonly prng: Prng;
  /** The machine that it strikes: always the victim, when it destroys data. */
  readonly machine: Machine;
  readonly lastsMs: number;
  readonly victim: Machine;
}

/** Ends a process and starts it again when the fault is over. */
export function fell(
  { world }: Strike,
  machine: Machine,
  by: { how: () => void; lastsMs: number },
): void {
  by.how();
  world.forsake(machine);
  world.events.after(by.lastsMs, () => machine.boot());
}

export type Wire = readonly [from: string, to: string];

export function cut(world: World, wires: readonly Wire[], lastsMs: number): void {
  world.trace.add(`cut ${wires.map(([from, to]) => `${from}>${to}`).join(" ")}`);
  for (const [from, to] of wires) world.network.cut(from, to, 1);
  world.events.after(lastsMs, () => {
    world.trace.add(`mend ${wires.map(([from, to]) => `${from}>${to}`).join(" ")}`);
    for (const [from, to] of wires) world.network.cut(from, to, -1);
  });
}

export type Acknowledged = Answer & { readonly result: Extract<Result, { kind: "written" }> };

/** Waits for the next such write, and strikes right after its client has heard of it. */
export function atAck(
  { world }: Strike,
  work: (answer: Acknowledged) => void,
  isSuch: (answer: Acknowledged) => boolean = () => true,
): void {
  const watch = (answer: Answer): void => {
    const { result } = answer;
    if (result.kind !== "written" || !isSuch({ ...answer, result })) return;
    world.answerWatches.delete(watch);
    work({ ...answer, result });
  };
  world.answerWatches.add(watch);
}
