/** What a suite of the bench has to say, and how rounds become one figure. */

export interface Figure {
  /** Names the row in the table, in results.json and in recorded.json. */
  readonly name: string;
  readonly value: number;
  /** `ratio`: to the baseline of the same run. Everything else is absolute. */
  readonly unit: "ratio" | "/s" | "µs" | "ms" | "s" | "MB" | "bytes" | "messages";
  readonly better: "higher" | "lower";
  /** What the issue asks for; absent where it asks for nothing. */
  readonly target?: number;
  /** Shown and kept, never compared: what depends on the machine or is there for context. */
  readonly isContext?: boolean;
  readonly note?: string;
}

export interface BenchOptions {
  /** Fewer and shorter rounds: to see that it runs, not to judge by. */
  readonly quick: boolean;
  readonly say: (line: string) => void;
  /** The folder of the tree whose nodes are measured; default: this one. */
  readonly root?: string | undefined;
}

export interface Suite {
  readonly name: string;
  readonly about: string;
  /** It can measure the nodes of another commit too. */
  readonly takesRoot?: true;
  run(options: BenchOptions): Promise<readonly Figure[]>;
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

export interface Contender<Sample> {
  readonly name: string;
  /** One short round. */
  sample(): Promise<Sample>;
}

/**
 * Rounds in turn (A B C C B A A B C …), so that what else the machine does falls on all alike. The
 * order turns round each time, because whoever comes second finds another machine.
 *
 * @param warmCount rounds before the others, which warm up and are thrown away
 * @returns for each contender its samples, one a round, in the same order
 */
export async function interleave<Sample>(
  contenders: readonly Contender<Sample>[],
  roundCount: number,
  warmCount = 1,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map<string, Sample[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < warmCount + roundCount; round++) {
    const inOrder = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const { name, sample } of inOrder) {
      const taken = await sample();
      if (round >= warmCount) samples.get(name)?.push(taken);
    }
  }
  return samples;
}

/** The median over the rounds of a's figure by b's of the same round. */
export function medianRatio(a: readonly number[], b: readonly number[]): number {
  return median(a.map((value, round) => value / (b[round] ?? Number.NaN)));
}
