/**
 * Workers KV as code sees it: the methods of a `KVNamespace`, in one namespace of this store.
 *
 * What is not of KV in the options are the options of the contract, in the client library's
 * spelling: `get(key, { type: "json", r: 1 })`. `cacheTtl` is taken and means nothing: every read
 * asks replicas, none is older than what they hold. See
 * https://developers.cloudflare.com/kv/api/ for the rest.
 */
import type { Content } from "../../core/entry.ts";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import { LIST_KEYS_MAX } from "../../core/limits.ts";
import { type ConsistencyOptions, consistencyQuery } from "../client/consistency.ts";
import { AnswerBudget } from "./answer-budget.ts";
import { inParallel } from "./at-once.ts";
import type { Backend } from "./backend.ts";
import { checkMetadata, readBody } from "./body.ts";
import { bodyRoom } from "./body-room.ts";
import { BULK_BYTES_MAX } from "./kv-bulk.ts";
import { KvStore, type KvValue, secondsOf } from "./kv-store.ts";
import { contentOf } from "./kv-values.ts";
import { readOptions } from "./options.ts";
import { Problem } from "./problems.ts";

export type KvType = "text" | "json" | "arrayBuffer" | "stream";

export interface KvGetOptions extends ConsistencyOptions {
  readonly type?: KvType;
  /** Taken, for the sake of code that gives it. */
  readonly cacheTtl?: number;
}

export interface KvPutOptions extends ConsistencyOptions {
  /** Seconds since 1970. */
  readonly expiration?: number;
  /** Seconds from now on, under 60 too; wins over `expiration`. */
  readonly expirationTtl?: number;
  /** What JSON has words for: at most 1,024 bytes of it. */
  readonly metadata?: unknown;
}

export interface KvListOptions {
  readonly prefix?: string | null;
  /** 1 to 1000. */
  readonly limit?: number;
  readonly cursor?: string | null;
}

export interface KvResult {
  readonly value: unknown;
  readonly metadata: unknown;
  readonly cacheStatus: null;
}

export interface KvListResult {
  readonly keys: readonly {
    readonly name: string;
    readonly expiration?: number;
    readonly metadata?: unknown;
  }[];
  readonly list_complete: boolean;
  readonly cursor?: string;
  readonly cacheStatus: null;
}

export type KvBody = string | ArrayBuffer | ArrayBufferView | ReadableStream<Uint8Array>;

export interface KvNamespaceParts {
  readonly backend: Backend;
  readonly hash: KeyedHash;
  readonly namespace: string;
}

const nothing: KvResult = { value: null, metadata: null, cacheStatus: null };
/** As Workers KV allows. */
const KEYS_AT_ONCE_MAX = 100;
const NO_TRACE = "";

const optionsOf = (given: KvType | KvGetOptions | undefined): KvGetOptions =>
  typeof given === "string" ? { type: given } : (given ?? {});

function shown({ value }: Content, type: KvType): unknown {
  switch (type) {
    case "text":
      return new TextDecoder().decode(value);
    case "json":
      return JSON.parse(new TextDecoder().decode(value)) as unknown;
    case "arrayBuffer":
      return value.slice().buffer;
    case "stream":
      return new Blob([value.slice()]).stream();
    default:
      throw new TypeError("Unknown response type. Use text, json, arrayBuffer or stream.");
  }
}

const jsonOf = (metadata: string | null): unknown =>
  metadata === null ? null : (JSON.parse(metadata) as unknown);

function metadataOf(metadata: unknown): string | null {
  if (metadata === undefined || metadata === null) return null;
  const text: string | undefined = JSON.stringify(metadata);
  return checkMetadata(text ?? "");
}

async function bytesOf(body: KvBody, byteCountMax: number): Promise<Uint8Array> {
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

/** Problems as KV's own errors are worded: a caller far away sees an error's message alone. */
async function failingAs<Out>(verb: string, work: () => Promise<Out>): Promise<Out> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { status, message, code } = error;
    throw new Error(`KV ${verb} failed: ${status} ${message} (${code})`);
  }
}

