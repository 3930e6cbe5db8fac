/**
 * A subscriber's feed at a frontend: one look after the other, each only when what the last one
 * found was taken. So a slow reader costs the memory of one answer, here and at every replica.
 */

import type { FeedChange, FeedPosition } from "../../../core/feed.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { BYTES_OF_CHANGES_MAX } from "../../../core/limits.ts";
import type { FeedForm, FeedMetrics } from "../../metrics/feed-metrics.ts";
import type { Backend, FeedBell } from "../backend/backend.ts";
import { run } from "../backend/run.ts";
import { Problem } from "../http/problems.ts";
import { type ChangeSetting, type Described, describe } from "./change-bodies.ts";
import { type FeedLooks, pause } from "./feed-looks.ts";
import { type FeedName, positionToToken } from "./feed-token.ts";

/** A look for news is held back at the sources for so long, in ms, and then made anew. */
const HOLD_MS = 2000;
/** After a look that could ask nobody, in ms. */
const RETRY_MS = 250;

export interface FeedRequest extends FeedName, Pick<ChangeSetting, "values" | "entries" | "bytes"> {
  readonly from: FeedPosition | "now" | "beginning";
  readonly limit: number;
  readonly trace: string;
  readonly form: FeedForm;
}

export interface Batch {
  readonly changes: readonly Described[];
  readonly position: FeedPosition;
  readonly token: string;
  readonly isCaughtUp: boolean;
  /** It has changes, or a place that its reader must have before it is told more. */
  readonly isNews: boolean;
  readonly resyncsCount: number;
}

/** The parts that a feed is read with. */
export interface FeedParts {
  readonly backend: Backend;
  readonly hash: KeyedHash;
  readonly metrics: FeedMetrics;
}

/** Whether all that is told from that place on happened since. */
const isLive = (from: FeedRequest["from"]): boolean =>
  typeof from !== "string" && from.sources.every(({ until, run }) => until === 0 && run > 0);

/** What the work returns; null, at once, when the host is about to stop. */
export function unlessEnding<T>(
  { isEnding, onEnding }: Pick<Backend, "isEnding" | "onEnding">,
  work: () => Promise<T>,
): Promise<T | null> {
  if (onEnding === undefined) return work();
  if (isEnding?.() === true) return Promise.resolve(null);
  return new Promise((resolve, reject) => {
    const takeBack = onEnding(() => resolve(null));
    work().then(resolve, reject).finally(takeBack);
  });
}

const isResync = (change: FeedChange): boolean => change.what === "resync";

export class FeedReader {
  readonly #parts: FeedParts;
  readonly #request: FeedRequest;
  readonly #feed = crypto.randomUUID();
  #from: FeedPosition | "now" | "beginning";
  /** Where it stands, in one word. */
  #place: string;
  readonly #bell: FeedBell | null;
  /** The last look's result if it found nothing while the bells already hung; else null. */
  #quiet: Batch | null = null;

  constructor(parts: FeedParts, request: FeedRequest) {
    this.#parts = parts;
    this.#request = request;
    this.#from = request.from;
    this.#bell = parts.backend.openBell?.(request.namespace) ?? null;
    this.#place =
      typeof request.from === "string"
        ? request.from
        : positionToToken(parts.hash, request, request.from);
  }

  get namespace(): string {
    return this.#request.namespace;
  }

  /**
   * What is new since the last look.
   *
   * @param waitMs how long it may wait for something; 0 not at all
   * @throws Problem when nobody can be asked about some keys: the feed stays where it is
   */
  async look(waitMs: number): Promise<Batch> {
    if (this.#bell !== null && waitMs > 0) return this.#listen(this.#bell, waitMs);
    return this.#taken(await this.#find(Math.min(Math.ceil(waitMs), HOLD_MS)));
  }

  /** Ends it: no more looks. */
  close(): void {
    this.#bell?.close();
  }

  /** Looks only when a bell has rung since it found nothing. */
  async #listen(bell: FeedBell, waitMs: number): Promise<Batch> {
    if (this.#quiet === null) {
      bell.silence();
      const batch = this.#taken(await this.#find(0));
      if (batch.isNews || !batch.isCaughtUp) return batch;
      const state = await bell.hang(batch.position.sources.map(({ id }) => id));
      if (state === "none") return this.#taken(await this.#find(Math.min(waitMs, HOLD_MS)));
      // A second look is needed for what was written before they hung.
      if (state === "hung") return batch;
      this.#quiet = batch;
    }
    if (!(await bell.rings(waitMs))) return this.#quiet;
    this.#quiet = null;
    bell.silence();
    return this.#taken(await this.#find(0));
  }

  /** The same, shared with all readers at the same place. */
  async lookWith(looks: FeedLooks<Batch>, waitMs: number): Promise<Batch> {
    if (this.#bell !== null) return this.look(waitMs);
    const holdMs = Math.min(Math.ceil(waitMs), HOLD_MS);
    const { namespace, prefix, values, entries, limit, trace } = this.#request;
    // JSON, so that no part of one name can be taken for a part of another's.
    const asked = [namespace, prefix, values, entries, limit, trace, holdMs];
    const name = JSON.stringify([...asked, this.#place]);
    return this.#taken(await looks.join(name, () => this.#find(holdMs)));
  }

  /**
   * A first look, at a time when the replicas may not know yet what they have: right after a start
   * that is a moment, and a subscriber waits for it.
   *
   * @throws Problem when nobody could be asked in all that time
   */
  async lookPatiently(patienceMs: number): Promise<Batch> {
    const until = performance.now() + patienceMs;
    for (;;) {
      try {
        return await this.look(0);
      } catch (error) {
        const mayPass = error instanceof Problem && error.status >= 500;
        const isOver = performance.now() + RETRY_MS > until;
        if (!mayPass || isOver || this.#parts.backend.isEnding?.() === true) throw error;
      }
      await pause(RETRY_MS);
    }
  }

  #taken(batch: Batch): Batch {
    this.#from = batch.position;
    this.#place = batch.token;
    const { changes, resyncsCount } = batch;
    this.#parts.metrics.sent({ changesCount: changes.length, resyncsCount });
    return batch;
  }

  async #find(holdMs: number): Promise<Batch> {
    const { backend, hash, metrics } = this.#parts;
    const { namespace, prefix, values, entries, limit, trace } = this.#request;
    const from = this.#from;
    const bounds = { limit, byteCountMax: BYTES_OF_CHANGES_MAX, holdMs };
    const result = await run(
      backend,
      {
        kind: "changes",
        ...{ namespace, prefix, from, ...bounds },
        values: values || entries,
        feed: this.#feed,
      },
      trace,
    );
    const now = backend.now();
    const isNews = isLive(from) && isLive(result.position);
    const setting = {
      ...this.#request,
      ...{ hash, now, purges: backend.view().purges },
      written: (at: number) => isNews && metrics.found(now - at),
    };
    return {
      changes: result.changes.map((change) => describe(change, setting)),
      position: result.position,
      token: positionToToken(hash, this.#request, result.position),
      isCaughtUp: result.isCaughtUp,
      isNews: result.changes.length > 0 || result.isStep === true,
      resyncsCount: result.changes.filter(isResync).length,
    };
  }
}
