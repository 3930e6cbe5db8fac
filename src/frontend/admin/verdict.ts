/**
 * What the state of a cluster means, in words: whether reads and writes are safe, how many copies
 * of how many partitions can be reached, and what to do.
 */
import type { ShownScrub } from "./scrub-plane.ts";

/** The parts of `GET /v1/cluster` that are looked at. */
export interface ClusterBody {
  readonly name: string;
  readonly ringVersion: number;
  readonly partitions: number;
  /** The program's. */
  readonly version?: string;
  readonly defaults: { readonly n: number; readonly r: Quorum; readonly w: Quorum };
  readonly members: readonly MemberBody[];
}

type Quorum = number | string;

export interface MemberBody {
  readonly id: string;
  readonly zone: string;
  readonly url: string;
  readonly state: string;
  readonly reachable: boolean;
  readonly partitionsOwned: number;
  readonly keys: number | null;
  readonly bytes: number | null;
  readonly deadKeys?: number | null;
  readonly hintsHeld: Readonly<Record<string, number>>;
  readonly duplicateSeenAt?: string | null;
  readonly version?: string | null;
  /** It and the frontend that was asked refuse each other, because of their versions. */
  readonly incompatible?: boolean;
  /** When its process began. */
  readonly startedAt?: string | null;
  /** Since when it does not answer. */
  readonly unreachableSince?: string | null;
  /** When the oldest hint that it holds was written. */
  readonly oldestHintAt?: string | null;
  /** The last time that it read all of its records for rot; null where the platform does. */
  readonly scrub?: ShownScrub | null;
}

/** `GET /v1/cluster/ring`. */
export interface RingBody {
  readonly version: number;
  readonly partitions: number;
  readonly members: readonly {
    readonly id: string;
    readonly zone: string;
    readonly weight: number;
  }[];
  readonly assignment: readonly (readonly string[])[];
}

export interface Verdict {
  readonly level: "safe" | "degraded" | "unsafe";
  readonly text: string;
}

/** Replies or acknowledgements that a default stands for. */
function needed(quorum: Quorum, n: number): number {
  if (typeof quorum === "number") return quorum;
  return { one: 1, all: n }[quorum] ?? Math.floor(n / 2) + 1;
}

const list = (words: readonly string[]): string =>
  words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

const partitions = (count: number, of: number): string =>
  count === of ? `all ${of} partitions` : `${count} of ${of} partitions`;

/** By number of copies within reach, when not all are, how many partitions have that many. */
function shortages({ assignment }: RingBody, away: ReadonlySet<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const primaries of assignment) {
    const left = primaries.filter((id) => !away.has(id)).length;
    if (left === primaries.length) continue;
    const words = `${left} of ${primaries.length}`;
    counts.set(words, (counts.get(words) ?? 0) + 1);
  }
  return counts;
}

/** How many copies are left of the partitions with the fewest. */
const fewest = ({ assignment }: RingBody, away: ReadonlySet<string>): number =>
  Math.min(...assignment.map((primaries) => primaries.filter((id) => !away.has(id)).length));

const sinceOf = ({ id, unreachableSince = null }: MemberBody): string =>
  unreachableSince === null ? id : `${id} (since ${unreachableSince.replace(/\.\d+Z$/, "Z")})`;

/** The members whose versions keep them apart, in a sentence; empty when there are none. */
function apartOf({ members, version = "unknown" }: ClusterBody): string {
  const apart = members.filter(({ incompatible = false }) => incompatible);
  if (apart.length === 0) return "";
  const names = list(apart.map((one) => `${one.id} (starling ${one.version ?? "unknown"})`));
  const mend = "upgrade or roll back node by node, to versions next to each other";
  return ` The frontend asked (starling ${version}) and ${names} refuse each other: ${mend}.`;
}

/** One sentence on what is, one on what it means, one on what to do. */
export function verdictOf(cluster: ClusterBody, ring: RingBody): Verdict {
  const { members, defaults } = cluster;
  const twice = members.filter(({ duplicateSeenAt = null }) => duplicateSeenAt !== null);
  if (twice.length > 0) {
    const ids = list(twice.map(({ id }) => id));
    const text = `UNSAFE: two processes run as ${ids}. Stop the copy: see docs/operations.md.`;
    return { level: "unsafe", text };
  }
  const away = new Set(members.filter(({ reachable }) => !reachable).map(({ id }) => id));
  const hints = members.flatMap(({ hintsHeld }) => Object.values(hintsHeld));
  const waiting = hints.reduce((sum, count) => sum + count, 0);
  if (away.size === 0) {
    const all = `SAFE: all ${ring.partitions} partitions have all their copies within reach`;
    if (waiting === 0) return { level: "safe", text: `${all}; reads and writes are safe.` };
    const hints = waiting === 1 ? "1 hint is on its way" : `${waiting} hints are on their way`;
    const text = `${all}; ${hints} home. Nothing to do.`;
    return { level: "safe", text };
  }
  const gone = list(members.filter(({ id }) => away.has(id)).map(sinceOf));
  const counts = [...shortages(ring, away)].sort(([a], [b]) => (a < b ? -1 : 1));
  const down = counts.map(([words, count]) => {
    const what = partitions(count, ring.partitions);
    return `${what} ${count === 1 ? "is" : "are"} down to ${words} copies`;
  });
  const state = down.length === 0 ? "no partition has lost a copy" : list(down);
  const { n } = defaults;
  const left = fewest(ring, away);
  const wanted = Math.max(needed(defaults.r, n), needed(defaults.w, n));
  const stopped = members.filter(({ reachable, incompatible }) => !reachable && !incompatible);
  const mend =
    (stopped.length === 0
      ? ""
      : `Start ${list(stopped.map(({ id }) => id))} again, or replace what does not come back.`) +
    apartOf(cluster);
  if (left >= wanted) {
    const spare = left - wanted;
    const room =
      spare === 0
        ? "one more failure there and strict reads and writes fail"
        : `${spare} more may fail`;
    const text = `DEGRADED: ${gone} away; ${state}. Reads and writes are safe; ${room}. ${mend}`;
    return { level: "degraded", text };
  }
  const means = "strict reads and writes of those fail; default ones lean on stand-ins";
  const text = `UNSAFE: ${gone} away; ${state}: ${means}, and may miss what is stored. ${mend}`;
  return { level: "unsafe", text };
}
