/**
 * Everything that nodes say to each other: one union, defined once as a table.
 *
 * The table below gives each message its fields and their kinds, down to the items of lists; types,
 * encoder and decoder follow from it (`message-fields.ts` says how they stand on the wire,
 * `message-values.ts` has those with a shape of their own). Every message is idempotent: it
 * may be lost, repeated, delayed, reordered.
 *
 * Versions that live together (see `version.ts`) read each other's messages. What is added to the
 * table is added behind: a field with `later`, a kind with its protocol in `SINCE`. It goes to no
 * peer that is known not to know it. Where peers do not say what they know, a request of an unknown
 * kind comes in as `unknown` and is refused, an answer of one counts as a refusal, and the
 * connection goes on. A message with any part that is not as the table says is refused as a whole.
 */
import { CausalContext } from "./causal-context.ts";
import { check } from "./check.ts";
import { decode, encode, encodeInPieces } from "./codec.ts";
import {
  type BodyOf,
  byKind,
  bytes,
  context,
  count,
  decodeBody,
  encodeBody,
  type Fields,
  flag,
  isCount,
  later,
  layoutsOf,
  listOf,
  longBytes,
  optional,
  orEmpty,
  pair,
  text,
  textOrNone,
} from "./message-fields.ts";
import {
  ack,
  ages,
  arrived,
  changes,
  content,
  delays,
  digests,
  entries,
  exchangeTotals,
  failureCode,
  failureNumbers,
  fault,
  innerNodes,
  key,
  leafDigests,
  leafSums,
  op,
  places,
  roots,
  rootsThatDiffer,
  rules,
  sibling,
  status,
  tally,
  texts,
  treeLeaves,
  version,
} from "./message-values.ts";
import { PROTOCOL_FIRST } from "./version.ts";

/**
 * Requests. `store` with `ack` "both" is answered twice, and so is `storeAlone`.
 * `read` with `durably` is answered when all that the answer tells is on stable storage. With
 * `isBounded` the answer says how old the callee's knowledge of each member is. `promise` and
 * `accept` are the two rounds by which a change of members is agreed. `greet` is a heartbeat: the
 * sender, the name of its process's life, the callee's last mark, and the time of that life.
 * `touched` asks which of the keys were read lately, and is told so once. `homing` asks for the
 * hints that the callee keeps for a replica that is back: they are sent at once, and the reply says
 * how many are left. `acceptLoss` has a replica stop waiting for those it cannot reach, and serve
 * what it has. `coordinate` carries the write and the numbers to reach. `ageMs` is how long ago its
 * client began it. `askedAt` is the time of the callee's life at which it was asked, or an earlier
 * one, and 0 where the caller does not know that life; for `freshMs` from then on nobody else is
 * asked. `freshUntil` says the same by wall clocks. After that the callee mints only what nobody
 * has stored, and a write without a context or a condition only once the caller has heard `overdue`
 * (replica/lateness.ts). `asked` names those who may have minted a strict write, or may yet: the
 * callee needs the word of each that it has not and will not. `unmodifiedSince` is 0 where there is
 * no such condition. `lease` asks for the right to fetch a key from its origin, or gives it back
 * (src/node/serving/leases.ts).
 * `namespaces` asks for the namespaces that the callee holds a value of, in order, after the one
 * that it names. `changes` asks a feed's source for what arrived there after a position, of the
 * partitions that are its own by the list of sources; `start` is 0 to go on, 1 to learn the present
 * position, 2 to begin with all that lives, 3 to go on where another source was left: then, of the
 * keys that replicas forget by themselves, those that ended after `dueThrough` are told. With
 * `holdMs` it is answered when there is something, or after that time. `merge` has the callee join
 * an entry into its own and bring it to the other owners. `scrub` has all records read; where the
 * platform does that itself, `checks` is false. `arrivals` asks a replica that is followed what
 * arrived there after a position and concerns the asker, `from`; with `isAnchor` only what an
 * exchange does not bring. `fetch` with `isJoined` asks for entries joined with what the callee
 * keeps of them for others, and for the members that it gave hints to which stood after a position.
 * `probe` has a frontend read a canary at that microsecond of its own time, or later, and tell for
 * each r whether a read with that r sees the version; `delays` asks how long its peers took, and
 * what canaries have found (src/node/jobs/canaries.ts). `recall` asks whether a version of an
 * operation was stored; its sender, `by`, is about to mint. `storeAlone` is `store` of a part of an
 * entry, for a replica that holds the rest: the digest is that of all of it.
 */
