/**
 * A body of each kind of message, and several of kinds that can say a thing in more than one way.
 */
import { CausalContext } from "../../core/causal-context.ts";
import type { Content, Sibling } from "../../core/entry.ts";
import type { WriteRules } from "../../core/message-values.ts";
import type { Reply, ReplyOf, Request, RequestOf } from "../../core/messages.ts";
import type { ReplicaStatus } from "../../core/results.ts";
import { ToldEntry } from "../../core/told-entry.ts";

const context = CausalContext.empty.with({ actor: "AAAAAAAA", counter: 7 });
const bytes = new Uint8Array([1, 2, 3]);
const key = "demo\0é😀\0";
const DAY = 1_767_225_600_000;

const plain: Content = {
  value: bytes,
  contentType: "text/plain",
  contentEncoding: null,
  contentLanguage: "de",
  contentDisposition: null,
  metadata: "{}",
  tags: ["a", "b"],
};
const cached: Content = {
  ...plain,
  ...{ contentEncoding: "gzip", contentLanguage: null, metadata: null, tags: [] },
  cacheLife: { maxAge: 60, sharedMaxAge: 0 },
};
const dot = { actor: "AAAAAAAA", counter: 7 };
const sibling: Sibling = {
  ...{ dot, time: 2 ** 50, op: "op00000001", expiresAt: DAY, content: cached },
};
/** Three owners, of which two have to answer. */
export const RULES: WriteRules = {
  ...{ n: 3, r: 2, w: 2, pr: 0, pw: 0, dw: 2, zones: 0, timeoutMs: 2000 },
  ...{ sloppy: true, notfoundOk: true, basicQuorum: false },
  ...{ returnBody: false, strict: false, local: false },
};

const rules = { ...RULES, pw: 1, local: true };
const tally = { n: 3, required: 2, answered: 3, primaries: 2, fallbacks: 1, durable: 2 };
const sums = (last: number): readonly number[] => [...new Array<number>(15).fill(0), last];

const coordinate: RequestOf<"coordinate"> = {
  kind: "coordinate",
  key,
  op: "op00000001",
  isRetry: false,
  ageMs: 0,
  content: plain,
  ttlMs: 1500,
  covers: context,
  freshUntil: 2 ** 52,
  ifMatch: ['"tag"'],
  ifNoneMatch: ["*"],
  unmodifiedSince: DAY,
  rules,
  zone: "z1",
  askedAt: 2 ** 52,
  freshMs: 150,
  asked: ["r2", "r3"],
};
const { asked, ...coordinateFirst } = coordinate;
const { askedAt, freshMs, ...coordinateBefore } = coordinateFirst;

/** In the order of the table. The compiler sees to it that no kind is left out. */
const changesBefore: RequestOf<"changes"> = {
  ...{ kind: "changes", namespace: "n", prefix: "p/", layout: 2 ** 52, sources: ["r1", "r2"] },
  ...{ start: 0, run: 7, after: 2 ** 40, ended: 3, until: 0, values: true },
  ...{ limit: 1000, byteCountMax: 1e6, holdMs: 2000, feed: "f" },
};
const storedWithBefore: ReplyOf<"storedWith"> = {
  ...{ kind: "storedWith", durable: true, isBehind: true },
  beside: [{ dot: { actor: "AAAAAAAA", counter: 3 }, time: 7 }],
};

const changedBefore: ReplyOf<"changed"> = {
  ...{ kind: "changed", run: 7, after: 2 ** 40, ended: 3, until: 0, isGone: false },
  isAtEnd: true,
  items: [
    { key: "n\0k", partition: 3, entry: ToldEntry.fromBytes(bytes) },
    { key: "n\0gone", partition: 4, entry: null },
  ],
};

