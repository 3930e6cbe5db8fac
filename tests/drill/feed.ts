/**
 * A subscriber of the change feed. It follows through whatever frontend comes to mind, is killed at
 * random and goes on from what it had noted last, while members die, are wiped, join and leave. In
 * the end it has exactly what lives, and within a run it was never told of a version after one that
 * covers it.
 *
 * Which version covers which is known from outside: each key has one writer, whose contexts come
 * from the answers to its own reads and writes.
 */
import { type Arena, type Check, sleep } from "./arena.ts";
import { Movers } from "./movers.ts";

const WRITER_COUNT = 3;
const KEY_COUNT = 30;
const PREFIX = "feed-";
const LIFE_MS_MIN = 200;
const LIFE_MS_MAX = 3000;
const CATCH_UP_MS_MAX = 60_000;
const REQUEST_MS_MAX = 5000;

/** What the writer of a key knows of it. */
interface Known {
  context: string | null;
  /** Numbers of the versions that the context covers. */
  covered: ReadonlySet<number>;
  isInDoubt: boolean;
}

interface Change {
  readonly type: string;
  readonly key?: string;
  readonly value?: string;
  readonly run?: string;
  readonly partition?: number;
  readonly partitions?: readonly number[];
  readonly siblings?: number;
  readonly token?: string;
}

interface Had {
  readonly number: number;
  readonly siblings: number;
  readonly partition: number;
}

interface Saved {
  readonly token: string;
  readonly keys: ReadonlyMap<string, Had>;
}

