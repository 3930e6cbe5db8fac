/**
 * A drill on real processes: clients add elements to sets, each by reading all siblings and writing
 * their union back with the context, through whatever frontend they please, while nodes are killed,
 * frozen and restarted at random. In the end every element that was acknowledged is there, none
 * that nobody wrote, and all primaries hold the same.
 *
 * A set is the strictest cache there is: one lost write, one sibling dropped, one deleted value that
 * came back, and an element is missing or too many (Jepsen's set workload).
 */
import { Prng } from "../../core/prng.ts";
import { type ProcessCluster, startProcesses } from "../support/process-cluster.ts";

export interface DrillOptions {
  readonly seed: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

export interface DrillReport {
  readonly acknowledgedCount: number;
  /** Answered 5xx or not at all: these may be there, or not. */
  readonly unknownCount: number;
  readonly faults: Readonly<Record<Fault, number>>;
  /** What broke a promise, in words; empty when all was well. */
  readonly failures: readonly string[];
}

type Fault = "kill" | "pause" | "restart";

const CLIENT_COUNT = 8;
const SETS = ["a", "b", "c", "d"];
const AWAY_COUNT_MAX = 2;
const REQUEST_MS_MAX = 3000;
const CONVERGE_MS_MAX = 60_000;
const timing = {
  ...{ heartbeatMs: 200, suspectAfterMs: 800, handoffMs: 300, antiEntropyMs: 500 },
  ...{ requestTimeoutMs: 1500 },
};

interface SetState {
  readonly elements: ReadonlySet<string>;
  readonly context: string | null;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const parse = (text: string): readonly string[] => JSON.parse(text) as string[];

/** All siblings of a set, joined. @throws when it cannot be read */
async function readSet(url: string, set: string, options: string): Promise<SetState> {
  const answer = await fetch(`${url}/v1/kv/drill/${set}?siblings=all${options}`, {
    headers: { Accept: "application/json" },
    signal: AbortSignal.timeout(REQUEST_MS_MAX),
  });
  const context = answer.headers.get("starling-context");
  if (answer.status === 404) return { elements: new Set(), context };
  if (answer.status === 200) return { elements: new Set(parse(await answer.text())), context };
  if (answer.status !== 300) throw new Error(`a read was answered ${answer.status}`);
  const { siblings } = (await answer.json()) as { siblings: { value: string }[] };
  const texts = siblings.map(({ value }) => Buffer.from(value, "base64").toString());
  return { elements: new Set(texts.flatMap(parse)), context };
}

class Drill {
  readonly #cluster: ProcessCluster;
  readonly #prng: Prng;
  readonly #options: DrillOptions;
  readonly #attempted = new Map<string, Set<string>>(SETS.map((set) => [set, new Set()]));
  readonly #acknowledged = new Map<string, Set<string>>(SETS.map((set) => [set, new Set()]));
  readonly #away = new Map<string, Fault>();
  readonly faults: Record<Fault, number> = { kill: 0, pause: 0, restart: 0 };
  #isOver = false;
  unknownCount = 0;

  constructor(cluster: ProcessCluster, prng: Prng, options: DrillOptions) {
    this.#cluster = cluster;
    this.#prng = prng;
    this.#options = options;
  }

