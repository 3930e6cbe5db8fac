/** What a node knows of itself and of the ring, as metrics: the same on every host. */
import type { WallMillis } from "../../core/time.ts";
import { type Metric, one, type Sample } from "../metrics/exposition.ts";
import { readableHintAt } from "../node/knowledge/hint-age.ts";
import type { Knowledge } from "../node/knowledge/knowledge.ts";
import { countedKeys } from "../node/serving/reports.ts";
import type { Service } from "../node/serving/service.ts";

/** Of the ring as this node sees it, and what it did for others' requests. */
export function ringMetrics({ ring, liveness, counters }: Knowledge): readonly Metric[] {
  const { memberIds } = ring;
  return [
    {
      name: "starling_ring_version",
      type: "gauge",
      help: "Version of the ring document that this node works by.",
      values: one(ring.document.version),
    },
    {
      name: "starling_members",
      type: "gauge",
      help: "Members of the ring.",
      values: one(memberIds.length),
    },
    {
      name: "starling_members_unreachable",
      type: "gauge",
      help: "Members that this node suspects.",
      values: one(memberIds.filter((id) => liveness.isSuspect(id)).length),
    },
    {
      name: "starling_duplicate_replicas_total",
      type: "counter",
      help: "How often this node found that two processes run under one member's id.",
      values: one(counters.duplicatesNoticed),
    },
    {
      name: "starling_read_repairs_total",
      type: "counter",
      help: "Entries that reads sent to primaries which were behind.",
      values: one(counters.readRepairs),
    },
    {
      name: "starling_reads_stale_total",
      type: "counter",
      help: "Reads that were answered before a reply came which held something newer.",
      values: one(counters.staleReads),
    },
    {
      name: "starling_late_requests_total",
      type: "counter",
      help: "Requests of peers that were dropped because nobody waited any more.",
      values: one(counters.lateRequests),
    },
  ];
}

/** Of the replica that the node keeps. */
export function replicaMetrics(of: {
  readonly service: Service;
  readonly knowledge: Knowledge;
  readonly now: WallMillis;
}): readonly Metric[] {
  const { store } = of.service.keeper;
  const { byteCount, deadKeyCount, deadByteCount } = store.stats();
  const keyCount = countedKeys(of.service.keeper);
  return [
    { name: "starling_keys", type: "gauge", help: "Keys held as an owner.", values: one(keyCount) },
    {
      name: "starling_stored_bytes",
      type: "gauge",
      help: "Bytes of the records held as an owner.",
      values: one(byteCount),
    },
    {
      name: "starling_dead_keys",
      type: "gauge",
      help: "Of the keys, those without a value: deleted, evicted or expired.",
      values: one(deadKeyCount),
    },
    {
      name: "starling_dead_bytes",
      type: "gauge",
      help: "Of the stored bytes, those of dead keys.",
      values: one(deadByteCount),
    },
    ...collectionMetrics(of.service),
    ...scrubMetrics(of.service),
    {
      name: "starling_store_writable",
      type: "gauge",
      help: "1 while the replica takes writes; 0 when its disk is full or failed.",
      values: one(store.health() === "writable" ? 1 : 0),
    },
    ...boundMetrics(of),
    ...hintMetrics(of),
    ...exchangeMetrics(of.service),
    ...lagMetrics(of.service),
  ];
}

type ReplicaParts = Parameters<typeof replicaMetrics>[0];

/** Nothing where the platform checks its own storage. */
function scrubMetrics({ jobs }: Service): readonly Metric[] {
  const { checks, totals, status } = jobs.scrub;
  if (!checks) return [];
  return [
    {
      name: "starling_scrubbed_records_total",
      type: "counter",
      help: "Records that a scrub has read.",
      values: one(totals.records),
    },
    {
      name: "starling_scrub_damaged_records_total",
      type: "counter",
      help: "Of those, the ones whose checksum did not hold.",
      values: one(totals.damaged),
    },
    {
      name: "starling_scrub_mended_records_total",
      type: "counter",
      help: "Of the damaged ones, those that other replicas have brought again.",
      values: one(totals.mended),
    },
    {
      name: "starling_scrub_last_timestamp_seconds",
      type: "gauge",
      help: "When all records had been read for the last time; 0 for never.",
      values: one((status?.last?.at ?? 0) / 1000),
    },
  ];
}

