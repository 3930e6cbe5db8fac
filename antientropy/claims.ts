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
 *   at C any more. So a question to C counts once B has followed D up to a question that was asked
 *   after that. At D the hint has become a record of D's own and goes no further; other hints that
 *   leave D or C meanwhile are for later questions to wait for. So claims rise though hints go home
 *   all the time.
 * - **C has lost what it acknowledged**, with its disk. What it sent to others may have reached
 *   only some of them. So claims about C's new life wait until B has followed all others up to
 *   questions asked after the loss, later than it by as long as messages may be under way. Until
 *   then the claims of C's former life stand: what B knew it still knows.
 *
 *   The same holds for what had gone to C as a hint from somewhere else, and for that member, if B
 *   had not followed C to it before the loss.
 *
 * B itself is one of the members: what it acknowledged of the keys that it owns it has, unless it
 * has lost its past; then the same holds for it.
 */
import { assert } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";

/** Milliseconds of the replica's own, counted on while its machine slept. */
export type Instant = number;

const NEVER = Number.NEGATIVE_INFINITY;

/** Which members B must have followed, up to a question of that time. */
type Needs = ReadonlyMap<ReplicaId, Instant>;

/** A question up to which B's mark has come. */
interface Question {
  readonly askedAt: Instant;
  readonly needs: Needs;
}

interface Followed {
  /** Of the last question up to which B's mark has come. */
  asked: Instant;
  /** Where hints went that B had not seen here, since that question. */
  moved: Needs;
  /** Those that wait, in order: the first one, and one that stands for all since. */
  open: readonly Question[];
  /** Of the last question of which nothing can have gone elsewhere unseen. */
  settled: Instant;
  claimed: Instant;
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
    const question = { askedAt, needs: followed.moved };
    followed.moved = new Map();
    // The first one never waits for more than it did: so claims rise whatever comes later.
    const [first, second] = followed.open;
    const next = second === undefined ? question : bothOf(second, question);
    followed.open = first === undefined ? [next] : [first, next];
    this.#settle();
  }

  /** Hints that B had not seen at the peer were given to these; B heard of it now. */
  moved(peer: ReplicaId, to: readonly ReplicaId[], now: Instant): void {
    const followed = this.#of(peer);
    for (const id of to) {
      const lostUntil = this.#followed.get(id)?.lostUntil ?? NEVER;
      // They may have come there before the loss, and be nowhere but where it had sent them.
      if (lostUntil > followed.asked) this.#doubt(peer, lostUntil);
    }
    // One that is no member any more has handed over what it had, or is given up.
    const homes = to.filter((id) => id !== peer && this.#others.includes(id));
    if (homes.length === 0) return;
    followed.moved = laterOf(followed.moved, new Map(homes.map((id) => [id, now])));
  }

  /** The member, perhaps B itself, has lost its past; none of its messages arrive after `until`. */
  lost(member: ReplicaId, until: Instant): void {
    this.revision++;
    this.#doubt(member, until);
    for (const [id, { open, moved }] of this.#followed) {
      const hadGone = [moved, ...open.map(({ needs }) => needs)].some((of) => of.has(member));
      // Hints that went from it to the member are lost as well. And where it lost its own past
      // before, the member may have had what was to make up for that.
      if (hadGone || !this.isWhole(id)) this.#doubt(id, until);
    }
  }

  #doubt(member: ReplicaId, until: Instant): void {
    const followed = this.#of(member);
    followed.lostUntil = Math.max(followed.lostUntil, until);
  }

  /**
   * B's own time jumped ahead by so much, because a clock was set or B slept: what is under way may
   * still take as long to arrive as before.
   */
  skipped(ms: number, now: Instant): void {
    this.revision++;
    for (const followed of this.#followed.values()) {
      if (followed.lostUntil > now - ms) followed.lostUntil += ms;
    }
  }

  /** Whether nothing that B had not seen at the peer went where B has not followed it. */
  isSettled(peer: ReplicaId): boolean {
    const { moved, open } = this.#of(peer);
    return moved.size === 0 && open.length === 0;
  }

  /** When the last question to the peer for which that is so was asked. */
  settledAt(peer: ReplicaId): Instant {
    return this.#of(peer).settled;
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

  /** Whether it lost no past, or all others have been followed to questions after the loss. */
  isWhole(member: ReplicaId): boolean {
    const lostUntil = this.#followed.get(member)?.lostUntil ?? NEVER;
    return lostUntil === NEVER || this.#others.every((id) => this.#of(id).settled >= lostUntil);
  }

  #of(id: ReplicaId): Followed {
    const known = this.#followed.get(id);
    if (known !== undefined) return known;
    const fresh = {
      ...{ asked: NEVER, moved: new Map(), open: [] },
      ...{ settled: NEVER, claimed: NEVER, lostUntil: NEVER },
    };
    this.#followed.set(id, fresh);
    return fresh;
  }

  /** Whether whatever had gone to them by then came to B, or was lost; see `lost` for that. */
  #isMet(needs: Needs): boolean {
    for (const [id, at] of needs) if (this.#of(id).asked < at) return false;
    return true;
  }

  #settle(): void {
    this.revision++;
    for (const id of this.#others) {
      const followed = this.#of(id);
      for (let [next] = followed.open; next && this.#isMet(next.needs); [next] = followed.open) {
        followed.settled = Math.max(followed.settled, next.askedAt);
        followed.open = followed.open.slice(1);
      }
    }
    for (const id of this.#others) {
      const followed = this.#of(id);
      if (this.isWhole(id)) followed.claimed = followed.settled;
    }
  }
}

function laterOf(one: Needs, other: Needs): Needs {
  const both = new Map(one);
  for (const [id, at] of other) both.set(id, Math.max(at, both.get(id) ?? NEVER));
  return both;
}

const bothOf = (one: Question, other: Question): Question => ({
  askedAt: Math.max(one.askedAt, other.askedAt),
  needs: laterOf(one.needs, other.needs),
});