export class Feed implements Check {
  readonly name = "feed";
  readonly #arena: Arena;
  readonly #movers: Movers;
  readonly #known = new Map<string, Known>();
  /** By version's number: those that it covers. */
  readonly #covers = new Map<number, ReadonlySet<number>>();
  #lastNumber = 0;
  #keys = new Map<string, Had>();
  #token = "beginning";
  #saved: Saved = { token: "beginning", keys: new Map() };
  /** By run and key: what was covered by something that was told. */
  readonly #passed = new Map<string, Set<number>>();
  readonly #failures = new Set<string>();
  readonly #runs = new Set<string>();
  #toldCount = 0;
  #killCount = 0;
  #resyncCount = 0;
  #ackCount = 0;

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#movers = new Movers(arena);
  }

  start(): readonly Promise<void>[] {
    const writers = Array.from({ length: WRITER_COUNT }, (_, i) => this.#write(i));
    return [...writers, this.#follow(), this.#movers.run()];
  }

  summary(): string {
    const { joinedCount, leftCount } = this.#movers;
    const told = `${this.#ackCount} writes acknowledged, ${this.#toldCount} changes told`;
    const lives = `${this.#killCount} kills of the subscriber, ${this.#runs.size} runs`;
    return `${told}, ${lives}, ${this.#resyncCount} resyncs, ${joinedCount} joined, ${leftCount} left`;
  }

  async finish(): Promise<readonly string[]> {
    const failures = [...this.#movers.failures];
    this.#restore();
    if (!(await this.#catchUp())) failures.push("feed: it never caught up");
    for (const key of this.#known.keys()) {
      const live = await this.#arena.readInTheEnd(key);
      const had = this.#keys.get(key);
      const isSame =
        live.length === (had?.siblings ?? 0) && (!had || live.includes(String(had.number)));
      if (isSame) continue;
      const words = had === undefined ? "nothing" : `${had.number} of ${had.siblings}`;
      failures.push(`feed: of ${key} the subscriber has ${words}, and there is [${live}]`);
    }
    return [...failures, ...this.#failures];
  }

  async #write(index: number): Promise<void> {
    while (!this.#arena.isOver) {
      const at = this.#arena.prng.below(KEY_COUNT / WRITER_COUNT);
      // A subscriber that misses a key that is written only once has missed it for good.
      const isAlone = this.#arena.prng.chance(1, 3);
      const name = isAlone ? `alone-${this.#lastNumber}` : String(at * WRITER_COUNT + index);
      const key = `${PREFIX}${name}`;
      await this.#writeOne(key).catch(() => sleep(20));
      await sleep(this.#arena.prng.below(20));
    }
  }

  async #writeOne(key: string): Promise<void> {
    const known = this.#known.get(key) ?? { context: null, covered: new Set(), isInDoubt: false };
    this.#known.set(key, known);
    if (known.isInDoubt || known.context === null) await this.#learn(key, known);
    const { context, covered } = known;
    const headers: Record<string, string> = context === null ? {} : { "Starling-Context": context };
    const isDelete = this.#arena.prng.chance(1, 8);
    const number = ++this.#lastNumber;
    this.#covers.set(number, covered);
    const { fate, answer } = isDelete
      ? await this.#arena.write("DELETE", key, { headers })
      : await this.#arena.write("PUT", key, { headers, body: String(number) });
    if (fate === "unknown") known.isInDoubt = this.#arena.prng.chance(1, 2);
    if (fate !== "done") return;
    this.#ackCount++;
    known.context = answer?.headers.get("starling-context") ?? context;
    known.covered = isDelete ? covered : new Set([...covered, number]);
  }

  /** Takes whatever stands there into the next write's context. */
  async #learn(key: string, known: Known): Promise<void> {
    const { values, context } = await this.#arena.readAll(key);
    const seen = values.map(Number);
    const covered = seen.flatMap((number) => [number, ...(this.#covers.get(number) ?? [])]);
    // The context of a read names what was shown, and not all that the one before did.
    known.context = context;
    known.covered = new Set(covered);
    known.isInDoubt = false;
  }

  async #follow(): Promise<void> {
    while (!this.#arena.isOver) {
      const lifeMs = LIFE_MS_MIN + this.#arena.prng.below(LIFE_MS_MAX - LIFE_MS_MIN);
      await this.#live(lifeMs).catch(() => sleep(50));
      this.#killCount++;
      this.#restore();
    }
  }

  #restore(): void {
    this.#token = this.#saved.token;
    this.#keys = new Map(this.#saved.keys);
  }

  async #live(lifeMs: number): Promise<void> {
    const answer = await this.#ask("application/x-ndjson", lifeMs);
    if (answer.status === 400)
      this.#failures.add(`feed: a token was refused: ${await answer.text()}`);
    if (!answer.ok || answer.body === null) return sleep(100);
    const decoder = new TextDecoder();
    let rest = "";
    for await (const chunk of answer.body) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line) as Change);
    }
  }

  #take(change: Change): void {
    if (change.type === undefined && change.token !== undefined) {
      this.#token = change.token;
      // It notes what it has and where it is together, but not each time.
      const isNoted = this.#arena.prng.chance(1, 3);
      if (isNoted) this.#saved = { token: change.token, keys: new Map(this.#keys) };
      return;
    }
    this.#toldCount++;
    if (change.run !== undefined) this.#runs.add(change.run);
    if (change.type === "resync") this.#forget(change.partitions ?? []);
    if (change.key === undefined) return;
    if (change.value === undefined) return void this.#keys.delete(change.key);
    const number = Number(atob(change.value));
    this.#checkOrder(`${change.run} ${change.key}`, number);
    const { siblings = 1, partition = -1 } = change;
    this.#keys.set(change.key, { number, siblings, partition });
  }

  #forget(partitions: readonly number[]): void {
    this.#resyncCount++;
    for (const [key, { partition }] of this.#keys) {
      if (partitions.includes(partition)) this.#keys.delete(key);
    }
  }

  #checkOrder(place: string, number: number): void {
    const passed = this.#passed.get(place) ?? new Set<number>();
    this.#passed.set(place, passed);
    if (passed.has(number)) {
      this.#failures.add(`feed: ${place}: version ${number} was told after one that covers it`);
    }
    for (const covered of this.#covers.get(number) ?? []) passed.add(covered);
  }

  async #catchUp(): Promise<boolean> {
    const giveUpAt = this.#arena.now + CATCH_UP_MS_MAX;
    while (this.#arena.now < giveUpAt) {
      const answer = await this.#ask("application/json", REQUEST_MS_MAX).catch(() => null);
      if (answer?.ok !== true) {
        await sleep(100);
        continue;
      }
      const page = (await answer.json()) as {
        readonly changes: readonly Change[];
        readonly next: string;
        readonly caught_up: boolean;
      };
      for (const change of page.changes) this.#take(change);
      this.#token = page.next;
      if (page.caught_up && page.changes.length === 0) return true;
    }
    return false;
  }

  #ask(accept: string, ms: number): Promise<Response> {
    const { cluster } = this.#arena;
    const url = cluster.urlOf(this.#arena.pick(cluster.ids));
    const query = new URLSearchParams({ since: this.#token, prefix: PREFIX, include: "value" });
    return fetch(`${url}/v1/changes/drill?${query}`, {
      headers: { Accept: accept },
      signal: AbortSignal.timeout(ms),
    });
  }
}