function collectionMetrics({ jobs }: Service): readonly Metric[] {
  const { expiredCount, collectedCount } = jobs.collector;
  return [
    {
      name: "starling_expired_values_total",
      type: "counter",
      help: "Values that gave up their body because their time had passed, hints included.",
      values: one(expiredCount),
    },
    {
      name: "starling_collected_keys_total",
      type: "counter",
      help: "Dead keys that this replica forgot for good.",
      values: one(collectedCount),
    },
  ];
}

/** Of namespaces with a bound alone: they are few, and an operator has named them. */
function boundMetrics({ service, knowledge }: ReplicaParts): readonly Metric[] {
  const usage = service.keeper.store.usage();
  const bounded = [...knowledge.namespaces].filter(([, { maxBytes }]) => maxBytes !== null);
  return [
    {
      name: "starling_namespace_bytes",
      type: "gauge",
      help: "Bytes of the values held of a namespace that has a bound.",
      values: bounded.map(([namespace]) => [{ namespace }, usage.get(namespace)?.byteCount ?? 0]),
    },
    {
      name: "starling_namespace_max_bytes",
      type: "gauge",
      help: "The bound of a namespace that has one, all replicas together.",
      values: bounded.map(([namespace, { maxBytes }]) => [{ namespace }, maxBytes ?? 0]),
    },
    {
      name: "starling_evictions_total",
      type: "counter",
      help: "Keys that this replica evicted because their namespace was over its bound.",
      values: one(knowledge.counters.evictions),
    },
    {
      name: "starling_evicted_bytes_total",
      type: "counter",
      help: "Bytes of those keys' values.",
      values: one(knowledge.counters.evictedBytes),
    },
  ];
}

function hintMetrics({ service, knowledge, now }: ReplicaParts): readonly Metric[] {
  const { store } = service.keeper;
  const { hintsStored, hintsDelivered, hintsRetired, hintsNotKept } = knowledge.counters;
  return [
    {
      name: "starling_hints",
      type: "gauge",
      help: "Hints held for another replica.",
      values: [...store.hintCounts()].map(([target, count]): Sample => [{ target }, count]),
    },
    {
      name: "starling_hints_oldest_age_seconds",
      type: "gauge",
      help: "Age of the oldest hint held; 0 without any.",
      values: one(hintAgeSeconds(service, now)),
    },
    {
      name: "starling_hints_stored_total",
      type: "counter",
      help: "Hints taken in.",
      values: one(hintsStored),
    },
    {
      name: "starling_hints_delivered_total",
      type: "counter",
      help: "Hints brought home.",
      values: one(hintsDelivered),
    },
    {
      name: "starling_hints_retired_total",
      type: "counter",
      help: "Hints given to the other primaries because their owner stayed away.",
      values: one(hintsRetired),
    },
    {
      name: "starling_hints_not_kept_total",
      type: "counter",
      help: "Hints that the disk had no room for, or was too far behind to take.",
      values: one(hintsNotKept),
    },
  ];
}

/** Nothing where replicas do not follow each other. */
function lagMetrics({ jobs }: Service): readonly Metric[] {
  const lags = jobs.tails?.lagMs();
  if (lags === undefined) return [];
  return [
    {
      name: "starling_replica_lag_seconds",
      type: "gauge",
      help: "Age of what this replica knows of all that a peer holds; +Inf while it knows nothing.",
      values: [...lags].map(([peer, ms]): Sample => [{ peer }, ms / 1000]),
    },
  ];
}

function hintAgeSeconds({ keeper }: Service, now: WallMillis): number {
  const at = readableHintAt(keeper.store);
  return at === null ? 0 : Math.max(0, now - at) / 1000;
}

function exchangeMetrics({ jobs }: Service): readonly Metric[] {
  const { lastAt, completeCount, keysSent, keysReceived, byteCount } = jobs.exchanges;
  return [
    {
      name: "starling_antientropy_exchanges_total",
      type: "counter",
      help: "Exchanges that this replica began and that went through.",
      values: one(completeCount),
    },
    {
      name: "starling_antientropy_keys_total",
      type: "counter",
      help: "Keys that exchanges moved.",
      values: [
        [{ direction: "sent" }, keysSent],
        [{ direction: "received" }, keysReceived],
      ],
    },
    {
      name: "starling_antientropy_bytes_total",
      type: "counter",
      help: "Bytes of entries that exchanges moved, both ways.",
      values: one(byteCount),
    },
    {
      name: "starling_antientropy_last_exchange_timestamp_seconds",
      type: "gauge",
      help: "When an exchange with a peer last went through, since 1970.",
      values: [...lastAt].map(([peer, at]): Sample => [{ peer }, at / 1000]),
    },
  ];
}
