/**
 * Watches what replicas send each other: no two entries of a key may each say that all of the
 * other is over, for joined they would leave nothing. Who knows that a version was covered knows
 * what covered it, or what covered that; so two such entries mean that of two writes each covers
 * the other. It is the one thing that writes without a context must not do.
 */
import type { CausalContext, Dot } from "../../core/causal-context.ts";
import { decodeEntry } from "../../core/entry-codec.ts";
import { name } from "./judge.ts";

interface Seen {
  readonly context: CausalContext;
  readonly alive: readonly Dot[];
}

/** Of one key: writes that meet are sent within moments. */
const SEEN_MAX = 24;

const isSame = (a: Dot, b: Dot): boolean => a.counter === b.counter && a.actor === b.actor;

/** Whether one says of every version of the other that it is over. */
const ends = ({ context, alive }: Seen, other: Seen): boolean =>
  other.alive.every((dot) => context.covers(dot) && !alive.some((own) => isSame(own, dot)));

export class Annihilation {
  readonly #accuse: (oracle: string, detail: string) => void;
  readonly #byKey = new Map<string, Seen[]>();
  readonly #looked = new WeakSet<Uint8Array>();

  constructor(accuse: (oracle: string, detail: string) => void) {
    this.#accuse = accuse;
  }

  /** @param bytes an entry that somebody is sent */
  observe(key: string, bytes: Uint8Array): void {
    if (this.#looked.has(bytes)) return;
    this.#looked.add(bytes);
    const { context, siblings } = decodeEntry(bytes).entry;
    const entry = { context, alive: siblings.map(({ dot }) => dot) };
    if (entry.alive.length === 0) return;
    const seen = this.#byKey.get(key) ?? [];
    const other = seen.find((earlier) => ends(entry, earlier) && ends(earlier, entry));
    if (other !== undefined) {
      const [a, b] = [entry, other].map(({ alive }) => alive.map(textOf).join(" "));
      this.#accuse("blind-write", `${name(key)}: ${a} and ${b} cover each other`);
    }
    this.#byKey.set(key, [...seen.slice(-SEEN_MAX), entry]);
  }
}

const textOf = ({ actor, counter }: Dot): string => `${actor}.${counter}`;
