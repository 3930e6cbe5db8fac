/**
 * Workers KV in the words of this store: one namespace, with the options of one request. The REST
 * façade, the binding for other Workers and workerd's own wire are thin coats over it.
 *
 * A key with siblings reads as its newest one, and a write replaces what its coordinator holds: KV
 * has no words for causality. A client that needs them takes the contract's own routes for
 * the same key.
 */
import { type Content, liveSiblings } from "../../../core/entry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { storeKey } from "../../../core/keys.ts";
import { LIST_KEYS_MAX, TTL_SECONDS_MIN } from "../../../core/limits.ts";
import type { NamespaceSettings } from "../../../core/namespace-settings.ts";
import type { ListedKey } from "../../../core/results.ts";
import type { StoreKey } from "../../../core/store.ts";
import type { WallMillis } from "../../../core/time.ts";
import type { Backend } from "../backend/backend.ts";
import { ReadRoom } from "../backend/read-room.ts";
import { rulesOf } from "../backend/rules.ts";
import { run } from "../backend/run.ts";
import { settingsOf } from "../data/data-plane.ts";
import { cursorAfter, listKeys } from "../data/listing.ts";
import { inParallel } from "../http/at-once.ts";
import { Deadline } from "../http/deadline.ts";
import { checkKey } from "../http/key-path.ts";
import type { RequestOptions } from "../http/options.ts";
import { Problem, problemOf } from "../http/problems.ts";

/** The parts for a call of KV, whichever coat it came through. */
export interface KvParts {
  readonly backend: Backend;
  readonly hash: KeyedHash;
  readonly namespace: string;
  readonly options: RequestOptions;
  readonly trace: string;
  /** The object that memory for values is taken under; its maker releases it. */
  readonly holder: object;
}

export interface KvValue {
  readonly content: Content;
  /** 0: never. */
  readonly expiresAt: WallMillis;
}

export interface KvList {
  readonly prefix: string;
  readonly limit: number;
  readonly cursor: string;
}

export interface KvPage {
  readonly keys: readonly ListedKey[];
  /** Empty when the list is complete. */
  readonly cursor: string;
}

/** When a value is to expire, in seconds: from now on, or since 1970. The first one wins. */
export interface KvExpiry {
  readonly ttl: number | null;
  readonly at: number | null;
}

/** The least number of keys to ask for: deleted ones take room in a page until collected. */
const SCANNED_MIN = 250;
/** How many pages are read at most to fill a short one, and while they are all empty. */
const PAGES_MAX = 64;
const EMPTY_PAGES_MAX = 10_000;

/**
 * A hundred years. KV knows no longest life, and its users write decades where they mean for ever;
 * Durable Objects "don't support" alarms after the year 2189.
 */
const LIFE_SECONDS_MAX = 3_153_600_000;

/** Whole seconds since 1970, as KV tells them. */
export const secondsOf = (expiresAt: WallMillis): number => Math.round(expiresAt / 1000);

export class KvStore {
  readonly settings: NamespaceSettings;
  readonly #parts: KvParts;
  #begun: Deadline | null = null;

  /** @throws Problem `invalid-option` */
  constructor(parts: KvParts) {
    const view = parts.backend.view();
    this.settings = settingsOf(view, parts.namespace);
    rulesOf(view, this.settings, parts.options.quorum);
    this.#parts = parts;
  }

  /** @throws Problem */
  get(key: string): Promise<KvValue | null> {
    return this.#read(key, new ReadRoom(this.#parts));
  }

