/**
 * Watches what replicas send each other: no two entries of a key may each say that all of the other
 * is over, because joined they would leave nothing. An entry that knows a version as covered also
 * knows what covered it, or what covered that; so two such entries mean that two writes cover each
 * other. It is the one thing that writes without a context must not do.
 */
import { type Entry, hasDot, type Sibling, standingIn } from "../../core/entry.ts";
import { name } from "./judge.ts";

/** Of one key: writes that meet are sent within moments. */
const SEEN_MAX = 24;

/** An entry with what stands in it: each is held against many others. */
interface Seen {
  readonly entry: Entry;
  readonly standing: readonly Sibling[];
}

/** Whether one says of every version of the other that it is over. */
function ends({ entry, standing }: Seen, other: Seen): boolean {
  for (const { dot } of other.standing) {
    if (!entry.context.covers(dot)) return false;
    if (hasDot(standing, dot)) return false;
  }
  return true;
}

export class Annihilation {
  readonly #accuse: (oracle: string, detail: string) => void;
  readonly #byKey = new Map<string, Seen[]>();
  readonly #looked = new WeakSet<Entry>();

  constructor(accuse: (oracle: string, detail: string) => void) {
    this.#accuse = accuse;
  }

  /** @param entry that somebody is sent */
  observe(key: string, entry: Entry): void {
    if (this.#looked.has(entry)) return;
    this.#looked.add(entry);
    const standing = standingIn(entry);
    if (standing.length === 0) return this.#lookAtNothing(key, entry);
    const looked = { entry, standing };
    const seen = this.#byKey.get(key) ?? [];
    for (const earlier of seen) {
      // The other way round it mostly holds, and takes longer to find out.
      if (!ends(earlier, looked) || !ends(looked, earlier)) continue;
      const both = `${textOf(entry)} and ${textOf(earlier.entry)}`;
      this.#accuse("blind-write", `${name(key)}: ${both} cover each other`);
      break;
    }
    if (seen.push(looked) > SEEN_MAX) seen.shift();
    else if (seen.length === 1) this.#byKey.set(key, seen);
  }

  /** Looks at an entry without anything: the result of two such writes. */
  #lookAtNothing(key: string, { context }: Entry): void {
    if (context.isEmpty) return;
    this.#accuse("blind-write", `${name(key)}: nothing is left of ${context}, and no delete`);
  }
}

const textOf = ({ siblings }: Entry): string =>
  siblings.map(({ dot }) => `${dot.actor}.${dot.counter}`).join(" ");