export class KvNamespace {
  readonly #parts: KvNamespaceParts;

  constructor(parts: KvNamespaceParts) {
    this.#parts = parts;
  }

  /**
   * @param key one, or a list of up to 100: then a Map of them
   * @returns null for a key that is not there
   * @throws Error whose message begins with `KV GET failed:` and the status
   */
  async get(key: string | readonly string[], options?: KvType | KvGetOptions): Promise<unknown> {
    const found = await this.getWithMetadata(key, options);
    if (!(found instanceof Map)) return found.value;
    return new Map([...found].map(([name, result]) => [name, result?.value ?? null]));
  }

  /**
   * @returns of one key nulls when it is not there; in a Map null itself, as with KV
   * @throws Error as `get` does
   */
  async getWithMetadata(
    key: string | readonly string[],
    options?: KvType | KvGetOptions,
  ): Promise<KvResult | Map<string, KvResult | null>> {
    const { type = "text", ...rest } = optionsOf(options);
    const resultOf = (found: KvValue | null): KvResult | null => {
      if (found === null) return null;
      const { content } = found;
      const metadata = jsonOf(content.metadata);
      return { value: shown(content, type), metadata, cacheStatus: null };
    };
    return failingAs("GET", async () => {
      const store = this.#store(rest);
      if (typeof key === "string") return resultOf(await store.get(key)) ?? nothing;
      if (key.length === 0 || key.length > KEYS_AT_ONCE_MAX) {
        const detail = `Ask for 1 to ${KEYS_AT_ONCE_MAX} keys at once.`;
        throw new Problem("invalid-request", detail);
      }
      const names = [...new Set(key)];
      const budget = new AnswerBudget(BULK_BYTES_MAX);
      const results = await inParallel(names, async (name) => {
        const found = await store.get(name);
        budget.take(found?.content.value.length ?? 0);
        return resultOf(found);
      });
      return new Map(names.map((name, i) => [name, results[i] ?? null]));
    });
  }

  /** @throws Error whose message begins with `KV PUT failed:` and the status */
  async put(key: string, value: KvBody, options: KvPutOptions | null = null): Promise<void> {
    const { expiration, expirationTtl, metadata, ...rest } = options ?? {};
    await failingAs("PUT", async () => {
      const store = this.#store(rest);
      const ttlMs = store.ttlMsOf({ ttl: expirationTtl ?? null, at: expiration ?? null });
      const bytes = await bytesOf(value, store.settings.maxValueBytes);
      await store.put(key, contentOf(bytes, metadataOf(metadata)), ttlMs);
    });
  }

  /** Deleting what is not there is no error. @throws Error that begins with `KV DELETE failed:` */
  async delete(key: string, options: ConsistencyOptions = {}): Promise<void> {
    await failingAs("DELETE", () => this.#store(options).delete(key));
  }

  /** @throws Error whose message begins with `KV LIST failed:` and the status */
  async list(options: KvListOptions | null = null): Promise<KvListResult> {
    const { prefix, limit = LIST_KEYS_MAX, cursor } = options ?? {};
    return failingAs("LIST", async () => {
      const wanted = { prefix: prefix ?? "", limit, cursor: cursor ?? "" };
      const page = await this.#store({}).list(wanted);
      const keys = page.keys.map(({ name, expiresAt, metadata }) => ({
        name,
        ...(expiresAt === 0 ? {} : { expiration: secondsOf(expiresAt) }),
        ...(metadata === null ? {} : { metadata: jsonOf(metadata) }),
      }));
      const isComplete = page.cursor === "";
      const more = isComplete ? {} : { cursor: page.cursor };
      return { keys, list_complete: isComplete, ...more, cacheStatus: null };
    });
  }

  #store(given: ConsistencyOptions): KvStore {
    // Members of other names are not ours: storage layers hand their own options through.
    const options = readOptions(consistencyQuery(given).toString(), null);
    return new KvStore({ ...this.#parts, options, trace: NO_TRACE });
  }
}
