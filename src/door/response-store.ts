/**
 * Stored responses on the ring: one value a cache key, and one a piece of a long body, under names
 * that are hashes, in the namespace of their site.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
import type { CausalContext } from "../../core/causal-context.ts";
import { CodecError } from "../../core/codec.ts";
import { type Content, contextShowing, liveSiblings, type Sibling } from "../../core/entry.ts";
import { storeKey } from "../../core/keys.ts";
import { KEY_BYTES_MAX, TAG_CHARS_MAX, TAGS_COUNT_MAX } from "../../core/limits.ts";
import type { LeaseOperation, LeaseResult, Operation, Result } from "../../core/operations.ts";
import type { QuorumOptions } from "../../core/quorum-options.ts";
import { siteNamespace } from "../../core/site.ts";
import { type Millis, millisOfHlc, type WallMillis } from "../../core/time.ts";
import { ageOf } from "../cache/look-up.ts";
import {
  decodeStored,
  emptyStored,
  encodeStored,
  joinStored,
  type Stored,
  type StoredBody,
  usefulFor,
  type Variant,
} from "../cache/stored.ts";
import type { Backend, Site } from "../frontend/backend/backend.ts";
import type { PieceStore } from "./body-flow.ts";

/** A look-up or a store that did not come about; the client is answered all the same. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** A piece that no owner has: the reader's connection breaks rather than give a wrong byte. */
export class MissingPiece extends Error {
  override readonly name = "MissingPiece";
}

/** What was said to who asked for the right to fetch. */
export type Leased = { readonly state: LeaseResult["state"]; readonly at: WallMillis };

/** What is stored for a key, and what a write that replaces it has seen, and covers. */
export interface Found {
  readonly stored: Stored;
  readonly context: CausalContext;
}

/** How long a purge of a URL is remembered, in ms: no fetch that began before it takes longer. */
export const PURGE_MEMORY_MS = 15 * 60_000;
/** For how long a piece outlives its head, in ms: who began to read it may finish. */
const PIECE_GRACE_MS = 10 * 60_000;
const TAG = /^[\x21-\x7e]+$/;
const encoder = new TextEncoder();

const nameOf = (key: string): string => `h/${bytesToHex(sha256(encoder.encode(key)))}`;

/** For purges: what replicas know of a value without reading it. */
interface Label {
  readonly key: string;
  readonly tags: readonly string[];
}

/** No prefix that is purged is longer: more of a key need not be known to judge it. */
const labelName = (key: string): string => key.slice(0, KEY_BYTES_MAX);

const contentOf = (value: Uint8Array, { key, tags }: Label): Content => ({
  value,
  contentType: "application/octet-stream",
  contentEncoding: null,
  contentLanguage: null,
  contentDisposition: null,
  metadata: JSON.stringify(labelName(key)),
  tags,
});

const labelTags = (variants: readonly Variant[]): readonly string[] =>
  [...new Set(variants.flatMap(({ tags }) => tags))]
    .filter((tag) => tag.length <= TAG_CHARS_MAX && TAG.test(tag))
    .slice(0, TAGS_COUNT_MAX);

export class ResponseStore {
  readonly #backend: Backend;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** @throws StoreError */
  async read(site: string, key: string, options: QuorumOptions = {}): Promise<Found> {
    const name = storeKey(siteNamespace(site), nameOf(key));
    const result = await this.#run({ kind: "get", key: name, options, session: null });
    if (result.kind !== "got") throw new StoreError("the look-up failed");
    const now = this.#backend.now();
    const shown = liveSiblings(result.entry, now);
    const stored = shown
      .map((sibling) => storedIn(sibling, key))
      .reduce((a, b) => joinStored(a, b), emptyStored(key));
    return {
      stored: this.#withoutPurged(site, stored),
      context: contextShowing(result.entry, shown, now),
    };
  }

