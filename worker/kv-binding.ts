/**
 * Workers KV for other Workers of the account, by a service binding: `env.CACHE.get(key)` works as
 * with a KV namespace. The binding says which namespace it opens. No token is asked for: only a
 * deployment of the account can bind.
 *
 * ```toml
 * [[services]]
 * binding = "CACHE"
 * service = "starling"
 * entrypoint = "KvBinding"
 * props = { namespace = "demo" }
 * ```
 */
import { WorkerEntrypoint } from "cloudflare:workers";
import { isNamespace } from "../core/keys.ts";
import type { Backend } from "../src/frontend/backend/backend.ts";
import { type ChangesArguments, changesOf } from "../src/frontend/feed/feed-binding.ts";
import { Problem } from "../src/frontend/http/problems.ts";
import {
  type KvDeleteArguments,
  type KvGetArguments,
  type KvListArguments,
  type KvListResult,
  KvNamespace,
  type KvPutArguments,
  type KvResult,
} from "../src/frontend/kv/kv-namespace.ts";
import type { KvShown } from "../src/frontend/kv/kv-values.ts";
import type { Env } from "./config.ts";
import { backendFor, type Isolate, isolateOf } from "./isolate.ts";

export interface KvBindingProps {
  readonly namespace?: string;
}

/** The methods of a `KVNamespace`, as `KvNamespace` says what they do; and `changes`. */
export class KvBinding extends WorkerEntrypoint<Env, KvBindingProps> {
  async get(...args: KvGetArguments): Promise<KvShown> {
    return (await this.#open()).get(...args);
  }

  async getWithMetadata(...args: KvGetArguments): Promise<KvResult | Map<string, KvResult | null>> {
    return (await this.#open()).getWithMetadata(...args);
  }

  async put(...args: KvPutArguments): Promise<void> {
    await (await this.#open()).put(...args);
  }

  async delete(...args: KvDeleteArguments): Promise<void> {
    await (await this.#open()).delete(...args);
  }

  async list(...args: KvListArguments): Promise<KvListResult> {
    return (await this.#open()).list(...args);
  }

  /**
   * What changes in the namespace, as lines of JSON without end: see `ChangesArguments`, and
   * `changesIn` of the client library makes values of them.
   */
  async changes(given?: ChangesArguments | null): Promise<ReadableStream> {
    const { backend, isolate, namespace } = await this.#at();
    const parts = { backend, hash: isolate.knowledge.hash, metrics: isolate.metrics.feeds };
    try {
      return changesOf(parts, namespace, given);
    } catch (error) {
      // A Problem would lose its code on the way to the other Worker.
      if (error instanceof Problem) throw new Error(`${error.code}: ${error.message}`);
      throw error;
    }
  }

  async #open(): Promise<KvNamespace> {
    const { backend, isolate, namespace } = await this.#at();
    return new KvNamespace({ backend, hash: isolate.knowledge.hash, namespace });
  }

  /** @throws Error that says what the binding or the deployment lacks */
  async #at(): Promise<{ backend: Backend; isolate: Isolate; namespace: string }> {
    const { namespace } = this.ctx.props;
    if (namespace === undefined || !isNamespace(namespace)) {
      throw new Error(`Give the service binding props = { namespace = "…" }: it opens that one.`);
    }
    const isolate = await isolateOf(this.env, { place: undefined, ctx: this.ctx });
    return { backend: backendFor(isolate, this.env, this.ctx), isolate, namespace };
  }
}
