/** What races of one key have in common: who takes part, and how their clocks are. */
import type { Prng } from "../../core/prng.ts";
import { Group, type GroupOptions } from "./group.ts";

/** Four nodes, of which about half have a clock that is off, by at most a fifth of a second. */
export function groupApart(prng: Prng, options: Partial<GroupOptions> = {}): Group {
  const group = new Group({ count: 4, ...options });
  for (const id of group.ids) {
    const off = prng.chance(1, 2) ? 0 : prng.below(400) - 200;
    group.wallOffMs.set(id, off);
  }
  return group;
}

export const anyoneOf = (prng: Prng): string => `r${1 + prng.below(4)}`;
