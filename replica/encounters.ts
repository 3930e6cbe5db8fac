/**
 * What writes without a context met when they came here. A second coordinator may bring such a
 * write again, when what was told to the first one was not heard. By then something that came later
 * may stand beside it, and must not be covered by it: so what was told the first time is told
 * again.
 *
 * In memory, for the last few writes that met anything at all: most meet nothing. Of one that is
 * not known any more, replies say that the order is unclear (`wasThere`).
 */
import type { Dot } from "../core/causal-context.ts";
import { type Entry, sameDot, standingIn } from "../core/entry.ts";
import { type Beside, besideOf, type Found } from "./beside.ts";
import type { Taken } from "./slot.ts";

const REMEMBERED_MAX = 512;

const nameOf = ({ actor, counter }: Dot): string => `${actor} ${counter}`;

export class Encounters {
  /** By the dot of a write that came. */
  readonly #met = new Map<string, readonly Beside[]>();

  /**
   * What a write that was just joined into a record found there.
   *
   * @param held all that is held of the key since
   */
  tell(held: Entry, { incoming, wasThere }: Pick<Taken, "incoming" | "wasThere">): Found {
    const found = besideOf(held, incoming, wasThere);
    if (found.beside.length === 0) return found;
    if (!wasThere) {
      for (const { dot } of standingIn(incoming)) this.#remember(dot, found.beside);
      return found;
    }
    const met = standingIn(incoming).map(({ dot }) => this.#met.get(nameOf(dot)));
    if (!met.every((one) => one !== undefined)) return found;
    const isMet = ({ dot }: Beside): boolean => met.some((one) => has(one, dot));
    return { ...found, beside: found.beside.filter(isMet), wasThere: false };
  }

  /** Those of an entry's present versions that a write had met when it came here. */
  metBy(dot: Dot, entry: Entry): readonly Beside[] {
    const met = this.#met.get(nameOf(dot)) ?? [];
    return standingIn(entry).filter((one) => has(met, one.dot));
  }

  #remember(dot: Dot, beside: readonly Beside[]): void {
    // Without their values, which would stay in memory as long.
    const met = beside.map((one) => ({ dot: one.dot, time: one.time }));
    this.#met.set(nameOf(dot), met);
    for (const oldest of this.#met.keys()) {
      if (this.#met.size <= REMEMBERED_MAX) break;
      this.#met.delete(oldest);
    }
  }
}

const has = (met: readonly Beside[], dot: Dot): boolean => met.some((one) => sameDot(one.dot, dot));
