/**
 * The ring as a document: who the members are, and which of them are each partition's primaries.
 *
 * It is a value: a change makes a new one with the next version, and of two of the same version all
 * nodes choose the same, so that gossip in any order ends with one ring everywhere. While members
 * change, the document says so itself (see `ring-change`).
 */
import { assert, present } from "../core/assert.ts";
import { CodecError, checkNone, readOr } from "../core/check.ts";
import type { ReplicaId } from "../core/ids.ts";
import { oncePer } from "../core/once-per.ts";
import { type Assignment, assign } from "./assignment.ts";
import { asObject, quoted, strangerIn } from "./foreign-json.ts";
import { checkMembers, checkShape, type RingMember, type RingShape } from "./members.ts";
import { isSeed } from "./partition.ts";

/** Who the members are, and for each partition its `n` primaries, the favoured one first. */
export interface RingLayout {
  readonly members: readonly RingMember[];
  readonly assignment: Assignment;
}

/** A change of members that is being carried out. */
export interface RingChange {
  /** Of the proposal that a majority of the members accepted: of two changes the higher wins. */
  readonly ballot: number;
  /** null: the change was called off. */
  readonly to: RingLayout | null;
  /** `filling`: reads still come from the old owners. `settling`: they come from the new ones. */
  readonly phase: RingPhase;
  /**
   * Sorted. While filling: members that have all they are to own. While settling: members that read
   * from the new owners.
   */
  readonly acks: readonly ReplicaId[];
  /** Sorted: members that leave and are dead by the operator's word. Nobody waits for them. */
  readonly forced: readonly ReplicaId[];
}

export type RingPhase = "filling" | "settling";

export interface RingDocument extends RingShape, RingLayout {
  /** 1 as the cluster file bootstraps it, one more with each change that is over. */
  readonly version: number;
  readonly name: string;
  /** Of the keys' hash: unsigned 64 bits in decimal, derived from the cluster's secret. */
  readonly seed: string;
  /**
   * What one node's cluster file says and no majority has agreed to yet. A node that is to join has
   * a file with itself in it, which must not win over the ring that is in use.
   */
  readonly isProvisional?: true;
  readonly change?: RingChange;
}

/** An invalid ring document, in one line that says what is wrong. */
export class RingError extends CodecError {
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
  return { version: 1, name, seed, partitions, n, members, assignment, isProvisional: true };
}

/** The same ring once a majority of its members has it. */
export function agreedRing({ isProvisional: _, ...ring }: RingDocument): RingDocument {
  return ring;
}

const layoutText = ({ members, assignment }: RingLayout): unknown => [
  members.map(({ id, zone, url, weight, joined }) => [id, zone, url, weight, joined ?? 0]),
  assignment,
];

/** One text for one ring, whatever change it is in: equal texts, equal rings. */
const textOf = oncePer((ring: RingDocument): string =>
  JSON.stringify([ring.name, ring.seed, ring.partitions, ring.n, layoutText(ring)]),
);

/**
 * Above zero when `a` wins over `b`, 0 only when they are equal but for a change in progress. The
 * higher version wins; of two of one version, which only different cluster files make, the one that
 * a majority has agreed to, and else the one with the greater text.
 */
export function compareRings(a: RingDocument, b: RingDocument): number {
  assert(a.version >= 1 && b.version >= 1, "versions count from 1");
  if (a === b) return 0;
  if (a.version !== b.version) return a.version - b.version;
  const [x, y] = [textOf(a), textOf(b)];
  if (x === y) return 0;
  if (a.isProvisional !== b.isProvisional) return a.isProvisional === true ? -1 : 1;
  return x > y ? 1 : -1;
}

/**
 * Whether two documents are of one cluster. Name, seed and partitions say where every key lies:
 * they never change, and a document that differs in them would have keys looked for elsewhere.
 */
export const sameCluster = (a: RingDocument, b: RingDocument): boolean =>
  a.name === b.name && a.seed === b.seed && a.partitions === b.partitions;

const DOCUMENT_FIELDS = [
  ...["version", "name", "seed", "partitions", "n", "members", "assignment"],
  ...["isProvisional", "change"],
];
const CHANGE_FIELDS = ["ballot", "to", "phase", "acks", "forced"];

const isFirstThere = (id: unknown, at: number, row: readonly unknown[]): boolean =>
  row.indexOf(id) === at;

