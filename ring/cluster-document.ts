/**
 * What all nodes must agree on: the ring, and the settings of the namespaces. It is small,
 * versioned and travels whole: by gossip, and whenever two nodes that speak find that their stamps
 * differ.
 *
 * Merging is a join, so it needs no order and no leader: of two rings the winner of `joinedRings`,
 * of two settings of a namespace the higher revision (of equal ones the greater text).
 */
import { assert } from "../core/assert.ts";
import { CodecError, check, checkNone, jsonFrom, readOr } from "../core/check.ts";
import { decode, encode } from "../core/codec.ts";
import type { ReplicaId } from "../core/ids.ts";
import type { KeyedHash } from "../core/keyed-hash.ts";
import { isAnyNamespace } from "../core/keys.ts";
import {
  N_MAX,
  NAMESPACES_COUNT_MAX,
  ORIGINS_CHARS_MAX,
  TITLE_CHARS_MAX,
  TTL_SECONDS_MAX,
  VALUE_BYTES_MAX,
} from "../core/limits.ts";
import type { NamespaceSettings } from "../core/namespace-settings.ts";
import { oncePer } from "../core/once-per.ts";
import { mergePurges, noPurges, type Purges, parsePurges, plainPurges } from "../core/purges.ts";
import { QUORUM_WORDS, quorumNumber } from "../core/quorum-options.ts";
import { parseSite } from "../core/site.ts";
import { type Carried, carriedFrom, mergeCarried, noneCarried, plainCarried } from "./carried.ts";
import {
  acknowledgedRecord,
  advancedRecord,
  changedRecord,
  countedOf,
  emptied,
  joinedRecords,
  type NamespaceRecord,
  parseNamespaceChange,
  targetOf,
} from "./namespace-record.ts";
import { advanced, joinedRings } from "./ring-change.ts";
import { agreedRing, parseRingDocument, type RingDocument } from "./ring-document.ts";

export type { NamespaceRecord } from "./namespace-record.ts";

export interface ClusterDocument {
  readonly ring: RingDocument;
  readonly namespaces: ReadonlyMap<string, NamespaceRecord>;
  /** Absent where nothing was ever purged. */
  readonly purges?: Purges;
  /**
   * The key of digests and ETags, 128 bits in hexadecimal. It stays when the cluster's secret is
   * replaced, so a node that comes with an empty folder learns it here. Absent on Workers, whose
   * frontends have it from a secret, and while no node has told it yet.
   */
  readonly dataKey?: string;
  /** Absent where no newer version has said anything that this one does not know. */
  readonly carried?: Carried;
}

type Rest = Pick<ClusterDocument, "purges" | "dataKey" | "carried">;

/** Leaves out what is empty, so that the stamps of older documents stay what they were. */
const restOf = (purges: Purges, dataKey: string, carried: Carried): Rest => ({
  ...(purges.floor === 0 && purges.epochs.size === 0 ? {} : { purges }),
  ...(dataKey === "" ? {} : { dataKey }),
  ...(carried.size === 0 ? {} : { carried }),
});

const dataKeyIn = ({ dataKey }: ClusterDocument): string => dataKey ?? "";
const carriedIn = ({ carried }: ClusterDocument): Carried => carried ?? noneCarried;

export const purgesOf = ({ purges }: ClusterDocument): Purges => purges ?? noPurges;

const isScalar = (value: unknown): boolean => typeof value !== "object" || value === null;

/**
 * The members of a ring and who owns what: most of a document, and the same objects through all
 * steps of a change.
 */
const LASTING: ReadonlySet<string> = new Set(["members", "assignment"]);
const lastingText = oncePer((value: object) => canonical(value));

/** Text that is equal for equal values: members in order of their names. */
function canonical(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) {
    return value.every(isScalar) ? JSON.stringify(value) : `[${value.map(canonical).join(",")}]`;
  }
  let text = "";
  for (const name of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[name];
    const isLasting = LASTING.has(name) && typeof member === "object" && member !== null;
    const memberText = isLasting ? lastingText(member) : canonical(member);
    text += `${text === "" ? "" : ","}${JSON.stringify(name)}:${memberText}`;
  }
  return `{${text}}`;
}

