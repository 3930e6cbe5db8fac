// What the layout must reach, computed in ways other than the layout's own: water by the drop, a
// flow by Bellman and Ford with lower bounds as bribes, and exhaustive search. Slow and plain.
import type { Assignment } from "../../ring/assignment.ts";
import type { ShareRange } from "../../ring/fair-shares.ts";
import type { RingCase } from "./memberships.ts";

const zonesOf = (members: RingCase["members"]): string[] => [
  ...new Set(members.map(({ zone }) => zone)),
];

/** How many copies and how many zones each partition must have. */
export function meritsOf({ n, members }: RingCase): { copies: number; zoneCount: number } {
  const copies = Math.min(n, members.length);
  return { copies, zoneCount: Math.min(copies, zonesOf(members).length) };
}

export function countsOf(assignment: Assignment): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of assignment) for (const id of row) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

/** Who holds how many drops, and who may take the next. */
class Basins {
  readonly drops: number[];
  readonly #ring: RingCase;
  readonly #full: number;
  readonly #isCapped: boolean;
  readonly #inZone: Map<string, number>;
  left: number;

  constructor(ring: RingCase, full: number, floor: number) {
    const copies = Math.min(ring.n, ring.members.length);
    const names = zonesOf(ring.members);
    this.#ring = ring;
    this.#full = full;
    this.#isCapped = names.length >= copies;
    this.#inZone = new Map(names.map((name) => [name, 0]));
    this.drops = ring.members.map(() => 0);
    this.left = full * copies;
    for (const i of this.drops.keys()) for (let k = 0; k < floor; k++) this.give(i);
  }

  give(i: number): void {
    const zone = this.#ring.members[i]?.zone ?? "";
    this.drops[i] = (this.drops[i] ?? 0) + 1;
    this.#inZone.set(zone, (this.#inZone.get(zone) ?? 0) + 1);
    this.left--;
  }

