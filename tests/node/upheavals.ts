/**
 * What happens to the members while requests of one key race: processes end and start again with
 * their disks, and members join and leave, of which some hear late.
 */
import type { ReplicaId } from "../../core/ids.ts";
import { storeKey } from "../../core/keys.ts";
import type { Message } from "../../core/messages.ts";
import type { Prng } from "../../core/prng.ts";
import type { StoreKey } from "../../core/store.ts";
import { changedMembers, layoutAfter } from "../../ring/plan.ts";
import { listsOf } from "../../ring/preference-list.ts";
import type { Node } from "../../src/node/node.ts";
import type { Group } from "./group.ts";

/** A change of members: `owner` stands for one that owns the key when the change begins. */
export type Move = "join" | "owner leaves" | "newcomer leaves" | "owner replaced" | "reweight";

export interface Unrest {
  /** One after the other, each when the one before is over. */
  readonly moves?: readonly Move[];
  /** So many processes are down at the same time at most. */
  readonly downMax?: number;
}

/** What a race has really seen. */
export interface Seen {
  /** Steps in which a change began, and in which the first node had its end. */
  readonly begun: number[];
  readonly ended: number[];
  /** Owners of the key that ended, and started again, in the middle. */
  readonly stopped: ReplicaId[];
  readonly restarted: ReplicaId[];
  /** The layouts by which reads were answered. */
  readonly layouts: Set<string>;
  /** Steps in which some nodes had another cluster document than others. */
  apart: number;
}

export const NEWCOMER = "r9";

const newcomer = { id: NEWCOMER, zone: "a", url: "", weight: 1 };

/** The name of a key that the newcomer is to own. */
export function nameThatMoves(node: Node): string {
  nameToMove ??= findNameThatMoves(node);
  return nameToMove;
}

/** It follows from the first members alone. */
let nameToMove: string | null = null;

function findNameThatMoves({ knowledge }: Node): string {
  const { document } = knowledge;
  const members = changedMembers(document.ring, { add: [newcomer] });
  const lists = listsOf(layoutAfter(document.ring, members, 1));
  for (let i = 0; ; i++) {
    const partition = knowledge.ring.partitionOf(storeKey("demo", `k${i}`));
    if (lists.of(partition).slice(0, 3).includes(NEWCOMER)) return `k${i}`;
  }
}

/** In how many races what happened. */
export function tallyOf(all: readonly Seen[]): Readonly<Record<string, number>> {
  const count = (isIt: (seen: Seen) => boolean): number => all.filter(isIt).length;
  const isMiddle = (step: number): boolean => step >= 10 && step < 200;
  return {
    races: all.length,
    begunInMiddle: count(({ begun }) => begun.some(isMiddle)),
    endedInMiddle: count(({ ended }) => ended.some(isMiddle)),
    allEnded2: count(({ ended }) => ended.length > 1),
    twoLayouts: count(({ layouts }) => layouts.size > 1),
    threeLayouts: count(({ layouts }) => layouts.size > 2),
    settlingReads: count(({ layouts }) => [...layouts].some((name) => name.endsWith("settling"))),
    apart: count(({ apart }) => apart > 0),
    stoppedOwners: all.reduce((sum, { stopped }) => sum + stopped.length, 0),
    restartedOwners: all.reduce((sum, { restarted }) => sum + restarted.length, 0),
  };
}

/** What the races of a situation were to see, and did not: each in one of ten of them at least. */
export function missing(
  { unrest }: { readonly unrest?: Unrest },
  tally: Readonly<Record<string, number>>,
  raceCount: number,
): readonly string[] {
  const { moves = [], downMax = 0 } = unrest ?? {};
  const ofMoves = ["begunInMiddle", "endedInMiddle", "twoLayouts", "apart"];
  const ofStops = ["stoppedOwners", "restartedOwners"];
  const wanted = [...(moves.length > 0 ? ofMoves : []), ...(downMax > 0 ? ofStops : [])];
  return wanted.filter((name) => (tally[name] ?? 0) < raceCount / 10);
}

const ABOUT_MEMBERS: ReadonlySet<Message["body"]["kind"]> = new Set([
  ...(["document", "documented", "promise", "promised", "accept", "stale"] as const),
]);
export const isAboutMembers = ({ body }: Message): boolean => ABOUT_MEMBERS.has(body.kind);

const OF_RACE: ReadonlySet<Message["body"]["kind"]> = new Set([
  ...(["read", "held", "store", "stored", "storedWith", "coordinate", "coordinated"] as const),
  ...(["recall", "recalled", "overdue", "refused"] as const),
]);
/** What requests of clients are made of; all else is the work of the members among themselves. */
export const isOfRace = ({ body }: Message): boolean => OF_RACE.has(body.kind);

