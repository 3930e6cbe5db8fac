/**
 * A store for keyv (https://keyv.org) on Starling's client library:
 *
 *     const store = new StarlingStore({ url: "http://127.0.0.1:8787", namespace: "sessions" });
 *     const keyv = new Keyv({ store });
 *
 * keyv asks for one value a key, so a key with siblings shows its newest, and `set` replaces what
 * is there. The keys of keyv's own namespaces begin with `name:`.
 */
import { type ClientOptions, type ListedKey, StarlingClient } from "starling/client";

interface Pair {
  readonly key: string;
  readonly value: string;
  /** Milliseconds. */
  readonly ttl?: number;
}

type Listener = (...parameters: unknown[]) => void;

/** As many as a batch takes. */
const BATCH_MAX = 1000;
const prefixOf = (namespace: string | undefined): string =>
  namespace === undefined ? "" : `${namespace}:`;
const secondsOf = (ms: number | undefined): { ttl?: number } =>
  ms === undefined || ms <= 0 ? {} : { ttl: Math.ceil(ms) / 1000 };

function* chunksOf<Item>(items: readonly Item[]): Iterable<readonly Item[]> {
  for (let i = 0; i < items.length; i += BATCH_MAX) yield items.slice(i, i + BATCH_MAX);
}

export class StarlingStore {
  /** keyv iterates over stores of the dialects that it knows alone, and this is none of them. */
  readonly opts: Record<string, unknown> = { dialect: "etcd" };
  /** Set by keyv. */
  namespace: string | undefined;
  readonly #client: StarlingClient;

  constructor(options: ClientOptions) {
    this.#client = new StarlingClient(options);
  }

  /** keyv listens for errors; here they are thrown by the call that they belong to. */
  on(_event: string, _listener: Listener): this {
    return this;
  }

  async get(key: string): Promise<string | undefined> {
    const got = await this.#client.get(key);
    return got.exists ? ((await got.text()) ?? undefined) : undefined;
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    const values: (string | undefined)[] = [];
    for (const chunk of chunksOf(keys)) {
      const results = await this.#client.batch(chunk.map((key) => ({ op: "get", key })));
      for (const { error, version } of results) {
        if (error !== null && error.code !== "not-found") throw error;
        values.push(version?.text());
      }
    }
    return values;
  }

  async set(key: string, value: string, ttl?: number): Promise<void> {
    await this.#client.put(key, value, { ...secondsOf(ttl), repeatable: true });
  }

  async setMany(pairs: readonly Pair[]): Promise<void> {
    for (const chunk of chunksOf(pairs)) {
      const ops = chunk.map(
        ({ key, value, ttl }) => ({ op: "put", key, value, ...secondsOf(ttl) }) as const,
      );
      for (const { error } of await this.#client.batch(ops)) if (error !== null) throw error;
    }
  }

  /** @returns whether anything was there */
  async delete(key: string): Promise<boolean> {
    return this.deleteMany([key]);
  }

  async deleteMany(keys: readonly string[]): Promise<boolean> {
    const found = await this.hasMany(keys);
    await this.#deleteAll(keys);
    return found.includes(true);
  }

  async has(key: string): Promise<boolean> {
    return (await this.#client.head(key)).exists;
  }

  async hasMany(keys: readonly string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.has(key)));
  }

  /** Of keyv's namespace alone, if there is one. */
  async clear(): Promise<void> {
    const names: string[] = [];
    for await (const { name } of this.#list(this.namespace)) names.push(name);
    await this.#deleteAll(names);
  }

  async *iterator(
    namespace?: string,
  ): AsyncGenerator<[key: string, value: string | undefined], void> {
    for await (const { name } of this.#list(namespace)) yield [name, await this.get(name)];
  }

  #list(namespace: string | undefined): AsyncIterable<ListedKey> {
    return this.#client.list({ prefix: prefixOf(namespace) });
  }

  async #deleteAll(keys: readonly string[]): Promise<void> {
    for (const chunk of chunksOf(keys)) {
      const results = await this.#client.batch(chunk.map((key) => ({ op: "delete", key })));
      for (const { error } of results) if (error !== null) throw error;
    }
  }
}
