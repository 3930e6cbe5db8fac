/** Which replica a feed reads for each partition. */

import type { ReplicaId } from "../../../core/ids.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { oncePer } from "../../../core/once-per.ts";
import type { Ring } from "../../../ring/ring.ts";

/** No partition is without an owner: this stands for one that no source owns. */
const NOBODY = -1;

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

/**
 * For each partition the place in a list of sources of the first that owns it, or -1. A source that
 * is added at the end takes none from those that were there before.
 */
export function sharesOf(ring: Ring, n: number, sources: readonly ReplicaId[]): Int16Array {
  const shares = new Int16Array(ring.partitionCount);
  for (let partition = 0; partition < shares.length; partition++) {
    const owners = ring.primariesOf(partition, n);
    shares[partition] = sources.findIndex((id) => owners.includes(id));
  }
  return shares;
}

export const hasNobody = (shares: Int16Array): boolean => shares.includes(NOBODY);

/** The partitions of one of the sources, in order. */
export function partitionsOf(shares: Int16Array, source: number): readonly number[] {
  const partitions: number[] = [];
  for (const [partition, share] of shares.entries())
    if (share === source) partitions.push(partition);
  return partitions;
}
