/**
 * Workers KV as code sees it: the methods of a `KVNamespace`, in one namespace of this store.
 *
 * Options that KV does not have are those of the contract, in the client library's spelling:
 * `get(key, { type: "json", r: 1 })`. `cacheTtl` is accepted and means nothing: every read asks
 * replicas, and none is older than what they hold. See https://developers.cloudflare.com/kv/api/
 * for the rest. The methods take their arguments as a list: their number is part of the meaning.
 */
import type { Content } from "../../../core/entry.ts";
import type { KeyedHash } from "../../../core/keyed-hash.ts";
import { type ConsistencyOptions, consistencyQuery } from "../../client/consistency.ts";
import type { Backend } from "../backend/backend.ts";
import { readBody } from "../http/body.ts";
import { bodyRoom, SMALL_BYTES } from "../http/body-room.ts";
import { readOptions } from "../http/options.ts";
import { Problem } from "../http/problems.ts";
import {
  checkSize,
  deleteOptionsAt,
  expiryOf,
  type Given,
  KvRefusal,
  keyOf,
  keysOf,
  listOf,
  metadataOf,
  optionsAt,
  readerOf,
  readOptionsAt,
  typeOf,
  valueIn,
} from "./kv-arguments.ts";
import { readMany } from "./kv-bulk.ts";
import { KvStore, secondsOf } from "./kv-store.ts";
import { contentOf, type KvShown, kvJson, kvText, metadataIn } from "./kv-values.ts";

export type KvType = "text" | "json" | "arrayBuffer" | "stream";

export interface KvGetOptions extends ConsistencyOptions {
  readonly type?: KvType;
  /** Accepted for the sake of code that passes it. */
  readonly cacheTtl?: number;
}

export interface KvPutOptions extends ConsistencyOptions {
  /** Seconds since 1970. */
  readonly expiration?: number;
  /** Seconds from now on, under 60 too; wins over `expiration`. */
  readonly expirationTtl?: number;
  /** Anything that JSON can express, in at most 1,024 bytes. */
  readonly metadata?: unknown;
}

export interface KvListOptions {
  readonly prefix?: string | null;
  /** 1 to 1000. */
  readonly limit?: number | null;
  readonly cursor?: string | null;
}

export interface KvResult {
  readonly value: KvShown;
  readonly metadata: KvShown;
  /** Only for a single key, as with KV. */
  readonly cacheStatus?: null;
}

export interface KvListResult {
  readonly keys: readonly {
    readonly name: string;
    readonly expiration?: number;
    readonly metadata?: KvShown;
  }[];
  readonly list_complete: boolean;
  readonly cursor?: string;
  readonly cacheStatus: null;
}

/** What can be stored; numbers, booleans and null are stored as their texts. */
export type KvBody = string | ArrayBuffer | ArrayBufferView | ReadableStream<Uint8Array>;

export type KvPutArguments = readonly [key: string, value: KvBody, options?: KvPutOptions | null];
export type KvGetArguments = readonly [
  key: string | readonly string[],
  options?: KvType | KvGetOptions | null,
];
export type KvDeleteArguments = readonly [key: string, options?: ConsistencyOptions];
export type KvListArguments = readonly [options?: KvListOptions | null];

export interface KvNamespaceParts {
  readonly backend: Backend;
  readonly hash: KeyedHash;
  readonly namespace: string;
}

const nothing: KvResult = { value: null, metadata: null, cacheStatus: null };
const NO_TRACE = "";
function shown({ value }: Content, type: string): KvShown {
  switch (type) {
    case "text":
      return kvText(value);
    case "json":
      return kvJson(kvText(value));
    case "arrayBuffer":
      return value.slice().buffer;
    case "stream":
      return new Blob([value.slice()]).stream();
    default: {
      const types = '"text", "arrayBuffer", "json", and "stream"';
      throw new TypeError(`Unknown response type. Possible types are ${types}.`);
    }
  }
}

async function bytesOf(body: string | object, byteCountMax: number): Promise<Uint8Array> {
  if (typeof body === "string") return new TextEncoder().encode(body);
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  if (ArrayBuffer.isView(body)) {
    return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
  }
  if (body instanceof ReadableStream) {
    const request = { headers: new Headers(), body };
    return readBody(request, byteCountMax).finally(() => bodyRoom.release(request));
  }
  throw new TypeError(
    "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values.",
  );
}

/** Problems in the words of KV's own errors: a remote caller sees only an error's message. */
async function failingAs<Out>(verb: string, work: (holder: object) => Promise<Out>): Promise<Out> {
  const holder = {};
  try {
    return await work(holder);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { status, message, code } = error;
    const words = error instanceof KvRefusal ? message : `${message} (${code})`;
    throw new Error(`KV ${verb} failed: ${status} ${words}`);
  } finally {
    bodyRoom.release(holder);
  }
}

