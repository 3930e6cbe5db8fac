/**
 * Known mistakes, to test the hunter: each is built into the product's source as a simulator loads
 * it (see sabotage-hook.ts), and must be caught within 300 seeds by the oracle meant for it.
 */

export interface Sabotage {
  readonly name: string;
  /** The oracle that is to catch it (see ORACLES in judge.ts). */
  readonly oracle: string;
  /** Relative to the project's root. */
  readonly file: string;
  /** A piece of that file, there exactly once. */
  readonly was: string;
  readonly is: string;
}

/** A replica drops keys by itself, asking nobody, when all of their siblings are such. */
const collectingAlone = (isSuch: string) => ({
  file: "src/node/jobs/collector.ts",
  was: "if (summary === undefined || this.#release(summary, now)) continue;",
  is: `if (summary === undefined || this.#release(summary, now)) continue;
      const { siblings } = keeper.hold(key).entry;
      if (siblings.every(({ expiresAt }) => ${isSuch})) {
        keeper.sweep(key, null, now);
        keeper.collect(key, summary.digest, now);
        continue;
      }`,
});

export const sabotages: readonly Sabotage[] = [
  {
    name: "acknowledge-before-quorum",
    oracle: "durability",
    file: "replica/put-coordinator.ts",
    was: "    if (this.#quorum.isMet) {",
    is: "    if (this.#isLocallyDurable) {",
  },
  {
    name: "count-fallback-as-primary",
    oracle: "strict-read",
    file: "replica/quorum.ts",
    was: "for (const { isPrimary } of this.#counted) if (isPrimary) primaries++;",
    is: "primaries += this.#counted.length;",
  },
  {
    name: "trust-the-first-that-brings",
    oracle: "strict-read",
    file: "replica/keeper.ts",
    was: "return this.#records.isLost(key) && !this.#records.isUnsure(key);",
    is: "return this.#records.isLost(key);",
  },
  {
    name: "drop-hint-after-sending",
    oracle: "durability",
    file: "antientropy/handoff.ts",
    was: `    this.#out.ask(this.#target, { kind: "deliver", items });`,
    is: `    this.#out.ask(this.#target, { kind: "deliver", items });
    for (const { key, bytes } of this.#sent) this.#dropIfSame(key, bytes);`,
  },
  {
    name: "collect-tombstone-early",
    oracle: "resurrection",
    file: "src/node/jobs/collector.ts",
    was: "for (const key of store.due(now, COLLECTION_COUNT_MAX)) {",
    is: `for (const key of store.due(now + keeper.graces.deletedMs, COLLECTION_COUNT_MAX)) {
      const { siblings } = keeper.hold(key).entry;
      if (siblings.every(({ content, expiresAt }) => content === null && expiresAt === 0)) {
        keeper.collect(key, keeper.digest(key) ?? 0, now);
        continue;
      }
      if ((store.summary(key)?.dueAt ?? 0) > now) continue;`,
  },
  {
    name: "reuse-actor-after-unclean-stop",
    oracle: "convergence",
    file: "replica/incarnation.ts",
    was: "if (recovery.clean && !isCopy && previous > 0) return previous;",
    is: "if (previous > 0) return previous;",
  },
  {
    name: "mint-under-copied-actors",
    oracle: "durability",
    file: "src/node/knowledge/store-owner.ts",
    was: "    throw new ForeignStore(found, { cluster, replica: id });",
    is: "    store.writeMeta(OWNER, encode([cluster, id, place]));",
  },
  {
    name: "take-a-restart-for-a-twin",
    oracle: "identity",
    file: "src/node/knowledge/lives.ts",
    was: "if (life.alive < both || its.alive < both) return;",
    is: "if (life.alive + its.alive === 0) return;",
  },
  {
    name: "context-covers-unseen-siblings",
    oracle: "durability",
    file: "core/entry.ts",
    was: "(isLive(sibling, now) || isOvertaken(sibling)) && !shown.some",
    is: "isOvertaken(sibling) && !shown.some",
  },
  {
    name: "condition-covers-all-held",
    oracle: "durability",
    file: "src/node/serving/preconditions.ts",
    was: "covers: covers ?? contextShowing(entry, shown, now)",
    is: "covers: covers ?? entry.context",
  },
  {
    name: "forget-what-was-done",
    oracle: "at-most-once",
    file: "replica/done-operations.ts",
    was: "return this.#young.find(op) ?? this.#old.find(op);",
    is: "return null;",
  },
  {
    name: "repeat-without-asking",
    oracle: "at-most-once",
    file: "src/node/serving/write-gate.ts",
    was: "if (!isRepeat || this.#repeats.isAlone(body)) return",
    is: "if (isRepeat || this.#host.wall() > 0) return",
  },
  {
    name: "merge-without-cloud",
    oracle: "durability",
    file: "core/causal-context.ts",
    was: "return ranges !== undefined && rangesCover(ranges, dot.counter);",
    is: "return ranges !== undefined && dot.counter <= this.latest(dot.actor);",
  },
  {
    name: "skip-a-leaf",
    oracle: "convergence",
    file: "antientropy/exchange.ts",
    was: "indicesThatDiffer(mine, theirs, LEAVES_PER_INNER);",
    is: "indicesThatDiffer(mine, theirs, LEAVES_PER_INNER - 4);",
  },
  {
    name: "acknowledge-before-fsync",
    oracle: "durability",
    file: "src/node/serving/spreading.ts",
    was: "    this.#tellOfDisk(id, waker);\n  }",
    is: "    this.#open.get(id)?.coordinator.locallyDurable(now);\n    this.#tellOfDisk(id, waker);\n  }",
  },
  {
    name: "ignore-torn-tail",
    oracle: "recovery",
    file: "replica/log-recovery.ts",
    was: `if (item.found === "gap" || !scan.isIntact(item)) {`,
    is: `if (item.found === "gap") {`,
  },
  {
    name: "forget-the-session",
    oracle: "session",
    file: "replica/session-debt.ts",
    was: "if (session === null || found.context.includes(session)) return true;",
    is: "if (session === null || found.context.includes(found.context)) return true;",
  },
  {
    name: "serve-expired",
    oracle: "ttl",
    file: "core/entry.ts",
    was: "sibling.content !== null && (sibling.expiresAt === 0 || now < sibling.expiresAt);",
    is: "sibling.content !== null && now > 0;",
  },
  {
    name: "write-what-was-refused",
    oracle: "refusal",
    file: "src/node/serving/write-gate.ts",
    was: `if (verdict.isBroken) return respond(failed("precondition-failed", verdict.why, null));`,
    is: `if (verdict.isBroken) {
      respond(failed("precondition-failed", verdict.why, null));
      return mint(body.covers);
    }`,
  },
  {
    name: "deadlines-by-the-wall-clock",
    oracle: "deadline",
    file: "src/node/node.ts",
    was: `    assert(now.monotonic >= this.#now, "a node's own time never runs backwards");
    this.#now = now.monotonic;`,
    is: `    const self = this as unknown as { zero?: number };
    self.zero ??= now.wall - now.monotonic;
    this.#now = Math.max(this.#now, now.monotonic, now.wall - self.zero);`,
  },
  {
    name: "serve-what-was-purged",
    oracle: "purge",
    file: "core/purges.ts",
    was: "if (!entry.siblings.some(isPurged)) return entry;",
    is: "if (entry.siblings.length >= 0) return entry;",
  },
  {
    name: "keep-delivered-hints",
    oracle: "hints",
    file: "antientropy/handoff.ts",
    was: `    for (const hint of this.#sent) this.#dropIfSame(hint);
    this.#sendBatch(now);`,
    is: "    this.#finish();",
  },
  {
    name: "read-from-next-owners-early",
    oracle: "strict-read",
    file: "src/node/jobs/transfer.ts",
    was: "const unfilled = this.#fillings.filter((filling) => !isFilled(filling, change));",
    is: "const unfilled = this.#fillings.slice(0, 0);",
  },
  {
    name: "forget-cover-of-expired",
    oracle: "resurrection",
    ...collectingAlone("expiresAt > 0"),
  },
  {
    name: "evict-without-a-tombstone",
    oracle: "convergence",
    file: "replica/keeper.ts",
    was: `    this.keepMinted(key, null, minted);
    return wholeOf(minted.sharedBytes);`,
    is: `    this.#records.drop(key);
    return null;`,
  },
  {
    name: "never-end-a-change",
    oracle: "membership",
    file: "ring/ring-change.ts",
    was: "if (!haveLeft || mayReadBefore(ring, change, sizes)) return ring;",
    is: "if (!haveLeft || change.acks.length <= ring.members.length) return ring;",
  },
  {
    name: "never-collect",
    oracle: "growth",
    file: "src/node/jobs/collector.ts",
    was: "if (keys.length > 0) this.#begin({ keys, isSecond: false });",
    is: "if (keys.length < 0) this.#begin({ keys, isSecond: false });",
  },
  {
    name: "keep-the-bodies-of-the-expired",
    oracle: "growth",
    file: "replica/keeper.ts",
    was: "else if (isPurged === true || left !== entry)\n      this.#records.write(",
    is: "else if (isPurged === true)\n      this.#records.write(",
  },
  {
    name: "collect-in-one-small-round",
    oracle: "growth",
    file: "src/node/jobs/collector.ts",
    was: "for (const key of store.due(now, COLLECTION_COUNT_MAX)) {",
    is: "for (const key of this.#openCount > 0 ? [] : store.due(now, 1)) {",
  },
  {
    name: "cover-without-the-order",
    oracle: "blind-write",
    file: "src/node/serving/blind-write.ts",
    was: "return news.filter((beside) => isAbove(beside, this.#held.sibling));",
    is: "return news.filter((beside) => isAbove(beside, beside));",
  },
  {
    name: "cover-after-the-answer",
    oracle: "blind-write",
    file: "src/node/serving/blind-write.ts",
    was: "if (this.#isAnswered || this.#told.includes(from)) return;",
    is: `if (this.#isAnswered && found.beside.length > 0) this.#widen(found.beside);
    if (this.#isAnswered || this.#told.includes(from)) return;`,
  },
  {
    name: "count-a-replica-that-may-be-behind",
    oracle: "strict-read",
    file: "src/node/jobs/absence.ts",
    was: "return this.#isCatchingUp || this.past.lacks(key);",
    is: `return (this.#isCatchingUp || this.past.lacks(key)) && key === "";`,
  },
  {
    name: "read-strictly-in-a-minority",
    oracle: "purge",
    file: "src/node/operations/client.ts",
    was: "if (count >= vouchers.required) finish(shown);",
    is: "if (count >= 0) finish(shown);",
  },
  {
    name: "purge-by-a-minority",
    oracle: "purge",
    file: "src/node/operations/purge-operation.ts",
    was: `import { majority } from "../../../core/quorum-options.ts";`,
    is: "const majority = (count: number): number => Math.min(1, count);",
  },
  {
    name: "mint-below-a-known-purge",
    oracle: "purge",
    file: "replica/keeper.ts",
    was: "const time = this.clock.next(now, this.#records.purges().newest);",
    is: "const time = this.clock.next(now);",
  },
  {
    name: "acknowledge-what-a-purge-ended",
    oracle: "purge",
    file: "src/node/serving/coordination.ts",
    was: "if (purges.isPurged(body.key, stored.sibling)) return respond(purgedMeanwhile());",
    is: `if (purges.isPurged("", stored.sibling)) return respond(purgedMeanwhile());`,
  },
  {
    name: "lease-without-an-end",
    oracle: "lease",
    file: "src/node/serving/leases.ts",
    was: "ms, until: now + ms });",
    is: "ms, until: now + 1000 * LEASE_MS_MAX });",
  },
  {
    name: "store-as-of-the-answer",
    oracle: "cache-purge",
    file: "src/door/kept.ts",
    was: "const requestedAt = Math.min(fetched.requestedAt, ownersTime ?? fetched.requestedAt);",
    is: "const requestedAt = Math.max(fetched.respondedAt, ownersTime ?? 0);",
  },
  {
    name: "serve-any-variant",
    oracle: "variant",
    file: "src/cache/vary.ts",
    was: "if (normalised(request, name) === selection.values[i]) return true;",
    is: "if (selection.values[i] !== undefined) return true;",
  },
  {
    name: "skip-on-switch",
    oracle: "feed",
    file: "src/node/serving/feed-source.ts",
    was: "return ended === null ? null : { ...asked, ended };",
    is: "return ended === null ? null : { ...asked, ended, after: store.arrivedThrough };",
  },
  {
    name: "take-a-token-of-another-prefix",
    oracle: "feed",
    file: "src/frontend/feed/feed-token.ts",
    was: "const purposeOf = ({ namespace, prefix }: FeedName): string =>",
    is: `const purposeOf = ({ namespace }: FeedName, prefix = ""): string =>`,
  },
  {
    name: "give-out-what-is-not-durable",
    oracle: "feed",
    file: "src/node/serving/feed-source.ts",
    was: `this.#host.whenDurable((ok) => respond(ok ? reply : refused("insufficient-storage")));`,
    is: "respond(reply);",
  },
  {
    name: "go-on-where-deletes-were-collected",
    oracle: "feed",
    file: "src/node/serving/feed-source.ts",
    was: "const isPast = isPlace && Math.max(body.after, body.until) < floor;",
    is: "const isPast = isPlace && body.after < 0;",
  },
  {
    name: "claim-without-following",
    oracle: "staleness",
    file: "src/node/jobs/tails.ts",
    was: "if (mark !== null && last <= mark.through) return this.#reached(peer, mark, askedAt);",
    is: `if (mark !== null) this.claims.reached(peer, askedAt);
    if (mark !== null && last <= mark.through) return;`,
  },
  {
    name: "pass-what-cannot-be-read",
    oracle: "staleness",
    file: "antientropy/tail.ts",
    was: "else this.#isWhole = false;",
    is: "else this.#isWhole = true;",
  },
  {
    name: "claim-for-what-it-does-not-own",
    oracle: "staleness",
    file: "src/node/jobs/tails.ts",
    was: "return ring.isOwner(this.#replica.id, ring.partitionOf(key), n);",
    is: "return true;",
  },
  {
    name: "leave-out-one-member-more",
    oracle: "staleness",
    file: "replica/stale-bound.ts",
    was: "this.staleBoundMs = keptBound(ages, need.staleW);",
    is: "this.staleBoundMs = keptBound(ages, need.staleW + 1);",
  },
];
