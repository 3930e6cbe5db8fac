/**
 * A store is one replica's, and says whose. Its records tell what that replica has minted under
 * which actors: another one that went on from them would name other values by the same dots, and
 * equal dots mean equal values to everybody. So a store that was filled by another replica, or in
 * another cluster, is refused; one that has no name yet gets one.
 *
 * A copy of a replica's own store, on which the original may work on, is as dangerous and cannot be
 * told by its content. A host may therefore say where the store is: when it is found elsewhere, the
 * replica goes on from it under new actors, as after a stop that was not clean.
 */
import { CodecError } from "../../../core/check.ts";
import { decode, encode } from "../../../core/codec.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { Store } from "../../../core/store.ts";

export interface StoreOwner {
  readonly cluster: string;
  readonly replica: ReplicaId;
}

/** A store that another replica has filled. */
export class ForeignStore extends Error {
  override readonly name = "ForeignStore";
  readonly found: StoreOwner;

  constructor(found: StoreOwner, wanted: StoreOwner) {
    super(`the store is of ${nameOf(found)}, not of ${nameOf(wanted)}`);
    this.found = found;
  }
}

export const nameOf = ({ cluster, replica }: StoreOwner): string =>
  `replica ${replica} of cluster ${cluster}`;

const OWNER = "owner";

/**
 * Takes a store for a replica, and writes its name down in it.
 *
 * @param replica `place` is what stays the same while the store stays where it is, and is another
 *   for a copy of it; absent where a host knows nothing of that kind
 * @returns whether it is a copy: the original may go on elsewhere
 * @throws ForeignStore when it is another replica's; CodecError when its name is none
 */
export function claimStore(
  replica: { readonly id: ReplicaId; readonly store: Store; readonly place?: string },
  cluster: string,
): boolean {
  const { id, store, place = "" } = replica;
  const found = readOwner(store);
  if (found !== null && (found.replica !== id || found.cluster !== cluster)) {
    throw new ForeignStore(found, { cluster, replica: id });
  }
  const before = found?.place ?? "";
  if (found === null || before !== place) store.writeMeta(OWNER, encode([cluster, id, place]));
  return before !== "" && before !== place;
}

/** Whose a store is; null when nobody has claimed it. @throws CodecError */
export function readOwner(store: Store): (StoreOwner & { readonly place: string }) | null {
  const bytes = store.readMeta(OWNER);
  if (bytes === undefined) return null;
  const fields = decode(bytes);
  const isOwner =
    Array.isArray(fields) && fields.length === 3 && fields.every((f) => typeof f === "string");
  if (!isOwner) throw new CodecError("a store's owner is a cluster, a replica and a place");
  const [cluster, replica, place] = fields as [string, string, string];
  return { cluster, replica, place };
}
