/**
 * A store for keyv (https://keyv.org), its versions 6 and 5, on Starling's client library:
 *
 *     const store = new StarlingStore({ url: "http://127.0.0.1:8787", namespace: "sessions" });
 *     const keyv = new Keyv({ store, namespace: "eu" });
 *
 * keyv asks for one value a key, so a key with siblings shows its newest, and `set` replaces what
 * is there. The keys of keyv's own namespaces begin with `name:`, whichever version wrote them.
 *
 * keyv 6 leaves the namespace to its store and says when a value ends; keyv 5 gives keys with their
 * namespace in front and says how long a value lives.
 */
import { type ClientOptions, type ListedKey, StarlingClient } from "starling-cache/client";

interface Pair {
  readonly key: string;
  readonly value: unknown;
  /** Of keyv 5, in milliseconds from now on. */
  readonly ttl?: number;
  /** Of keyv 6, in milliseconds since 1970. */
  readonly expires?: number;
}

type Listener = (...parameters: unknown[]) => void;
type Life = { readonly ttl?: number };

/** As many as a batch takes. */
const BATCH_MAX = 1000;
/** Ten years, in seconds: the longest life that a value can have. */
const TTL_MAX = 315_360_000;
/** What has ended already is stored for the shortest time that there is. */
const TTL_MIN = 0.001;

const lifeOf = (ms: number): Life => ({
  ttl: Math.min(TTL_MAX, Math.max(TTL_MIN, Math.ceil(ms) / 1000)),
});

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  throw new TypeError("this store keeps texts: leave keyv its serialization");
}

function* chunksOf<Item>(items: readonly Item[]): Iterable<readonly Item[]> {
  for (let i = 0; i < items.length; i += BATCH_MAX) yield items.slice(i, i + BATCH_MAX);
}

export class StarlingStore {
  /** Tells keyv 6 that the end of a value is understood as it says it. */
  readonly capabilities = { expires: true } as const;
  /** Set by keyv. */
  namespace: string | undefined;
  /** keyv 5 iterates over stores of the dialects that it knows alone, and this is none of them. */
  readonly #opts: Record<string, unknown> = { dialect: "etcd" };
  #isKeyv5 = false;
  readonly #client: StarlingClient;

  constructor(options: ClientOptions) {
    this.#client = new StarlingClient(options);
  }

  /** Only keyv 5 asks for this, and asks it first: its keys have their namespace already. */
  get opts(): Record<string, unknown> {
    this.#isKeyv5 = true;
    return this.#opts;
  }

  /** keyv listens for errors; here they are thrown by the call that they belong to. */
  on(_event: string, _listener: Listener): this {
    return this;
  }

  async get(key: string): Promise<string | undefined> {
    const got = await this.#client.get(this.#nameOf(key));
    return got.exists ? ((await got.text()) ?? undefined) : undefined;
  }

  async getMany(keys: readonly string[]): Promise<(string | undefined)[]> {
    const values: (string | undefined)[] = [];
    for (const chunk of chunksOf(keys)) {
      const ops = chunk.map((key) => ({ op: "get", key: this.#nameOf(key) }) as const);
      for (const { error, version } of await this.#client.batch(ops)) {
        if (error !== null) throw error;
        values.push(version?.text());
      }
    }
    return values;
  }

  /** @param life keyv 6: its end, in ms since 1970; keyv 5: its length, in ms */
  async set(key: string, value: unknown, life?: number): Promise<boolean> {
    const options = { ...this.#lifeOf(life), repeatable: true };
    await this.#client.put(this.#nameOf(key), textOf(value), options);
    return true;
  }

  async setMany(pairs: readonly Pair[]): Promise<boolean[]> {
    for (const chunk of chunksOf(pairs)) {
      const ops = chunk.map(({ key, value, ttl, expires }) => {
        const life = this.#lifeOf(this.#isKeyv5 ? ttl : expires);
        return { op: "put", key: this.#nameOf(key), value: textOf(value), ...life } as const;
      });
      for (const { error } of await this.#client.batch(ops)) if (error !== null) throw error;
    }
    return pairs.map(() => true);
  }

  /** @returns whether anything was there */
  async delete(key: string): Promise<boolean> {
    const found = await this.has(key);
    await this.#deleteAll([this.#nameOf(key)]);
    return found;
  }

  /** @returns whether anything was there: of each key, and to keyv 5 of all of them together */
  async deleteMany(keys: readonly string[]): Promise<boolean[] | boolean> {
    const found = await this.hasMany(keys);
    await this.#deleteAll(keys.map((key) => this.#nameOf(key)));
    return this.#isKeyv5 ? found.includes(true) : found;
  }

  async has(key: string): Promise<boolean> {
    return (await this.#client.head(this.#nameOf(key))).exists;
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

  /** @param namespace of keyv 5, which gives it */
  async *iterator(
    namespace: string | undefined = this.namespace,
  ): AsyncGenerator<[key: string, value: string | undefined], void> {
    const { length } = prefixOf(namespace);
    for await (const { name } of this.#list(namespace)) {
      const got = await this.#client.get(name);
      // It may have gone since it was listed.
      if (!got.exists) continue;
      yield [this.#isKeyv5 ? name : name.slice(length), (await got.text()) ?? undefined];
    }
  }

  /** There is no connection to end. */
  async disconnect(): Promise<void> {}

  /** The key as it is stored. */
  #nameOf(key: string): string {
    return this.#isKeyv5 ? key : prefixOf(this.namespace) + key;
  }

  #lifeOf(life: number | undefined): Life {
    if (life === undefined) return {};
    if (this.#isKeyv5) return life > 0 ? lifeOf(life) : {};
    return lifeOf(life - Date.now());
  }

  #list(namespace: string | undefined): AsyncIterable<ListedKey> {
    return this.#client.list({ prefix: prefixOf(namespace) });
  }

  async #deleteAll(names: readonly string[]): Promise<void> {
    for (const chunk of chunksOf(names)) {
      const results = await this.#client.batch(chunk.map((key) => ({ op: "delete", key })));
      for (const { error } of results) if (error !== null) throw error;
    }
  }
}

const prefixOf = (namespace: string | undefined): string =>
  namespace === undefined ? "" : `${namespace}:`;