const REQUESTS = {
  ping: {},
  read: { key, digestOnly: flag, durably: flag, isBounded: later(flag, false) },
  store: { key, entry: longBytes, hintFor: textOrNone, ack, tells: flag },
  coordinate: {
    key,
    op,
    isRetry: flag,
    ageMs: count,
    content,
    ttlMs: count,
    covers: optional(context),
    freshUntil: count,
    ifMatch: texts,
    ifNoneMatch: texts,
    unmodifiedSince: count,
    rules,
    zone: text,
    askedAt: later(count, 0),
    freshMs: later(count, 0),
    asked: later(texts, []),
  },
  inspect: { key },
  status: {},
  document: { document: bytes },
  deliver: { items: entries },
  roots: { trees: roots },
  leaves: { trees: innerNodes },
  leafKeys: { trees: treeLeaves },
  fetch: { keys: listOf(key), isJoined: later(flag, false), after: later(count, 0) },
  exchange: {},
  handoff: {},
  confirm: { keys: digests },
  collect: { keys: digests },
  keys: { namespace: text, prefix: text, after: text, limit: count },
  fault: { isChange: flag, fault },
  clock: {},
  swept: { through: count },
  promise: { version: count, ballot: count },
  accept: { ballot: count, document: bytes },
  touched: { keys: listOf(key) },
  greet: { from: text, run: text, echo: text, life: later(count, 0) },
  recall: { key, op, ageMs: count, by: text },
  homing: { target: text },
  acceptLoss: {},
  lease: { key, holder: text, ms: count, act: count },
  namespaces: { after: text, limit: count },
  changes: {
    namespace: text,
    prefix: text,
    layout: count,
    sources: texts,
    start: count,
    run: count,
    after: count,
    ended: count,
    until: count,
    values: flag,
    limit: count,
    byteCountMax: count,
    holdMs: count,
    feed: text,
    dueThrough: later(count, 0),
  },
  merge: { key, entry: bytes, rules, zone: text },
  scrub: {},
  arrivals: { from: text, run: count, after: count, isAnchor: flag },
  probe: { key, seen: context, at: count },
  delays: {},
  storeAlone: { key, entry: longBytes, digest: count, ack },
} as const satisfies Record<string, Fields>;

/**
 * Replies. `held`: the digest is 0 for "nothing"; `isUnknown` says that the replica may have lost
 * what it had; `ages`, where they were asked for, say of each member how many ms ago it had
 * acknowledged nothing that the callee does not know. `stale`: the caller's or the callee's cluster
 * document is behind; nothing was done. `greeted`: the callee's life, a mark, and another life of
 * the caller's that was proven, or ""; and what the callee's wall clock shows. `arrived` is how far
 * its order of arrival has come; null where nobody can follow it. `life` is the time of its life.
 * `confirmed`: the places, in the list that was asked about, of the keys that are not agreed on.
 * `overdue`: the callee does not know whether anybody still wants the write, and will cover nothing
 * before it does. A caller that still wants it asks again, with this to cover, and may be told
 * `overdue` repeatedly. `recalled`: `done` is the version that was stored, with what is held of the
 * key now; null when nothing was, or, with `isUnknown`, when that cannot be said. `storedWith` is
 * `stored` where there is more to say: that the replica may lack what it once had of the key, or,
 * when the write asked for that (`tells`), what it holds beside it. Then `covered` is all of the
 * key that is over there, or `isOver` says that the write itself is. `wasThere`: the write had come
 * before by another way, and it is not known which came first. `changed`: how far the feed is with
 * its source now, in which order; `isGone` when the place that it asked for is no longer valid, and
 * it has to begin anew. `marks` are those that the callee has of others; up to `due` it has
 * forgotten every key that is forgotten by itself when its time is over. `arrived`: up to where all
 * is listed, and whether there was more. Hints that stood after the position and are gone were
 * given to `moved`; it is the same in `fetched`. Of the keys that are not sent, those in `gone` are
 * not at the callee any more; the others are to be asked for again, or cannot be read. `run`, with
 * `isJoined`: the name of its order once all is read. `probed`: for r = 1, 2, …, whether it was
 * seen; when the question came, the read began and the reply went, in microseconds of the callee's
 * own time. `lacking`: with the part, the callee would not have all of the entry; nothing was
 * stored. `named`: for each namespace, in order, how many bytes its records with a value take up at
 * the callee. `accepted`: in how many partitions it waited for these.
 */