function winner(a: NamespaceRecord, b: NamespaceRecord, ring: RingDocument): NamespaceRecord {
  if (a.revision !== b.revision) return a.revision > b.revision ? a : b;
  const [ours, theirs] = [canonical(a.settings), canonical(b.settings)];
  if (ours === theirs && a.change?.from === b.change?.from) return joinedRecords(a, b, ring);
  // Two operators at once: of the two results one wins. A change-over that is over has no `from`.
  if (ours !== theirs) return ours > theirs ? a : b;
  if (a.change === undefined || b.change === undefined) return joinedRecords(a, b, ring);
  return a.change.from > b.change.from ? a : b;
}

/** Every N that some namespace has, and the ring's own, for namespaces that nobody created. */
export const sizesOf = ({ ring, namespaces }: ClusterDocument): readonly number[] => [
  ...new Set([ring.n, ...[...namespaces.values()].map((record) => targetOf(record, ring))]),
];

/** The namespaces, without acknowledgements that were given for an older version of the ring. */
function filledBy(
  document: ClusterDocument,
  { version }: RingDocument,
): ClusterDocument["namespaces"] {
  if (document.ring.version === version || changingIn(document).length === 0) {
    return document.namespaces;
  }
  return new Map([...document.namespaces].map(([name, record]) => [name, emptied(record)]));
}

/**
 * By each N that requests count by, every N of the trees that those keys are in: a different one
 * while the N of their namespace changes and its new owners are not filled yet.
 */
export function treesByCount({
  ring,
  namespaces,
}: ClusterDocument): ReadonlyMap<number, readonly number[]> {
  const trees = new Map([[ring.n, new Set([ring.n])]]);
  for (const record of namespaces.values()) {
    const counted = countedOf(record, ring);
    trees.set(counted, (trees.get(counted) ?? new Set()).add(targetOf(record, ring)));
  }
  return new Map([...trees].map(([counted, sizes]) => [counted, [...sizes]]));
}

/**
 * The join of two documents of one cluster. A member that says it is filled for another N speaks of
 * what it owns by one version of the ring: said of an older version, it counts for nothing.
 */
export function mergeDocuments(a: ClusterDocument, b: ClusterDocument): ClusterDocument {
  const joined = joinedRings(a.ring, b.ring);
  const [ours, theirs] = [a, b].map((document) => filledBy(document, joined));
  const merged = new Map(ours);
  for (const [name, record] of theirs ?? []) {
    const mine = merged.get(name);
    merged.set(name, mine === undefined ? record : winner(mine, record, joined));
  }
  const counted = treesByCount({ ring: joined, namespaces: merged }).keys();
  const ring = advanced(joined, [...counted]);
  // The ring may have changed since the last acknowledgement, and no further one comes.
  const namespaces = new Map(filledBy({ ring: joined, namespaces: merged }, ring));
  for (const [name, record] of namespaces) namespaces.set(name, advancedRecord(record, ring));
  const purges = mergePurges(purgesOf(a), purgesOf(b));
  // Documents of one cluster have the same key; all the same, a join must not depend on order.
  const [, dataKey = ""] = [dataKeyIn(a), dataKeyIn(b)].sort();
  const carried = mergeCarried(carriedIn(a), carriedIn(b));
  return { ring, namespaces, ...restOf(purges, dataKey, carried) };
}

/** Whether a join gave back what was there: the very same, part by part. */
export function isStill(mine: ClusterDocument, merged: ClusterDocument): boolean {
  if (merged.ring !== mine.ring || purgesOf(merged) !== purgesOf(mine)) return false;
  if (dataKeyIn(merged) !== dataKeyIn(mine)) return false;
  if (carriedIn(merged) !== carriedIn(mine)) return false;
  if (merged.namespaces.size !== mine.namespaces.size) return false;
  for (const [name, record] of mine.namespaces) {
    if (merged.namespaces.get(name) !== record) return false;
  }
  return true;
}

/** Whether a namespace more would be one too many; deleted ones are remembered and count. */
export const isFullWithout = ({ namespaces }: ClusterDocument, name: string): boolean =>
  namespaces.size >= NAMESPACES_COUNT_MAX && !namespaces.has(name);

/** The namespaces whose N changes. */
export const changingIn = oncePer(
  ({ namespaces }: ClusterDocument): readonly (readonly [string, NamespaceRecord])[] =>
    [...namespaces].filter(([, { change }]) => change !== undefined),
);

