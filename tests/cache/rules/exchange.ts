/** A request and its answer, from the little that a test of a rule has to say of them. */
import { checkSite, type SiteSettings } from "../../../core/site.ts";
import type { Fields } from "../../../src/cache/fields.ts";
import { type Exchange, judge } from "../../../src/cache/storing.ts";

export const NOW = Date.UTC(2026, 5, 1, 12);
export const at = (seconds: number): string => new Date(NOW + seconds * 1000).toUTCString();

export function siteOf(more: Record<string, unknown> = {}): SiteSettings {
  return checkSite({ origin: "http://origin.test", ...more });
}

export interface Given {
  readonly method?: string;
  readonly asked?: Fields;
  readonly status?: number;
  readonly answered?: Fields;
  readonly site?: Record<string, unknown>;
}

export function exchangeOf({
  method = "GET",
  asked = [],
  status = 200,
  answered = [],
  site,
}: Given): Exchange {
  return {
    request: { method, fields: asked },
    response: { status, fields: answered },
    site: siteOf(site),
    requestedAt: NOW,
    respondedAt: NOW,
    isOwnLocation: false,
  };
}

export const cc = (value: string): Fields => [["Cache-Control", value]];
export const refusal = (given: Given): string | null => judge(exchangeOf(given)).refusal;
export const freshness = (given: Given) => judge(exchangeOf(given)).freshness;
export const lifetime = (given: Given): number => freshness(given).lifetimeMs / 1000;
