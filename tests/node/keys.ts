/** Keys that lie where a test wants them. */
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { StoreKey } from "../../core/store.ts";
import type { Ring } from "../../ring/ring.ts";

/** The name of the first key in `demo` whose first three owners are such. */
export function nameWhere(ring: Ring, isSuch: (owners: readonly ReplicaId[]) => boolean): string {
  for (let i = 0; ; i++) {
    const name = `key${i}`;
    if (isSuch(ring.primariesOf(ring.partitionOf(storeKey("demo", name)), 3))) return name;
  }
}

export const keyWhere = (...where: Parameters<typeof nameWhere>): StoreKey =>
  storeKey("demo", nameWhere(...where));
