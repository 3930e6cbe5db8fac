/**
 * One fetch for the whole cluster: a frontend that misses asks the key's first reachable primary
 * for the right to fetch. While another one has it, it looks again and again, until what that one
 * fetched is there, or the right is its own: a holder that died loses it by itself.
 */
import type { QuorumOptions } from "../../core/quorum-options.ts";
import type { WallMillis } from "../../core/time.ts";
import { lookUp, select } from "../cache/look-up.ts";
import type { Variant } from "../cache/stored.ts";
import type { DoorCall } from "./call.ts";
import type { DoorHost } from "./ports.ts";
import type { Leased, ResponseStore } from "./response-store.ts";

/** The wait between two looks, in ms: at first, and at most. */
const LOOK_AGAIN_MS = 10;
const LOOK_AGAIN_MS_MAX = 100;
/** How long a miss waits for silent owners that are not suspected yet, in ms. */
const LOOK_MS_MAX = 250;
/** How often a holder says that it still fetches, in ms, or three times within its lease. */
const RENEW_MS = 1000;

export type Right =
  /** To fetch, for all; `end` gives it back. */
  | { readonly kind: "fetch"; readonly at: WallMillis; end(isUnshared: boolean): void }
  /** Another frontend has fetched it meanwhile. */
  | { readonly kind: "found"; readonly variant: Variant }
  /**
   * To fetch for this request alone: the answer may not be shared, or nobody could be asked (`at`:
   * null).
   */
  | { readonly kind: "alone"; readonly isUnshared: boolean; readonly at: WallMillis | null };

/**
 * What a lease is for. A whole call would keep its request, the connection and the answer with it
 * for as long as the lease waits to be renewed: a second, where a fetch takes milliseconds.
 */
type Leasable = Pick<DoorCall, "site" | "key">;

export class LeaseHolder {
  readonly #store: ResponseStore;
  readonly #host: DoorHost;
  readonly #holder: string;

  constructor(store: ResponseStore, host: DoorHost) {
    this.#store = store;
    this.#host = host;
    this.#holder = host.uniqueName();
  }

  /** Resolves when this frontend is to fetch, or another one has. */
  async acquire(call: DoorCall): Promise<Right> {
    const { leaseMs, originTimeoutMs } = call.site.settings;
    const beganAt = this.#host.now();
    const until = beganAt + leaseMs + originTimeoutMs;
    let pauseMs = LOOK_AGAIN_MS;
    // Owners are asked at the same time as for the lease: mostly nobody else wants it, and nothing
    // is there.
    let meanwhile: Promise<Variant | null> | null = this.#look(call, beganAt, true);
    for (;;) {
      const leased = await this.#ask(call);
      const at = leased?.at ?? null;
      if (leased === null || this.#host.now() > until) {
        return { kind: "alone", isUnshared: false, at };
      }
      if (leased.state === "unshared") return { kind: "alone", isUnshared: true, at };
      const isGiven = leased.state !== "wait";
      // Nobody had the lease in the last seconds: nothing was stored since that look began.
      const looked = leased.state === "granted" ? meanwhile : null;
      meanwhile = null;
      const found = await (looked ?? this.#look(call, beganAt, isGiven));
      if (found !== null) {
        if (isGiven) this.#end(call, false);
        return { kind: "found", variant: found };
      }
      if (isGiven) return this.#held({ site: call.site, key: call.key }, leased);
      await this.#host.wait(pauseMs);
      pauseMs = Math.min(2 * pauseMs, LOOK_AGAIN_MS_MAX);
    }
  }

  #ask({ site, key }: Leasable): Promise<Leased | null> {
    return this.#store.lease(site, key, { act: "ask", holder: this.#holder });
  }

  /**
   * What another frontend stored since: fresh, or asked for later than this request.
   *
   * @param isThorough whether all owners are asked: that one was away, or lost what it had, is no
   *   reason to ask the origin, and what was stored just now is not at all of them yet
   */
  async #look(call: DoorCall, since: WallMillis, isThorough: boolean): Promise<Variant | null> {
    const { site, key } = call;
    const read = (options: QuorumOptions) =>
      this.#store.read(site.name, key, options).catch(() => null);
    const all = isThorough ? await read({ r: "all", timeoutMs: LOOK_MS_MAX }) : null;
    const found = all ?? (await read({ r: "one" }));
    if (found === null) return null;
    const verdict = lookUp(found.stored, call.head, this.#host.now());
    if (verdict.kind === "serve" && !verdict.refresh) return verdict.variant;
    const variant = select(found.stored, call.head);
    return variant !== null && variant.respondedAt > since ? variant : null;
  }

  /** @param of held for as long as a wait takes, though the fetch may be over long before */
  #held(of: Leasable, { at }: Leased): Right {
    let isOver = false;
    const renewMs = Math.min(RENEW_MS, of.site.settings.leaseMs / 3);
    const renew = async (): Promise<void> => {
      for (;;) {
        await this.#host.wait(renewMs);
        if (isOver) return;
        await this.#ask(of);
      }
    };
    this.#host.background(renew());
    const end = (isUnshared: boolean): void => {
      if (!isOver) this.#end(of, isUnshared);
      isOver = true;
    };
    return { kind: "fetch", at, end };
  }

  #end({ site, key }: Leasable, isUnshared: boolean): void {
    const act = isUnshared ? "unshare" : "release";
    this.#host.background(this.#store.lease(site, key, { act, holder: this.#holder }));
  }
}
