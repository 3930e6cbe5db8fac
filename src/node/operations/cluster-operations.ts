/**
 * Operations that ask many members at once: what each holds of a key, what each says of itself,
 * listings, background work at once.
 */
import type { DelayReport } from "../../../core/delay-report.ts";
import { decodedOrNull } from "../../../core/entry-codec.ts";
import type { Failure } from "../../../core/failure.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import { namespaceOf } from "../../../core/keys.ts";
import type { ExchangeTotals } from "../../../core/message-values.ts";
import type { Reply, ReplyOf, Request } from "../../../core/messages.ts";
import type {
  AcceptLossOperation,
  AntiEntropyOperation,
  ExplainOperation,
  ListOperation,
  NamespacesOperation,
  Operation,
  ScrubOperation,
} from "../../../core/operations.ts";
import { majority } from "../../../core/quorum-options.ts";
import type { FailedResult, ReplicaReport } from "../../../core/results.ts";
import type { Millis, WallMillis } from "../../../core/time.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import { type FrontendHost, fail, type Respond } from "../peers/tasks.ts";
import { tellDocument } from "../peers/tell-document.ts";
import { NamespaceConfigurator } from "./configure-operation.ts";
import { listingsOf, namesOf, pageOf } from "./listing.ts";
import { Proposer } from "./proposer.ts";

/** All operations that no other file in this folder carries out. */
type ClusterOperation = Exclude<
  Operation,
  { kind: "get" | "write" | "merge" | "lease" | "changes" | "fault" | "purge" }
>;

const EXPLAIN_TARGETS_MAX = 64;
/** Members that are asked for the cluster document, one after the other until one answers. */
const REFRESH_TARGETS_MAX = 3;
const REFRESH_MS_MAX = 1000;
/** How long background work that an operator asked for may take before the answer, in ms. */
const BACKGROUND_MS_MAX = 120_000;

interface Then {
  readonly now: Millis;
  readonly done: (replies: Replies, now: Millis) => void;
}

export class ClusterOperations {
  readonly #host: FrontendHost;

  constructor(host: FrontendHost) {
    this.#host = host;
  }

  start(operation: ClusterOperation, answer: Respond<ClusterOperation["kind"]>, now: Millis): void {
    switch (operation.kind) {
      case "explain":
        return this.#explain(operation, answer, now);
      case "status":
        return this.#status(answer, now);
      case "staleness":
        return this.#staleness(answer, now);
      case "configure":
        return new NamespaceConfigurator(this.#host).start(operation, answer, now);
      case "list":
        return this.#list(operation, answer, now);
      case "namespaces":
        return this.#namespaces(operation, answer, now);
      case "anti-entropy":
        return this.#antiEntropy(operation, answer, now);
      case "handoff":
        return this.#handoff(answer, now);
      case "scrub":
        return this.#scrub(operation, answer, now);
      case "accept-loss":
        return this.#acceptLoss(operation, answer, now);
      case "refresh":
        if (operation.ofMajority === true) return this.#hearMajority(answer, now);
        return this.#refresh(this.#nearest(now), answer, now);
      case "commit":
        return new Proposer(this.#host).start(operation, answer, now);
    }
  }

  #ask(targets: readonly ReplicaId[], body: Request, { now, done }: Then): void {
    const { timeoutMs } = this.#host.knowledge;
    askAll(this.#host, { targets, body, timeoutMs, done }, now);
  }

  #explain({ key }: ExplainOperation, answer: Respond<"explain">, now: Millis): void {
    const { ring, settingsOf } = this.#host.knowledge;
    const partition = ring.partitionOf(key);
    const preferenceList = ring.preferenceList(partition);
    const { n } = settingsOf(namespaceOf(key));
    const targets = preferenceList.slice(0, EXPLAIN_TARGETS_MAX);
    const done = (replies: Replies): void => {
      const replicas = targets.map((id, i): ReplicaReport => {
        const role = i < n ? "primary" : "fallback";
        return { id, role, ...reportOf(replies.get(id)) };
      });
      answer({ kind: "explained", partition, preferenceList, n, replicas });
    };
    this.#ask(targets, { kind: "inspect", key }, { now, done });
  }

  /** Suspected members are not waited for. */
  #staleness(answer: Respond<"staleness">, now: Millis): void {
    const { selfId, knowledge } = this.#host;
    const { ring, liveness, latencies } = knowledge;
    const peers = latencies.recent(ring.memberIds, now);
    const own = { hedgeMs: liveness.hedgeMs, peers, canaries: [], lagsMs: new Map() };
    const done = (replies: Replies): void => {
      const reports = new Map<ReplicaId, DelayReport>();
      for (const [id, reply] of replies) {
        if (reply.kind === "delayed") reports.set(id, reply.report);
      }
      answer({ kind: "staleness", selfId, own, reports });
    };
    const targets = ring.memberIds.filter((id) => id === selfId || !liveness.isSuspect(id));
    this.#ask(targets, { kind: "delays" }, { now, done });
  }

