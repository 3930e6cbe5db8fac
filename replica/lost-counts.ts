import type { StoreKey } from "../core/store.ts";
import type { Place } from "./keeper-parts.ts";

export type TreeOfKeys = Omit<Place, "leaf">;

const nameOf = ({ partition, n }: TreeOfKeys): string => `${partition}/${n}`;

/** How many of the keys belong to each tree. */
export function countsByTree(
  keys: Iterable<StoreKey>,
  placeOf: (key: StoreKey) => Place,
): (tree: TreeOfKeys) => number {
  const counts = new Map<string, number>();
  for (const key of keys) {
    const name = nameOf(placeOf(key));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return (tree) => counts.get(nameOf(tree)) ?? 0;
}
