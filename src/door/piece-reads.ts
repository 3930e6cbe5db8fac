/**
 * Reads of pieces of long bodies. Nobody ever changes a piece, so readers who want one at the same
 * time share a read: a hundred clients of one body ask the ring for each of its pieces a few times,
 * and not a hundred times. And whoever reads a body has begun: to break off amid a load that its
 * owners cannot carry would only have the client begin anew. So a piece that cannot be read just
 * now is waited for.
 */
import { liveSiblings } from "../../core/entry.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import type { ResultOf } from "../../core/results.ts";
import type { StoreKey } from "../../core/store.ts";
import type { WallMillis } from "../../core/time.ts";
import type { DoorHost } from "./ports.ts";
import { MissingPiece, StoreError } from "./store-errors.ts";

/** One owner is asked first, and all of them where it has none. */
const ASKED_BY: readonly QuorumOptions[] = [{}, { r: "all", notfoundOk: false }, { r: "one" }];
/** Before each further attempt, in ms. An attempt itself takes up to three requests' time. */
const PAUSES_MS = [100, 400, 1600] as const;

export interface PieceSource {
  /** @throws StoreError when it cannot be read now */
  get(key: StoreKey, options: QuorumOptions): Promise<ResultOf<"get">>;
  now(): WallMillis;
  wait: DoorHost["wait"];
}

export class PieceReads {
  readonly #source: PieceSource;
  readonly #underWay = new Map<StoreKey, Promise<Uint8Array>>();

  constructor(source: PieceSource) {
    this.#source = source;
  }

  /**
   * @throws MissingPiece when no owner has it
   * @throws StoreError when it could not be read for so long
   */
  read(key: StoreKey): Promise<Uint8Array> {
    const known = this.#underWay.get(key);
    if (known !== undefined) return known;
    const reading = this.#patiently(key).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, reading);
    return reading;
  }

  async #patiently(key: StoreKey): Promise<Uint8Array> {
    for (const pauseMs of PAUSES_MS) {
      const piece = await this.#now(key);
      if (piece !== null) return piece;
      await this.#source.wait(pauseMs);
    }
    const piece = await this.#now(key);
    if (piece === null) throw new StoreError("a piece of the stored body cannot be read");
    return piece;
  }

  /** null: it cannot be said whether it is there. @throws MissingPiece */
  async #now(key: StoreKey): Promise<Uint8Array | null> {
    let isMissing = false;
    for (const options of ASKED_BY) {
      const result = await this.#get(key, options);
      // There is no room for another read, whomever it asks.
      if (result === null) return null;
      if (result.kind === "failed") continue;
      const [sibling] = liveSiblings(result.entry, this.#source.now());
      if (sibling?.content) return sibling.content.value;
      isMissing = true;
    }
    if (isMissing) throw new MissingPiece("a piece of the stored body is gone");
    return null;
  }

  async #get(key: StoreKey, options: QuorumOptions): Promise<ResultOf<"get"> | null> {
    try {
      return await this.#source.get(key, options);
    } catch (error) {
      if (error instanceof StoreError) return null;
      throw error;
    }
  }
}
