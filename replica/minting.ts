/** What a replica is asked to mint, and what comes of it. */
import { assert } from "../core/assert.ts";
import type { CausalContext } from "../core/causal-context.ts";
import {
  applyMint,
  type Content,
  type Entry,
  heldBy,
  type Mint,
  noteAliases,
  noteDots,
  overtake,
  type Sibling,
  sameDot,
  valueBytes,
} from "../core/entry.ts";
import { encodeEntryToKeep, encodeMinted, type Tenure } from "../core/entry-codec.ts";
import { EVICTED, withoutEnded } from "../core/expiry.ts";
import type { OpId, ReplicaId } from "../core/ids.ts";
import { TIMEOUT_MS_MAX } from "../core/limits.ts";
import type { Mintings } from "../core/mintings.ts";
import type { Bytes } from "../core/pieces.ts";
import type { StoreKey } from "../core/store.ts";
import { type Hlc, hlcFromMillis, type WallMillis } from "../core/time.ts";
import type { Beside } from "./beside.ts";
import type { DoneOperations } from "./done-operations.ts";

/**
 * How long, and how many, of its own mintings a replica remembers with the key: a frontend gives up
 * after a minute at most, and ten times that leaves room for what was on its way.
 */
const MINTED_TIME_MAX = hlcFromMillis(10 * TIMEOUT_MS_MAX);
const MINTED_COUNT_MAX = 32;

/** Which of them are kept beside one of this time. */
const mintedBounds = (time: Hlc) =>
  ({ before: time - MINTED_TIME_MAX, countMax: MINTED_COUNT_MAX }) as const;

export interface MintRequest {
  readonly key: StoreKey;
  readonly op: OpId;
  readonly content: Content | null;
  readonly ttlMs: number;
  /** What it replaces; null for all that is held. */
  readonly covers: CausalContext | null;
  /** What it overtakes, without its client having seen that; absent: nothing. */
  readonly overtakes?: readonly Beside[];
  readonly isRetry: boolean;
  /** It makes room: what is left of the key is dead at once. */
  readonly isEviction?: boolean;
  /** How many bytes of values beside it have it go alone; absent: it does not. */
  readonly aloneFrom?: number;
  /** The primary that the coordinator stands in for; null when it is one itself. */
  readonly hintFor: ReplicaId | null;
}

/** A write that is held here, and has to be brought to its other owners. */
export interface HeldWrite {
  /** What was held before. */
  readonly before: Entry;
  readonly entry: Entry;
  readonly sibling: Sibling;
  /** As the other owners get it: without the tenure, which is nothing to them. */
  readonly sharedBytes: Bytes;
  /** The write without what is beside it, where that is much; absent: it goes as a whole. */
  readonly aloneBytes?: Bytes;
}

export interface Minted extends HeldWrite {
  readonly tenure: Tenure;
  /** As the record is to be stored. */
  readonly bytes: Bytes;
}

/** The entry with further dots, known here, of operations that were minted twice. */
export function withAliases(
  entry: Entry,
  operations: DoneOperations,
  mintings: () => Mintings | undefined,
): Entry {
  if (entry.retries.length === 0) return entry;
  const retried = new Set(entry.retries.map(({ op }) => op));
  const minted = mintings()?.ofOperations(retried) ?? [];
  return noteAliases(entry, [...minted, ...operations.dotsOf(entry.retries)]);
}

/**
 * The part of an entry that a write has brought about: its version, and what that covers (the
 * deltas of Almeida et al., "Delta State Replicated Data Types", 2018). What a client has seen is
 * not closed: it may name a version, and not the one beside it that has replaced that. So only a
 * replica that has all of the entry with this part may take it in (src/node/serving/alone.ts).
 */
function partOf(entry: Entry, { sibling: { dot }, covers }: Mint): Entry {
  const siblings = entry.siblings.filter((one) => sameDot(one.dot, dot));
  return { ...entry, context: covers.with(dot), siblings };
}

/** How many bytes the values beside a version take. */
const besideBytes = ({ siblings }: Entry, { dot }: Sibling): number =>
  siblings.length < 2 ? 0 : valueBytes(siblings.filter((one) => !sameDot(one.dot, dot)));

/** What the entry that is held would be after the write, and its bytes; nothing is stored yet. */
export function mintOver(
  held: Entry,
  by: {
    readonly request: MintRequest;
    /** Under which the version gets its dot. */
    readonly tenure: Tenure;
    readonly time: Hlc;
    readonly operations: DoneOperations;
  },
  now: WallMillis,
): Minted {
  const { request, tenure, time, operations } = by;
  const { op, content, ttlMs, isEviction = false } = request;
  const dot = { actor: tenure.actor, counter: held.context.latest(tenure.actor) + 1 };
  const endsAt = ttlMs === 0 || content === null ? 0 : now + ttlMs;
  const expiresAt = isEviction ? EVICTED : endsAt;
  const sibling: Sibling = { dot, time, op, expiresAt, content };
  const known = request.covers ?? heldBy(held, time - MINTED_TIME_MAX);
  const doubtful = operations.doubtfulIn(held.siblings, known);
  // A write without a context overtakes these, and does not cover them: another coordinator may
  // meet the two the other way round, and where each covers the other nothing is left.
  const passed = request.covers === null ? doubtful : [];
  const covers = passed.length === 0 ? known : known.withoutAll(passed.map(({ dot }) => dot));
  const overtaken = [...(request.overtakes ?? []), ...passed];
  // Without a context the write covers what is held here, which may include its own first version.
  // Taken for a retry it would count as overwritten by itself, and be gone. So it is a new write.
  const isRetry = request.isRetry && request.covers !== null;
  const mint = { sibling, covers, isRetry };
  const applied = overtake(applyMint(held, mint), overtaken);
  const added = { minting: { op, dot, time }, bounds: mintedBounds(time) };
  const notes = passed.length > 0 ? [] : doubtful.map(({ op, dot }) => ({ op, dot }));
  const all = withAliases(noteDots(applied, notes), operations, () =>
    tenure.minted.withBriefly(added.minting, added.bounds),
  );
  const entry = withoutEnded(all, now);
  assert(entry.context.covers(dot), "what was minted has been seen");
  const encoded = encodeMinted(entry, tenure, added);
  const goesAlone = besideBytes(entry, sibling) >= (request.aloneFrom ?? Infinity);
  const alone = goesAlone ? { aloneBytes: encodeEntryToKeep(partOf(entry, mint), null) } : {};
  const { bytes, sharedBytes, tenure: grown } = encoded;
  return { before: held, entry, sibling, sharedBytes, bytes, tenure: grown, ...alone };
}
