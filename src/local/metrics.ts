/** What the Node host adds to `/metrics`: its node, its log, its peers, its process. */

import { replicaMetrics, ringMetrics } from "../driver/node-metrics.ts";
import { type HistogramMetric, type Metric, one, render } from "../metrics/exposition.ts";
import type { Node } from "../node/node.ts";
import type { FileLog } from "./log/file-log.ts";
import type { Transport } from "./peers/transport.ts";

const peerMetrics = (transport: Transport): readonly Metric[] => [
  {
    name: "starling_peers_connected",
    type: "gauge",
    help: "Peers that this node has a connection to.",
    values: one(transport.connectedCount),
  },
  {
    name: "starling_peers_incompatible",
    type: "gauge",
    help: "Members that this node and they refuse, for the versions of their protocols.",
    values: one(transport.refusedVersionCount),
  },
  {
    name: "starling_dropped_replies_total",
    type: "counter",
    help: "Replies to peers that did not read them.",
    values: one(transport.droppedCount),
  },
  {
    name: "starling_malformed_messages_total",
    type: "counter",
    help: "Frames from peers that were none.",
    values: one(transport.malformedCount),
  },
];

function logMetrics(fileLog: FileLog): readonly (Metric | HistogramMetric)[] {
  const log = fileLog.metrics();
  return [
    {
      name: "starling_log_bytes",
      type: "gauge",
      help: "Bytes of the log's segments, garbage included.",
      values: one(log.byteCount),
    },
    {
      name: "starling_log_staged_bytes",
      type: "gauge",
      help: "Bytes that were written and are not durable yet.",
      values: one(log.stagedByteCount),
    },
    {
      name: "starling_log_live_bytes",
      type: "gauge",
      help: "Bytes of the log that are still needed.",
      values: one(log.liveByteCount),
    },
    {
      name: "starling_log_segments",
      type: "gauge",
      help: "Files of the log.",
      values: one(log.segmentsCount),
    },
    {
      name: "starling_log_written_bytes_total",
      type: "counter",
      help: "Bytes written to the log, compaction included.",
      values: one(log.writtenByteCount),
    },
    {
      name: "starling_log_compactions_total",
      type: "counter",
      help: "Segments that were rewritten without their garbage.",
      values: one(log.compactionsCount),
    },
    {
      name: "starling_log_corrupt_records_total",
      type: "counter",
      help: "Records found rotten when they were read.",
      values: one(log.corruptReadsCount),
    },
    {
      name: "starling_log_fsync_seconds",
      type: "histogram",
      help: "Time of one fdatasync of the log.",
      values: [[{}, log.fsyncs]],
    },
  ];
}

function processMetrics(): readonly Metric[] {
  const { user, system } = process.cpuUsage();
  return [
    {
      name: "process_cpu_seconds_total",
      type: "counter",
      help: "User and system time of the process.",
      values: one((user + system) / 1e6),
    },
    {
      name: "process_resident_memory_bytes",
      type: "gauge",
      help: "Resident memory of the process.",
      values: one(process.memoryUsage.rss()),
    },
    {
      name: "process_start_time_seconds",
      type: "gauge",
      help: "When the process started, since 1970.",
      values: one((Date.now() - process.uptime() * 1000) / 1000),
    },
  ];
}

/** The host's part of `/metrics`, in the Prometheus text format. */
export function nodeMetrics(parts: {
  readonly node: Node;
  readonly fileLog: FileLog;
  readonly transport: Transport;
}): string {
  const { knowledge, service } = parts.node;
  const now = Date.now();
  return render([
    ...ringMetrics(knowledge),
    ...(service === null ? [] : replicaMetrics({ service, knowledge, now })),
    ...peerMetrics(parts.transport),
    ...logMetrics(parts.fileLog),
    ...processMetrics(),
  ]);
}