  /**
   * Many values, in the order of the keys.
   *
   * @param byteCountMax how many bytes of them are kept at most
   * @throws Problem
   */
  async getMany<Out>(
    keys: readonly string[],
    byteCountMax: number,
    keep: (found: KvValue | null, key: string) => Out,
  ): Promise<readonly Out[]> {
    const room = new ReadRoom(this.#parts);
    await room.reserve(
      keys.map((key) => this.#nameOf(key)),
      byteCountMax,
    );
    const read = async (key: string): Promise<Out> => keep(await this.#read(key, room), key);
    return inParallel(keys, read, room.atOnce);
  }

  async #read(key: string, room: ReadRoom): Promise<KvValue | null> {
    const { backend } = this.#parts;
    const name = this.#nameOf(key);
    const options = this.#deadline.options();
    const operation = { kind: "get", key: name, options, session: null } as const;
    const result = await room.read(operation);
    if (result.kind === "failed") throw problemOf(result.failure, false);
    const [newest] = liveSiblings(result.entry, backend.now());
    const content = newest?.content ?? null;
    return content === null ? null : { content, expiresAt: newest?.expiresAt ?? 0 };
  }

  /** Of all that is asked for here, from the first on: until then bodies are read. */
  get #deadline(): Deadline {
    this.#begun ??= new Deadline(this.#parts.options.quorum);
    return this.#begun;
  }

  /** @throws Problem `invalid-key` */
  #nameOf(key: string): StoreKey {
    return storeKey(this.#parts.namespace, checkKey(key));
  }

  /** @throws Problem */
  async put(key: string, content: Content, ttlMs: WallMillis): Promise<void> {
    const { maxValueBytes } = this.settings;
    if (content.value.length > maxValueBytes) {
      const detail = `The value is larger than the ${maxValueBytes} bytes of this namespace.`;
      throw new Problem("value-too-large", detail, { extras: { limit: maxValueBytes } });
    }
    await this.#write(key, content, ttlMs);
  }

  /** @throws Problem */
  async delete(key: string): Promise<void> {
    await this.#write(key, null, 0);
  }

  /**
   * A full page, or the last one: clients of KV take an empty page for the end. It may be short
   * only after tens of thousands of deleted keys.
   *
   * @throws Problem
   */
  async list({ prefix, limit, cursor }: KvList): Promise<KvPage> {
    if (!Number.isInteger(limit) || limit < 1 || limit > LIST_KEYS_MAX) {
      const extras = { option: "limit", limit: LIST_KEYS_MAX };
      throw new Problem("invalid-option", `limit must be 1 to ${LIST_KEYS_MAX}.`, { extras });
    }
    const { backend, hash, namespace, trace } = this.#parts;
    const keys: ListedKey[] = [];
    let from = cursor;
    let scanned = Math.max(limit + 1, SCANNED_MIN);
    for (let i = 1; ; i++) {
      const wanted = { namespace, prefix, limit: Math.min(scanned, LIST_KEYS_MAX), cursor: from };
      const page = await this.#deadline.hold(() => listKeys(backend, hash, { ...wanted, trace }));
      keys.push(...page.result.keys);
      from = page.cursor;
      // One key more than wanted was found: that shows that the page is not the last.
      const last = keys.length > limit ? keys[limit - 1] : undefined;
      if (last !== undefined) {
        const rest = cursorAfter(hash, { namespace, prefix }, last.name);
        return { keys: keys.slice(0, limit), cursor: rest };
      }
      const isEnough = i >= (keys.length === 0 ? EMPTY_PAGES_MAX : PAGES_MAX);
      if (from === "" || isEnough) return { keys, cursor: from };
      // After a full page one more key is enough to tell. Otherwise many are deleted ones.
      scanned = keys.length === limit ? SCANNED_MIN : LIST_KEYS_MAX;
    }
  }

  /** How long a value is to live; 0 for ever. @throws Problem `invalid-option` */
  ttlMsOf({ ttl, at }: KvExpiry): WallMillis {
    if (ttl !== null) return ttlMs("expiration_ttl", ttl);
    if (at !== null) return ttlMs("expiration", at - this.#parts.backend.now() / 1000);
    return Math.round((this.settings.ttl ?? 0) * 1000);
  }

  async #write(key: string, content: Content | null, ttlMs: WallMillis): Promise<void> {
    const { backend, trace } = this.#parts;
    const options = this.#deadline.options();
    const write = { key: this.#nameOf(key), options, content, ttlMs } as const;
    await run(backend, { kind: "write", ...write, context: null, precondition: null }, trace);
  }
}

/** There is no minimum of 60 seconds here. */
function ttlMs(option: string, seconds: number): WallMillis {
  if (seconds >= TTL_SECONDS_MIN && seconds <= LIFE_SECONDS_MAX) return Math.round(seconds * 1000);
  const range = `${TTL_SECONDS_MIN} to ${LIFE_SECONDS_MAX} seconds from now`;
  const what = option === "expiration" ? "a time in seconds since 1970" : "a time";
  const detail = `${option} must be ${what}, ${range}.`;
  throw new Problem("invalid-option", detail, { extras: { option } });
}
