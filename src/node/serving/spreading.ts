/**
 * What is coordinated here and on its way to its other owners: a write that was minted, or an entry
 * that somebody brought. It goes to all of them at once, with hints for those that cannot be
 * reached (replica/put-coordinator.ts), and to those that become owners meanwhile.
 */
import { digestOf } from "../../../core/entry.ts";
import { IdTable } from "../../../core/id-table.ts";
import type { OpId, ReplicaId } from "../../../core/ids.ts";
import type { Request, RequestOf } from "../../../core/messages.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import type { Found } from "../../../replica/beside.ts";
import type { Keeper } from "../../../replica/keeper.ts";
import type { HeldWrite } from "../../../replica/minting.ts";
import { PutCoordinator } from "../../../replica/put-coordinator.ts";
import type { PutOutcome } from "../../../replica/put-plan.ts";
import type { Waker } from "../peers/calls.ts";
import type { WriteRoute } from "../peers/routes.ts";
import type { TaskHost } from "../peers/tasks.ts";
import type { BlindWrite } from "./blind-write.ts";
import { lacksRoom } from "./disk-room.ts";

/** What it needs of the node around it. */
export interface SpreadHost extends TaskHost {
  now(): Millis;
  /** Lets go of a task whose coordinator was ended by something other than a reply. */
  settle(waker: Waker): void;
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
}

interface OnItsWay {
  readonly key: StoreKey;
  /** Empty unless it is a client's write. */
  readonly op: OpId;
  readonly n: number;
  readonly coordinator: PutCoordinator;
}

/** How it goes out, and who is told when enough have it. */
export interface SpreadTo {
  readonly finish: (outcome: PutOutcome) => void;
  readonly route: WriteRoute;
  readonly deadline: Millis;
  readonly blind: BlindWrite | null;
}

export class Spreading {
  readonly #id: ReplicaId;
  readonly #keeper: Keeper;
  readonly #host: SpreadHost;
  /** Not answered yet, or still waited for; not a Set, for the reason that IdTable gives. */
  readonly #open = new IdTable<OnItsWay>();
  #last = 0;

  constructor(id: ReplicaId, keeper: Keeper, host: SpreadHost) {
    this.#id = id;
    this.#keeper = keeper;
    this.#host = host;
  }

  get keys(): ReadonlySet<StoreKey> {
    return new Set([...this.#open.values()].map(({ key }) => key));
  }

  isOnItsWay(op: OpId): boolean {
    return [...this.#open.values()].some((open) => open.op === op);
  }

  /** The ring has changed: what is on its way goes to its new owners too. */
  ringChanged(): void {
    const { knowledge } = this.#host;
    for (const { key, n, coordinator } of [...this.#open.values()]) {
      coordinator.widen(knowledge.owners(key, n), this.#host.now());
    }
  }

  /** Sends what this replica has stored to the other owners, and tells when there are enough. */
  start(
    body: Pick<RequestOf<"coordinate">, "key" | "op" | "rules">,
    held: Pick<HeldWrite, "entry" | "sharedBytes" | "aloneBytes">,
    to: SpreadTo,
  ): void {
    const { knowledge } = this.#host;
    const { blind } = to;
    const { sloppy, n } = body.rules;
    const now = this.#host.now();
    const timeoutMs = Math.max(1, to.deadline - now);
    const { self, primaries, fallbacks, need } = to.route;
    const { entry, sharedBytes, aloneBytes } = held;
    const alone =
      aloneBytes === undefined
        ? null
        : { entry: aloneBytes, digest: digestOf(entry, knowledge.hash) };
    const plan = {
      ...{ key: body.key, entry: sharedBytes, alone, need, self, standsInFor: to.route.hintFor },
      ...{ primaries, fallbacks, sloppy, timeoutMs, hedgeMs: knowledge.liveness.hedgeMs },
      isBlind: blind !== null,
      tells: blind?.tells === true,
    };
    const found = (from: ReplicaId, told: Found, isBehind: boolean): void =>
      blind?.learn(from, told, isBehind);
    const awaitsMore = (): boolean => blind?.awaitsMore === true;
    const keepHint = (target: ReplicaId): void => {
      if (target === this.#id) return;
      const isKept =
        !lacksRoom(this.#keeper.store) &&
        this.#keeper.take(body.key, plan.entry, target, this.#host.wall()) !== null;
      if (isKept) knowledge.counters.hintsStored++;
      else knowledge.counters.hintsNotKept++;
    };
    const id = ++this.#last;
    const waker = this.#host.run<PutOutcome>(
      {
        timeoutMs,
        again: null,
        finish: to.finish,
        over: () => void this.#open.delete(id),
        make: (task) => {
          const ask = (other: ReplicaId, asked: Request): void => task.ask(other, asked);
          const finish = (outcome: PutOutcome): void => task.finish(outcome);
          const out = { ask, finish, keepHint, found, awaitsMore };
          const coordinator = new PutCoordinator(plan, out);
          this.#open.add(id, { key: body.key, op: body.op, n, coordinator });
          return coordinator;
        },
      },
      now,
    );
    this.#tellOfDisk(id, waker);
  }

  /**
   * A method of its own, because a closure keeps all that its neighbours need: here the entry and
   * what was held before, which a slow disk would keep in memory long after all others have them.
   */
  #tellOfDisk(id: number, waker: Waker): void {
    this.#host.whenDurable((ok, at) => {
      const coordinator = this.#open.get(id)?.coordinator;
      if (ok) coordinator?.locallyDurable(at);
      else coordinator?.locallyFailed(at);
      // Otherwise a task that is over would keep the entry, and all that is coordinated with it,
      // until its alarm: half a second's writes, which for long values are tens of MiB.
      this.#host.settle(waker);
    });
  }
}