  /**
   * Replaces what was found by what was asked for since `at`. Where a purge may have come and gone
   * meanwhile, nothing is stored.
   *
   * @throws StoreError
   */
  async writeSince(at: WallMillis, site: string, to: Found): Promise<void> {
    if (this.#backend.view().purges.knowsSince(at)) await this.write(site, to.stored, to.context);
  }

  /** Replaces what was found. @throws StoreError */
  async write(site: string, stored: Stored, context: CausalContext): Promise<void> {
    const label = { key: stored.key, tags: labelTags(stored.variants) };
    const ttlMs = Math.ceil(usefulFor(stored, this.#backend.now(), PURGE_MEMORY_MS));
    if (ttlMs <= 0) return;
    const key = storeKey(siteNamespace(site), nameOf(stored.key));
    await this.#put({ key, content: contentOf(encodeStored(stored), label), ttlMs, context }, {});
  }

  /**
   * Purges one key at all its owners: nothing that was asked for until now is used any more, or is
   * stale from now on.
   *
   * @throws StoreError
   */
  async purge(site: string, key: string, how: { isSoft: boolean; at: WallMillis }): Promise<void> {
    const now = this.#backend.now();
    const { isSoft, at } = how;
    const times = isSoft ? { stalesAt: at } : { purgedAt: at };
    const { stored, context } = isSoft
      ? await this.read(site, key, { r: "quorum" })
      : { stored: emptyStored(key), context: null };
    const purged = { ...stored, ...times };
    const ttlMs = Math.ceil(usefulFor(purged, now, PURGE_MEMORY_MS));
    const content = contentOf(encodeStored(purged), { key, tags: labelTags(stored.variants) });
    const name = storeKey(siteNamespace(site), nameOf(key));
    await this.#put({ key: name, content, ttlMs, context }, { w: "all", dw: 0 });
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
    const name = storeKey(siteNamespace(site.name), nameOf(key));
    const operation = { kind: "lease", key: name, n: site.stored.n, leaseMs, ...ask } as const;
    const result = await this.#run(operation).catch(() => null);
    if (result?.kind !== "leased") return null;
    return { state: result.state, at: millisOfHlc(result.time) };
  }

  /** Where the pieces of one version go. @param ttlMs how long its head is of use */
  pieces(site: string, version: string, label: Label & { readonly ttlMs: Millis }): PieceStore {
    const keyOf = (index: number): string => storeKey(siteNamespace(site), `p/${version}/${index}`);
    const ttlMs = Math.ceil(label.ttlMs) + PIECE_GRACE_MS;
    return {
      write: (index, bytes) => {
        const content = contentOf(bytes, label);
        return this.#put({ key: keyOf(index), content, ttlMs, context: null }, {});
      },
      read: (index) => this.#piece(keyOf(index)),
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

  /** One owner is asked first, and all of them where it has none. @throws MissingPiece */
  async #piece(key: string): Promise<Uint8Array> {
    for (const options of [{}, { r: "all", notfoundOk: false }, { r: "one" }] as const) {
      const result = await this.#run({ kind: "get", key, options, session: null });
      if (result.kind !== "got") continue;
      const [sibling] = liveSiblings(result.entry, this.#backend.now());
      if (sibling?.content) return sibling.content.value;
    }
    throw new MissingPiece("a piece of the stored body is gone");
  }

  /** As purges of tags, prefixes and of all of the site leave it. */
  #withoutPurged(site: string, stored: Stored): Stored {
    const { purges } = this.#backend.view();
    const namespace = siteNamespace(site);
    const now = this.#backend.now();
    const variants = stored.variants.flatMap((variant) => {
      const { tags, requestedAt } = variant;
      const judged = purges.ofAnswer(namespace, { name: stored.key, tags, at: requestedAt });
      if (judged === "gone") return [];
      return [judged === "valid" ? variant : madeStale(variant, now)];
    });
    return { ...stored, variants };
  }

  async #put(
    write: Pick<Extract<Operation, { kind: "write" }>, "key" | "content" | "ttlMs" | "context">,
    options: QuorumOptions,
  ): Promise<void> {
    const result = await this.#run({ kind: "write", ...write, options, precondition: null });
    if (result.kind !== "written") throw new StoreError("the store failed");
  }

  /** A bug of the backend is a failed look-up to the client too. @throws StoreError */
  async #run(operation: Operation): Promise<Result> {
    try {
      return await this.#backend.execute(operation, "");
    } catch (error) {
      throw new StoreError(error instanceof Error ? error.message : "the ring failed");
    }
  }
}

/** The variant from now on stale: it may be validated, and do when the origin fails. */
function madeStale(variant: Variant, now: WallMillis): Variant {
  const lifetimeMs = Math.min(variant.freshness.lifetimeMs, ageOf(variant, now));
  const freshness = { ...variant.freshness, lifetimeMs, staleWhileRevalidateMs: 0 };
  return { ...variant, freshness };
}

/** What a sibling holds; nothing where it is of another key with this hash, or cannot be read. */
function storedIn({ content }: Sibling, key: string): Stored {
  if (content === null) return emptyStored(key);
  try {
    const stored = decodeStored(content.value);
    return stored.key === key ? stored : emptyStored(key);
  } catch (error) {
    if (error instanceof CodecError) return emptyStored(key);
    throw error;
  }
}
