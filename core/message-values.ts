/**
 * The values inside of messages that have a shape of their own, each as it stands on the wire. What
 * was read here is checked: no reader further on has to look again.
 */

import type { Dot } from "./causal-context.ts";
import { check } from "./check.ts";
import { type DelayReport, reportFromList, reportToList } from "./delay-report.ts";
import type { Content, Sibling } from "./entry.ts";
import { cacheLifeFrom, siblingFrom, siblingToList } from "./entry-codec.ts";
import { FAILURE_CODES, type FailureCode } from "./failure.ts";
import { FAULT_KINDS, type Fault } from "./fault.ts";
import { isActorId, isOpId } from "./ids.ts";
import { isStoreKey } from "./keys.ts";
import {
  INNER_COUNT,
  LEAF_COUNT,
  LEAVES_PER_INNER,
  N_MAX,
  PARTITIONS_COUNT_MAX,
} from "./limits.ts";
import {
  below,
  both,
  bytes,
  type Codec,
  count,
  flag,
  flatPairsOf,
  integer,
  later,
  listOf,
  listOfExactly,
  number,
  optional,
  orEmpty,
  pair,
  placeIn,
  struct,
  text,
  textThat,
  wordOf,
} from "./message-fields.ts";
import type { QuorumRules } from "./quorum-options.ts";
import type { ReplicaStatus } from "./results.ts";
import type { Tally } from "./tally.ts";
import { type Hlc, WALL_MILLIS_MAX, type WallMillis } from "./time.ts";
import { ToldEntry } from "./told-entry.ts";
import { type TrafficTotals, trafficFromList, trafficToList } from "./traffic.ts";
import { isVersionText } from "./version.ts";

/** A key that a frontend could have written: any other is kept nowhere. */
export const key = textThat("a key that a frontend could have written", isStoreKey);
/** An operation that a frontend could have named: any other is not minted. */
export const op = textThat("an operation's name", isOpId);
export const digest = integer;

/** When a replica acknowledges a write: on receipt, when it is durable, or both times. */
export const ACKS = ["received", "durable", "both"] as const;
export type Ack = (typeof ACKS)[number];
export const ack = placeIn(ACKS);

/** Keys and what is held of them. */
export const entries = listOf(pair(key, bytes));
export const digests = flatPairsOf(key, digest);

/** A stored version: its dot, and when it was written. */
export interface Version {
  readonly dot: Dot;
  readonly time: Hlc;
}

/** `[actor, counter, time]`. */
export const version: Codec<Version> = {
  isPlain: false,
  encode: ({ dot, time }) => [dot.actor, dot.counter, time],
  decode(wire) {
    check(Array.isArray(wire) && wire.length >= 3, "a version has three parts");
    const [actor, counter, time] = wire as unknown[];
    check(typeof actor === "string" && isActorId(actor), "a dot's actor");
    return { dot: { actor, counter: positive(counter) }, time: count.decode(time) };
  },
};

function positive(wire: unknown): number {
  check(Number.isSafeInteger(wire) && (wire as number) >= 1, "a dot's counter");
  return wire as number;
}

const isTextOrNull = (value: unknown): value is string | null =>
  value === null || typeof value === "string";

/**
 * What a write stores; null, written as an empty list, for a delete. After the seven parts come two
 * more where the writer said something of caches.
 */
export const content: Codec<Content | null> = orEmpty({
  isPlain: false,
  encode({ value, contentType, contentEncoding, contentLanguage, ...more }: Content) {
    const { contentDisposition, metadata, tags, cacheLife } = more;
    const headers = [contentType, contentEncoding, contentLanguage, contentDisposition, metadata];
    const parts: unknown[] = [value, ...headers, tags];
    if (cacheLife !== undefined) parts.push(cacheLife.maxAge, cacheLife.sharedMaxAge);
    return parts;
  },
  decode(wire): Content {
    check(Array.isArray(wire) && wire.length >= 7, "content has seven parts, or nine");
    const parts = wire as unknown[];
    const [value, contentType, contentEncoding, contentLanguage, contentDisposition] = parts;
    const [, , , , , metadata, tags] = parts;
    check(value instanceof Uint8Array && typeof contentType === "string", "a value and its type");
    check(isTextOrNull(contentEncoding) && isTextOrNull(contentLanguage), "headers are texts");
    check(isTextOrNull(contentDisposition) && isTextOrNull(metadata), "headers are texts");
    const life = cacheLifeFrom(parts, 7);
    check(life !== null, "a cache's life is two counts");
    const headers = { contentType, contentEncoding, contentLanguage, contentDisposition };
    return { value, ...headers, metadata, tags: texts.decode(tags), ...life };
  },
});

export const texts = listOf(text);

export const sibling: Codec<Sibling> = {
  isPlain: false,
  encode: siblingToList,
  decode: siblingFrom,
};

/** The rules that a write's coordinator goes by: all but a read's bound of staleness. */
export type WriteRules = Omit<QuorumRules, "maxStaleMs" | "staleW">;

export const rules: Codec<WriteRules> = both(
  struct({
    n: integer,
    r: integer,
    w: integer,
    pr: integer,
    pw: integer,
    dw: integer,
    zones: integer,
    timeoutMs: integer,
  }),
  struct({
    sloppy: flag,
    notfoundOk: flag,
    basicQuorum: flag,
    returnBody: flag,
    strict: flag,
    local: flag,
  }),
);

export const tally: Codec<Tally> = struct({
  n: integer,
  required: integer,
  answered: integer,
  primaries: integer,
  fallbacks: integer,
  durable: integer,
});

