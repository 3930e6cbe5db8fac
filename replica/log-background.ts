/**
 * What the log does when it has time: compacts, makes outlines, removes what was replaced. One
 * thing at a time, a bounded stretch a step; nothing here is ever waited for by a write.
 */
import { assert } from "../core/assert.ts";
import { Compaction } from "./log-compaction.ts";
import { DiskFailure, type DiskStep } from "./log-disk.ts";
import { outlineFile, segmentFile } from "./log-format.ts";
import type { SegmentState } from "./log-index.ts";
import { Outliner } from "./log-outliner.ts";
import { chooseRun, dyingSegments } from "./log-runs.ts";
import type { LogState } from "./log-state.ts";

/** What work is looked for, where none is under way. */
export interface BackgroundOptions {
  /** Before a stop only outlines are worth making. */
  readonly outlinesOnly?: boolean;
  /** There are writes: segments that are dying are left to die (see log-runs.ts). */
  readonly leavesDying?: boolean;
}

const NONE: ReadonlySet<SegmentState> = new Set();

type Work =
  | { readonly kind: "compact"; readonly compaction: Compaction }
  | { readonly kind: "outline"; readonly outliner: Outliner };

export class LogBackground {
  readonly #state: LogState;
  #work: Work | undefined;
  #isRunning = false;
  /** Segments that could not be read, or for whose copy there was no room. */
  readonly #pinned = new Set<number>();
  /** Steps that can be done at any time, or never: a restart does them too. */
  #cleanup: DiskStep[] = [];
  #compactionsCount = 0;
  #lossesHealed = false;

  constructor(state: LogState) {
    this.#state = state;
  }

  get compactionsCount(): number {
    return this.#compactionsCount;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** A compaction that waits for its exchange. */
  get exchange(): Compaction | undefined {
    const work = this.#work;
    return work?.kind === "compact" && work.compaction.isReady && !this.#isRunning
      ? work.compaction
      : undefined;
  }

  /** From now on segments with unknown losses may be rewritten: nobody needs their traces. */
  lossesHealed(): void {
    this.#lossesHealed = true;
  }

  /** Tries again what there was no room for. */
  unpin(): void {
    this.#pinned.clear();
  }

  /** The next stretch of work; `undefined` when there is none. May be a stretch without steps. */
  next(options: BackgroundOptions): readonly DiskStep[] | undefined {
    if (this.#isRunning) return undefined;
    if (this.exchange !== undefined && options.outlinesOnly !== true) return undefined;
    const steps = this.#takeCleanup() ?? this.#step(options);
    this.#isRunning = steps !== undefined;
    return steps;
  }

  /** The stretch ended. Returns whether the disk must be taken for broken. */
  finished(failure: DiskFailure | undefined): { broken: boolean } {
    assert(this.#isRunning, "a stretch ends once");
    this.#isRunning = false;
    const work = this.#work;
    if (failure !== undefined) {
      this.abandon();
      return { broken: failure.kind === "failed" };
    }
    if (work?.kind === "compact") work.compaction.written();
    if (work?.kind === "outline" && work.outliner.isDone) {
      work.outliner.segment.outlined = true;
      this.#work = undefined;
    }
    return { broken: false };
  }

  /** The exchange of the compaction that waited is durable. */
  exchanged(compaction: Compaction): void {
    const { segments } = this.#state;
    const next = compaction.exchanged(segments);
    segments.splice(0, segments.length, ...next);
    compaction.finish();
    for (const { id } of compaction.victims) {
      this.#cleanup.push({ do: "remove", file: segmentFile(id) });
      this.#cleanup.push({ do: "remove", file: outlineFile(id) });
    }
    this.#compactionsCount++;
    this.#work = undefined;
  }

  /** Gives up the work at hand; its segments are left alone until `unpin`. */
  abandon(): void {
    const work = this.#work;
    this.#work = undefined;
    if (work === undefined) return;
    if (work.kind === "outline") {
      this.#pinned.add(work.outliner.segment.id);
      this.#cleanup.push({ do: "remove", file: `${outlineFile(work.outliner.segment.id)}.new` });
      return;
    }
    for (const { id } of work.compaction.victims) this.#pinned.add(id);
    this.#cleanup.push(...work.compaction.abandonSteps());
  }

  #takeCleanup(): readonly DiskStep[] | undefined {
    if (this.#cleanup.length === 0) return undefined;
    return this.#cleanup.splice(0);
  }

  #step(options: BackgroundOptions): readonly DiskStep[] | undefined {
    if (options.outlinesOnly === true && this.#work?.kind === "compact") {
      this.abandon();
      return this.#takeCleanup();
    }
    this.#work ??= this.#choose(options);
    if (this.#work === undefined) return undefined;
    try {
      if (this.#work.kind === "compact") return this.#work.compaction.step();
      const steps = this.#work.outliner.step();
      if (steps !== "damaged") return steps;
      // Its live records that do not verify become known as lost when it is compacted.
      this.#work.outliner.segment.worn = true;
    } catch (error) {
      if (!(error instanceof DiskFailure)) throw error;
    }
    this.abandon();
    return [];
  }

  #choose({ outlinesOnly, leavesDying }: BackgroundOptions): Work | undefined {
    const { segments, segmentByteCountMax } = this.#state;
    const dying = leavesDying === true ? dyingSegments(segments) : NONE;
    const isEligible = (segment: SegmentState): boolean =>
      segment.closed &&
      this.#state.isOnDisk(segment) &&
      !this.#pinned.has(segment.id) &&
      (!segment.damaged || this.#lossesHealed);
    const choice = { byteCountMax: segmentByteCountMax, isEligible, dying };
    const run = outlinesOnly === true ? [] : chooseRun(segments, choice);
    if (run.length > 0) {
      return { kind: "compact", compaction: new Compaction(this.#state, run) };
    }
    const isBare = (s: SegmentState): boolean => !s.outlined && !s.damaged && !s.worn;
    const bare = segments.find((s) => isBare(s) && isEligible(s) && !dying.has(s));
    if (bare === undefined) return undefined;
    return { kind: "outline", outliner: new Outliner(bare, this.#state) };
  }
}
