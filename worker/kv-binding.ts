/**
 * Workers KV for other Workers of the account, by a service binding: `env.CACHE.get(key)` works as
 * with a KV namespace. The binding says which namespace it opens. No token is asked for: who may
 * bind is decided by who may deploy.
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
import type { ConsistencyOptions } from "../src/client/consistency.ts";
import {
  type KvBody,
  type KvGetOptions,
  type KvListOptions,
  type KvListResult,
  KvNamespace,
  type KvPutOptions,
  type KvResult,
  type KvType,
} from "../src/frontend/kv-namespace.ts";
import type { Env } from "./config.ts";
import { backendFor, isolateOf } from "./isolate.ts";

export interface KvBindingProps {
  readonly namespace?: string;
}

/** The methods of a `KVNamespace`; each says in `KvNamespace` what it does. */
export class KvBinding extends WorkerEntrypoint<Env, KvBindingProps> {
  async get(key: string | string[], options?: KvType | KvGetOptions): Promise<unknown> {
    return (await this.#open()).get(key, options);
  }

  async getWithMetadata(
    key: string | string[],
    options?: KvType | KvGetOptions,
  ): Promise<KvResult | Map<string, KvResult | null>> {
    return (await this.#open()).getWithMetadata(key, options);
  }

  async put(key: string, value: KvBody, options?: KvPutOptions): Promise<void> {
    await (await this.#open()).put(key, value, options);
  }

  async delete(key: string, options?: ConsistencyOptions): Promise<void> {
    await (await this.#open()).delete(key, options);
  }

  async list(options?: KvListOptions): Promise<KvListResult> {
    return (await this.#open()).list(options);
  }

  /** @throws Error that says what the binding or the deployment lacks */
  async #open(): Promise<KvNamespace> {
    const { namespace } = this.ctx.props;
    if (namespace === undefined || !isNamespace(namespace)) {
      throw new Error(`Give the service binding props = { namespace = "…" }: it opens that one.`);
    }
    const isolate = await isolateOf(this.env, { place: undefined, ctx: this.ctx });
    const backend = backendFor(isolate, this.env, this.ctx);
    return new KvNamespace({ backend, hash: isolate.knowledge.hash, namespace });
  }
}
