/**
 * The ring: a small versioned document, and a fast view of it.
 *
 * The document says who the members are and which of them are each partition's primaries. It is a
 * value: a change makes a new one with the next version, and of two of the same version all nodes
 * choose the same, so that gossip in any order ends with one ring everywhere.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { StoreKey } from "../core/store.ts";
import { type Assignment, assign } from "./assignment.ts";
import { asObject, quoted, strangerIn } from "./foreign-json.ts";
import { checkMembers, checkShape, type RingMember, type RingShape } from "./members.ts";
import { type HashPlace, isSeed, type KeyHasher, partitionOf, shiftOf } from "./partition.ts";
import { PreferenceLists } from "./preference-list.ts";

export type { RingMember } from "./members.ts";

export interface RingDocument extends RingShape {
  /** 1 as the cluster file bootstraps it, one more with each change. */
  readonly version: number;
  readonly name: string;
  /** Of the keys' hash: unsigned 64 bits in decimal, derived from the cluster's secret. */
  readonly seed: string;
  readonly members: readonly RingMember[];
  /** For each partition its `n` primaries, the favoured coordinator first. */
  readonly assignment: Assignment;
}

/** A ring document that is none, in one line that says what is wrong. */
export class RingError extends Error {
  override readonly name = "RingError";
}

/** What a cluster file, or a Worker's variables, say of the first ring. */
export interface RingConfig extends RingShape {
  readonly name: string;
  readonly members: readonly RingMember[];
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** A cluster's name: 1 to 64 letters, digits or `_ . -`. */
export const isRingName = (value: unknown): value is string =>
  typeof value === "string" && NAME.test(value);

/** Version 1: every node that starts from the same file makes the same one by itself. */
export function bootstrapRing(config: RingConfig, seed: string): RingDocument {
  const { name, partitions, n } = config;
  assert(isSeed(seed) && isRingName(name), "the seed and the name were checked before");
  assert(checkShape(config, config.members.length) === null, "the config was checked before");
  const members = [...config.members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const assignment = assign({ partitions, n, members });
  return { version: 1, name, seed, partitions, n, members, assignment };
}

/** One text for one document: equal texts, equal documents. */
const textOf = ({ name, seed, partitions, n, members, assignment }: RingDocument): string =>
  JSON.stringify([
    [name, seed, partitions, n],
    members.map(({ id, zone, url, weight }) => [id, zone, url, weight]),
    assignment,
  ]);

/**
 * Above zero when `a` wins over `b`, 0 only when they are equal. The higher version wins; of two
 * changes made at once, the one with the greater text, which no node can see otherwise.
 */
export function compareRings(a: RingDocument, b: RingDocument): number {
  assert(a.version >= 1 && b.version >= 1, "versions count from 1");
  if (a === b) return 0;
  if (a.version !== b.version) return a.version - b.version;
  const [x, y] = [textOf(a), textOf(b)];
  return x === y ? 0 : x > y ? 1 : -1;
}

const DOCUMENT_FIELDS = ["version", "name", "seed", "partitions", "n", "members", "assignment"];

/** What is wrong with the rows of an assignment, or `null`. */
function checkAssignment(value: unknown, shape: RingShape, ids: ReadonlySet<unknown>) {
  if (!Array.isArray(value) || value.length !== shape.partitions) {
    return `"assignment" must have a row for each of the ${shape.partitions} partitions`;
  }
  for (const [partition, row] of (value as unknown[]).entries()) {
    const isRow = Array.isArray(row) && row.length === shape.n && new Set(row).size === row.length;
    if (!isRow) return `assignment[${partition}] must name ${shape.n} distinct members`;
    const stranger = (row as unknown[]).find((id) => !ids.has(id));
    if (stranger !== undefined)
      return `assignment[${partition}] names ${quoted(stranger)}, no member`;
  }
  return null;
}

/**
 * Reads a ring document that a peer or the own log handed over.
 *
 * @throws RingError
 */
export function parseRingDocument(value: unknown): RingDocument {
  const refuse = (problem: string): never => {
    throw new RingError(`ring document: ${problem}`);
  };
  const object = asObject(value) ?? refuse("it must be an object");
  const { version, name, seed, assignment } = object;
  const stranger = strangerIn(object, DOCUMENT_FIELDS);
  if (stranger !== null) return refuse(stranger);
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    return refuse(`"version" must be a whole number from 1; it is ${quoted(version)}`);
  }
  if (!isRingName(name)) return refuse(`"name" must be a cluster's name; it is ${quoted(name)}`);
  if (typeof seed !== "string" || !isSeed(seed)) {
    return refuse(`"seed" must be 64 bits in decimal, as text`);
  }
  const members = checkMembers(object["members"]);
  if (typeof members === "string") return refuse(members);
  const shape = { partitions: object["partitions"], n: object["n"] } as RingShape;
  const problem =
    checkShape(shape, members.length) ??
    checkAssignment(assignment, shape, new Set(members.map(({ id }) => id)));
  if (problem !== null) return refuse(problem);
  const { partitions, n } = shape;
  const rows = assignment as Assignment;
  assert(n <= members.length && rows.length === partitions, "the checks above were passed");
  return { version: version as number, name, seed, partitions, n, members, assignment: rows };
}

/** What every request asks of a ring: a document with its look-ups made ready. */
export class Ring {
  readonly document: RingDocument;
  readonly memberIds: readonly ReplicaId[];
  readonly zones: readonly string[];
  readonly partitionCount: number;
  readonly #hasher: KeyHasher;
  readonly #at: HashPlace;
  readonly #members: ReadonlyMap<ReplicaId, RingMember>;
  readonly #lists: PreferenceLists;
  /** By N: how many partitions each member is a primary of. */
  readonly #owned = new Map<number, ReadonlyMap<ReplicaId, number>>();

