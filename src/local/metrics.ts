/** What the Node host adds to `/metrics`: its log, its hints, its peers. */
import type { Node } from "../node/node.ts";
import type { FileLog } from "./log/file-log.ts";
import type { Transport } from "./transport.ts";

interface Metric {
  readonly name: string;
  readonly type: "gauge" | "counter";
  readonly help: string;
  readonly values: readonly (readonly [labels: string, value: number])[];
}

function render({ name, type, help, values }: Metric): string {
  const lines = values.map(([labels, value]) => `${name}${labels} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines].join("\n");
}

const one = (value: number): Metric["values"] => [["", value]];

const peerMetrics = (transport: Transport): readonly Metric[] => [
  {
    name: "starling_peers_connected",
    type: "gauge",
    help: "Peers that this node has a connection to.",
    values: one(transport.connectedCount),
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

export function nodeMetrics(parts: {
  readonly node: Node;
  readonly fileLog: FileLog;
  readonly transport: Transport;
}): string {
  const { node, transport } = parts;
  const { knowledge, service } = node;
  const suspects = knowledge.ring.memberIds.filter((id) => knowledge.liveness.isSuspect(id));
  const store = service?.keeper.store;
  const stats = store?.stats() ?? { keyCount: 0, byteCount: 0 };
  const hints = [...(store?.hintCounts() ?? [])];
  const exchanges = service?.background?.exchanges;
  const metrics: Metric[] = [
    {
      name: "starling_ring_version",
      type: "gauge",
      help: "Version of the ring document.",
      values: one(knowledge.ring.document.version),
    },
    {
      name: "starling_members_unreachable",
      type: "gauge",
      help: "Members that this node suspects.",
      values: one(suspects.length),
    },
    { name: "starling_keys", type: "gauge", help: "Keys held.", values: one(stats.keyCount) },
    {
      name: "starling_stored_bytes",
      type: "gauge",
      help: "Bytes of the records held.",
      values: one(stats.byteCount),
    },
    {
      name: "starling_hints",
      type: "gauge",
      help: "Hints held for another replica.",
      values: hints.map(([target, count]) => [`{target="${target}"}`, count]),
    },
    {
      name: "starling_hints_delivered_total",
      type: "counter",
      help: "Hints brought home.",
      values: one(node.knowledge.counters.hintsDelivered),
    },
    {
      name: "starling_antientropy_keys_total",
      type: "counter",
      help: "Keys that exchanges moved.",
      values: [
        ['{direction="sent"}', exchanges?.keysSent ?? 0],
        ['{direction="received"}', exchanges?.keysReceived ?? 0],
      ],
    },
    {
      name: "starling_antientropy_bytes_total",
      type: "counter",
      help: "Bytes of entries that exchanges moved.",
      values: one(exchanges?.byteCount ?? 0),
    },
  ];
  return `${[...metrics, ...peerMetrics(transport)].map(render).join("\n")}\n`;
}
