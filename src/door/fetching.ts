/**
 * Fetches from an origin, one at a time for each key: a request that comes while one is under way
 * waits for its head, and has its body too if that may be stored and answers the request.
 */

import { PIECE_BYTES } from "../../core/limits.ts";
import type { WallMillis } from "../../core/time.ts";
import { resolveReference, urlOf } from "../cache/cache-key.ts";
import { isFreshenedBy, validating, withoutConditions } from "../cache/conditional.ts";
import { type Fields, fieldOf, type ResponseHead } from "../cache/fields.ts";
import { doesOnError } from "../cache/look-up.ts";
import { bodyName, type StoredBody, type Variant, withVariant } from "../cache/stored.ts";
import { type Exchange, judge, type Storing, storedFields, tagsOf } from "../cache/storing.ts";
import { selectionOf } from "../cache/vary.ts";
import { Abandoned, BodyFlow, type FlowEnd } from "./body-flow.ts";
import { type DoorCall, toOrigin } from "./call.ts";
import type { DoorMetrics } from "./door-metrics.ts";
import { freshened } from "./freshening.ts";
import { asMinted, type Found } from "./kept.ts";
import { type DoorHost, type Origin, OriginError, type OriginResponse } from "./ports.ts";
import type { ResponseStore } from "./response-store.ts";
import { StoreError } from "./store-errors.ts";

/** What came of a fetch. */
export type Landing =
  /** An answer; with a variant when it is being stored. */
  | {
      readonly kind: "fresh";
      readonly head: ResponseHead;
      /** When it was asked for, as it is stored. */
      readonly askedAt: WallMillis;
      readonly variant: Variant | null;
      readonly flow: BodyFlow;
      /** The body for the client that asked; it has to be read, or ended. */
      readonly body: AsyncIterableIterator<Uint8Array>;
      /** Why it is not stored. */
      readonly detail: string | null;
    }
  /** Another frontend has fetched it meanwhile. */
  | { readonly kind: "found"; readonly variant: Variant }
  /** What was stored is what the origin has. */
  | {
      readonly kind: "validated";
      readonly askedAt: WallMillis;
      /** For everybody, and being stored; null: the origin says that it is no longer. */
      readonly variant: Variant | null;
      /** For the client that asked. */
      readonly own: Variant;
      readonly detail: string | null;
    }
  /** The origin failed, and the stale response may do. */
  | { readonly kind: "stale"; readonly variant: Variant; readonly detail: string };

export interface Want {
  readonly call: DoorCall;
  readonly found: Found | null;
  /** A stored response to validate, or to use if the origin fails. */
  readonly variant: Variant | null;
  /** Whether the answer may be stored: not when the client's own conditions or range go along. */
  readonly mayStore: boolean;
  /** The request's fields, without the client's conditions where those are left out. */
  readonly fields: Fields;
  readonly method: string;
  /** Nothing is validated: the origin is asked for all of it. */
  readonly isWhole?: boolean;
  /** When the fetch was allowed to begin, by an owner's clock: purges are compared with that. */
  readonly leasedAt?: WallMillis | null;
}

/** Statuses that stale-if-error is for (RFC 5861, 4). */
export const FAILURES = new Set([500, 502, 503, 504]);

/**
 * Told that a fetch is over, and why nothing came of it that others could have: it failed, or
 * brought what is for the asker alone.
 */
type Over = (why?: "failed" | "own") => void;

export interface FetchParts {
  readonly origin: Origin;
  readonly store: ResponseStore;
  readonly host: DoorHost;
  readonly metrics: DoorMetrics;
}

export class Fetcher {
  readonly #parts: FetchParts;

  constructor(parts: FetchParts) {
    this.#parts = parts;
  }

  /**
   * Resolves with the head of the answer; the body flows from then on.
   *
   * @param over called when all is done, the store included
   * @throws OriginError
   */
  async fetch(want: Want, over: Over): Promise<Landing> {
    const { host, metrics } = this.#parts;
    const { call, variant } = want;
    const requestedAt = host.now();
    const startedAt = performance.now();
    const isPlain = variant === null || !want.mayStore || want.isWhole === true;
    const conditions = isPlain ? [] : validating(variant.fields);
    const fields = conditions.length === 0 ? want.fields : withoutConditions(want.fields);
    let response: OriginResponse;
    try {
      const asked = toOrigin(call, { method: want.method, fields, more: conditions });
      response = await this.#parts.origin.fetch(asked);
    } catch (error) {
      over("failed");
      if (!(error instanceof OriginError)) throw error;
      const stale = this.#staleFor(want);
      if (stale === null) throw error;
      return { kind: "stale", variant: stale, detail: error.code };
    } finally {
      metrics.fetched(call.site.name, (performance.now() - startedAt) / 1000);
    }
    const respondedAt = host.now();
    const times = { requestedAt, respondedAt };
    return this.#landed(want, { response, conditions, ...times }, over);
  }