const REPLIES = {
  pong: {},
  held: {
    digest: count,
    entry: optional(longBytes),
    isUnknown: flag,
    ages: later(ages, null),
  },
  stored: { durable: flag },
  coordinated: { created: flag, sibling, context, siblingCount: count, tally },
  failed: { code: failureCode, detail: text, numbers: failureNumbers, context: optional(context) },
  inspected: { entry: optional(bytes), hints: listOf(pair(text, optional(bytes))) },
  report: { status },
  documented: { document: bytes },
  listed: { entries: listOf(pair(text, bytes)), complete: flag },
  stale: { document: bytes },
  rootsDiffer: { trees: rootsThatDiffer },
  leafSums: { trees: leafSums },
  keyDigests: { trees: leafDigests },
  fetched: {
    items: entries,
    moved: later(texts, []),
    gone: later(listOf(key), []),
    run: later(count, 0),
  },
  exchanged: { totals: exchangeTotals },
  confirmed: { objections: listOf(count) },
  collected: {},
  handedOff: { delivered: count, pending: count },
  refused: { code: text },
  faulted: { fault },
  clocked: { time: count },
  swept: { done: flag },
  promised: { isGiven: flag, document: bytes },
  touched: { keys: listOf(key) },
  overdue: {
    context,
    freshUntil: count,
    askedAt: later(count, 0),
    freshMs: later(count, 0),
  },
  greeted: {
    run: text,
    mark: text,
    rival: text,
    wall: count,
    arrived: later(arrived, null),
    life: later(count, 0),
  },
  recalled: { done: orEmpty(version), isUnknown: flag, entry: optional(bytes) },
  storedWith: {
    durable: flag,
    isBehind: flag,
    beside: listOf(version),
    covered: later(context, CausalContext.empty),
    isOver: later(flag, false),
    wasThere: later(flag, false),
  },
  accepted: { partitionCount: count, waitedFor: texts },
  leased: { state: count, time: count },
  named: { names: texts, complete: flag, byteCounts: later(listOf(count), []) },
  changed: {
    run: count,
    after: count,
    ended: count,
    until: count,
    isGone: flag,
    isAtEnd: flag,
    items: changes,
    marks: later(places, []),
    due: later(count, 0),
  },
  merged: { wasKnown: flag },
  scrubbed: { checks: flag, records: count, damaged: count, mended: count },
  arrived: {
    run: count,
    through: count,
    isAtEnd: flag,
    keys: digests,
    moved: texts,
  },
  probed: { results: listOf(flag), cameAt: count, readAt: count, leftAt: count },
  delayed: { report: delays },
  lacking: {},
} as const satisfies Record<string, Fields>;

/** A newer peer's request, of a kind that came after this version. Nobody sends it. */
export type UnknownRequest = { readonly kind: "unknown" };

type KnownRequest = BodyOf<typeof REQUESTS>;
export type Request = KnownRequest | UnknownRequest;
export type Reply = BodyOf<typeof REPLIES>;

