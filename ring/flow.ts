/**
 * Minimum-cost flow on a network whose arcs cost 0 or 1: the engine of the ring's layout.
 *
 * The primal-dual method (Ford and Fulkerson, 1957). Every node has a potential, the cost of the
 * cheapest residual path to it from the source; an arc's reduced cost is what it adds beyond the
 * difference of the potentials of its ends, and is never negative. A phase raises the potentials
 * until paths of reduced cost 0 reach the sink, then fills these with Dinic's blocking flows until
 * there is none left. Costs are small, so there are few phases.
 *
 * The potentials are the solution of the dual problem. `costLowerBound` adds it up from them alone,
 * without a look at the flow: by weak duality no flow of the same value costs less, so that a flow
 * whose cost equals the bound is proved optimal whether or not this file has a bug.
 *
 * Limits: every path from source to sink must cross an arc of capacity 1 (each augmentation carries
 * one unit); no arc may cost less than 0. The result depends on the order in which arcs are added,
 * and on nothing else.
 */
import { assert, present } from "../core/assert.ts";

export interface ArcOptions {
  readonly capacity: number;
  /** 0 or 1. */
  readonly cost?: 0 | 1;
}

export interface FlowResult {
  readonly value: number;
  readonly cost: number;
}

const UNREACHED = -1;

export class FlowNetwork {
  readonly source = 0;
  readonly sink = 1;
  readonly #nodeCount: number;
  /** Arc `a` and its reverse `a ^ 1` are neighbours; `#head[a ^ 1]` is where `a` starts. */
  readonly #head: Int32Array;
  readonly #residual: Int32Array;
  readonly #cost: Int8Array;
  #arcCount = 0;
  /** The arcs out of node `v` are `#arcs[#first[v]]` … `#arcs[#first[v + 1] - 1]`. */
  readonly #first: Int32Array;
  #arcs = new Int32Array(0);
  readonly #potential: Int32Array;
  readonly #level: Int32Array;
  readonly #cursor: Int32Array;
  readonly #queue: Int32Array;
  #result: FlowResult | null = null;

  /**
   * @param nodeCount nodes are numbers below it; 0 is the source, 1 the sink
   * @param arcCountMax how many arcs will be added at most
   */
  constructor(nodeCount: number, arcCountMax: number) {
    assert(nodeCount >= 2, "a network has a source and a sink");
    this.#nodeCount = nodeCount;
    this.#head = new Int32Array(2 * arcCountMax);
    this.#residual = new Int32Array(2 * arcCountMax);
    this.#cost = new Int8Array(2 * arcCountMax);
    this.#first = new Int32Array(nodeCount + 1);
    this.#potential = new Int32Array(nodeCount);
    this.#level = new Int32Array(nodeCount);
    this.#cursor = new Int32Array(nodeCount);
    this.#queue = new Int32Array(nodeCount);
  }