  async #landed(
    want: Want,
    came: {
      response: OriginResponse;
      conditions: Fields;
      requestedAt: WallMillis;
      respondedAt: WallMillis;
    },
    over: Over,
  ): Promise<Landing> {
    const { response, conditions } = came;
    const { variant } = want;
    const stale = FAILURES.has(response.status) ? this.#staleFor(want) : null;
    if (stale !== null) {
      await drop(response);
      over("failed");
      return { kind: "stale", variant: stale, detail: `origin-${response.status}` };
    }
    if (response.status === 304 && variant !== null && conditions.length > 0) {
      await drop(response);
      // It is about another response than ours, so it answers nothing that was asked.
      if (!isFreshenedBy(variant.fields, response.fields)) {
        return this.fetch({ ...want, isWhole: true }, over);
      }
      return this.#validated(want, variant, { ...came, fields: response.fields }, over);
    }
    return this.#flowing(want, came, over);
  }

  #staleFor({ variant, found, call }: Want): Variant | null {
    if (variant === null || found === null) return null;
    const now = this.#parts.host.now();
    return doesOnError(variant, found.stored, call.head, now) ? variant : null;
  }

  /** RFC 9111, 4.3.4: the stored response with the 304's fields and times. */
  #validated(
    want: Want,
    variant: Variant,
    told: { fields: Fields; requestedAt: WallMillis; respondedAt: WallMillis },
    over: Over,
  ): Landing {
    const { fields, requestedAt, respondedAt } = told;
    const { call } = want;
    const anew = freshened({ call, variant, fields, requestedAt, respondedAt });
    const { shared, own, detail } = anew;
    if (shared === null) over("own");
    else this.#parts.host.background(this.#storeHead(want, shared).finally(() => over()));
    const askedAt = askedAtOf(want, requestedAt);
    return { kind: "validated", askedAt, variant: shared, own, detail };
  }

  #judged(
    { call, method }: Want,
    response: ResponseHead,
    { requestedAt, respondedAt }: { requestedAt: WallMillis; respondedAt: WallMillis },
  ): Storing {
    const { head, site, located } = call;
    const own = fieldOf(response.fields, "content-location");
    const named = own === null ? null : resolveReference(located, own);
    const exchange: Exchange = {
      // A refresh behind an answer to HEAD is a GET.
      request: { method, fields: head.fields },
      response,
      site: site.settings,
      requestedAt,
      respondedAt,
      isOwnLocation: named !== null && urlOf(named) === urlOf(located),
    };
    return judge(exchange);
  }

  /** The head is given on at once; the body flows, and is stored if it may be. */
  #flowing(
    want: Want,
    came: { response: OriginResponse; requestedAt: WallMillis; respondedAt: WallMillis },
    over: Over,
  ): Landing {
    const { response, requestedAt, respondedAt } = came;
    const { call } = want;
    const fields = dated(response.fields, respondedAt);
    const head = { status: response.status, fields };
    const judged = this.#judged(want, head, came);
    const bytesMax = call.site.settings.maxObjectBytes;
    const length = Number(fieldOf(fields, "content-length") ?? 0);
    const detail = want.mayStore
      ? (judged.refusal ?? (length > bytesMax ? "too-large" : null))
      : null;
    const isStoring = want.mayStore && detail === null;
    const until = respondedAt + judged.freshness.retentionMs;
    const version = isStoring ? bodyName(this.#parts.host.uniqueName(), until) : "";
    const variant: Variant | null = !isStoring
      ? null
      : {
          status: head.status,
          fields: storedFields(fields, judged.said),
          selection: selectionOf(fields, call.head.fields),
          requestedAt,
          respondedAt,
          freshness: judged.freshness,
          tags: tagsOf(fields),
          body: { length: -1, bytes: null, version, pieceBytes: PIECE_BYTES },
        };
    const pieces =
      variant === null
        ? null
        : this.#parts.store.pieces(call.site.name, version, {
            key: call.key,
            tags: variant.tags,
            ttlMs: judged.freshness.retentionMs,
          });
    const flow = new BodyFlow(response.body, pieces, {
      bytesMax,
      garbage: this.#parts.host.garbage,
    });
    const body = flow.read();
    const stored = flow
      .run()
      .then((end) => (variant === null ? undefined : this.#storeAll(want, variant, end)))
      .then(
        () => over(),
        (error: unknown) => {
          over("failed");
          this.#bodyFailed(error);
        },
      );
    this.#parts.host.background(stored);
    const askedAt = askedAtOf(want, requestedAt);
    return { kind: "fresh", head, askedAt, variant, flow, body, detail };
  }

  /** A body that broke off is not stored; its readers have been told. */
  #bodyFailed(error: unknown): void {
    if (error instanceof OriginError || error instanceof Abandoned) return;
    throw error;
  }

  async #storeAll(want: Want, variant: Variant, end: FlowEnd): Promise<void> {
    if (!end.isStored) return;
    const body: StoredBody = {
      length: end.length,
      bytes: end.bytes,
      version: variant.body.version,
      pieceBytes: variant.body.pieceBytes,
    };
    await this.#storeHead(want, { ...variant, body });
  }

  /** Beside the other variants that were found. A failure is counted, and told to nobody. */
  async #storeHead({ call, found, leasedAt }: Want, fetched: Variant): Promise<void> {
    const variant = asMinted(fetched, leasedAt ?? null);
    const { store, metrics } = this.#parts;
    const { site, key } = call;
    try {
      const before: Found = found ?? (await store.read(site.name, key));
      // What a 304 freshened stands in its own place, whatever it is chosen by now.
      const others = before.stored.variants.filter(
        ({ body }) => body.version !== variant.body.version,
      );
      const stored = withVariant({ ...before.stored, variants: others }, variant);
      const { context } = before;
      await store.writeSince(variant.requestedAt, site.name, { stored, context });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      metrics.storeFailed();
    }
  }
}

/** Ends a body that nobody wants. */
async function drop({ body }: OriginResponse): Promise<void> {
  await body[Symbol.asyncIterator]().return?.();
}

/** As it is stored: by the clock of an owner, where that is earlier. */
const askedAtOf = ({ leasedAt }: Want, requestedAt: WallMillis): WallMillis =>
  Math.min(requestedAt, leasedAt ?? requestedAt);

/** A cache that passes on a response without a date dates it (RFC 9110, 6.6.1). */
const dated = (fields: Fields, now: WallMillis): Fields =>
  fieldOf(fields, "date") === null ? [...fields, ["Date", new Date(now).toUTCString()]] : fields;
