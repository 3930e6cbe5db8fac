/** The number of a replica's life: it ends with any stop that was not clean. */
import { assert } from "../core/assert.ts";
import { decode, encode } from "../core/codec.ts";
import type { Store } from "../core/store.ts";
import type { KeeperParts } from "./keeper-parts.ts";

const INCARNATION = "incarnation";

/** Whether nothing says that there was a life before. */
export const isFirstLife = (store: Store): boolean => store.readMeta(INCARNATION) === undefined;

/** The number that goes on after a clean stop, or the next one, which is written down. */
export function beginIncarnation({
  store,
  prng,
  isCopy = false,
}: Pick<KeeperParts, "store" | "prng" | "isCopy">): number {
  const { recovery } = store;
  const stored = store.readMeta(INCARNATION);
  const previous = stored === undefined ? 0 : Number(decode(stored));
  if (recovery.clean && !isCopy && previous > 0) return previous;
  // Where records are missing, the last run's own number may be among them: a hole in its first
  // flush. It must not be given again, or this run would go on with what that run had minted.
  const next = recovery.corruptCount > 0 ? 2 ** 32 + prng.u32() : previous + 1;
  assert(Number.isSafeInteger(next), "an incarnation is a count");
  store.writeMeta(INCARNATION, encode(next));
  return next;
}
