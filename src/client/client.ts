/** The client of a cluster, and its sessions. On `fetch` alone. */
import { checkNamespace, checkOptions } from "./arguments.ts";
import type { Written } from "./call-types.ts";
import { type ConsistencyOptions, consistencyHeader } from "./consistency.ts";
import { Contexts } from "./contexts.ts";
import { Operations } from "./operations.ts";
import { type Fetch, pause, Transport } from "./transport.ts";
import { type Decide, type UpdateOptions, update } from "./update.ts";

export interface ClientOptions {
  /** A frontend, or several of one cluster: asked in turn, those that fail are left out. */
  readonly url: string | readonly string[];
  readonly namespace: string;
  readonly token?: string;
  /** What every request says unless it says otherwise itself. */
  readonly defaults?: ConsistencyOptions;
  /** Attempts after the first, of what is safe to repeat (src/client/transport.ts). Default 2. */
  readonly retries?: number;
  /** Silence after which an attempt is given up, in ms. Default 30000. */
  readonly attemptTimeoutMs?: number;
  /**
   * Whether `siblings`, `update` and `batch` give values without their content coding, as `fetch`
   * does for `get`. Default true; use false with a `fetch` that decodes nothing.
   */
  readonly decompress?: boolean;
  /** Instead of the global one: a service binding's, say. */
  readonly fetch?: Fetch;
  /** A number from 0 to 1, for the jitter of pauses. */
  readonly random?: () => number;
  /** Resolves after so many ms. */
  readonly wait?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

export interface SessionOptions {
  /** How many keys' contexts are remembered. Default 1000; each is at most 4 KiB. */
  readonly keysMax?: number;
  /** What an earlier session remembered: the `contexts` of it. */
  readonly contexts?: Readonly<Record<string, string>>;
}

const KEYS_MAX = 1000;
const ATTEMPT_TIMEOUT_MS = 30_000;

function urlsOf(url: string | readonly string[]): readonly string[] {
  if (typeof url !== "string" && !Array.isArray(url)) {
    throw new TypeError('"url" must be a url, or a list of them');
  }
  const urls = (typeof url === "string" ? [url] : url).map((text) => text.replace(/\/+$/, ""));
  const bad = urls.find((text) => !/^https?:\/\/[^/?#]/.test(text));
  if (bad !== undefined || urls.length === 0) {
    throw new RangeError(`"url" must be http:// or https:// and a host, not "${bad ?? ""}"`);
  }
  return urls;
}

abstract class Updating extends Operations {
  /**
   * Changes a key without losing anybody's write: reads all siblings, lets `decide` say what shall
   * be there, writes that in their place, and begins anew when somebody was faster.
   *
   * @returns what was written; null when `decide` left it as it was
   * @throws StarlingError
   */
  update(key: string, decide: Decide, options: UpdateOptions = {}): Promise<Written | null> {
    const on = { operations: this, transport: this.parts.transport };
    return update(on, { key, decide, options });
  }
}

/**
 * Remembers for each key the context of its last answer and sends it with the next request. So it
 * reads its own writes and never goes back in time, with `r: 1` at the price of one replica. And it
 * overwrites or deletes only what it has seen. Its memory is bounded.
 */
export class Session extends Updating {
  readonly #contexts: Contexts;

  constructor(parts: Operations["parts"] & { readonly contexts: Contexts }) {
    super(parts);
    this.#contexts = parts.contexts;
  }

  /** What it remembers, by key: for a cookie, say, and then for `session({ contexts })`. */
  contexts(): Readonly<Record<string, string>> {
    return this.#contexts.all();
  }
}

/** One namespace of a cluster. */
export class StarlingClient extends Updating {
  /** @throws RangeError for a malformed url; TypeError for unknown or malformed options */
  constructor(options: ClientOptions) {
    checkOptions("client", options);
    checkOptions("defaults", options.defaults ?? {});
    const namespace = checkNamespace(options.namespace);
    const transport = new Transport({
      urls: urlsOf(options.url),
      token: options.token,
      // Called as a plain function: some hosts refuse their fetch as another object's method.
      fetch: options.fetch ?? ((url, init) => fetch(url, init)),
      retries: options.retries ?? 2,
      attemptTimeoutMs: options.attemptTimeoutMs ?? ATTEMPT_TIMEOUT_MS,
      random: options.random ?? Math.random,
      wait: options.wait ?? pause,
    });
    const defaults = consistencyHeader(options.defaults ?? {});
    const { decompress = true } = options;
    super({ transport, namespace, defaults, contexts: null, decompress });
  }

  session(options: SessionOptions = {}): Session {
    checkOptions("session", options);
    const { keysMax = KEYS_MAX, contexts = {} } = options;
    return new Session({ ...this.parts, contexts: new Contexts(keysMax, contexts) });
  }
}
