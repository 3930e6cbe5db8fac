/**
 * The one door by which values come out of the store into this process. What they take up is
 * counted, together with all other bodies at work, before they are read, as far as it is known. A
 * read that would be too much waits, and is told to come again. No route can go past it: a backend
 * reads for nobody else (tests/tidy sees to it).
 *
 * For keys that this process owns, it is known how much a read is going to hold. For others it is
 * assumed to be as much as the largest recent value of the namespace: the first of a hundred reads
 * of large values gives the rest away.
 *
 * A read of a key that another one already waits to read shares that read and its room. It begins
 * after both have come, so each of them sees whatever was acknowledged before. So a hundred reads
 * of one large key become two: the first, and one for all that came while that was at work.
 */
import { present } from "../../../core/assert.ts";
import { valueBytes } from "../../../core/entry.ts";
import { namespaceOf } from "../../../core/keys.ts";
import type { GetOperation } from "../../../core/operations.ts";
import type { ResultOf } from "../../../core/results.ts";
import type { StoreKey } from "../../../core/store.ts";
import { AT_ONCE_MAX } from "../http/at-once.ts";
import { bodyRoom, SMALL_BYTES } from "../http/body-room.ts";
import { executeRead } from "./auto-choice.ts";
import type { Backend } from "./backend.ts";
import { inTurn, LARGE_READ_BYTES } from "./large-work.ts";

/** By how much a namespace's largest value counts less with each read that finds a smaller one. */
const FADING = 0.8;
const NAMESPACES_MAX = 1024;
/** How much the reads of one request may hold beside what they keep. */
const AT_ONCE_BYTES = 8 * 1024 * 1024;

const lately = new Map<string, number>();

function learn(key: StoreKey, byteCount: number): void {
  // Nothing large was seen before, nor is now: the case of most reads.
  if (byteCount <= SMALL_BYTES && lately.size === 0) return;
  const namespace = namespaceOf(key);
  const faded = (lately.get(namespace) ?? 0) * FADING;
  if (lately.size >= NAMESPACES_MAX && !lately.has(namespace)) lately.clear();
  const most = Math.max(byteCount, faded);
  if (most > SMALL_BYTES) lately.set(namespace, most);
  else lately.delete(namespace);
}

const expected = (backend: Backend, key: StoreKey): number =>
  backend.weigh?.(key) || Math.ceil(lately.get(namespaceOf(key)) ?? 0);

export interface Reader {
  readonly backend: Backend;
  /** The object that its room is taken under: its maker releases it when the answer is out. */
  readonly holder: object;
  readonly trace: string;
}

/** A read that waits for its room. */
interface WaitingRead {
  readonly backend: Backend;
  readonly options: GetOperation["options"];
  /** The object that its room is taken under, for all that share it. */
  readonly holder: object;
  readonly result: Promise<ResultOf<"get">>;
}

const waiting = new Map<StoreKey, WaitingRead[]>();

function forget(key: StoreKey, holder: object): void {
  const left = (waiting.get(key) ?? []).filter((read) => read.holder !== holder);
  if (left.length > 0) waiting.set(key, left);
  else waiting.delete(key);
}

async function readWhenRoom(
  reader: Reader,
  operation: GetOperation,
  weight: number,
): Promise<ResultOf<"get">> {
  try {
    await bodyRoom.reserve(reader.holder, weight);
  } finally {
    forget(operation.key, reader.holder);
  }
  return readWith(reader, operation, weight);
}

/** Reads of a session wait for what it has seen, and are not shared. */
function readShared(
  { backend, holder, trace }: Reader,
  operation: GetOperation,
  weight: number,
): Promise<ResultOf<"get">> {
  const { key, options } = operation;
  const all = waiting.get(key) ?? [];
  const known = all.find((read) => read.backend === backend && read.options === options);
  if (known !== undefined) {
    bodyRoom.share(holder, known.holder);
    return known.result;
  }
  const read = { backend, options, holder: {} };
  bodyRoom.share(holder, read.holder);
  const result = readWhenRoom({ backend, holder: read.holder, trace }, operation, weight);
  // No read overtakes those that wait: if any waits, this one does too.
  if (bodyRoom.waitingCount > 0) waiting.set(key, [...all, { ...read, result }]);
  return result;
}

const readInTurn = (
  { backend, trace }: Pick<Reader, "backend" | "trace">,
  operation: GetOperation,
  byteCount: number,
): Promise<ResultOf<"get">> => {
  const { timeoutMs } = operation.options;
  return inTurn(backend, { byteCount, timeoutMs }, () => executeRead(backend, operation, trace));
};

/** @param room what was reserved for this read; null: it has still to be */
function readWith(
  reader: Reader,
  operation: GetOperation,
  room: number | null,
): Promise<ResultOf<"get">> {
  const weight = room ?? expected(reader.backend, operation.key);
  if (room !== null || weight <= SMALL_BYTES) return readWeighed(reader, operation, weight);
  if (operation.session === null) return readShared(reader, operation, weight);
  const reserved = bodyRoom.reserve(reader.holder, weight);
  return reserved.then(() => readWeighed(reader, operation, weight));
}

function readWeighed(
  { backend, holder, trace }: Reader,
  operation: GetOperation,
  weight: number,
): Promise<ResultOf<"get">> {
  const reading =
    weight <= LARGE_READ_BYTES
      ? executeRead(backend, operation, trace)
      : readInTurn({ backend, trace }, operation, weight);
  return reading.then((result) => {
    const byteCount = result.kind === "got" ? valueBytes(result.entry.siblings) : 0;
    learn(operation.key, byteCount);
    const surplus = byteCount - weight;
    // The size of what came from elsewhere was not known before; it is here now, so others wait.
    if (surplus > SMALL_BYTES) bodyRoom.add(holder, surplus);
    if (surplus < -SMALL_BYTES) bodyRoom.giveBack(holder, -surplus);
    return result;
  });
}

/** Reads one key. @throws Problem `overloaded` when there is no room for so long */
export const readInRoom = (reader: Reader, operation: GetOperation): Promise<ResultOf<"get">> =>
  readWith(reader, operation, null);

/** Many keys for one answer: room is taken once for all, since two halves could wait for ever. */
export class ReadRoom {
  readonly #reader: Reader;
  readonly #room = new Map<StoreKey, number>();
  #most = 0;

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /**
   * @param keys all that will be read, each as often as it is
   * @param byteCountMax how much the answer may hold
   * @throws Problem `overloaded`
   */
  async reserve(keys: readonly StoreKey[], byteCountMax: number): Promise<void> {
    const { backend, holder } = this.#reader;
    const weights = keys.map((key) => expected(backend, key));
    const sum = weights.reduce((a, b) => a + b, 0);
    this.#most = weights.reduce((a, b) => Math.max(a, b), 0);
    const isCounted = sum > SMALL_BYTES;
    // Only one of several siblings is kept, but each entry is read as a whole.
    const share = isCounted ? Math.min(1, Math.max(byteCountMax, this.#most) / sum) : 0;
    for (const [i, key] of keys.entries()) this.#room.set(key, present(weights[i]) * share);
    if (isCounted) await bodyRoom.reserve(holder, sum * share);
  }

  /** How many to read at the same time: an entry may be much more than is kept of it. */
  get atOnce(): number {
    const count = this.#most === 0 ? AT_ONCE_MAX : Math.floor(AT_ONCE_BYTES / this.#most);
    return Math.min(AT_ONCE_MAX, Math.max(1, count));
  }

  read(operation: GetOperation): Promise<ResultOf<"get">> {
    return readWith(this.#reader, operation, this.#room.get(operation.key) ?? null);
  }
}
