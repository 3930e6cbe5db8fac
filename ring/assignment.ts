/**
 * Which members hold which partition: the layout of the ring.
 *
 * The problem. Each of Q partitions wants its copies on distinct members, such that, in this order:
 * (1) they lie in as many distinct zones as there can be; (2) the members' shares are as even as
 * their weights and that rule allow, to within one partition; (3) of all layouts that reach both,
 * the one is taken that moves the fewest copies from where they are now.
 *
 * The idea (after Garage's layout, Auvolat 2023): a flow. Each copy is a unit of it, on its way
 *
 *     source ──copies──▶ partition ──1──▶ (partition, zone) ──1──▶ member ──least──▶ sink
 *                           └──copies - zones──▶ rest ──▶ ┘           └─▶ spill ──────▶ ┘
 *
 * The zone rule is in the arcs into (partition, zone): with at least as many zones as copies each
 * takes one unit at most, and there is no `rest`; with fewer, one unit goes to each and the rest
 * wherever. The shares are in the arcs out of the members: `least` of each range must be used up
 * for the flow to be full, one more may go through the spill, whose own capacity is what the sum of
 * the `least` leaves. So a full flow is a layout that reaches (1) and (2), and every such layout is
 * a full flow. An arc to a member costs 1 where the member does not hold the partition yet: a
 * cheapest full flow reaches (3), and the flow's dual proves that nothing moves less.
 *
 * Where a layout is free to choose, the members are tried in each partition's own pseudo-random
 * order, so that any member's partners, and so the load it leaves behind when it fails, are spread
 * over all others. The members' order in the input changes nothing.
 */
import { assert, present } from "../core/assert.ts";
import type { ReplicaId } from "../core/ids.ts";
import { N_MAX } from "../core/limits.ts";
import { fairShares, type ShareRange } from "./fair-shares.ts";
import { FlowNetwork } from "./flow.ts";
import { isPartitionCount } from "./partition.ts";
import { orderPlaces } from "./places.ts";
import { Rendezvous } from "./rendezvous.ts";

export type Assignment = readonly (readonly ReplicaId[])[];

export interface AssignmentMember {
  readonly id: ReplicaId;
  readonly zone: string;
  /** A positive integer: the member's share relative to the others'. */
  readonly weight: number;
}

export interface AssignmentProblem {
  /** Q: a power of two. */
  readonly partitions: number;
  /** Copies of each partition, 1 to 5; fewer members than that hold one copy each. */
  readonly n: number;
  /** At least one, with distinct ids, in any order. */
  readonly members: readonly AssignmentMember[];
  /** Where the copies are now, by partition; ids of strangers count for nothing. */
  readonly previous?: Assignment;
}

export interface Layout {
  /** For each partition its replicas; the first `min(n, zones)` of them in distinct zones. */
  readonly assignment: readonly (readonly ReplicaId[])[];
  /** How many copies are where `previous` had none. */
  readonly movedCount: number;
  /** By the dual solution, the fewest copies that any layout of the same merits moves. */
  readonly movedCountMin: number;
}

/** The problem with ids and zones replaced by numbers, members in order of their ids. */
interface Instance {
  readonly partitions: number;
  readonly copies: number;
  readonly ids: readonly ReplicaId[];
  readonly zoneOf: readonly number[];
  readonly zoneCount: number;
  readonly ranges: readonly ShareRange[];
  readonly rendezvous: Rendezvous;
  readonly previous: Assignment;
}

function instanceOf({ partitions, n, members, previous = [] }: AssignmentProblem): Instance {
  assert(isPartitionCount(partitions), "the number of partitions is a power of two");
  assert(Number.isInteger(n) && n >= 1 && n <= N_MAX, "n is 1 to 5");
  assert(members.length > 0, "a ring has members");
  assert(previous.length === 0 || previous.length === partitions, "partitions are never cut");
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1));
  const zones = new Map<string, number>();
  for (const { zone } of sorted) if (!zones.has(zone)) zones.set(zone, zones.size);
  const zoneOf = sorted.map(({ zone }) => present(zones.get(zone)));
  const copies = Math.min(n, sorted.length);
  const zoneCount = zones.size;
  const shares = sorted.map(({ weight }, i) => ({ weight, zone: present(zoneOf[i]) }));
  const ranges = fairShares({ partitions, copies, zoneCount, members: shares });
  const ids = sorted.map(({ id }) => id);
  assert(new Set(ids).size === ids.length, "members have distinct ids");
  const rendezvous = new Rendezvous(sorted);
  return { partitions, copies, ids, zoneOf, zoneCount, ranges, rendezvous, previous };
}

