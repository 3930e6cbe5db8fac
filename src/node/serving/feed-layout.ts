/** Which replica a feed reads for each partition. */

import type { ReplicaId } from "../../../core/ids.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { oncePer } from "../../../core/once-per.ts";
import type { Ring } from "../../../ring/ring.ts";

/** No partition is without an owner: this stands for one that no source owns. */
const NOBODY = -1;
/** For how many lists of sources a ring remembers how partitions are shared out: some KB each. */
const SHARINGS_COUNT_MAX = 64;

/** Names who owns what by this ring, of keys with `n` owners: an integer of 53 bits. */
export function layoutOf(ring: Ring, n: number, hash: KeyedHash): number {
  const known = digestsOf(ring);
  let digest = known.get(n);
  if (digest === undefined) {
    let text = "feed";
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      text += `|${ring.primariesOf(partition, n).join(" ")}`;
    }
    digest = hash.digest(text);
    known.set(n, digest);
  }
  return digest;
}

const digestsOf = oncePer((_: Ring) => new Map<number, number>());

/** How the partitions are shared out among sources. */
export interface Sharing {
  /**
   * For each partition the place in the list of sources of the first that owns it, or -1. A source
   * that is added at the end takes none from those that were there before.
   */
  readonly shares: Int16Array;
  /** By member, the sources other than itself that tell of partitions which it owns. */
  readonly tellers: ReadonlyMap<ReplicaId, ReadonlySet<ReplicaId>>;
}

export function sharingOf(ring: Ring, n: number, sources: readonly ReplicaId[]): Sharing {
  const known = sharingsOf(ring);
  const name = `${n} ${sources.join(" ")}`;
  let sharing = known.get(name);
  if (sharing === undefined) {
    if (known.size >= SHARINGS_COUNT_MAX) known.clear();
    sharing = share(ring, n, sources);
    known.set(name, sharing);
  }
  return sharing;
}

const sharingsOf = oncePer((_: Ring) => new Map<string, Sharing>());

function share(ring: Ring, n: number, sources: readonly ReplicaId[]): Sharing {
  const shares = new Int16Array(ring.partitionCount);
  const tellers = new Map(ring.memberIds.map((id) => [id, new Set<ReplicaId>()]));
  for (let partition = 0; partition < shares.length; partition++) {
    const owners = ring.primariesOf(partition, n);
    const place = sources.findIndex((id) => owners.includes(id));
    shares[partition] = place;
    const source = sources[place];
    if (source === undefined) continue;
    for (const owner of owners) if (owner !== source) tellers.get(owner)?.add(source);
  }
  return { shares, tellers };
}

export const hasNobody = ({ shares }: Sharing): boolean => shares.includes(NOBODY);

/** The partitions of one of the sources, in order. */
export function partitionsOf({ shares }: Sharing, source: number): readonly number[] {
  const partitions: number[] = [];
  for (const [partition, share] of shares.entries())
    if (share === source) partitions.push(partition);
  return partitions;
}