  #status(answer: Respond<"status">, now: Millis): void {
    const { liveness, ring } = this.#host.knowledge;
    const members = ring.memberIds;
    const done = (replies: Replies, at: Millis): void => {
      const wall = this.#host.wall();
      const awaySince = new Map<string, WallMillis>();
      for (const id of members) {
        const since = replies.has(id) ? null : liveness.silentSince(id);
        if (since !== null) awaySince.set(id, wall - Math.max(0, at - since));
      }
      const statuses = members.map((id) => {
        const reply = replies.get(id);
        return [id, reply?.kind === "report" ? reply.status : null] as const;
      });
      answer({ kind: "status", members: statuses, awaySince });
    };
    this.#ask(members, { kind: "status" }, { now, done });
  }

  #nearest(now: Millis): readonly ReplicaId[] {
    const { ring, liveness } = this.#host.knowledge;
    const sorted = [...ring.memberIds].sort((a, b) => liveness.compare(a, b, now));
    return sorted.slice(0, REFRESH_TARGETS_MAX);
  }

  /** The reply is learnt like any other with a document; nobody's silence is a failure here. */
  #refresh(
    [target, ...others]: readonly ReplicaId[],
    answer: Respond<"refresh">,
    now: Millis,
  ): void {
    if (target === undefined) return answer({ kind: "refreshed" });
    const done = (replies: Replies, at: Millis): void => {
      if (replies.size > 0) answer({ kind: "refreshed" });
      else this.#refresh(others, answer, at);
    };
    tellDocument(this.#host, { targets: [target], timeoutMs: REFRESH_MS_MAX, done }, now);
  }

  /**
   * A change of members is agreed on by a majority of the members before it: any other majority of
   * these knows of it. Where the members turn out to have changed, the new ones are asked.
   */
  #hearMajority(answer: Respond<"refresh">, now: Millis): void {
    const { knowledge } = this.#host;
    const { version, members } = knowledge.document.ring;
    const targets = members.map(({ id }) => id);
    const required = majority(targets.length);
    const done = (replies: Replies, at: Millis): void => {
      if (knowledge.document.ring.version !== version) return this.#hearMajority(answer, at);
      const achieved = [...replies.values()].filter(({ kind }) => kind === "documented").length;
      if (achieved >= required) return answer({ kind: "refreshed" });
      answer(fail({ code: "quorum-unavailable", detail: UNHEARD, required, achieved }));
    };
    tellDocument(this.#host, { targets, timeoutMs: REFRESH_MS_MAX, done }, now);
  }

  #list(operation: ListOperation, answer: Respond<"list">, now: Millis): void {
    const { namespace, prefix, after, limit } = operation;
    const done = (replies: Replies): void => {
      const listings = listingsOf(replies);
      const gap = this.#gapIn(listings, this.#host.knowledge.countedOf(namespace));
      answer(gap ?? pageOf(operation, listings.values(), this.#host.wall()));
    };
    const body: Request = { kind: "keys", namespace, prefix, after, limit };
    this.#ask(this.#host.knowledge.ring.memberIds, body, { now, done });
  }

  /** Namespaces that nobody created have the ring's own N, so the answers must cover that. */
  #namespaces(
    { after, limit }: NamespacesOperation,
    answer: Respond<"namespaces">,
    now: Millis,
  ): void {
    const { ring } = this.#host.knowledge;
    const done = (replies: Replies): void => {
      const { from, ...named } = namesOf(replies, limit);
      answer(this.#gapIn(from, ring.document.n) ?? { kind: "named", ...named });
    };
    this.#ask(ring.memberIds, { kind: "namespaces", after, limit }, { now, done });
  }

  #antiEntropy(
    { replica }: AntiEntropyOperation,
    answer: Respond<"anti-entropy">,
    now: Millis,
  ): void {
    const members = replica === null ? this.#host.knowledge.ring.memberIds : [replica];
    const done = (replies: Replies): void => {
      if (replies.size === 0) return answer(fail(noAnswer(members)));
      const all = [...replies.values()].flatMap((reply) =>
        reply.kind === "exchanged" ? [reply.totals] : [],
      );
      const sum = (of: keyof ExchangeTotals): number =>
        all.reduce((total, totals) => total + totals[of], 0);
      answer({
        kind: "compared",
        exchanges: sum("exchanges"),
        partitionsCompared: sum("treesCompared"),
        partitionsDiffering: sum("treesDiffering"),
        keysSent: sum("keysSent"),
        keysReceived: sum("keysReceived"),
        bytes: sum("byteCount"),
      });
    };
    const plan = { targets: members, timeoutMs: BACKGROUND_MS_MAX, done };
    askAll(this.#host, { ...plan, body: { kind: "exchange" } }, now);
  }

  #handoff(answer: Respond<"handoff">, now: Millis): void {
    const members = this.#host.knowledge.ring.memberIds;
    const done = (replies: Replies): void => {
      if (replies.size === 0) return answer(fail(noAnswer(members)));
      let delivered = 0;
      let pending = 0;
      for (const reply of replies.values()) {
        if (reply.kind !== "handedOff") continue;
        delivered += reply.delivered;
        pending += reply.pending;
      }
      answer({ kind: "handed-off", delivered, pending });
    };
    const plan = { targets: members, timeoutMs: BACKGROUND_MS_MAX, done };
    askAll(this.#host, { ...plan, body: { kind: "handoff" } }, now);
  }

  #scrub({ replica }: ScrubOperation, answer: Respond<"scrub">, now: Millis): void {
    const targets = replica === null ? this.#host.knowledge.ring.memberIds : [replica];
    const done = (replies: Replies): void => {
      const replicas = targets.map((id) => {
        const reply = replies.get(id);
        if (reply?.kind !== "scrubbed") return { id, state: "no answer", pass: null } as const;
        const { records, damaged, mended } = reply;
        if (!reply.checks) return { id, state: "platform", pass: null } as const;
        return { id, state: "done", pass: { records, damaged, mended } } as const;
      });
      answer({ kind: "scrubbed", replicas });
    };
    const plan = { targets, timeoutMs: BACKGROUND_MS_MAX, done };
    askAll(this.#host, { ...plan, body: { kind: "scrub" } }, now);
  }

  #acceptLoss({ replica }: AcceptLossOperation, answer: Respond<"accept-loss">, now: Millis): void {
    const done = (replies: Replies): void => {
      const reply = replies.get(replica);
      if (reply?.kind !== "accepted") return answer(fail(noAnswer([replica])));
      const { partitionCount, waitedFor } = reply;
      answer({ kind: "accepted", partitionCount, waitedFor });
    };
    this.#ask([replica], { kind: "acceptLoss" }, { now, done });
  }

  /** A failure when none of some partition's primaries is among those that answered. */
  #gapIn(from: ReadonlyMap<ReplicaId, unknown>, n: number): FailedResult | null {
    const { ring } = this.#host.knowledge;
    for (let partition = 0; partition < ring.partitionCount; partition++) {
      const primaries = ring.preferenceList(partition).slice(0, n);
      if (primaries.some((id) => from.has(id))) continue;
      const detail = `None of the primaries of partition ${partition} answered.`;
      return fail({ code: "quorum-unavailable", detail, required: 1, achieved: 0 });
    }
    return null;
  }
}

const UNHEARD =
  "Fewer than a majority of the members answered: what they have agreed on by now is not known.";

const noAnswer = (asked: readonly ReplicaId[]): Failure => ({
  code: "quorum-unavailable",
  detail: `None of ${asked.join(", ")} answered.`,
  required: 1,
  achieved: 0,
});

type Holding = Pick<ReplicaReport, "reachable" | "entry" | "hintFor" | "byteCount">;

function reportOf(reply: Reply | undefined): Holding {
  const nothing = { entry: null, hintFor: null, byteCount: 0 };
  if (reply?.kind !== "inspected") return { ...nothing, reachable: false };
  const [bytes, hintFor] = heldBytes(reply);
  if (bytes === null) return { ...nothing, reachable: true };
  const entry = decodedOrNull(bytes);
  if (entry === null) return { ...nothing, reachable: false };
  return { entry, hintFor, byteCount: bytes.length, reachable: true };
}

/** Its own record, or else the first hint that it keeps. */
function heldBytes({ entry, hints }: ReplyOf<"inspected">): [Uint8Array | null, string | null] {
  if (entry !== null) return [entry, null];
  const [target, bytes] = hints[0] ?? [null, null];
  return bytes === null ? [null, null] : [bytes, target];
}