/** All that is known of a newer version's code is that the outcome is unknown. */
export const failureCode: Codec<FailureCode> = {
  isPlain: true,
  encode: (code) => code,
  decode(wire) {
    const said = text.decode(wire);
    return FAILURE_CODES.find((code) => code === said) ?? "quorum-unavailable";
  },
};

/** The numbers of a failure; null where one does not apply. */
export const failureNumbers = struct({
  required: optional(number),
  achieved: optional(number),
  limit: later(optional(number), null),
});

const PER_MILLE = 1000;

export const fault: Codec<Fault | null> = orEmpty(
  struct({
    kind: wordOf(FAULT_KINDS),
    delayMs: count,
    sharePerMille: below(PER_MILLE + 1),
    until: count,
  }),
);

/** How old a replica's knowledge of each member is, as far as it can tell; see core/messages.ts. */
export interface Ages {
  /** Of the cluster document by which the members are counted. */
  readonly stamp: number;
  /** Of each member in order, in ms; null: nothing is known of it. */
  readonly ms: readonly (number | null)[];
}

const agesMs = listOf(optional(number));

/** `[stamp, ms, ms, …]`. */
export const ages: Codec<Ages | null> = orEmpty({
  isPlain: false,
  encode: ({ stamp, ms }: Ages) => [stamp, ...ms],
  decode(wire): Ages {
    const [stamp, ...ms] = Array.isArray(wire) ? (wire as unknown[]) : [];
    return { stamp: count.decode(stamp), ms: agesMs.decode(ms) };
  },
});

/** How far a replica's order of arrival has come. */
export interface Arrived {
  /** The name of its order. */
  readonly run: number;
  /** Nothing has arrived after this position. */
  readonly last: number;
}

/** null: nobody can follow it, for now or because it is of an older version. */
export const arrived: Codec<Arrived | null> = orEmpty(struct({ run: integer, last: integer }));

const treeName = { partition: below(PARTITIONS_COUNT_MAX), n: below(N_MAX + 1) };
const sum = integer;

/** Trees of an exchange, and what is asked or said of each (antientropy/exchange.ts). */
export const roots = listOf(struct({ ...treeName, root: sum }));
export const rootsThatDiffer = listOf(
  struct({ ...treeName, inner: listOfExactly(INNER_COUNT, sum), unread: integer }),
);
export const innerNodes = listOf(
  struct({ ...treeName, inner: listOf(below(INNER_COUNT), INNER_COUNT) }),
);
export const leafSums = listOf(
  struct({
    ...treeName,
    nodes: listOf(pair(below(INNER_COUNT), listOfExactly(LEAVES_PER_INNER, sum)), INNER_COUNT),
  }),
);
const leaves = listOf(below(LEAF_COUNT), LEAF_COUNT);
export const treeLeaves = listOf(struct({ ...treeName, leaves }));
export const leafDigests = listOf(struct({ ...treeName, leaves, digests }));

/** What exchanges with all peers came to, together. */
export const exchangeTotals = struct({
  exchanges: count,
  treesCompared: count,
  treesDiffering: count,
  keysSent: count,
  keysReceived: count,
  byteCount: count,
});
export type ExchangeTotals = ReturnType<(typeof exchangeTotals)["decode"]>;

const toldEntry: Codec<ToldEntry> = {
  isPlain: false,
  encode: (told) => told.bytes,
  decode: (wire) => ToldEntry.fromBytes(bytes.decode(wire)),
};

/**
 * Keys that changed, with the entry; null where the key was forgotten because its time was over.
 */
export const changes = listOf(struct({ key, partition: integer, entry: optional(toldEntry) }));

/** Places in the orders of members. */
export const places = listOf(struct({ id: text, run: count, through: count }));

export const delays: Codec<DelayReport> = {
  isPlain: false,
  encode: reportToList,
  decode(wire) {
    check(Array.isArray(wire), "a report of delays is a list");
    return reportFromList(wire as unknown[]);
  },
};

/** Never is 0 on the wire; a time that no date can show is read as never. */
const timeOrNever: Codec<WallMillis | null> = {
  isPlain: false,
  encode: (value) => value ?? 0,
  decode(wire) {
    const time = number.decode(wire);
    return time > 0 && time <= WALL_MILLIS_MAX ? time : null;
  },
};

/** null: the program does not say it, or says something that must not be shown. */
const programVersion: Codec<string | null> = {
  isPlain: false,
  encode: (value) => value ?? "",
  decode(wire) {
    const said = text.decode(wire);
    return isVersionText(said) ? said : null;
  },
};

const scrubPass = struct({ at: number, records: number, damaged: number, mended: number });
const times = listOf(pair(text, number));

/** null: the program counts otherwise, or not at all. */
const traffic: Codec<TrafficTotals | null> = {
  isPlain: false,
  encode: (value) => (value === null ? null : trafficToList(value)),
  decode: trafficFromList,
};

/** What a replica says of itself. */
export const status: Codec<ReplicaStatus> = struct({
  keyCount: number,
  byteCount: number,
  hintsHeld: times,
  lastAntiEntropy: times,
  transfer: optional(
    struct({
      partitionsTotal: number,
      partitionsDone: number,
      keyCount: number,
      byteCount: number,
    }),
  ),
  duplicates: times,
  deadKeyCount: later(number, 0),
  deadByteCount: later(number, 0),
  version: later(programVersion, null),
  startedAt: later(timeOrNever, null),
  oldestHintAt: later(timeOrNever, null),
  scrub: later(optional(struct({ last: optional(scrubPass), running: optional(scrubPass) })), null),
  traffic: later(traffic, null),
});
