/**
 * Read all, decide, write: how a key is changed without losing anybody's write.
 *
 * The write carries the context of all siblings that were read, so it replaces them and nothing
 * else. It also carries the condition that these are still the ones: best effort under concurrent
 * writers, but when it fails nothing was written, and the round begins anew with what is there now.
 * A writer that slips through makes a sibling, which the next update is given and resolves.
 */
import { checkOptions, checkTextOrBytes } from "./arguments.ts";
import type { PutOptions, Siblings, WriteOptions, Written } from "./call-types.ts";
import { StarlingError } from "./error.ts";
import type { Operations } from "./operations.ts";
import type { Transport } from "./transport.ts";
import type { Version } from "./version.ts";

/** What a key shall be: a value, with what is stored beside it; null: nothing; undefined: as is. */
export type Change =
  | string
  | Uint8Array<ArrayBuffer>
  | (Pick<PutOptions, "ttl" | "metadata" | "contentType" | "contentEncoding" | "tags"> & {
      readonly value: string | Uint8Array<ArrayBuffer>;
    })
  | null
  | undefined;

/**
 * Given the siblings, the newest first: none when there is no value, more than one when writers did
 * not know of each other. It may be called several times, and must not keep count of that.
 */
export type Decide = (versions: readonly Version[]) => Change | Promise<Change>;

export interface UpdateOptions extends Omit<WriteOptions, "ifMatch" | "ifNoneMatch" | "context"> {
  /** Rounds, at most. Default 8. */
  readonly roundsMax?: number;
}

const ROUNDS_MAX = 8;
const CONFLICTS: ReadonlySet<string> = new Set(["precondition-failed", "too-many-siblings"]);

function write(
  operations: Operations,
  { key, change, seen, options }: WriteParts,
): Promise<Written> {
  const { context, etag } = seen;
  const { repeatable: _, ...rest } = options;
  const condition = etag === null ? { ifNoneMatch: "*" } : { ifMatch: etag };
  const base = { ...rest, ...condition, context };
  if (change === null) return operations.delete(key, base);
  if (typeof change === "string" || change instanceof Uint8Array) {
    return operations.put(key, change, base);
  }
  checkOptions("change", change);
  const { value, ...stored } = change;
  return operations.put(key, checkTextOrBytes(value), { ...stored, ...base });
}

interface WriteParts {
  readonly key: string;
  readonly change: Exclude<Change, undefined>;
  readonly seen: Siblings;
  readonly options: UpdateOptions;
}

/** Whether another round may begin after a write that failed. */
function isConflict(error: unknown, options: UpdateOptions): boolean {
  if (!(error instanceof StarlingError)) return false;
  if (CONFLICTS.has(error.code) && error.outcome === "no") return true;
  return error.outcome === "unknown" && options.repeatable === true;
}

/** @throws StarlingError that of the last round, or of a write whose outcome is in doubt */
export async function update(
  on: { readonly operations: Operations; readonly transport: Transport },
  { key, decide, options }: { key: string; decide: Decide; options: UpdateOptions },
): Promise<Written | null> {
  checkOptions("update", options);
  const { roundsMax = ROUNDS_MAX, ...rest } = options;
  const { repeatable: _, ...reading } = rest;
  for (let round = 1; ; round++) {
    const seen = await on.operations.siblings(key, reading);
    const change = await decide(seen.versions);
    if (change === undefined) return null;
    try {
      return await write(on.operations, { key, change, seen, options: rest });
    } catch (error) {
      if (round >= roundsMax || !isConflict(error, options)) throw error;
    }
    await on.transport.pauseBeforeRound(round, options.signal);
  }
}
