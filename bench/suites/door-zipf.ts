/**
 * The hit ratio of a site that is bounded to a tenth of what is asked for, under Zipf's law, beside
 * a single SIEVE (Zhang et al., NSDI 2024) with room for as many objects and the same requests.
 */
import { Prng } from "../../core/prng.ts";
import { startDoors, timedGet } from "../lib/door.ts";
import type { BenchOptions, Figure } from "../lib/figures.ts";

const THETA = 0.99;
const OBJECT_COUNT = 100_000;
const CLIENT_COUNT = 32;

/** Gray et al., 1994, as in lib/open-generator.ts. */
function zipfOf(prng: Prng, count: number): () => number {
  let zeta = 0;
  for (let i = 1; i <= count; i++) zeta += 1 / i ** THETA;
  const eta = (1 - (2 / count) ** (1 - THETA)) / (1 - (1 + 0.5 ** THETA) / zeta);
  return () => {
    const u = prng.u32() / 2 ** 32;
    if (u * zeta < 1) return 0;
    if (u * zeta < 1 + 0.5 ** THETA) return 1;
    return Math.floor(count * (eta * u - eta + 1) ** (1 / (1 - THETA)));
  };
}

/** One queue, one bit an object, and a hand that moves from the oldest to the newest. */
class Sieve {
  readonly #room: number;
  readonly #ring: (number | null)[] = [];
  readonly #isVisited = new Map<number, boolean>();
  #hand = 0;

  constructor(room: number) {
    this.#room = room;
  }

  /** @returns whether it was there */
  ask(id: number): boolean {
    if (this.#isVisited.has(id)) {
      this.#isVisited.set(id, true);
      return true;
    }
    if (this.#isVisited.size >= this.#room) this.#evict();
    this.#ring.push(id);
    this.#isVisited.set(id, false);
    return false;
  }

  #evict(): void {
    for (;;) {
      if (this.#hand >= this.#ring.length) this.#layOut();
      const id = this.#ring[this.#hand] ?? null;
      if (id !== null) {
        if (this.#isVisited.get(id) !== true) {
          this.#isVisited.delete(id);
          this.#ring[this.#hand++] = null;
          return;
        }
        this.#isVisited.set(id, false);
      }
      this.#hand++;
    }
  }

  /** The hand begins again with the oldest that is left. */
  #layOut(): void {
    const left = this.#ring.filter((id) => id !== null);
    this.#ring.length = 0;
    this.#ring.push(...left);
    this.#hand = 0;
  }
}

/** The share of hits of the second half: the first one fills the caches. */
async function ratioOf(
  requests: readonly number[],
  ask: (id: number) => boolean | Promise<boolean>,
  clientCount: number,
): Promise<number> {
  let [next, hits] = [0, 0];
  const half = requests.length / 2;
  const client = async (): Promise<void> => {
    for (let i = next++; i < requests.length; i = next++) {
      const isHit = await ask(requests[i] ?? 0);
      if (isHit && i >= half) hits++;
    }
  };
  await Promise.all(Array.from({ length: clientCount }, client));
  return hits / half;
}

async function keysHeld(url: string): Promise<number> {
  const { members } = (await (await fetch(`${url}/v1/cluster`)).json()) as {
    readonly members: readonly { readonly keys: number; readonly deadKeys: number }[];
  };
  return Math.max(...members.map(({ keys }) => keys));
}

export async function zipfFigures(
  origin: string,
  { quick, say }: BenchOptions,
): Promise<readonly Figure[]> {
  const objectCount = quick ? OBJECT_COUNT / 10 : OBJECT_COUNT;
  const requestCount = quick ? 20_000 : 200_000;
  const probe = await startDoors(1, { origin });
  let bytesEach = 0;
  try {
    const bytesHeld = async (): Promise<number> => {
      const { members } = (await (await fetch(`${probe.urls[0]}/v1/cluster`)).json()) as {
        readonly members: readonly { readonly bytes: number }[];
      };
      return members[0]?.bytes ?? 0;
    };
    const before = await bytesHeld();
    for (let i = 0; i < 200; i++) await timedGet(`${probe.doors[0]}/object/z${100_000 + i}`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    bytesEach = ((await bytesHeld()) - before) / 200;
  } finally {
    await probe.stop();
  }
  const maxBytes = Math.round((objectCount / 10) * bytesEach);
  say(`an object takes ${bytesEach.toFixed(0)} bytes; the site may have ${maxBytes}`);
  const cluster = await startDoors(1, { origin, maxBytes });
  try {
    const draw = zipfOf(Prng.fromSeed(1), objectCount);
    const requests = Array.from({ length: requestCount }, draw);
    const ask = async (id: number): Promise<boolean> => {
      const { cacheStatus } = await timedGet(`${cluster.doors[0]}/object/z${100_000 + id}`);
      return cacheStatus.includes(";hit");
    };
    const ours = await ratioOf(requests, ask, CLIENT_COUNT);
    const held = await keysHeld(cluster.urls[0] ?? "");
    const sieve = new Sieve(objectCount / 10);
    const single = await ratioOf(requests, (id) => sieve.ask(id), 1);
    return [
      {
        name: `door: hit ratio, Zipf ${THETA}, room for a tenth, less a single SIEVE's, points`,
        ...{ value: 100 * (ours - single), unit: "ratio", better: "higher", target: -1 },
        isContext: true,
        note: `${(100 * ours).toFixed(1)} % against ${(100 * single).toFixed(1)} %; ${held} held`,
      },
    ];
  } finally {
    await cluster.stop();
  }
}