  /** Low for members that have little for their weight: where a drop adds least to the squares. */
  thirstOf(i: number): number {
    return (2 * (this.drops[i] ?? 0) + 1) / (this.#ring.members[i]?.weight ?? 1);
  }

  /** Members that may take a drop while the zones can still get what they must. */
  open(): number[] {
    let owed = 0;
    for (const held of this.#inZone.values()) owed += Math.max(0, this.#full - held);
    const onlyThirstyZones = this.#isCapped || owed === this.left;
    return [...this.drops.keys()].filter((i) => {
      const held = this.#inZone.get(this.#ring.members[i]?.zone ?? "") ?? 0;
      if ((this.drops[i] ?? 0) >= this.#full) return false;
      return !onlyThirstyZones || held < this.#full;
    });
  }
}

/** The fair shares, to within a few drops: each goes to the one who has least for its weight. */
export function sharesByTheDrop(ring: RingCase, dropsPerPartition: number, floor: 0 | 1): number[] {
  const basins = new Basins(ring, ring.partitions * dropsPerPartition, floor * dropsPerPartition);
  while (basins.left > 0) {
    let best = -1;
    for (const i of basins.open()) {
      if (best < 0 || basins.thirstOf(i) < basins.thirstOf(best)) best = i;
    }
    if (best < 0) throw new Error("nobody may take the next drop");
    basins.give(best);
  }
  return basins.drops.map((count) => count / dropsPerPartition);
}

/** Whether every member can hold at least so much under the zone rule. */
export function canHold(ring: RingCase, floors: readonly number[]): boolean {
  const { members, partitions } = ring;
  const copies = Math.min(ring.n, members.length);
  const names = zonesOf(members);
  const perZone = names.map((name) =>
    members.reduce((sum, { zone }, i) => sum + (zone === name ? (floors[i] ?? 0) : 0), 0),
  );
  if (names.length < copies) {
    const least = perZone.reduce((sum, held) => sum + Math.max(held, partitions), 0);
    return least <= partitions * copies;
  }
  const total = perZone.reduce((a, b) => a + b, 0);
  return perZone.every((held) => held <= partitions) && total <= partitions * copies;
}

interface Edge {
  readonly to: number;
  left: number;
  readonly cost: number;
  readonly back: number;
}

/** Textbook successive shortest paths with Bellman and Ford's search: any costs, any capacities. */
class PlainFlow {
  readonly edges: Edge[][];

  constructor(nodeCount: number) {
    this.edges = Array.from({ length: nodeCount }, () => []);
  }

  add(from: number, to: number, capacity: number, cost: number): void {
    const there = this.edges[from] ?? [];
    const back = this.edges[to] ?? [];
    there.push({ to, left: capacity, cost, back: back.length });
    back.push({ to: from, left: 0, cost: -cost, back: there.length - 1 });
  }

  /** The cost of pushing `units` from node 0 to node 1. */
  push(units: number): number {
    let total = 0;
    for (let unit = 0; unit < units; unit++) {
      const { distance, via } = this.#search();
      if (distance[1] === undefined || distance[1] === Infinity) throw new Error("no path is left");
      total += distance[1];
      for (let node = 1; node !== 0; ) {
        const edge = via[node];
        const back = this.edges[node]?.[edge?.back ?? -1];
        if (edge === undefined || back === undefined) throw new Error("a path is broken");
        edge.left--;
        back.left++;
        node = back.to;
      }
    }
    return total;
  }

  #search() {
    const distance = this.edges.map(() => Infinity);
    const via: (Edge | undefined)[] = this.edges.map(() => undefined);
    distance[0] = 0;
    const lower = (node: number): boolean => {
      let isLower = false;
      for (const edge of this.edges[node] ?? []) {
        const through = (distance[node] ?? Infinity) + edge.cost;
        if (edge.left === 0 || through >= (distance[edge.to] ?? Infinity)) continue;
        distance[edge.to] = through;
        via[edge.to] = edge;
        isLower = true;
      }
      return isLower;
    };
    for (let again = true; again; ) {
      again = this.edges.map((_, node) => lower(node)).some((isLower) => isLower);
    }
    return { distance, via };
  }
}

const BRIBE = 1_000_000;

/** The fewest moves from `previous` to any layout within the shares and under the zone rule. */
export function fewestMoves(
  ring: RingCase,
  shares: readonly ShareRange[],
  previous: Assignment,
): number {
  const { members, partitions } = ring;
  const { copies, zoneCount } = meritsOf(ring);
  const names = zonesOf(members);
  const isCapped = names.length >= copies;
  const flow = new PlainFlow(2 + members.length + partitions * (1 + names.length));
  let bribes = 0;
  members.forEach((_, i) => {
    const { least, most } = shares[i] ?? { least: 0, most: 0 };
    flow.add(2 + i, 1, least, -BRIBE);
    flow.add(2 + i, 1, most - least, 0);
    bribes += least;
  });
  for (let p = 0; p < partitions; p++) {
    const node = 2 + members.length + p * (1 + names.length);
    flow.add(0, node, copies, 0);
    names.forEach((_, z) => {
      flow.add(node, node + 1 + z, 1, isCapped ? 0 : -BRIBE);
      if (!isCapped) flow.add(node, node + 1 + z, copies, 0);
    });
    if (!isCapped) bribes += zoneCount;
    members.forEach(({ id, zone }, i) => {
      const cost = previous[p]?.includes(id) === true ? 0 : 1;
      flow.add(node + 1 + names.indexOf(zone), 2 + i, 1, cost);
    });
  }
  const cost = flow.push(partitions * copies) + bribes * BRIBE;
  if (cost < 0 || cost > partitions * copies) throw new Error("a lower bound was not met");
  return cost;
}

/** All sets of `copies` members that lie in as many zones as there can be. */
function rowsOf(ring: RingCase): number[][] {
  const { copies, zoneCount } = meritsOf(ring);
  const rows: number[][] = [];
  for (let mask = 0; mask < 1 << ring.members.length; mask++) {
    const row = ring.members.flatMap((_, i) => ((mask >> i) & 1 ? [i] : []));
    const zones = new Set(row.map((i) => ring.members[i]?.zone));
    if (row.length === copies && zones.size === zoneCount) rows.push(row);
  }
  return rows;
}

/** `fewestMoves` by trying every layout there is: for rings of a handful of copies. */
export function fewestMovesBySearch(
  ring: RingCase,
  shares: readonly ShareRange[],
  previous: Assignment,
): number {
  const rows = rowsOf(ring);
  const counts = ring.members.map(() => 0);
  let best = Infinity;
  const add = (row: readonly number[], by: 1 | -1): void => {
    for (const i of row) counts[i] = (counts[i] ?? 0) + by;
  };
  const isFull = (row: readonly number[]): boolean =>
    row.some((i) => (counts[i] ?? 0) >= (shares[i]?.most ?? 0));
  const isFair = (): boolean => counts.every((count, i) => count >= (shares[i]?.least ?? 0));
  const search = (partition: number, moved: number): void => {
    if (moved >= best) return;
    if (partition === ring.partitions) {
      if (isFair()) best = moved;
      return;
    }
    const holders = previous[partition] ?? [];
    for (const row of rows) {
      if (isFull(row)) continue;
      const fresh = row.filter((i) => !holders.includes(ring.members[i]?.id ?? ""));
      add(row, 1);
      search(partition + 1, moved + fresh.length);
      add(row, -1);
    }
  };
  search(0, 0);
  return best;
}
