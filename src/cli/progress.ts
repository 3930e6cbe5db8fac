/** A progress bar on a terminal, silence elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import { printable } from "./output.ts";

export interface Progress {
  /** One more is done; the label says what it was. */
  step(label: string): void;
  stop(): void;
}

export function startProgress(what: string, total: number, isQuiet: boolean): Progress {
  if (isQuiet || process.stderr.isTTY !== true || total === 0) {
    return { step: () => {}, stop: () => {} };
  }
  const format = `${what} {bar} {percentage}% {value}/{total} {label}`;
  const bar = new SingleBar(
    { format, clearOnComplete: true, hideCursor: true },
    Presets.shades_grey,
  );
  bar.start(total, 0, { label: "" });
  return {
    step: (label) => bar.increment(1, { label: printable(label).slice(-40) }),
    stop: () => bar.stop(),
  };
}

/** The same for work whose size is learnt on the way. */
export interface Meter {
  show(done: number, total: number, label: string): void;
  stop(): void;
}

export function startMeter(what: string, isQuiet: boolean): Meter {
  if (isQuiet || process.stderr.isTTY !== true) return { show: () => {}, stop: () => {} };
  const format = `${what} {bar} {value}/{total} {label}`;
  const bar = new SingleBar(
    { format, clearOnComplete: true, hideCursor: true },
    Presets.shades_grey,
  );
  bar.start(0, 0, { label: "" });
  return {
    show: (done, total, label) => {
      bar.setTotal(total);
      bar.update(done, { label: printable(label).slice(0, 60) });
    },
    stop: () => bar.stop(),
  };
}

/** Runs the work over the items, so many at once; the first error stops it. */
export async function inParallel<T>(
  items: Iterable<T> | AsyncIterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator: Iterator<T> | AsyncIterator<T> =
    Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
  let failure: { readonly error: unknown } | null = null;
  const run = async (): Promise<void> => {
    while (failure === null) {
      const next = await iterator.next();
      if (next.done === true) return;
      try {
        await work(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, run));
  const failed = failure as { readonly error: unknown } | null;
  if (failed !== null) throw failed.error;
}