/** The document in which a replica has said how far it is with the change of a namespace's N. */
export function acknowledgeNamespace(
  document: ClusterDocument,
  name: string,
  id: ReplicaId,
): ClusterDocument {
  const record = document.namespaces.get(name);
  assert(record !== undefined, "the namespace is known");
  const namespaces = new Map(document.namespaces);
  namespaces.set(name, acknowledgedRecord(record, id, document.ring));
  return { ...document, namespaces };
}

/**
 * The document with one namespace created, changed or deleted.
 *
 * @param isEmpty whether there is no value in it: then another N takes effect at once
 */
export function withNamespace(
  document: ClusterDocument,
  name: string,
  settings: NamespaceSettings | null,
  isEmpty = true,
): ClusterDocument {
  assert(isAnyNamespace(name), "the namespace was checked before");
  const namespaces = new Map(document.namespaces);
  const record = namespaces.get(name);
  namespaces.set(name, changedRecord(record, { settings, isEmpty }, document.ring));
  assert(namespaces.size <= NAMESPACES_COUNT_MAX, "the number of namespaces is bounded");
  return { ...document, namespaces };
}

const plain = (document: ClusterDocument): object => ({
  ...plainCarried(carriedIn(document)),
  ring: document.ring,
  namespaces: [...document.namespaces].sort(([a], [b]) => (a < b ? -1 : 1)),
  ...(document.purges === undefined ? {} : { purges: plainPurges(document.purges) }),
  ...(document.dataKey === undefined ? {} : { dataKey: document.dataKey }),
});

/**
 * Equal for equal documents: what nodes compare before they work together. It does not depend on
 * whether a majority has agreed to the first ring yet, nor on how far each member is with a change
 * of N: as long as the phase is the same, so are all answers.
 */
export function stampOf(document: ClusterDocument, hash: KeyedHash): number {
  const namespaces = new Map(document.namespaces);
  for (const [name, record] of changingIn(document)) {
    if (record.change === undefined) continue;
    namespaces.set(name, { ...record, change: { ...record.change, acks: [] } });
  }
  return hash.digest(
    canonical(plain({ ...document, namespaces, ring: agreedRing(document.ring) })),
  );
}

/** How many acknowledgements of changes of N there are: between equal stamps, more are news. */
export const namespaceAcksIn = (document: ClusterDocument): number =>
  changingIn(document).reduce((sum, [, { change }]) => sum + (change?.acks.length ?? 0), 0);

/**
 * The document as it travels and is stored; the bytes are not to be written to. It is sent as it is
 * again and again: with each gossip, and to whoever is behind.
 */
export const encodeDocument = oncePer(
  (document: ClusterDocument): Uint8Array => encode(JSON.stringify(plain(document))),
);

const isQuorumValue = (value: unknown, n: number): boolean =>
  QUORUM_WORDS.some((word) => word === value) ||
  (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= n);

const isCountUpTo = (value: unknown, least: number, most: number): boolean =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most;

const isText = (value: unknown): value is string => typeof value === "string";

const isTitle = (value: unknown): boolean =>
  isText(value) && value.isWellFormed() && value.trim() !== "" && value.length <= TITLE_CHARS_MAX;

/** What is wrong with the settings that are texts, and may be absent; null for nothing. */
function checkTexts({ title, corsOrigins, site }: Readonly<Record<string, unknown>>) {
  if (title !== undefined && !isTitle(title)) {
    return `"title" must be a text of 1 to ${TITLE_CHARS_MAX} characters.`;
  }
  const areOrigins = isText(corsOrigins) && corsOrigins !== "";
  if (corsOrigins !== undefined && !(areOrigins && corsOrigins.length <= ORIGINS_CHARS_MAX)) {
    return `"corsOrigins" must be origins, of ${ORIGINS_CHARS_MAX} characters at most.`;
  }
  const isSite = site === undefined || (isText(site) && parseSite(site) !== null);
  return isSite ? null : `"site" must be the settings of a site, as JSON.`;
}

/**
 * Checks settings that came from outside.
 *
 * @throws CodecError with one sentence that names the member and the mend
 */