  /** Adds an arc and gives its name, by which `flowOn` knows it. */
  arc(from: number, to: number, { capacity, cost = 0 }: ArcOptions): number {
    assert(this.#result === null, "arcs are added before the network is solved");
    assert(from < this.#nodeCount && to < this.#nodeCount && from !== to, "an arc joins two nodes");
    assert(capacity >= 0, "a capacity is not negative");
    assert(cost === 0 || cost === 1, "an arc costs 0 or 1");
    const arc = this.#arcCount;
    assert(arc + 1 < this.#head.length, "more arcs than were announced");
    this.#head[arc] = to;
    this.#head[arc + 1] = from;
    this.#residual[arc] = capacity;
    this.#cost[arc] = cost;
    this.#cost[arc + 1] = -cost;
    this.#arcCount += 2;
    return arc;
  }

  /** Finds a flow of the greatest value and, among these, of the least cost. */
  solve(): FlowResult {
    assert(this.#result === null, "a network is solved once");
    this.#indexArcs();
    let value = 0;
    let cost = 0;
    while (this.#raisePotentials()) {
      const unitCost = present(this.#potential[this.sink]);
      while (this.#levelNodes()) {
        const units = this.#blockingFlow();
        assert(units > 0, "a levelled sink can be reached");
        value += units;
        cost += units * unitCost;
      }
    }
    this.#result = { value, cost };
    return this.#result;
  }

  /** @param arc a name that `arc` gave */
  flowOn(arc: number): number {
    assert(arc % 2 === 0 && arc >= 0 && arc < this.#arcCount, "an arc that was added");
    return present(this.#residual[arc ^ 1]);
  }

  /** The least that any flow of the found value costs: the value of the dual solution. */
  costLowerBound(): number {
    assert(this.#result !== null, "a network is solved before it is judged");
    let bound = this.#result.value * present(this.#potential[this.sink]);
    for (let arc = 0; arc < this.#arcCount; arc += 2) {
      const capacity = present(this.#residual[arc]) + present(this.#residual[arc + 1]);
      bound += capacity * Math.min(0, this.#reducedCost(arc));
    }
    assert(bound <= this.#result.cost, "no flow costs less than the dual's bound");
    return bound;
  }

  #reducedCost(arc: number): number {
    const from = present(this.#head[arc ^ 1]);
    const to = present(this.#head[arc]);
    return present(this.#cost[arc]) + present(this.#potential[from]) - present(this.#potential[to]);
  }

  /** Sorts the arcs by the node they leave, keeping the order in which they were added. */
  #indexArcs(): void {
    const first = this.#first;
    for (let arc = 0; arc < this.#arcCount; arc++) {
      const next = present(this.#head[arc ^ 1]) + 1;
      first[next] = present(first[next]) + 1;
    }
    for (let v = 0; v < this.#nodeCount; v++)
      first[v + 1] = present(first[v + 1]) + present(first[v]);
    this.#cursor.set(first.subarray(0, this.#nodeCount));
    this.#arcs = new Int32Array(this.#arcCount);
    for (let arc = 0; arc < this.#arcCount; arc++) {
      const from = present(this.#head[arc ^ 1]);
      const at = present(this.#cursor[from]);
      this.#arcs[at] = arc;
      this.#cursor[from] = at + 1;
    }
  }

  /**
   * Dijkstra by reduced costs, with a bucket a distance (Dial, 1969), up to the sink; nodes beyond
   * it rise as far as the sink does, which keeps all reduced costs non-negative.
   *
   * @returns false when no residual path reaches the sink
   */
  #raisePotentials(): boolean {
    const distance = this.#level.fill(UNREACHED);
    const buckets: number[][] = [[this.source]];
    distance[this.source] = 0;
    let at = 0;
    for (; at < buckets.length; at++) {
      if (distance[this.sink] === at) break;
      const bucket = buckets[at] ?? [];
      for (let node = bucket.pop(); node !== undefined; node = bucket.pop()) {
        if (distance[node] === at) this.#relax(node, buckets);
      }
    }
    const reached = present(distance[this.sink]);
    if (reached === UNREACHED) return false;
    for (let v = 0; v < this.#nodeCount; v++) {
      const own = present(distance[v]);
      const rise = own === UNREACHED ? reached : Math.min(own, reached);
      this.#potential[v] = present(this.#potential[v]) + rise;
    }
    return true;
  }

  #relax(node: number, buckets: number[][]): void {
    const distance = this.#level;
    const base = present(distance[node]);
    const end = present(this.#first[node + 1]);
    for (let i = present(this.#first[node]); i < end; i++) {
      const arc = present(this.#arcs[i]);
      if (this.#residual[arc] === 0) continue;
      const to = present(this.#head[arc]);
      const reduced = this.#reducedCost(arc);
      assert(reduced >= 0, "a residual arc never costs less than the potentials say");
      const through = base + reduced;
      const known = present(distance[to]);
      if (known !== UNREACHED && known <= through) continue;
      distance[to] = through;
      while (buckets.length <= through) buckets.push([]);
      buckets[through]?.push(to);
    }
  }

  /** Breadth first over arcs of reduced cost 0; false when the sink is out of reach. */
  #levelNodes(): boolean {
    const level = this.#level.fill(UNREACHED);
    const queue = this.#queue;
    level[this.source] = 0;
    queue[0] = this.source;
    let size = 1;
    for (let next = 0; next < size && level[this.sink] === UNREACHED; next++) {
      const node = present(queue[next]);
      const end = present(this.#first[node + 1]);
      for (let i = present(this.#first[node]); i < end; i++) {
        const arc = present(this.#arcs[i]);
        const to = present(this.#head[arc]);
        if (level[to] !== UNREACHED || this.#residual[arc] === 0) continue;
        if (this.#reducedCost(arc) !== 0) continue;
        level[to] = present(level[node]) + 1;
        queue[size++] = to;
      }
    }
    return level[this.sink] !== UNREACHED;
  }

  /** Depth first along rising levels, one unit a path, until no path is left. */
  #blockingFlow(): number {
    this.#cursor.set(this.#first.subarray(0, this.#nodeCount));
    const path: number[] = [];
    let node = this.source;
    let units = 0;
    for (;;) {
      if (node === this.sink) {
        for (const arc of path) this.#push(arc);
        path.length = 0;
        node = this.source;
        units++;
        continue;
      }
      const arc = this.#nextArc(node);
      if (arc !== undefined) {
        path.push(arc);
        node = present(this.#head[arc]);
        continue;
      }
      const back = path.pop();
      if (back === undefined) return units;
      node = present(this.#head[back ^ 1]);
      this.#cursor[node] = present(this.#cursor[node]) + 1;
    }
  }

  /** The arc that the search takes next out of a node; a dead end is passed over for good. */
  #nextArc(node: number): number | undefined {
    const end = present(this.#first[node + 1]);
    const levelNext = present(this.#level[node]) + 1;
    for (let i = present(this.#cursor[node]); i < end; i++) {
      const arc = present(this.#arcs[i]);
      if (this.#residual[arc] === 0 || this.#level[present(this.#head[arc])] !== levelNext)
        continue;
      if (this.#reducedCost(arc) !== 0) continue;
      this.#cursor[node] = i;
      return arc;
    }
    this.#cursor[node] = end;
    return undefined;
  }

  #push(arc: number): void {
    const left = present(this.#residual[arc]) - 1;
    assert(left >= 0, "an arc carries no more than it can");
    this.#residual[arc] = left;
    this.#residual[arc ^ 1] = present(this.#residual[arc ^ 1]) + 1;
  }
}
