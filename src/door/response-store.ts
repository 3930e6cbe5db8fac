/**
 * Stored responses on the ring: one value a cache key, and one a piece of a long body, under names
 * that are hashes, in the namespace of their site.
 */
import { CausalContext } from "../../core/causal-context.ts";
import { storeKey } from "../../core/keys.ts";
import type {
  GetOperation,
  LeaseOperation,
  OtherOperation,
  WriteOperation,
} from "../../core/operations.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import type { LeaseResult, ResultOf } from "../../core/results.ts";
import { siteNamespace } from "../../core/site.ts";
import type { StoreKey } from "../../core/store.ts";
import { type Millis, millisOfHlc, type WallMillis } from "../../core/time.ts";
import { type StoredBody, withPurge } from "../cache/stored.ts";
import type { Backend, Site } from "../frontend/backend/backend.ts";
import { execute } from "../frontend/backend/large-work.ts";
import { readInRoom } from "../frontend/backend/read-room.ts";
import { bodyRoom } from "../frontend/http/body-room.ts";
import type { PieceStore } from "./body-flow.ts";
import {
  contentOf,
  type Digest,
  type Found,
  foundIn,
  foundNothing,
  type Known,
  type Label,
  portableDigest,
  recordOf,
  responseKey,
} from "./kept.ts";
import { PieceReads } from "./piece-reads.ts";
import type { DoorHost } from "./ports.ts";
import { MissingPiece, StoreError } from "./store-errors.ts";

/** The answer to a frontend that asked for the right to fetch. */
export type Leased = { readonly state: LeaseResult["state"]; readonly at: WallMillis };

/** For how long a piece outlives its head, in ms: a reader that has begun may finish. */
const PIECE_GRACE_MS = 10 * 60_000;
/** Pieces go no faster than a disk takes them: what waits is in memory, and grows with the body. */
const ON_A_DISK: QuorumOptions = { dw: 1 };
/**
 * A piece has a name that was never used before, so there is nothing that it could replace. A write
 * without a context would make its owners look, and keep what they looked at in memory.
 */
const NOTHING_SEEN = CausalContext.empty;
/** Asks an owner of a key for its time and for nothing else: nobody holds a lease by this name. */
const TIME_ONLY = { act: "release", holder: "" } as const;

/**
 * How many names are remembered before all are forgotten, of keys up to this long: 3 MB at most.
 */
const NAMES_COUNT_MAX = 4096;
const NAMED_CHARS_MAX = 512;

/** What it takes of the host. */
export type StoreHost = Partial<Pick<DoorHost, "digest" | "wait">>;