export function checkSettings(value: unknown, memberCount: number): NamespaceSettings {
  if (typeof value !== "object" || value === null)
    throw new CodecError("Settings are a JSON object.");
  const s = value as Record<string, unknown>;
  const nMax = Math.min(N_MAX, memberCount);
  if (!isCountUpTo(s["n"], 1, nMax))
    throw new CodecError(`"n" must be a whole number from 1 to ${nMax}.`);
  const n = s["n"] as number;
  const words = QUORUM_WORDS.join(", ");
  for (const name of ["r", "w"]) {
    if (!isQuorumValue(s[name], n))
      throw new CodecError(`"${name}" must be 1 to ${n}, or one of ${words}.`);
  }
  if (s["dw"] !== 0 && !isQuorumValue(s["dw"], n))
    throw new CodecError(`"dw" must be 0 to ${n}, or ${words}.`);
  const ttl = s["ttl"];
  const ttlIsFine =
    ttl === null || (typeof ttl === "number" && ttl >= 0.001 && ttl <= TTL_SECONDS_MAX);
  if (!ttlIsFine)
    throw new CodecError(`"ttl" must be null or seconds from 0.001 to ${TTL_SECONDS_MAX}.`);
  if (!isCountUpTo(s["maxValueBytes"], 0, VALUE_BYTES_MAX)) {
    throw new CodecError(`"maxValueBytes" must be a whole number from 0 to ${VALUE_BYTES_MAX}.`);
  }
  if (s["maxBytes"] !== null && !isCountUpTo(s["maxBytes"], 1, Number.MAX_SAFE_INTEGER)) {
    throw new CodecError(`"maxBytes" must be null or a positive whole number.`);
  }
  if (typeof s["trustedContent"] !== "boolean")
    throw new CodecError(`"trustedContent" must be true or false.`);
  checkNone(checkTexts(s));
  return value as NamespaceSettings;
}

/**
 * What checked settings ask for that can never hold: one sentence, or null. It is apart from the
 * other checks, because documents that were agreed on before may have it, and requests resolve it
 * somehow.
 */
export function impossibleSettings({ n, w, dw }: NamespaceSettings): string | null {
  const writes = quorumNumber(w, n);
  // The default yields to a smaller "w".
  if (dw === "quorum" || quorumNumber(dw, n) <= writes) return null;
  return `"dw" is a part of "w": it must be at most ${writes}, or "quorum".`;
}

/**
 * Reads a document that a peer or our own log handed over.
 *
 * @throws CodecError when it is none
 */
export const decodeDocument = (bytes: Uint8Array): ClusterDocument =>
  readOr(
    () => parseDocument(decode(bytes)),
    (problem) => new CodecError(`not a cluster document: ${problem}`),
  );

/** Settings may have members that this version does not know, but none that nest. */
const areScalars = (settings: object): boolean => Object.values(settings).every(isScalar);

const DATA_KEY = /^(?:[0-9a-f]{32})?$/;

function parseDocument(text: unknown): ClusterDocument {
  check(typeof text === "string", "a cluster document is a text");
  const value = jsonFrom(text);
  check(typeof value === "object" && value !== null, "a cluster document is an object");
  const { ring, namespaces, purges, dataKey = "", ...unknown } = value as Record<string, unknown>;
  check(isText(dataKey) && DATA_KEY.test(dataKey), "the data key is 128 bits in hexadecimal");
  check(Array.isArray(namespaces), "a cluster document lists its namespaces");
  check(namespaces.length <= NAMESPACES_COUNT_MAX, "the number of namespaces is bounded");
  const records = new Map<string, NamespaceRecord>();
  for (const item of namespaces as unknown[]) {
    check(Array.isArray(item) && item.length === 2, "a namespace has a name and a record");
    const [name, given] = item as unknown[];
    check(typeof given === "object" && given !== null, "a namespace's record is an object");
    const record = given as NamespaceRecord;
    check(typeof name === "string" && isAnyNamespace(name), "a namespace's name");
    check(isCountUpTo(record.revision, 1, Number.MAX_SAFE_INTEGER), "a namespace's revision");
    const { revision, settings } = record;
    if (settings !== null) checkSettings(settings, N_MAX);
    check(areScalars(settings ?? {}), "a namespace's settings do not nest");
    const change = record.change === undefined ? null : parseNamespaceChange(record.change);
    records.set(name, { revision, settings, ...(change === null ? {} : { change }) });
  }
  const rest = restOf(parsePurges(purges), dataKey, carriedFrom(unknown, canonical));
  return { ring: parseRingDocument(ring), namespaces: records, ...rest };
}