export const requests: {
  readonly [Kind in Exclude<Request["kind"], "unknown">]: RequestOf<Kind>;
} = {
  ping: { kind: "ping" },
  read: { kind: "read", key, digestOnly: true, durably: false, isBounded: true },
  store: { kind: "store", key, entry: bytes, hintFor: null, ack: "both", tells: false },
  coordinate,
  inspect: { kind: "inspect", key },
  status: { kind: "status" },
  document: { kind: "document", document: bytes },
  deliver: {
    kind: "deliver",
    items: [
      [key, bytes],
      ["n\0k", new Uint8Array()],
    ],
  },
  roots: {
    kind: "roots",
    trees: [
      { partition: 3, n: 2, root: 2 ** 52 },
      { partition: 255, n: 3, root: 0 },
    ],
  },
  leaves: {
    kind: "leaves",
    trees: [
      { partition: 3, n: 2, inner: [0, 7] },
      { partition: 4, n: 3, inner: [] },
    ],
  },
  leafKeys: { kind: "leafKeys", trees: [{ partition: 3, n: 2, leaves: [0, 17] }] },
  fetch: { kind: "fetch", keys: [key], isJoined: true, after: 7 },
  exchange: { kind: "exchange" },
  handoff: { kind: "handoff" },
  confirm: {
    kind: "confirm",
    keys: [
      [key, 9],
      ["n\0k", 2 ** 53 - 1],
    ],
  },
  collect: { kind: "collect", keys: [] },
  keys: { kind: "keys", namespace: "demo", prefix: "a", after: "", limit: 1000 },
  fault: {
    kind: "fault",
    isChange: true,
    fault: { kind: "slow", delayMs: 100, sharePerMille: 0, until: DAY },
  },
  clock: { kind: "clock" },
  swept: { kind: "swept", through: 7 },
  promise: { kind: "promise", version: 3, ballot: 2 ** 52 },
  accept: { kind: "accept", ballot: 2 ** 52, document: bytes },
  touched: { kind: "touched", keys: [key] },
  greet: { kind: "greet", from: "r1", run: "0mbx3k2l9-1a2b3c", echo: "0mbx3k2l8-9z.7", life: 7 },
  recall: { kind: "recall", key, op: "op00000001", ageMs: 300, by: "r1" },
  homing: { kind: "homing", target: "r2" },
  acceptLoss: { kind: "acceptLoss" },
  lease: { kind: "lease", key, holder: "f1", ms: 3000, act: 0 },
  namespaces: { kind: "namespaces", after: "demo", limit: 1000 },
  changes: { ...changesBefore, dueThrough: 9 },
  merge: {
    ...{ kind: "merge", key, entry: bytes, zone: "a" },
    rules: { ...rules, sloppy: false, strict: true },
  },
  scrub: { kind: "scrub" },
  arrivals: { kind: "arrivals", from: "r1", run: 7, after: 3, isAnchor: false },
  probe: { kind: "probe", key: "n\0k", seen: context, at: 12 },
  delays: { kind: "delays" },
  storeAlone: { kind: "storeAlone", key, entry: bytes, digest: 2 ** 53 - 1, ack: "both" },
};

/** Under the names that their bytes have in tests/golden/messages. */
export const moreRequests: Readonly<Record<string, Request>> = {
  "changes as before": changesBefore,
  "read as before": { kind: "read", key, digestOnly: true, durably: false },
  "store for another, once durable": {
    ...{ kind: "store", key, entry: bytes, hintFor: "r2", ack: "durable", tells: true },
  },
  "store at once": {
    kind: "store",
    key,
    entry: bytes,
    hintFor: null,
    ack: "received",
    tells: true,
  },
  "coordinate as before": coordinateBefore,
  "greet as before": { ...{ kind: "greet", from: "r1", run: "r", echo: "e" } },
  "coordinate a delete": {
    ...coordinateFirst,
    ...{ content: null, covers: null, ifMatch: [], ifNoneMatch: [], unmodifiedSince: 0 },
  },
  "coordinate a response": { ...coordinateFirst, content: cached },
  "coordinate, the first": coordinateFirst,
  "fetch as before": { kind: "fetch", keys: [key, "n\0k"] },
  "fault, no more": { kind: "fault", isChange: true, fault: null },
};

const quiet: ReplicaStatus = {
  keyCount: 9,
  byteCount: 4096,
  hintsHeld: [["r2", 3]],
  lastAntiEntropy: [["r3", DAY]],
  transfer: null,
  duplicates: [["r4", DAY + 1]],
  deadKeyCount: 2,
  deadByteCount: 64,
  version: "0.3.0",
  startedAt: DAY - 100_000,
  oldestHintAt: null,
  scrub: null,
  traffic: null,
};

const { traffic: _, ...quietBefore } = quiet;