/** By kind, the protocol with which it came; all others came with the first. */
const SINCE: { readonly [Kind in KnownRequest["kind"] | Reply["kind"]]?: number } = {
  arrivals: 2,
  arrived: 2,
  probe: 2,
  probed: 2,
  delays: 2,
  delayed: 2,
  storeAlone: 2,
  lacking: 2,
};

/** The least protocol whose nodes know this kind of message. */
export const protocolOf = ({ kind }: Request | Reply): number =>
  (SINCE as Readonly<Record<string, number>>)[kind] ?? PROTOCOL_FIRST;

/** Whether it is answered a second time once it is durable. */
export const isAnsweredTwice = (body: Request): boolean =>
  (body.kind === "store" || body.kind === "storeAlone") && body.ack === "both";

/** The answer to a request of a kind that the callee does not know: nothing was done. */
export const UNKNOWN_REQUEST = { kind: "refused", code: "unknown-request" } as const;
/** How an answer counts that only a newer version could read. */
const UNKNOWN_REPLY: Reply = { kind: "refused", code: "unknown-reply" };

export type RequestOf<Kind extends Request["kind"]> = Extract<Request, { kind: Kind }>;
export type ReplyOf<Kind extends Reply["kind"]> = Extract<Reply, { kind: Kind }>;

/** Whether a replica has stored what it was sent, whatever it says beside that. */
export const isStored = (body: Reply): body is ReplyOf<"stored" | "storedWith"> =>
  body.kind === "stored" || body.kind === "storedWith";

export interface RequestMessage {
  readonly type: "request";
  /** Names the call to its caller; a reply repeats it. */
  readonly call: number;
  /** Of the caller's cluster document. */
  readonly stamp: number;
  /** How long the caller will still wait, in ms: nobody needs work done after that. */
  readonly budgetMs: number;
  /** W3C traceparent, or empty. */
  readonly trace: string;
  readonly body: Request;
}

export interface ReplyMessage {
  readonly type: "reply";
  readonly call: number;
  readonly body: Reply;
}

export type Message = RequestMessage | ReplyMessage;

const requestLayouts = layoutsOf(REQUESTS);
const replyLayouts = layoutsOf(REPLIES);
const requestByKind = byKind(requestLayouts);
const replyByKind = byKind(replyLayouts);

/** A message as plain values, for hosts that carry these as they are. */
export function messageToList(message: Message): readonly unknown[] {
  if (message.type === "reply") {
    return [message.call, encodeBody(replyByKind.get(message.body.kind), message.body)];
  }
  const body = encodeBody(requestByKind.get(message.body.kind), message.body);
  return [message.call, body, message.stamp, message.budgetMs, message.trace];
}

/** The bytes of a message; the decoder gives back an equal one. */
export const encodeMessage = (message: Message): Uint8Array => encode(messageToList(message));

/**
 * The same in pieces, to be put one after the other. They are valid until something else is
 * encoded, except for lasting ones (`isLasting`): long bytes of the message itself, which nobody
 * may change any more.
 */
export const encodeMessageInPieces = (message: Message): readonly Uint8Array[] =>
  encodeInPieces(messageToList(message));

/**
 * Bytes in the result are views of the input.
 *
 * @throws CodecError for anything but one whole message
 */
export const decodeMessage = (bytes: Uint8Array): Message => messageFromList(decode(bytes));

/** @throws CodecError for anything other than `messageToList` gives */
export function messageFromList(encoded: unknown): Message {
  check(Array.isArray(encoded), "a message is a list");
  const [call, body, stamp, budgetMs, trace] = encoded as unknown[];
  check(isCount(call), "a message names its call");
  if (encoded.length === 2) {
    const reply = decodeBody(replyLayouts, body) as Reply | null;
    return { type: "reply", call, body: reply ?? UNKNOWN_REPLY };
  }
  check(encoded.length >= 5, "a request has five parts");
  check(isCount(stamp) && isCount(budgetMs) && typeof trace === "string", "a request's parts");
  const request = decodeBody(requestLayouts, body) as Request | null;
  return { type: "request", call, stamp, budgetMs, trace, body: request ?? { kind: "unknown" } };
}
