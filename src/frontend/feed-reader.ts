/**
 * A subscriber's feed at a frontend: one look after the other, each only when what the last one
 * found was taken. So a slow reader costs the memory of one answer, here and at every replica.
 */

import type { FeedPosition } from "../../core/feed.ts";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { BYTES_OF_CHANGES_MAX } from "../../core/limits.ts";
import type { Backend } from "./backend.ts";
import { type ChangeSetting, type Described, describe } from "./change-bodies.ts";
import { type FeedName, positionToToken } from "./feed-token.ts";
import { problemOf } from "./problems.ts";

/** A look for news is held back at the sources for so long, in ms, and then made anew. */
const HOLD_MS = 2000;

export interface FeedRequest extends FeedName, Pick<ChangeSetting, "values" | "entries" | "bytes"> {
  readonly from: FeedPosition | "now" | "beginning";
  readonly limit: number;
  readonly trace: string;
}

export interface Batch {
  readonly changes: readonly Described[];
  readonly token: string;
  readonly isCaughtUp: boolean;
}

export class FeedReader {
  readonly #backend: Backend;
  readonly #hash: KeyedHash;
  readonly #request: FeedRequest;
  readonly #feed = crypto.randomUUID();
  #from: FeedPosition | "now" | "beginning";

  constructor(backend: Backend, hash: KeyedHash, request: FeedRequest) {
    this.#backend = backend;
    this.#hash = hash;
    this.#request = request;
    this.#from = request.from;
  }

  /**
   * What is new since the last look.
   *
   * @param waitMs how long it may wait for something; 0 not at all
   * @throws Problem when of some keys nobody can be asked: the feed stays where it is
   */
  async look(waitMs: number): Promise<Batch> {
    const { namespace, prefix, values, entries, limit, trace } = this.#request;
    const from = this.#from;
    const holdMs = Math.min(Math.ceil(waitMs), HOLD_MS);
    const bounds = { limit, byteCountMax: BYTES_OF_CHANGES_MAX, holdMs };
    const result = await this.#backend.execute(
      {
        kind: "changes",
        ...{ namespace, prefix, from, ...bounds },
        values: values || entries,
        feed: this.#feed,
      },
      trace,
    );
    if (result.kind === "failed") throw problemOf(result.failure, false);
    if (result.kind !== "changes") throw new Error(`a look for changes ended as ${result.kind}`);
    const setting = {
      ...this.#request,
      hash: this.#hash,
      now: this.#backend.now(),
      purges: this.#backend.view().purges,
    };
    const changes = result.changes.map((change) => describe(change, setting));
    const token = positionToToken(this.#hash, this.#request, result.position);
    this.#from = result.position;
    return { changes, token, isCaughtUp: result.isCaughtUp };
  }
}
