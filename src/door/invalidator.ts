/** What ends stored responses from the door's side: unsafe methods that succeed, and PURGE. */
import { siteNamespace } from "../../core/site.ts";
import type { WallMillis } from "../../core/time.ts";
import { cacheStatus } from "../cache/answering.ts";
import { alsoInvalid, keyedUrl, parseAbsolute } from "../cache/cache-key.ts";
import type { Fields } from "../cache/fields.ts";
import type { Backend, Site } from "../frontend/backend/backend.ts";
import type { Problem } from "../frontend/http/problems.ts";
import { type DoorCall, urlOfCall } from "./call.ts";
import type { DoorMetrics } from "./door-metrics.ts";
import type { DoorAnswer, DoorHost, DoorRequest } from "./ports.ts";
import { DOOR_METHODS, refuse } from "./problems.ts";
import { purgeAllKeys } from "./purging.ts";
import type { ResponseStore } from "./response-store.ts";
import { StoreError } from "./store-errors.ts";

/** Why a PURGE may not be done, by its `Authorization`, for the site's namespace; null: it may. */
export type PurgeRefusal = (request: DoorRequest, namespace: string) => Problem | null;

/** How long owners of a key are waited for, in ms, before a majority of the members does. */
const OWNERS_MS_MAX = 1000;

export interface InvalidatorParts {
  readonly backend: Backend;
  readonly store: ResponseStore;
  readonly host: DoorHost;
  readonly metrics: DoorMetrics;
  readonly purgeRefusal: PurgeRefusal;
}

export class Invalidator {
  readonly #parts: InvalidatorParts;

  constructor(parts: InvalidatorParts) {
    this.#parts = parts;
  }

  /**
   * RFC 9111, 4.4: done before the answer, as surely as a purge. One that fails is counted, and
   * told to nobody: the origin has done what it was asked for.
   *
   * @param at until when; null: until now
   */
  async invalidate(call: DoorCall, response: Fields, at: WallMillis | null): Promise<void> {
    const { site, located } = call;
    const names = [
      parseAbsolute(site.settings.origin) ?? located,
      { scheme: located.scheme, host: call.publicHost },
    ];
    const others = alsoInvalid(located, response, names);
    const urls = [located, ...others].map((one) => keyedUrl(one, site.settings.cacheKey));
    for (const url of new Set(urls)) {
      try {
        await this.#endSurely(site, url, at);
      } catch (error) {
        if (!(error instanceof StoreError)) throw error;
        this.#parts.metrics.storeFailed();
      }
    }
  }

  /** All that is stored of a URL, as keys name it. @throws StoreError */
  async #end(site: Site, url: string, at: WallMillis | null): Promise<void> {
    const { store, backend } = this.#parts;
    const isOneKey = site.settings.cacheKey.headers.length === 0;
    if (isOneKey) await store.purge(site, url, { isSoft: false, at, timeoutMs: OWNERS_MS_MAX });
    else await purgeAllKeys(backend, site, url);
  }

  /** At all owners; where one is away, by what a majority of members knows. @throws StoreError */
  async #endSurely(site: Site, url: string, at: WallMillis | null): Promise<void> {
    try {
      await this.#end(site, url, at);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      await purgeAllKeys(this.#parts.backend, site, url);
    }
  }

  /** `PURGE /path`, where the site allows it; never the origin's business. */
  async purge(call: DoorCall): Promise<DoorAnswer> {
    const { site, request, located } = call;
    if (!site.settings.purgeMethod) {
      const fields: Fields = [["Allow", DOOR_METHODS]];
      return refuse("method-not-allowed", "The site does not take PURGE.", { fields });
    }
    const refusal = this.#parts.purgeRefusal(request, siteNamespace(site.name));
    if (refusal !== null) return refuse(refusal.code, refusal.message);
    try {
      await this.#endSurely(site, keyedUrl(located, site.settings.cacheKey), null);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return refuse("quorum-unavailable", "Too few members can be reached.");
    }
    const text = `${JSON.stringify({ purged: urlOfCall(call) })}\n`;
    const body = new TextEncoder().encode(text);
    const fields: Fields = [
      ["Content-Type", "application/json"],
      ["Cache-Control", "no-store"],
      ["Cache-Status", cacheStatus({ detail: "purged" })],
    ];
    return { status: 200, fields, body, length: body.length };
  }
}
