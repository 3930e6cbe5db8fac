/** An operator who changes members through any node in the middle of a run. */
import type { Prng } from "../../core/prng.ts";
import type { RingMember } from "../../ring/members.ts";
import { leaversOf, openChange } from "../../ring/ring-change.ts";
import type { RingDocument } from "../../ring/ring-document.ts";

export const CHANGE_KINDS = ["join", "leave", "reweight", "replace", "abort"] as const;
/** `swap`: replaces two at once by two others, so that only one of three owners may be left. */
export type ChangeKind = (typeof CHANGE_KINDS)[number] | "swap";

/** What the operator sees when choosing the change. */
export interface Sight {
  /** As the node that is asked knows it. */
  readonly ring: RingDocument;
  /** All machines that there are, members or not. */
  readonly machines: readonly RingMember[];
  readonly prng: Prng;
}

type Change = Readonly<Record<string, unknown>>;

const WEIGHT_MAX = 4;

/** The body of a commit: it may be one that makes no sense by now, and is refused. */
export function changeOf(kind: ChangeKind, { ring, machines, prng }: Sight): Change {
  const pick = <T>(items: readonly T[]): T => items[prng.below(items.length)] as T;
  const two = <T>(items: readonly T[]): readonly T[] => {
    const from = prng.below(Math.max(1, items.length));
    return [...items.slice(from), ...items.slice(0, from)].slice(0, 2);
  };
  const some = <T>(items: readonly T[]): readonly T[] => two(items).slice(0, 1 + prng.below(2));
  const { id } = pick(ring.members);
  const outsiders = machines.filter((other) => !ring.members.some((m) => m.id === other.id));
  const joining = some(outsiders.length === 0 ? machines : outsiders);
  const going = some(ring.members).map((member) => member.id);
  const open = openChange(ring);
  const leaving = open === null ? [] : leaversOf(ring, open);
  switch (kind) {
    case "join":
      return { add: joining };
    case "leave":
      // Asked for once more, it says that a leaving member has died.
      return { remove: leaving.length > 0 && prng.chance(1, 2) ? [pick(leaving)] : going };
    case "reweight":
      return { reweight: { [id]: 1 + prng.below(WEIGHT_MAX) } };
    case "replace":
      if (prng.chance(1, 4)) return { remove: [id], add: [moved(ring.members, id)] };
      return { remove: going, add: joining };
    case "swap":
      return { remove: two(ring.members).map((member) => member.id), add: two(outsiders) };
    case "abort":
      return { abort: true };
  }
}

/** The same member at another address. */
function moved(members: readonly RingMember[], id: string): RingMember | undefined {
  const member = members.find((other) => other.id === id);
  if (member === undefined) return undefined;
  const { joined: _, ...rest } = member;
  return { ...rest, url: member.url.replace(":7", ":8") };
}