  get acknowledgedCount(): number {
    return [...this.#acknowledged.values()].reduce((sum, { size }) => sum + size, 0);
  }

  async run(): Promise<readonly string[]> {
    const clients = Array.from({ length: CLIENT_COUNT }, (_, i) => this.#client(i));
    const endsAt = Date.now() + this.#options.seconds * 1000;
    while (Date.now() < endsAt) {
      await sleep(100 + this.#prng.below(600));
      await this.#strike();
    }
    this.#isOver = true;
    await Promise.all(clients);
    for (const id of [...this.#away.keys()]) await this.#bringBack(id);
    return this.#check();
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#prng.below(items.length)] as T;
  }

  async #client(index: number): Promise<void> {
    for (let i = 0; !this.#isOver; i++) {
      const set = this.#pick(SETS);
      const element = `client${index}-${i}`;
      try {
        await this.#add(set, element);
      } catch {
        // The frontend was killed or frozen, or said that the outcome is unknown.
        if (this.#attempted.get(set)?.has(element) === true) this.unknownCount++;
      }
    }
  }

  /** @throws when it is not known to be stored */
  async #add(set: string, element: string): Promise<void> {
    const url = (): string => this.#cluster.urlOf(this.#pick(this.#cluster.ids));
    const { elements, context } = await readSet(url(), set, "");
    this.#attempted.get(set)?.add(element);
    const answer = await fetch(`${url()}/v1/kv/drill/${set}`, {
      method: "PUT",
      body: JSON.stringify([...elements, element]),
      headers: context === null ? {} : { "Starling-Context": context },
      signal: AbortSignal.timeout(REQUEST_MS_MAX),
    });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`a write was answered ${answer.status}`);
    this.#acknowledged.get(set)?.add(element);
  }

  async #strike(): Promise<void> {
    const away = [...this.#away.keys()];
    if (away.length >= AWAY_COUNT_MAX || (away.length > 0 && this.#prng.chance(1, 2))) {
      return this.#bringBack(this.#pick(away));
    }
    const id = this.#pick(this.#cluster.ids.filter((other) => !this.#away.has(other)));
    const fault = this.#pick(["kill", "pause", "restart"] as const);
    this.faults[fault]++;
    this.#options.say(`${fault} ${id}`);
    if (fault === "restart") {
      await this.#cluster.stop(id);
      return this.#cluster.start(id);
    }
    if (fault === "kill") await this.#cluster.kill(id);
    else this.#cluster.pause(id);
    this.#away.set(id, fault);
  }

  async #bringBack(id: string): Promise<void> {
    const fault = this.#away.get(id);
    this.#away.delete(id);
    this.#options.say(`back ${id}`);
    if (fault === "kill") await this.#cluster.start(id);
    else this.#cluster.resume(id);
  }

  async #check(): Promise<readonly string[]> {
    const diverged = await this.#untilConverged();
    if (diverged !== null) return [diverged];
    const failures: string[] = [];
    for (const set of SETS) {
      const url = this.#cluster.urlOf(this.#pick(this.#cluster.ids));
      const { elements } = await readSet(url, set, "&r=all");
      const acknowledged = this.#acknowledged.get(set) ?? new Set();
      const lost = [...acknowledged].filter((element) => !elements.has(element));
      const attempted = this.#attempted.get(set) ?? new Set();
      const invented = [...elements].filter((element) => !attempted.has(element));
      if (lost.length > 0) failures.push(`set ${set} lost ${lost.join(", ")}`);
      if (invented.length > 0) failures.push(`set ${set} invented ${invented.join(", ")}`);
    }
    return failures;
  }

  /** null when all primaries agree and no hint is left; else what still differs after a minute. */
  async #untilConverged(): Promise<string | null> {
    const giveUpAt = Date.now() + CONVERGE_MS_MAX;
    for (;;) {
      const url = this.#cluster.urlOf(this.#cluster.ids[0] as string);
      const problem = await this.#divergence(url).catch((error: Error) => error.message);
      if (problem === null) return null;
      if (Date.now() > giveUpAt) return problem;
      await sleep(200);
    }
  }

  async #divergence(url: string): Promise<string | null> {
    const handoff = await fetch(`${url}/v1/cluster/handoff`, { method: "POST", body: "{}" });
    const { pending } = (await handoff.json()) as { pending: number };
    if (pending !== 0) return `${pending} hints are still held`;
    for (const set of SETS) {
      const explained = await fetch(`${url}/v1/cluster/explain/drill/${set}`);
      const { replicas } = (await explained.json()) as {
        replicas: { role: string; entry: { etag: string } | null }[];
      };
      const primaries = replicas.filter(({ role }) => role === "primary");
      const tags = new Set(primaries.map(({ entry }) => entry?.etag));
      if (tags.size !== 1) return `the primaries of set ${set} differ`;
    }
    return null;
  }
}

/** Starts five processes, runs the drill, ends them all. */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const { seed } = options;
  const prng = new Prng([seed >>> 0, Math.floor(seed / 2 ** 32), 0x64, 0x72]);
  const cluster = await startProcesses(5, { timing });
  try {
    const drill = new Drill(cluster, prng, options);
    const failures = await drill.run();
    const { acknowledgedCount, unknownCount, faults } = drill;
    return { acknowledgedCount, unknownCount, faults, failures };
  } finally {
    await cluster.close();
  }
}
