/**
 * Only one frontend at a time may fetch a key from its origin, by a lease that the key's first
 * reachable primary keeps in memory. Its holder renews it, and it ends by itself when it does not:
 * after a crash somebody else fetches, sooner where the holder's member is known to be away. It is
 * no lock: two primaries that cannot see each other may both give it, and then the origin is asked
 * twice.
 */
import type { ReplicaId } from "../../../core/ids.ts";
import type { ReplyOf, RequestOf } from "../../../core/messages.ts";
import type { LeaseOperation } from "../../../core/operations.ts";
import type { Hlc, Millis } from "../../../core/time.ts";
import { askAll, type Replies } from "../peers/fanout.ts";
import { type FrontendHost, fail, type Respond } from "../peers/tasks.ts";

/** Keys that are being fetched, or not shared, at once: some 200 bytes each. */
const LEASES_COUNT_MAX = 50_000;
/** For how long a key's requests are not made to wait for each other (hit-for-miss), in ms. */
const UNSHARED_MS = 10_000;
const LEASE_MS_MAX = 60_000;
/** For how long after a lease was given back the next one is told to look first, in ms. */
const RECENT_MS = 3000;
/** A primary that has not answered within this is passed over, in ms; a suspected one sooner. */
const ASK_MS_MAX = 2000;
const SUSPECT_ASK_MS_MAX = 250;

/** On the wire, in this order. */
const ACTS = ["ask", "release", "unshare"] as const;
const STATES = ["wait", "granted", "unshared", "again"] as const;

interface Lease {
  /** Somebody has it; it was given back just now; the key's answer is not for sharing. */
  readonly state: "held" | "recent" | "unshared";
  readonly holder: string;
  /** For how long it was given, and until when. */
  readonly ms: Millis;
  readonly until: Millis;
}

/** A holder as primaries know it: behind the member that asked for it, where a member did. */
export const heldBy = (member: ReplicaId | null, holder: string): string =>
  member === null ? holder : `${member} ${holder}`;

/** The leases that one replica has given. */
export class Leases {
  readonly #given = new Map<string, Lease>();
  readonly #isAway: (member: ReplicaId) => boolean;

  /** @param isAway whether a member seems to be away */
  constructor(isAway: (member: ReplicaId) => boolean) {
    this.#isAway = isAway;
  }

  /** @param time the member's hybrid time: a response counts as asked for then */
  answer(body: RequestOf<"lease">, now: Millis, time: Hlc): ReplyOf<"leased"> {
    const { key, holder } = body;
    const known = this.#given.get(key);
    const current = known !== undefined && known.until > now ? known : null;
    const said = (state: (typeof STATES)[number]): ReplyOf<"leased"> => ({
      ...{ kind: "leased", state: STATES.indexOf(state), time },
    });
    if (ACTS[body.act] !== "ask") {
      const isHis = current?.state === "held" && current.holder === holder;
      if (ACTS[body.act] === "unshare") {
        this.#put(key, { state: "unshared", holder, ms: UNSHARED_MS, until: now + UNSHARED_MS });
      } else if (isHis) {
        this.#put(key, { state: "recent", holder, ms: RECENT_MS, until: now + RECENT_MS });
      }
      return said("granted");
    }
    if (current?.state === "unshared") return said("unshared");
    const isOthers = current?.state === "held" && current.holder !== holder;
    if (isOthers && !this.#isLost(current, now)) return said("wait");
    const ms = Math.min(body.ms, LEASE_MS_MAX);
    this.#put(key, { state: "held", holder, ms, until: now + ms });
    // What was stored under the last lease may still be on its way to the replicas that are read.
    return said(current?.state === "recent" ? "again" : "granted");
  }

  /**
   * The holder has missed a renewal, of which there are three within a lease, and its member seems
   * to be away. A slow member may seem to be away, but renews; one that is only late does not seem
   * away.
   */
  #isLost({ holder, ms, until }: Lease, now: Millis): boolean {
    if (until - now > ms / 2) return false;
    const end = holder.indexOf(" ");
    return end > 0 && this.#isAway(holder.slice(0, end));
  }

  /** The oldest go where there are too many: their keys may be fetched twice. */
  #put(key: string, lease: Lease): void {
    this.#given.delete(key);
    this.#given.set(key, lease);
    for (const [oldest] of this.#given) {
      if (this.#given.size <= LEASES_COUNT_MAX) break;
      this.#given.delete(oldest);
    }
  }
}

/** Asks the key's primaries in their order until one says something. */
export function startLease(
  host: FrontendHost,
  { operation, answer }: { readonly operation: LeaseOperation; readonly answer: Respond<"lease"> },
  now: Millis,
): void {
  const { knowledge } = host;
  const { key, leaseMs, act } = operation;
  const holder = heldBy(host.selfId, operation.holder);
  // In the ring's order and no other, so that all frontends ask the same one.
  const inOrder = knowledge.owners(key, operation.n);
  const body = { kind: "lease", key, holder, ms: leaseMs, act: ACTS.indexOf(act) } as const;
  const askNext = (i: number, at: Millis): void => {
    const to = inOrder[i];
    if (to === undefined) return answer(fail(NOBODY));
    const done = (replies: Replies, later: Millis): void => {
      const reply = replies.get(to.id);
      if (reply?.kind !== "leased") return askNext(i + 1, later);
      answer({ kind: "leased", state: STATES[reply.state] ?? "wait", time: reply.time });
    };
    const timeoutMs = to.isSuspect ? SUSPECT_ASK_MS_MAX : ASK_MS_MAX;
    askAll(host, { targets: [to.id], body, timeoutMs, done }, at);
  };
  askNext(0, now);
}

const NOBODY = {
  code: "quorum-unavailable",
  detail: "No primary of the key can be reached.",
} as const;