/** What is wrong with the rows of an assignment, or `null`. */
function checkAssignment(value: unknown, shape: RingShape, ids: ReadonlySet<unknown>) {
  if (!Array.isArray(value) || value.length !== shape.partitions) {
    return `"assignment" must have a row for each of the ${shape.partitions} partitions`;
  }
  for (const [partition, row] of (value as unknown[]).entries()) {
    const isRow = Array.isArray(row) && row.length === shape.n && row.every(isFirstThere);
    if (!isRow) return `assignment[${partition}] must name ${shape.n} distinct members`;
    const stranger = (row as unknown[]).find((id) => !ids.has(id));
    if (stranger !== undefined)
      return `assignment[${partition}] names ${quoted(stranger)}, no member`;
  }
  return null;
}

/** The layout that a part of a document stands for. @throws CodecError */
function checkLayout(value: unknown, shape: RingShape): RingLayout {
  const object = asObject(value);
  if (object === null) throw new CodecError("a layout must be an object");
  const members = checkMembers(object["members"], "document");
  const { assignment } = object;
  const ids = new Set(members.map(({ id }) => id));
  checkNone(checkShape(shape, members.length) ?? checkAssignment(assignment, shape, ids));
  return { members, assignment: assignment as Assignment };
}

function checkIds(value: unknown, name: string): readonly ReplicaId[] {
  const isList = Array.isArray(value) && value.every((id) => typeof id === "string");
  if (!isList) throw new CodecError(`change: "${name}" must be a list of ids`);
  const ids = value as readonly ReplicaId[];
  const isSorted = ids.every((id, i) => i === 0 || present(ids[i - 1]) < id);
  if (!isSorted) throw new CodecError(`change: "${name}" must be sorted, each id once`);
  return ids;
}

/** The change that a document says it is in. @throws CodecError */
function checkChange(value: unknown, shape: RingShape): RingChange {
  const object = asObject(value);
  if (object === null) throw new CodecError(`"change" must be an object`);
  const stranger = strangerIn(object, CHANGE_FIELDS);
  if (stranger !== null) throw new CodecError(`change: ${stranger}`);
  const { ballot, phase } = object;
  if (!Number.isSafeInteger(ballot) || (ballot as number) < 1) {
    throw new CodecError(`change: "ballot" must be a whole number from 1; it is ${quoted(ballot)}`);
  }
  if (phase !== "filling" && phase !== "settling")
    throw new CodecError(`change: "phase" is ${quoted(phase)}`);
  const inChange = (problem: string): Error => new CodecError(`change: ${problem}`);
  const layout = (): RingLayout => checkLayout(object["to"], shape);
  const to = object["to"] === null ? null : readOr(layout, inChange);
  const acks = checkIds(object["acks"], "acks");
  const forced = checkIds(object["forced"], "forced");
  return { ballot: ballot as number, to, phase, acks, forced };
}

/**
 * Reads a ring document that a peer or our own log handed over.
 *
 * @throws RingError
 */
export const parseRingDocument = (value: unknown): RingDocument =>
  readOr(
    () => checkRing(value),
    (problem) => new RingError(`ring document: ${problem}`),
  );

function checkRing(value: unknown): RingDocument {
  const refuse = (problem: string): never => {
    throw new CodecError(problem);
  };
  const object = asObject(value) ?? refuse("it must be an object");
  const { version, name, seed, isProvisional } = object;
  const stranger = strangerIn(object, DOCUMENT_FIELDS);
  if (stranger !== null) return refuse(stranger);
  if (!Number.isSafeInteger(version) || (version as number) < 1) {
    return refuse(`"version" must be a whole number from 1; it is ${quoted(version)}`);
  }
  if (!isRingName(name)) return refuse(`"name" must be a cluster's name; it is ${quoted(name)}`);
  if (typeof seed !== "string" || !isSeed(seed)) {
    return refuse(`"seed" must be 64 bits in decimal, as text`);
  }
  if (isProvisional !== undefined && isProvisional !== true) {
    return refuse(`"isProvisional" must be true or absent`);
  }
  const shape = { partitions: object["partitions"], n: object["n"] } as RingShape;
  const layout = checkLayout(object, shape);
  const change = object["change"] === undefined ? null : checkChange(object["change"], shape);
  const { partitions, n } = shape;
  const { members, assignment } = layout;
  assert(n <= members.length && assignment.length === partitions, "the checks were passed");
  const ring = { version: version as number, name, seed, partitions, n, members, assignment };
  return {
    ...ring,
    ...(isProvisional === true ? { isProvisional } : {}),
    ...(change === null ? {} : { change }),
  };
}
