/**
 * Watches what coordinators send to a key's owners: the first message with a new version is its
 * minting. An operation may be minted a second time, by a coordinator that cannot know better. But
 * a coordinator that has heard of a write which saw, and covered, the first version does know: a
 * dot minted over such a write would take it along, and one minted beside it would stand beside its
 * successor.
 *
 * And a dot names one write for ever: replicas take two of one name for the same, and never agree.
 */
import type { CausalContext, Dot } from "../../core/causal-context.ts";
import { type Content, type Entry, isOvertaken, type Sibling } from "../../core/entry.ts";
import type { OpId } from "../../core/ids.ts";
import { name } from "./judge.ts";

interface Minting {
  readonly op: OpId;
  readonly dot: Dot;
  /** What its coordinator had heard of, and which of those versions were alive. */
  readonly context: CausalContext;
  readonly alive: ReadonlySet<string>;
}

const nameOf = ({ actor, counter }: Dot): string => `${actor}.${counter}`;

export class Mintings {
  readonly #accuse: (oracle: string, detail: string) => void;
  readonly #onAgain: (content: Content) => void;
  readonly #byKey = new Map<string, Minting[]>();
  /** By dot, the operation that it is a version of. */
  readonly #known = new Map<string, OpId>();
  readonly #dots = new Map<OpId, Dot[]>();
  readonly #looked = new WeakSet<Entry>();

  /** @param onAgain told of a write that is minted once more, by whomever and however late */
  constructor(
    accuse: (oracle: string, detail: string) => void,
    onAgain: (content: Content) => void,
  ) {
    this.#accuse = accuse;
    this.#onAgain = onAgain;
  }

  /**
   * @param entry that somebody is told to store
   * @param isPurged whether a version is over, by the purges that the sender knows
   */
  observe(key: string, entry: Entry, isPurged: (sibling: Sibling) => boolean): void {
    if (this.#looked.has(entry)) return;
    this.#looked.add(entry);
    const { context, siblings } = entry;
    // Most entries have nothing new: what only a minting needs is made only for one.
    let alive: ReadonlySet<string> | null = null;
    for (const sibling of siblings) {
      // It was minted before it was overtaken.
      if (isOvertaken(sibling)) continue;
      const { op, dot } = sibling;
      const version = nameOf(dot);
      const before = this.#known.get(version);
      if (before !== undefined && before !== op) {
        this.#accuse("convergence", `${name(key)}: ${version} names both ${before} and ${op}`);
      }
      if (before !== undefined) continue;
      this.#known.set(version, op);
      if (isPurged(sibling)) {
        this.#accuse("purge", `${name(key)}: ${version} is minted below a purge that is known`);
      }
      if (this.#dots.has(op) && sibling.content !== null) this.#onAgain(sibling.content);
      alive ??= new Set(siblings.map((other) => nameOf(other.dot)));
      this.#minted(key, { op, dot, context, alive });
    }
  }

  #minted(key: string, minting: Minting): void {
    const { op, dot, context } = minting;
    const mintings = this.#byKey.get(key) ?? [];
    for (const first of this.#dots.get(op) ?? []) {
      const successor = mintings.find(
        (other) => other.op !== op && sawCovered(other, first) && context.covers(other.dot),
      );
      if (successor === undefined) continue;
      const what = `${name(key)}: ${op} is minted as ${nameOf(dot)} after ${nameOf(first)}`;
      this.#accuse("at-most-once", `${what}, by who knows of ${nameOf(successor.dot)} over it`);
    }
    this.#dots.set(op, [...(this.#dots.get(op) ?? []), dot]);
    if (mintings.push(minting) > MINTINGS_MAX) mintings.shift();
    this.#byKey.set(key, mintings);
  }
}

/** Of one key; an operation is repeated within moments. */
const MINTINGS_MAX = 512;

const sawCovered = ({ context, alive }: Minting, dot: Dot): boolean =>
  context.covers(dot) && !alive.has(nameOf(dot));