  /** @param document checked before; nobody changes it from now on */
  constructor(document: RingDocument, hasher: KeyHasher) {
    assert(document.assignment.length === document.partitions, "every partition has its row");
    this.document = document;
    this.memberIds = document.members.map(({ id }) => id);
    this.zones = [...new Set(document.members.map(({ zone }) => zone))];
    this.partitionCount = document.partitions;
    this.#hasher = hasher;
    this.#at = { seed: BigInt(document.seed), shift: shiftOf(document.partitions) };
    this.#members = new Map(document.members.map((member) => [member.id, member]));
    this.#lists = new PreferenceLists(document.members, document.assignment);
  }

  partitionOf(key: StoreKey): number {
    return partitionOf(this.#hasher, key, this.#at);
  }

  /** All members, primaries first: frozen, the same array each time. */
  preferenceList(partition: number): readonly ReplicaId[] {
    return this.#lists.of(partition);
  }

  /** The first `n` of the preference list: all members where there are fewer. */
  primariesOf(partition: number, n: number): readonly ReplicaId[] {
    assert(Number.isInteger(n) && n >= 1, "a key has at least one primary");
    return this.#lists.of(partition).slice(0, n);
  }

  /** Of how many partitions a replica is one of the `n` primaries; 0 for a stranger. */
  partitionsOwnedCount(id: ReplicaId, n: number): number {
    let owned = this.#owned.get(n);
    if (owned === undefined) {
      const counts = new Map<ReplicaId, number>();
      for (let partition = 0; partition < this.partitionCount; partition++) {
        for (const owner of this.primariesOf(partition, n)) {
          counts.set(owner, (counts.get(owner) ?? 0) + 1);
        }
      }
      owned = counts;
      this.#owned.set(n, owned);
    }
    return owned.get(id) ?? 0;
  }

  member(id: ReplicaId): RingMember | undefined {
    return this.#members.get(id);
  }

  /** Empty for a stranger: no zone has that name. */
  zoneOf(id: ReplicaId): string {
    return this.#members.get(id)?.zone ?? "";
  }
}
