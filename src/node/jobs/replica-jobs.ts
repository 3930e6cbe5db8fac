/** What a replica does without anybody waiting: the parts, and when each of them runs. */
import type { Graces } from "../../../core/expiry.ts";
import type { ReplicaId } from "../../../core/ids.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { Millis } from "../../../core/time.ts";
import type { ClusterDocument } from "../../../ring/cluster-document.ts";
import { type Duplicate, Lives } from "../knowledge/lives.ts";
import type { Replica } from "../replica/replica.ts";
import type { Jobs } from "../serving/job-ports.ts";
import { Absence } from "./absence.ts";
import { Agreement } from "./agreement.ts";
import { Canaries, type CanaryHost } from "./canaries.ts";
import { CleanUp } from "./clean-up.ts";
import { Collector } from "./collector.ts";
import { Evictor } from "./evictor.ts";
import { Exchanges } from "./exchanges.ts";
import { Handoff } from "./handoff.ts";
import { Heartbeat } from "./heartbeat.ts";
import { JobTable } from "./job-table.ts";
import { PurgeSweep } from "./purge-sweep.ts";
import { Refill } from "./refill.ts";
import { Resize } from "./resize.ts";
import { Scrub } from "./scrub.ts";
import { Tails } from "./tails.ts";
import { Transfer } from "./transfer.ts";

/** Between two looks at what is due, in ms: one look is at a thousand keys at most. */
const COLLECT_MS = 50;
/** Between two parts of a sweep for what was purged, in ms. */
const SWEEP_MS = 1000;
/** Between two looks at what a change of members leaves to do, in ms. */
const CHANGE_MS = 500;
/** Between two parts of a scrub, in ms. */
const SCRUB_MS = 1000;
/** Between two looks at whether a namespace is over its bound, in ms. */
const EVICT_MS = 200;

export interface Intervals {
  /** How often hints are tried to be delivered, in ms; 0 for never by itself. */
  readonly handoffMs: number;
  /** How often it compares itself with one of its peers, in ms; 0 for never by itself. */
  readonly antiEntropyMs: number;
  /**
   * How long the tombstone of a delete is left alone before it may be collected, in ms. Hints wait
   * for their owner for half as long.
   */
  readonly tombstoneGraceMs: number;
  /** The same for what has expired or was evicted; never longer than the other. Default 5 s. */
  readonly expiryGraceMs?: number;
  /** How often it looks for what may be collected, in ms; 0 for nothing at all by itself. */
  readonly collectMs?: number;
  /** How long it takes to read all records once, in ms; 0 or absent: only when asked. */
  readonly scrubMs?: number;
  /** How often it pings every peer, in ms; 0 where only requests observe. */
  readonly heartbeatMs: number;
  /** Silence after which a peer is suspected. */
  readonly suspectAfterMs: number;
  /**
   * The least time between two canaries, in ms; 0 or absent: there are none, and the staleness of
   * reads is not measured.
   */
  readonly canaryMs?: number;
  /** Keys of bounded namespaces whose use is remembered; a million unless memory is short. */
  readonly trackedKeysMax?: number;
}

const EXPIRY_GRACE_MS = 5000;

export const gracesOf = ({ tombstoneGraceMs, expiryGraceMs }: Intervals): Graces => ({
  deletedMs: tombstoneGraceMs,
  endedMs: Math.min(expiryGraceMs ?? EXPIRY_GRACE_MS, tombstoneGraceMs),
});

export interface WorkHost extends Omit<CanaryHost, "isReady"> {
  whenDurable(callback: (ok: boolean, now: Millis) => void): void;
  /** Joins a document into the node's own and keeps it. */
  learn(document: ClusterDocument): void;
  /** The cluster document was changed here: it is to be kept. */
  documentChanged(): void;
  /** Two processes run under one id, perhaps under this member's. */
  noticed(duplicate: Duplicate, isToEnd: boolean): void;
  /** Whether the replica was told to be down. */
  isAway(): boolean;
  /** The keys of writes that are coordinated here, and not over yet. */
  keysOnTheirWay(): ReadonlySet<StoreKey>;
}

export interface Work {
  readonly parts: Jobs;
  readonly table: JobTable;
}

/** Where a node has no timers, its alarm runs it. */
const isByAlarm = ({ collectMs }: Intervals): boolean => collectMs === 0;

type Row = readonly [name: string, everyMs: number, run: (now: Millis) => void];

/** For a job that cannot say when it will have work, only whether it has any. */
const untilThereIs = (hasWork: boolean): Millis => (hasWork ? 0 : Infinity);

function livesOf(replica: Replica, host: WorkHost): Lives {
  return new Lives({
    self: replica.id,
    prng: host.prng.fork(),
    wall: host.wall,
    isMember: (id) => host.knowledge.ring.member(id) !== undefined,
    notice: (duplicate, isToEnd) => {
      if (duplicate.replica === replica.id) replica.keeper.renew();
      host.noticed(duplicate, isToEnd);
    },
  });
}

