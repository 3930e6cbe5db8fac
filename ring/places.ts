/**
 * In which order a partition's replicas stand. The first is the favoured coordinator, and a
 * namespace with a smaller N than the ring's has the first N for primaries, so each place matters:
 *
 * - the first `min(copies, zones)` lie in distinct zones;
 * - at each place every replica that may stand there has an equal chance, rounded: a member stands
 *   first, second, … as often as chance would put it there, to within one partition;
 * - as many as possible stand where they stood before.
 *
 * Each place is a small flow of its own, one unit a partition. That the rounded chances can always
 * be met follows from the fractions themselves being a flow.
 */
import { assert, present } from "../core/assert.ts";
import { FlowNetwork } from "./flow.ts";

export interface PlacesProblem {
  /** For each partition its members, by number, in the order to prefer where all else is equal. */
  readonly rows: readonly (readonly number[])[];
  /** The zone of each member, below `zoneCount`. */
  readonly zoneOf: readonly number[];
  readonly zoneCount: number;
  /** The order before, by partition; strangers are negative. Empty when there was none. */
  readonly previous: readonly (readonly number[])[];
}

const SPILL = 2;
const FIRST_MEMBER = 3;

/** lcm(1 … 5): the sizes of rows divide it. */
const WHOLE = 60;

/** Who may stand at the next place of a row: members of zones that the row does not have yet. */
function candidatesOf(row: readonly number[], placed: readonly number[], at: PlacesProblem) {
  const left = row.filter((member) => !placed.includes(member));
  const zones = placed.map((member) => at.zoneOf[member]);
  const fresh = left.filter((member) => !zones.includes(at.zoneOf[member]));
  return fresh.length > 0 ? fresh : left;
}

/** Adds the arcs by which a member stands at the place as often as chance says, rounded. */
function addChances(network: FlowNetwork, rows: readonly number[][], memberCount: number): void {
  const chances = new Array<number>(memberCount).fill(0);
  for (const row of rows) {
    assert(WHOLE % row.length === 0, "a row has one to five candidates");
    for (const member of row) chances[member] = present(chances[member]) + WHOLE / row.length;
  }
  let spillCapacity = rows.length;
  chances.forEach((chance, member) => {
    const least = Math.floor(chance / WHOLE);
    network.arc(FIRST_MEMBER + member, network.sink, { capacity: least });
    network.arc(FIRST_MEMBER + member, SPILL, { capacity: Math.ceil(chance / WHOLE) - least });
    spillCapacity -= least;
  });
  network.arc(SPILL, network.sink, { capacity: spillCapacity });
}

/** Chooses one candidate of each row. */
function choose(rows: readonly number[][], place: number, problem: PlacesProblem): number[] {
  const memberCount = problem.zoneOf.length;
  const arcCount = 2 * memberCount + 1 + rows.reduce((sum, row) => sum + row.length + 1, 0);
  const network = new FlowNetwork(FIRST_MEMBER + memberCount + rows.length, arcCount);
  addChances(network, rows, memberCount);
  const arcs = rows.map((row, partition) => {
    const node = FIRST_MEMBER + memberCount + partition;
    network.arc(network.source, node, { capacity: 1 });
    const before = problem.previous[partition]?.[place];
    return row.map((member) => {
      const cost = member === before ? 0 : 1;
      return network.arc(node, FIRST_MEMBER + member, { capacity: 1, cost });
    });
  });
  const { value } = network.solve();
  assert(value === rows.length, "the chances can be rounded");
  return rows.map((row, partition) => {
    const at = arcs[partition]?.findIndex((arc) => network.flowOn(arc) === 1) ?? -1;
    const member = row[at];
    assert(member !== undefined, "every row has one at the place");
    return member;
  });
}

/** Orders every row; all rows have the same length, at most five. */
export function orderPlaces(problem: PlacesProblem): number[][] {
  const { rows } = problem;
  const copies = rows[0]?.length ?? 0;
  assert(
    rows.every((row) => row.length === copies),
    "rows have one length",
  );
  const placed: number[][] = rows.map(() => []);
  for (let place = 0; place < copies; place++) {
    const candidates = rows.map((row, p) => candidatesOf(row, placed[p] ?? [], problem));
    const chosen = choose(candidates, place, problem);
    chosen.forEach((member, p) => {
      placed[p]?.push(member);
    });
  }
  return placed;
}
