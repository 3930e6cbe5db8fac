/**
 * What a replica B can prove of how stale it is. A **claim** about member C is an instant of B's
 * own time: B knows whatever C had acknowledged before it, of the keys that B owns. It is proven by
 * question and never by comparing clocks: B asks at t0 how far C's order of arrival has come, its
 * records and its hints, and when B's mark of C (marks.ts) has reached that, the claim is of t0.
 * What C did between the question and the answer is more than is claimed, never less.
 *
 * A mark can be right and a claim wrong, in two ways that are looked after here:
 *
 * - **What C had went elsewhere** before B came so far: a hint went home to D. B does not find it
 *   at C any more. So C's new claims wait until B has followed D to a question of after that.
 * - **C has lost what it acknowledged**, with its disk. What it sent to others may have reached
 *   some of them alone. So C's claims of its new life wait until B has followed all others to
 *   questions of after the loss, by so much as messages may be under way. Until then the claims of
 *   C's former life stand: what B knew it still knows.
 *
 * B itself is one of the members: what it acknowledged it has, unless it has lost its past; then
 * the same holds for it.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";

/** Milliseconds of the replica's own, counted on while its machine slept. */
export type Instant = number;

const NEVER = Number.NEGATIVE_INFINITY;

interface Followed {
  /** Of the last question up to which B's mark has come. */
  asked: Instant;
  /** Of the last one of which nothing can have gone elsewhere unseen. */
  settled: Instant;
  claimed: Instant;
  /** Whom B must have followed to a question of then, before what was asked here is settled. */
  needs: ReadonlyMap<ReplicaId, Instant>;
  /** Until when what it sent may have arrived anywhere, before it lost its past. */
  lostUntil: Instant;
}

export class Claims {
  readonly #self: ReplicaId;
  #others: readonly ReplicaId[] = [];
  readonly #followed = new Map<ReplicaId, Followed>();
  /** Goes up with whatever may change what is claimed. */
  revision = 0;

  constructor(self: ReplicaId) {
    this.#self = self;
  }

  /** Everything that was claimed is void; from now on these are the members. */
  begin(members: readonly ReplicaId[]): void {
    this.revision++;
    const lost = members.map((id) => [id, this.#followed.get(id)?.lostUntil ?? NEVER] as const);
    this.#followed.clear();
    for (const [id, until] of lost) if (until > NEVER) this.lost(id, until);
    this.#others = members.filter((id) => id !== this.#self);
  }

  /** B's mark has come up to what was asked of the peer then. */
  reached(peer: ReplicaId, askedAt: Instant): void {
    const followed = this.#of(peer);
    followed.asked = Math.max(followed.asked, askedAt);
    this.#settle();
  }

  /** Hints that B had not seen at the peer were given to these; B heard of it now. */
  moved(peer: ReplicaId, to: readonly ReplicaId[], now: Instant): void {
    const followed = this.#of(peer);
    const needs = new Map(followed.needs);
    // One that is no member any more has handed over what it had, or is given up.
    for (const id of to) if (id !== peer && this.#others.includes(id)) needs.set(id, now);
    followed.needs = needs;
  }

  /** The member, B itself perhaps, has lost its past; nothing of then is under way after that. */
  lost(member: ReplicaId, until: Instant): void {
    this.revision++;
    const followed = this.#of(member);
    followed.lostUntil = Math.max(followed.lostUntil, until);
  }

  /**
   * B's own time went on by so much at once, by a clock that was set or while B slept: what is
   * under way may still arrive for as long as before.
   */
  skipped(ms: number, now: Instant): void {
    this.revision++;
    for (const followed of this.#followed.values()) {
      if (followed.lostUntil > now - ms) followed.lostUntil += ms;
    }
  }

  /** Whether nothing that B had not seen at the peer went where B has not followed it. */
  isSettled(peer: ReplicaId): boolean {
    return this.#of(peer).needs.size === 0;
  }

  /** B has lost nothing after all. */
  found(): void {
    this.revision++;
    this.#of(this.#self).lostUntil = NEVER;
  }

  /** How old a claim is, in ms: 0 of the replica itself; Infinity where there is none. */
  ageOf(member: ReplicaId, now: Instant): number {
    if (member === this.#self) return this.isWhole(member) ? 0 : Infinity;
    const claimed = this.#followed.get(member)?.claimed ?? NEVER;
    assert(claimed <= now, "nothing was asked in times to come");
    return now - claimed;
  }

  /**
   * What is left of what one needs. A member that was followed in time passes on what it needs
   * itself: what had gone there may have gone on.
   */
  #outstanding({ needs }: Followed): Followed["needs"] {
    const left = new Map<ReplicaId, Instant>();
    const passed = new Set<ReplicaId>();
    const open = [...needs];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const [id, at] = next;
      const other = this.#of(id);
      if (other.asked < at) left.set(id, Math.max(at, left.get(id) ?? NEVER));
      else if (!passed.has(id)) {
        passed.add(id);
        open.push(...other.needs);
      }
    }
    return left;
  }

  /** Whether one that lost its past, if it has, is followed on with all others since then. */
  isWhole(member: ReplicaId): boolean {
    const lostUntil = this.#followed.get(member)?.lostUntil ?? NEVER;
    if (lostUntil === NEVER) return true;
    return this.#others.every((id) => id === member || this.#of(id).settled >= lostUntil);
  }

  #of(id: ReplicaId): Followed {
    const known = this.#followed.get(id);
    if (known !== undefined) return known;
    const needs: Followed["needs"] = new Map();
    const fresh = { asked: NEVER, settled: NEVER, claimed: NEVER, needs, lostUntil: NEVER };
    this.#followed.set(id, fresh);
    return fresh;
  }

  #settle(): void {
    this.revision++;
    for (const id of this.#others) {
      const followed = this.#of(id);
      if (followed.needs.size > 0) followed.needs = this.#outstanding(followed);
      if (followed.needs.size === 0) followed.settled = followed.asked;
    }
    for (const id of this.#others) {
      const followed = this.#of(id);
      if (this.isWhole(id)) followed.claimed = followed.settled;
    }
  }
}