const SPILL = 2;
const FIRST_MEMBER = 3;

/** The arc that says, by its flow, whether a member holds a partition. */
interface CopyArc {
  readonly member: number;
  readonly arc: number;
}

/** Adds what leads from the members to the sink. */
function addShares(network: FlowNetwork, { ranges, partitions, copies }: Instance): void {
  let spillCapacity = partitions * copies;
  ranges.forEach(({ least, most }, member) => {
    network.arc(FIRST_MEMBER + member, network.sink, { capacity: least });
    network.arc(FIRST_MEMBER + member, SPILL, { capacity: most - least });
    spillCapacity -= least;
  });
  assert(spillCapacity >= 0, "the shares' lower ends fit into the ring");
  network.arc(SPILL, network.sink, { capacity: spillCapacity });
}

/** Adds one partition's way from the source to the members, which are tried in its own order. */
function addPartition(network: FlowNetwork, instance: Instance, partition: number): CopyArc[] {
  const { copies, zoneCount, zoneOf, ids, rendezvous, previous } = instance;
  const node = FIRST_MEMBER + ids.length + partition * (zoneCount + 2);
  const restNode = node + 1;
  const restCount = Math.max(0, copies - zoneCount);
  network.arc(network.source, node, { capacity: copies });
  if (restCount > 0) network.arc(node, restNode, { capacity: restCount });
  const holders = previous[partition] ?? [];
  const seen = new Set<number>();
  return rendezvous.order(partition).map((member) => {
    const zone = present(zoneOf[member]);
    const zoneNode = node + 2 + zone;
    if (!seen.has(zone)) {
      network.arc(node, zoneNode, { capacity: 1 });
      if (restCount > 0) network.arc(restNode, zoneNode, { capacity: restCount });
      seen.add(zone);
    }
    const cost = holders.includes(present(ids[member])) ? 0 : 1;
    const arc = network.arc(zoneNode, FIRST_MEMBER + member, { capacity: 1, cost });
    return { member, arc };
  });
}

/**
 * Lays out the ring; see the top of the file for what is promised.
 *
 * @throws AssertionFailure on input that was not checked before
 */
export function layOut(problem: AssignmentProblem): Layout {
  const instance = instanceOf(problem);
  const { partitions, copies, ids, zoneOf, zoneCount, previous } = instance;
  const nodeCount = FIRST_MEMBER + ids.length + partitions * (zoneCount + 2);
  const arcCount = 2 * ids.length + 1 + partitions * (2 + 2 * zoneCount + ids.length);
  const network = new FlowNetwork(nodeCount, arcCount);
  addShares(network, instance);
  const arcs = Array.from({ length: partitions }, (_, p) => addPartition(network, instance, p));
  const { value, cost } = network.solve();
  assert(value === partitions * copies, "fair shares under the zone rule can be laid out");

  const rows = arcs.map((row) =>
    row.filter(({ arc }) => network.flowOn(arc) === 1).map(({ member }) => member),
  );
  assert(
    rows.every((row) => row.length === copies),
    "every partition has all its copies",
  );
  const numberOf = new Map(ids.map((id, member) => [id, member]));
  const before = previous.map((row) => row.map((id) => numberOf.get(id) ?? -1));
  const ordered = orderPlaces({ rows, zoneOf, zoneCount, previous: before });
  const assignment = ordered.map((row) => row.map((member) => present(ids[member])));
  return { assignment, movedCount: cost, movedCountMin: network.costLowerBound() };
}

/** The assignment of `layOut` alone. */
export const assign = (problem: AssignmentProblem): Assignment => layOut(problem).assignment;