interface Method {
  readonly method: string;
  /** The type of its first argument, in workerd's words. */
  readonly type: string;
}
const READS = {
  get: { method: "get", type: "string or Array" },
  getWithMetadata: { method: "getWithMetadata", type: "Array or string" },
} as const;

const isMany = ([key]: readonly unknown[]): boolean => Array.isArray(key);

export class KvNamespace {
  readonly #parts: KvNamespaceParts;

  constructor(parts: KvNamespaceParts) {
    this.#parts = parts;
  }

  /**
   * One key's value, or for a list of up to 100 keys a Map of values.
   *
   * @returns null for a key that is not there
   * @throws Error whose message begins with `KV GET failed:` (`KV GET_BULK failed:` of a list) and
   *   the status; TypeError for what is no key or no type
   */
  async get(...args: KvGetArguments): Promise<KvShown> {
    if (!isMany(args)) return (await this.#getOne(args, READS.get)).value;
    const found = await this.#getMany(args);
    return new Map([...found].map(([name, result]) => [name, result?.value ?? null]));
  }

  /**
   * @returns an object of nulls for a single missing key; in a Map null itself, as with KV
   * @throws Error as `get` does
   */
  async getWithMetadata(...args: KvGetArguments): Promise<KvResult | Map<string, KvResult | null>> {
    return isMany(args) ? this.#getMany(args) : this.#getOne(args, READS.getWithMetadata);
  }

  /** @throws Error whose message begins with `KV PUT failed:` and the status; TypeError */
  async put(...args: KvPutArguments): Promise<void> {
    await failingAs("PUT", async (holder) => {
      const key = keyOf("put", args);
      const value = valueIn(args);
      const at = { index: 2, method: "put", type: "PutOptions" };
      const { expiration, expirationTtl, metadata, ...rest } = optionsAt(args, at);
      const store = this.#store(rest, holder);
      const now = this.#parts.backend.now();
      const ttlMs = store.ttlMsOf(expiryOf({ expiration, expirationTtl }, now));
      const { maxValueBytes } = store.settings;
      const bytes = await bytesOf(value, maxValueBytes);
      checkSize(bytes.length, maxValueBytes);
      if (bytes.length > SMALL_BYTES) await bodyRoom.reserve(holder, bytes.length);
      await store.put(key, contentOf(bytes, metadataOf(metadata)), ttlMs);
    });
  }

  /** Deleting what is not there is no error. @throws Error that begins with `KV DELETE failed:` */
  async delete(...args: KvDeleteArguments): Promise<void> {
    await failingAs("DELETE", (holder) => {
      const key = keyOf("delete", args);
      return this.#store(deleteOptionsAt(args), holder).delete(key);
    });
  }

  /** @throws Error whose message begins with `KV GET failed:`, as with KV, and the status */
  async list(...args: KvListArguments): Promise<KvListResult> {
    return failingAs("GET", async (holder) => {
      const at = { index: 0, method: "list", type: "ListOptions" };
      const page = await this.#store({}, holder).list(listOf(optionsAt(args, at)));
      const keys = page.keys.map(({ name, expiresAt, metadata }) => ({
        name,
        ...(expiresAt === 0 ? {} : { expiration: secondsOf(expiresAt) }),
        ...(metadata === null ? {} : { metadata: kvJson(metadata) }),
      }));
      const isComplete = page.cursor === "";
      const more = isComplete ? {} : { cursor: page.cursor };
      return { keys, list_complete: isComplete, ...more, cacheStatus: null };
    });
  }

  async #getOne(args: readonly unknown[], { method, type: wanted }: Method): Promise<KvResult> {
    return failingAs("GET", async (holder) => {
      const key = keyOf(method, args, wanted);
      const { type, ...rest } = readOptionsAt(args);
      const found = await this.#store(rest, holder).get(key);
      if (found === null) return nothing;
      const value = shown(found.content, typeOf(type));
      return { value, metadata: metadataIn(found.content), cacheStatus: null };
    });
  }

  async #getMany(args: readonly unknown[]): Promise<Map<string, KvResult | null>> {
    return failingAs("GET_BULK", async (holder) => {
      const names = keysOf(args[0]);
      const { type, ...rest } = readOptionsAt(args);
      const shown = readerOf(typeOf(type));
      return readMany(this.#store(rest, holder), names, ({ content }) => ({
        value: shown(content.value),
        metadata: metadataIn(content),
      }));
    });
  }

  /** @param holder of this one call: when it returns, what it has read is the caller's */
  #store(given: Given, holder: object): KvStore {
    // As a query, so that one parser judges options whichever way they come. Members with other
    // names are not ours: storage layers pass their own options through.
    const options = readOptions(consistencyQuery(given as ConsistencyOptions).toString(), null);
    return new KvStore({ ...this.#parts, options, trace: NO_TRACE, holder });
  }
}