const pause: DoorHost["wait"] = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class ResponseStore {
  readonly #backend: Backend;
  readonly #digest: Digest;
  readonly #pieces: PieceReads;
  /** Names of keys that were asked for lately, by site and key. */
  readonly #names = new Map<string, StoreKey>();

  constructor(backend: Backend, { digest = portableDigest, wait = pause }: StoreHost = {}) {
    this.#backend = backend;
    this.#digest = digest;
    this.#pieces = new PieceReads({
      get: (key, options) => this.#get({ key, options }),
      now: () => backend.now(),
      wait,
    });
  }

  /** @throws StoreError */
  async read(site: string, key: string, options: QuorumOptions = {}): Promise<Found> {
    const result = await this.#get({ key: this.#nameOf(site, key), options });
    if (result.kind !== "got") throw new StoreError("the look-up failed");
    return foundIn(result.entry, { site, key }, this.#known);
  }

  /** The name that it lies under. A hash takes a twentieth of a hit, and hot keys are few. */
  #nameOf(site: string, key: string): StoreKey {
    const id = `${site}\n${key}`;
    const known = this.#names.get(id);
    if (known !== undefined) return known;
    const name = responseKey(site, key, this.#digest);
    if (this.#names.size >= NAMES_COUNT_MAX) this.#names.clear();
    if (key.length <= NAMED_CHARS_MAX) this.#names.set(id, name);
    return name;
  }

  get #known(): Known {
    return { purges: this.#backend.view().purges, now: this.#backend.now() };
  }

  /**
   * Writes what was asked for since `at` in place of what was found. Nothing is stored where a
   * purge may have come and gone meanwhile.
   *
   * @throws StoreError
   */
  async writeSince(at: WallMillis, site: string, { stored, context }: Found): Promise<void> {
    const { purges, now } = this.#known;
    const record = purges.knowsSince(at) ? recordOf(site, stored, { now }) : null;
    if (record !== null) await this.#put({ ...record, context }, {});
  }

  /**
   * Purges one key at all its owners: nothing that was asked for until then is used any more, or is
   * stale from now on. A purge covers what it has read and nothing else: another one may be under
   * way, and say a later time.
   *
   * @param how `at`: until when; null: until now, by the clock of an owner, which leases go by too
   * @returns until when
   * @throws StoreError
   */
  async purge(
    site: Site,
    key: string,
    how: {
      readonly isSoft: boolean;
      readonly at: WallMillis | null;
      readonly timeoutMs?: Millis;
    },
  ): Promise<WallMillis> {
    const { now } = this.#known;
    const at = how.at ?? Math.max(now, (await this.timeFor(site, key)) ?? now);
    const within = how.timeoutMs === undefined ? {} : { timeoutMs: how.timeoutMs };
    const found = await this.read(site.name, key, { r: "quorum", ...within }).catch((error) => {
      // It ends all that is there, seen or not. Only what is made stale has to be known.
      if (how.isSoft || !(error instanceof StoreError)) throw error;
      return foundNothing(key);
    });
    const record = recordOf(site.name, withPurge(found.stored, how.isSoft, at), { now });
    const { context } = found;
    if (record !== null) await this.#put({ ...record, context }, { w: "all", dw: 0, ...within });
    return at;
  }

  /** Forgets one version of a key, whose pieces are gone. @throws StoreError */
  async forget(site: string, key: string, version: string): Promise<void> {
    const { stored, context } = await this.read(site, key, { r: "quorum" });
    const variants = stored.variants.filter(({ body }) => body.version !== version);
    if (variants.length === stored.variants.length) return;
    const record = recordOf(site, { ...stored, variants }, { now: this.#known.now });
    const name = this.#nameOf(site, key);
    await this.#put({ ...(record ?? { key: name, content: null, ttlMs: 0 }), context }, {});
  }

  /** What time it is for an owner of the key; null where no owner can be asked. */
  async timeFor(site: Site, key: string): Promise<WallMillis | null> {
    return (await this.lease(site, key, TIME_ONLY))?.at ?? null;
  }

  /**
   * The right to fetch a key from its origin, of all frontends together; null where nobody can be
   * asked for it, and each fetches for itself.
   */
  async lease(
    site: Site,
    key: string,
    ask: Pick<LeaseOperation, "act" | "holder">,
  ): Promise<Leased | null> {
    const { leaseMs } = site.settings;
    const name = this.#nameOf(site.name, key);
    const operation = { kind: "lease", key: name, n: site.stored.n, leaseMs, ...ask } as const;
    const result = await this.#run(operation).catch(() => null);
    if (result === null || result.kind === "failed") return null;
    return { state: result.state, at: millisOfHlc(result.time) };
  }

  /** Where the pieces of one version go. @param ttlMs how long its head is of use */
  pieces(site: string, version: string, label: Label & { readonly ttlMs: Millis }): PieceStore {
    const keyOf = (index: number): string => storeKey(siteNamespace(site), `p/${version}/${index}`);
    const ttlMs = Math.ceil(label.ttlMs) + PIECE_GRACE_MS;
    return {
      write: (index, bytes) => {
        const content = contentOf(bytes, label);
        const write = { key: keyOf(index), content, ttlMs, context: NOTHING_SEEN };
        return this.#put(write, ON_A_DISK);
      },
      read: (index) => this.#pieces.read(keyOf(index)),
    };
  }

  /** Bytes of a stored body, from a place in it up to another. */
  async *bytes(site: string, body: StoredBody, range: { from: number; to: number }) {
    if (body.bytes !== null) {
      yield body.bytes.subarray(range.from, range.to);
      return;
    }
    const pieces = this.pieces(site, body.version, { key: "", tags: [], ttlMs: 0 });
    let at = range.from;
    while (at < range.to) {
      const index = Math.floor(at / body.pieceBytes);
      const start = index * body.pieceBytes;
      const piece = await pieces.read(index);
      const wanted = Math.min(body.length - start, body.pieceBytes);
      if (piece.length !== wanted) throw new MissingPiece("a piece has another length");
      const part = piece.subarray(at - start, range.to - start);
      yield part;
      at += part.length;
    }
  }

  async #put(
    write: Pick<WriteOperation, "key" | "content" | "ttlMs" | "context">,
    options: QuorumOptions,
  ): Promise<void> {
    const result = await this.#run({ kind: "write", ...write, options, precondition: null });
    if (result.kind === "failed") throw new StoreError("the store failed");
  }

  /**
   * Room is taken only for the look-up: otherwise slow readers could take all of it.
   *
   * @throws StoreError, when there is no room too
   */
  async #get(operation: Pick<GetOperation, "key" | "options">): Promise<ResultOf<"get">> {
    const { key, options } = operation;
    const holder = {};
    const get = { kind: "get", key, options, session: null } as const;
    try {
      return await readInRoom({ backend: this.#backend, holder, trace: "" }, get);
    } catch (error) {
      throw failed(error);
    } finally {
      bodyRoom.release(holder);
    }
  }

  /** @throws StoreError */
  async #run<Asked extends OtherOperation>(operation: Asked): Promise<ResultOf<Asked["kind"]>> {
    try {
      return await execute(this.#backend, operation, "");
    } catch (error) {
      throw failed(error);
    }
  }
}

/** A bug of the backend is a failed look-up to the client too. */
const failed = (error: unknown): StoreError =>
  new StoreError(error instanceof Error ? error.message : "the ring failed");
