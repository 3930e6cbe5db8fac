/**
 * What a member tells of its delays: how long its peers took lately, and how often its canaries
 * were seen. Predictions are drawn from the former and held against the latter (src/staleness).
 */
import { CodecError } from "./check.ts";
import { isReplicaId, type ReplicaId } from "./ids.ts";

/** Measurements older than this, in ms, say nothing of the present. */
export const DELAYS_WINDOW_MS = 600_000;

/** Round trips to one peer, in ms, in no order. */
export interface RoundTrips {
  /** From asking it for what it holds to its reply. */
  readonly reads: readonly number[];
  /** From sending it a write to its last acknowledgement, durable where that was asked for. */
  readonly stores: readonly number[];
}

/** Canaries of one kind: who read them, the w that they were acknowledged with, and how late. */
export interface CanaryCount {
  readonly reader: ReplicaId;
  readonly w: number;
  /** How long after the acknowledgement the read began, in ms. */
  readonly t: number;
  /** For r = 1, 2, …: how many reads there were. */
  readonly counts: readonly number[];
  /** Of these, how many saw the write. */
  readonly seen: readonly number[];
}

export interface DelayReport {
  /** How long its frontend waits before it asks one replica more, in ms. */
  readonly hedgeMs: number;
  readonly peers: ReadonlyMap<ReplicaId, RoundTrips>;
  readonly canaries: readonly CanaryCount[];
  /** By peer, how old its knowledge of all that the peer holds is, in ms; absent: it has none. */
  readonly lagsMs: ReadonlyMap<ReplicaId, number>;
}

/** On the wire times are whole microseconds. */
const MICROS = 1000;
const toMicros = (ms: number): number => Math.max(0, Math.round(ms * MICROS));

export function reportToList({
  hedgeMs,
  peers,
  canaries,
  lagsMs,
}: DelayReport): readonly unknown[] {
  const times = [...peers].map(([peer, { reads, stores }]) => [
    peer,
    reads.map(toMicros),
    stores.map(toMicros),
  ]);
  const found = canaries.map(({ reader, w, t, counts, seen }) => [reader, w, t, counts, seen]);
  const lags = [...lagsMs].map(([peer, ms]) => [peer, toMicros(ms)]);
  return [toMicros(hedgeMs), times, found, lags];
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw new CodecError("a report of delays is made of lists");
}

function count(value: unknown): number {
  if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
  throw new CodecError("what a report of delays counts is whole and not negative");
}

function member(value: unknown): ReplicaId {
  if (typeof value === "string" && isReplicaId(value)) return value;
  throw new CodecError("a report of delays is about members");
}

const times = (value: unknown): readonly number[] =>
  list(value).map((micros) => count(micros) / MICROS);

/** @throws CodecError for anything other than `reportToList` gives */
export function reportFromList(value: readonly unknown[]): DelayReport {
  const [hedge, peers, canaries, lags] = value;
  return {
    hedgeMs: count(hedge) / MICROS,
    peers: new Map(
      list(peers).map((item) => {
        const [peer, reads, stores] = list(item);
        return [member(peer), { reads: times(reads), stores: times(stores) }] as const;
      }),
    ),
    canaries: list(canaries).map((item) => {
      const [reader, w, t, counts, seen] = list(item);
      const of = { reader: member(reader), w: count(w), t: count(t) };
      return { ...of, counts: list(counts).map(count), seen: list(seen).map(count) };
    }),
    lagsMs: new Map(
      list(lags).map((item) => {
        const [peer, micros] = list(item);
        return [member(peer), count(micros) / MICROS] as const;
      }),
    ),
  };
}