/** In the order of the table. */
export const replies: { readonly [Kind in Reply["kind"]]: ReplyOf<Kind> } = {
  pong: { kind: "pong" },
  held: {
    ...{ kind: "held", digest: 2 ** 53 - 1, entry: bytes, isUnknown: false },
    ages: { stamp: 7, ms: [0, null, 1500] },
  },
  stored: { kind: "stored", durable: true },
  coordinated: { kind: "coordinated", created: true, sibling, context, siblingCount: 2, tally },
  failed: {
    ...{ kind: "failed", code: "overloaded", detail: "why", context },
    numbers: { required: 2, achieved: 1, limit: null },
  },
  inspected: {
    kind: "inspected",
    entry: null,
    hints: [
      ["r2", bytes],
      ["r3", null],
    ],
  },
  report: {
    kind: "report",
    status: {
      ...quiet,
      transfer: { partitionsTotal: 7, partitionsDone: 3, keyCount: 100, byteCount: 5000 },
      scrub: {
        last: { at: DAY - 200_000, records: 9, damaged: 1, mended: 1 },
        running: { at: DAY - 100_000, records: 4, damaged: 0, mended: 0 },
      },
      traffic: { reads: 90, writes: 30, failed: 2, repairs: 1, counts: sums(118).slice(1) },
    },
  },
  documented: { kind: "documented", document: bytes },
  listed: {
    kind: "listed",
    entries: [
      ["a", bytes],
      ["é", bytes],
    ],
    complete: false,
  },
  stale: { kind: "stale", document: bytes },
  rootsDiffer: {
    kind: "rootsDiffer",
    trees: [{ partition: 3, n: 2, inner: sums(2 ** 52), unread: 1 }],
  },
  leafSums: { kind: "leafSums", trees: [{ partition: 3, n: 2, nodes: [[7, sums(3)]] }] },
  keyDigests: {
    kind: "keyDigests",
    trees: [{ partition: 3, n: 2, leaves: [0, 17], digests: requests.confirm.keys }],
  },
  fetched: { kind: "fetched", items: [[key, bytes]], moved: ["r2"], gone: [key], run: 7 },
  exchanged: {
    kind: "exchanged",
    totals: {
      ...{ exchanges: 1, treesCompared: 2, treesDiffering: 3 },
      ...{ keysSent: 4, keysReceived: 5, byteCount: 6 },
    },
  },
  confirmed: { kind: "confirmed", objections: [0, 7] },
  collected: { kind: "collected" },
  handedOff: { kind: "handedOff", delivered: 3, pending: 0 },
  refused: { kind: "refused", code: "insufficient-storage" },
  faulted: { kind: "faulted", fault: null },
  clocked: { kind: "clocked", time: 7 },
  swept: { kind: "swept", done: true },
  promised: { kind: "promised", isGiven: true, document: bytes },
  touched: { kind: "touched", keys: [key] },
  overdue: { kind: "overdue", context, freshUntil: 7, askedAt: 9, freshMs: 30 },
  greeted: {
    ...{ kind: "greeted", run: "0mbx3k2l9-1a2b3c", mark: "0mbx3k2l9-1a2b3c.8", rival: "" },
    wall: 7,
    arrived: { run: 3, last: 7 },
    life: 2 ** 40,
  },
  recalled: {
    ...{ kind: "recalled", isUnknown: false, entry: bytes },
    done: { dot: { actor: "AAAAAAAA", counter: 3 }, time: 7 },
  },
  storedWith: { ...storedWithBefore, covered: context, isOver: false, wasThere: true },
  accepted: { kind: "accepted", partitionCount: 3, waitedFor: ["r1"] },
  leased: { kind: "leased", state: 1, time: 7 },
  named: { kind: "named", names: ["demo"], complete: true, byteCounts: [7] },
  changed: { ...changedBefore, marks: [{ id: "r2", run: 7, through: 2 ** 40 }], due: 5 },
  merged: { kind: "merged", wasKnown: true },
  scrubbed: { kind: "scrubbed", checks: true, records: 9, damaged: 2, mended: 1 },
  arrived: {
    ...{ kind: "arrived", run: 7, through: 9, isAtEnd: true, moved: ["r2"] },
    keys: [
      [key, 1],
      ["n\0k", 2],
    ],
  },
  probed: { kind: "probed", results: [true, false], cameAt: 5, readAt: 7, leftAt: 9 },
  delayed: {
    kind: "delayed",
    report: {
      hedgeMs: 12.5,
      peers: new Map([["r2", { reads: [1, 2.25], stores: [] }]]),
      canaries: [{ reader: "r2", w: 1, t: 5, counts: [3, 2], seen: [1, 2] }],
      lagsMs: new Map([["r3", 40]]),
    },
  },
  lacking: { kind: "lacking" },
};

/** Under the names that their bytes have in tests/golden/messages. */
export const moreReplies: Readonly<Record<string, Reply>> = {
  "changed as before": changedBefore,
  "storedWith as before": storedWithBefore,
  "storedWith, with what is over": { ...storedWithBefore, covered: context },
  "held as before": { kind: "held", digest: 0, entry: null, isUnknown: true },
  "coordinated, a delete": {
    ...{ kind: "coordinated", created: false, context, siblingCount: 0, tally },
    sibling: { ...sibling, content: null, expiresAt: 0 },
  },
  "failed at a limit": {
    ...{ kind: "failed", code: "too-many-siblings", detail: "why", context: null },
    numbers: { required: null, achieved: null, limit: 50 },
  },
  "report of a quiet one": { kind: "report", status: quiet },
  "report as before": { kind: "report", status: quietBefore as ReplicaStatus },
  "report before its first scrub": {
    kind: "report",
    status: { ...quiet, scrub: { last: null, running: null } },
  },
  "overdue as before": { kind: "overdue", context, freshUntil: 7 },
  "greeted as before": { kind: "greeted", run: "a", mark: "a.8", rival: "", wall: 7 },
  "fetched as before": { kind: "fetched", items: [] },
  "fetched with what moved alone": { kind: "fetched", items: [[key, bytes]], moved: ["r2"] },
  "faulted, lossy": {
    kind: "faulted",
    fault: { kind: "lossy", delayMs: 0, sharePerMille: 250, until: DAY },
  },
  "greeted, followed by nobody": {
    ...{ kind: "greeted", run: "a", mark: "a.8", rival: "", wall: 7, arrived: null, life: 0 },
  },
  "recalled, not met": { kind: "recalled", done: null, isUnknown: true, entry: null },
  "named as before": { kind: "named", names: ["demo"], complete: true },
};