export class Upheavals {
  readonly seen: Seen = {
    ...{ begun: [], ended: [], stopped: [], restarted: [], layouts: new Set(), apart: 0 },
  };
  /** It hears of changes late. */
  deaf: ReplicaId | null = null;
  readonly #group: Group;
  readonly #prng: Prng;
  readonly #key: StoreKey;
  readonly #unrest: Unrest;
  readonly #down: ReplicaId[] = [];
  #moveCount = 0;
  #commit: number | null = null;
  #version: number;
  #moveAt: number;

  constructor(group: Group, prng: Prng, of: { readonly key: StoreKey; readonly unrest: Unrest }) {
    this.#group = group;
    this.#prng = prng;
    this.#key = of.key;
    this.#unrest = of.unrest;
    this.#version = this.#newest;
    this.#moveAt = prng.below(30);
  }

  /** Of those that run. */
  get #newest(): number {
    const versions = this.#group.ids.map(
      (id) => this.#group.node(id).knowledge.document.ring.version,
    );
    return Math.max(...versions);
  }

  /** Everybody by whom somebody reads the key. */
  owners(): readonly ReplicaId[] {
    const of = (id: ReplicaId): readonly ReplicaId[] =>
      this.#group
        .node(id)
        .knowledge.owners(this.#key, 3)
        .map((owner) => owner.id);
    return [...new Set(this.#group.ids.flatMap(of))];
  }

  /** The layout that a node reads by. */
  layoutAt(id: ReplicaId): string {
    const { version, change } = this.#group.node(id).knowledge.document.ring;
    return `${version}${change?.phase ?? ""}`;
  }

  step(at: number): void {
    if (this.#prng.chance(1, 25))
      this.deaf = this.#prng.chance(1, 3) ? null : this.#one(this.#group.ids);
    this.#stopOrStart(at);
    this.#move(at);
    if (this.#prng.chance(1, 3)) this.#group.run(this.#one(this.#group.ids), "change");
    const stamps = this.#group.ids.map((id) => this.#group.node(id).knowledge.stamp);
    if (new Set(stamps).size > 1) this.seen.apart++;
  }

  /** Everybody that is a member, or is to become one, runs again, and hears of all. */
  end(): void {
    this.deaf = null;
    for (const id of this.#down.splice(0)) this.#group.start(id);
  }

  #one(of: readonly ReplicaId[]): ReplicaId {
    return of[this.#prng.below(of.length)] ?? "";
  }

  #stopOrStart(at: number): void {
    const { downMax = 0 } = this.#unrest;
    if (downMax === 0) return;
    if (this.#down.length > 0 && this.#prng.chance(1, 18)) {
      const [id = ""] = this.#down.splice(this.#prng.below(this.#down.length), 1);
      this.#group.start(id);
      if (this.owners().includes(id)) this.seen.restarted.push(id);
    } else if (this.#down.length < downMax && this.#prng.chance(1, 40) && at > 2) {
      const owners = this.owners().filter((id) => this.#group.ids.includes(id));
      const id = this.#one(this.#prng.chance(3, 4) && owners.length > 0 ? owners : this.#group.ids);
      if (owners.includes(id)) this.seen.stopped.push(id);
      this.#group.stop(id);
      this.#down.push(id);
    }
  }

  #move(at: number): void {
    const { moves = [] } = this.#unrest;
    const newest = this.#newest;
    if (newest > this.#version) {
      this.seen.ended.push(at);
      this.#version = newest;
      this.#moveCount++;
      this.#commit = null;
      this.#moveAt = at + this.#prng.below(15);
    }
    if (this.#commit !== null) {
      const answer = this.#group.answerOf(this.#commit);
      // Another attempt is made when this one failed, or nobody is left who would answer.
      if (answer?.kind === "failed" || this.#prng.chance(1, 60)) this.#commit = null;
      return;
    }
    const move = moves[this.#moveCount];
    if (move === undefined || at < this.#moveAt || !this.#prng.chance(1, 4)) return;
    const members = this.#group.ids.filter(
      (id) => this.#group.node(id).knowledge.ring.member(id) !== undefined,
    );
    const change = this.#changeOf(move);
    if (change === null || members.length === 0) return;
    this.seen.begun.push(at);
    this.#commit = this.#group.begin(this.#one(members), { kind: "commit", change });
  }

  #changeOf(move: Move): Readonly<Record<string, unknown>> | null {
    const owners = this.owners().filter((id) => id !== NEWCOMER);
    const owner = this.#one(owners);
    switch (move) {
      case "join":
        return { add: [newcomer] };
      case "newcomer leaves":
        return { remove: [NEWCOMER] };
      case "owner leaves":
        return { remove: [owner] };
      case "owner replaced":
        return { add: [newcomer], remove: [owner] };
      case "reweight":
        return { reweight: { [owner]: 1 + this.#prng.below(4) } };
    }
  }
}