export function replicaJobs(replica: Replica, host: WorkHost, every: Intervals): Work {
  const handoff = new Handoff(replica, host, every.tombstoneGraceMs / 2);
  const exchanges = new Exchanges(replica, host);
  // Without heartbeats nobody wakes the node, and a gap between two steps says nothing.
  const absence =
    every.heartbeatMs > 0 ? new Absence(replica, exchanges, { host, ...every }) : null;
  const isPastPending = (): boolean => absence?.past.isPending === true;
  const refill = new Refill(replica, { ...host, isPastPending });
  const scrub = new Scrub(replica, host, { exchanges, everyMs: every.scrubMs ?? 0 });
  const sweep = new PurgeSweep(replica, host);
  const handOff = (now: Millis): void => handoff.start(now, null);
  const transfer = new Transfer(replica, { ...host, handOff });
  const isBehind = (): boolean => absence?.isBehind === true;
  const cleanUp = new CleanUp(replica, { ...host, isBehind });
  const resize = new Resize(replica, { ...host, isBehind });
  const evictor = new Evictor(replica, { ...host, ...every, isBehind });
  const agreement = new Agreement(replica, host);
  const sparesWrites = isByAlarm(every);
  const collector = new Collector(replica, { ...host, sparesWrites });
  const isReady = (): boolean =>
    host.knowledge.ring.member(replica.id) !== undefined && !isBehind();
  const canaries = new Canaries(replica.id, { ...host, isReady });
  const lives = livesOf(replica, host);
  // A member's hints, and whoever waits for it, have waited for its first sign of life.
  const heard = (from: ReplicaId, now: Millis): void => {
    handoff.toward(from, now);
    absence?.past.heard(from, now);
  };
  const tails =
    absence === null ? null : new Tails(replica, exchanges, { ...host, past: absence.past });
  const heartbeat = new Heartbeat(lives, host, { ...every, id: replica.id, heard, tails });
  const parts = {
    ...{ handoff, exchanges, absence, sweep, transfer, cleanUp, agreement, evictor, resize },
    ...{ collector, lives, scrub, tails, canaries, refill },
  };
  return { parts, table: tableOf({ ...parts, replica, heartbeat }, host, every) };
}

interface Worked {
  readonly replica: Replica;
  readonly handoff: Handoff;
  readonly exchanges: Exchanges;
  readonly absence: Absence | null;
  readonly sweep: PurgeSweep;
  readonly transfer: Transfer;
  readonly cleanUp: CleanUp;
  readonly agreement: Agreement;
  readonly evictor: Evictor;
  readonly resize: Resize;
  readonly collector: Collector;
  readonly scrub: Scrub;
  readonly canaries: Canaries;
  readonly heartbeat: Heartbeat;
}

/** When each part runs. */
function tableOf(of: Worked, host: WorkHost, every: Intervals): JobTable {
  const { replica, handoff, exchanges, absence, sweep, transfer, cleanUp, agreement } = of;
  const { evictor, resize, collector, scrub, canaries, heartbeat } = of;
  const flushIf = (hasWritten: boolean): void => {
    if (hasWritten) host.whenDurable(() => {});
  };
  const { migration } = replica;
  const migrate = (): void => migration.run(replica.keeper);
  // Asked after every step, and written out: each is of another class.
  const isChanging = (): boolean =>
    agreement.isPending ||
    migration.isPending ||
    transfer.isPending ||
    resize.isPending ||
    cleanUp.isPending;
  const change = (now: Millis): void => {
    agreement.run(now);
    migrate();
    transfer.run(now);
    resize.run(now);
    flushIf(cleanUp.run(now));
  };
  const unlessByAlarm = (ms: number): number => (isByAlarm(every) ? 0 : ms);
  const rows: readonly Row[] = [
    ["handoff", every.handoffMs, (now) => handoff.start(now, null)],
    ["exchange", every.antiEntropyMs, (now) => exchanges.next(now)],
    ["sweep", unlessByAlarm(SWEEP_MS), (now) => flushIf(sweep.run(now))],
    // By itself only for hosts that have many steps of it in a row.
    ["migrate", 0, migrate],
    ["change", unlessByAlarm(CHANGE_MS), change],
    ["scrub", (every.scrubMs ?? 0) > 0 ? SCRUB_MS : 0, (now) => flushIf(scrub.run(now))],
    ["evict", unlessByAlarm(EVICT_MS), (now) => evictor.run(now)],
    ["alive", absence?.noteMs ?? 0, () => flushIf(absence?.note() === true)],
    ["collect", every.collectMs ?? COLLECT_MS, (now) => collector.start(now)],
    // Intervals vary by a quarter: this one is the shortest.
    ["canary", (every.canaryMs ?? 0) / 0.75, () => canaries.run()],
    ["heartbeat", every.heartbeatMs, (now) => heartbeat.run(now)],
  ];
  const rests: Readonly<Record<string, () => Millis>> = {
    collect: () => collector.restsUntil,
    evict: () => untilThereIs(evictor.hasBounds),
    sweep: () => untilThereIs(!host.knowledge.purges.isEmpty),
    change: () => untilThereIs(isChanging()),
  };
  const table = new JobTable(host.prng);
  for (const [name, everyMs, work] of rows) {
    const run = (now: Millis): void => {
      if (!host.isAway()) work(now);
    };
    table.add({ name, everyMs, run, restsUntil: rests[name] }, 0);
  }
  return table;
}
