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
import {
  type KvDeleteArguments,
  type KvGetArguments,
  type KvListArguments,
  type KvListResult,
  KvNamespace,
  type KvPutArguments,
  type KvResult,
} from "../src/frontend/kv/kv-namespace.ts";
import type { Env } from "./config.ts";
import { backendFor, isolateOf } from "./isolate.ts";

export interface KvBindingProps {
  readonly namespace?: string;
}

/** The methods of a `KVNamespace`; each says in `KvNamespace` what it does. */
export class KvBinding extends WorkerEntrypoint<Env, KvBindingProps> {
  async get(...args: KvGetArguments): Promise<unknown> {
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
