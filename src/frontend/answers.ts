/** What every answer of the data plane carries, and how one or several siblings are shown. */
import type { CausalContext } from "../../core/causal-context.ts";
import {
  contextShowing,
  type Entry,
  etagOf,
  liveSiblings,
  type Sibling,
} from "../../core/entry.ts";
import type { KeyedHash } from "../../core/keyed-hash.ts";
import type { StoreKey } from "../../core/store.ts";
import type { Tally } from "../../core/tally.ts";
import { type Millis, millisOfHlc } from "../../core/time.ts";
import { contextToToken } from "./context-token.ts";

const SANDBOX = "sandbox; default-src 'none'";

export interface Setting {
  readonly hash: KeyedHash;
  readonly key: StoreKey;
  readonly now: Millis;
  /** When the request came in, on a clock that only runs forward. */
  readonly startedAt: number;
  readonly trustedContent: boolean;
}

/** Headers that do not depend on what was found. */
export function baseHeaders(setting: Setting, context: CausalContext): Headers {
  const headers = new Headers();
  headers.set("Starling-Context", contextToToken(setting.hash, setting.key, context));
  headers.set("X-Content-Type-Options", "nosniff");
  if (!setting.trustedContent) headers.set("Content-Security-Policy", SANDBOX);
  headers.set("Date", new Date(setting.now).toUTCString());
  const took = Math.max(0, performance.now() - setting.startedAt);
  headers.set("Server-Timing", `quorum;dur=${took.toFixed(1)}`);
  return headers;
}

export function addReadTally(headers: Headers, tally: Tally): void {
  const { n, required, answered, primaries, fallbacks } = tally;
  headers.set(
    "Starling-Quorum",
    `n=${n}, r=${required}, answered=${answered}, primaries=${primaries}, fallbacks=${fallbacks}`,
  );
}

export function addWriteTally(headers: Headers, tally: Tally): void {
  const { n, required, answered, primaries, fallbacks, durable } = tally;
  const numbers = `primaries=${primaries}, fallbacks=${fallbacks}, durable=${durable}`;
  headers.set("Starling-Quorum", `n=${n}, w=${required}, acked=${answered}, ${numbers}`);
}

export const modifiedMs = (sibling: Sibling): Millis => millisOfHlc(sibling.time);

/** What describes a version, whether its bytes are sent along or not. */
export function addVersion(headers: Headers, sibling: Sibling, setting: Setting): void {
  headers.set("ETag", etagOf([sibling], setting.hash));
  headers.set("Last-Modified", new Date(modifiedMs(sibling)).toUTCString());
  if (sibling.expiresAt === 0) return;
  const age = Math.max(0, Math.floor((setting.now - modifiedMs(sibling)) / 1000));
  const left = Math.max(0, Math.floor((sibling.expiresAt - setting.now) / 1000));
  headers.set("Age", String(age));
  headers.set("Cache-Control", `max-age=${left}`);
}

/** The headers that were stored with the value. */
export function addContent(headers: Headers, sibling: Sibling): void {
  const { content } = sibling;
  if (content === null) return;
  headers.set("Content-Type", content.contentType);
  if (content.contentEncoding !== null) headers.set("Content-Encoding", content.contentEncoding);
  if (content.contentLanguage !== null) headers.set("Content-Language", content.contentLanguage);
  if (content.contentDisposition !== null) {
    headers.set("Content-Disposition", content.contentDisposition);
  }
  if (content.metadata !== null) headers.set("Starling-Metadata", content.metadata);
}

/** What a read found, as a client may see it. */
export interface View {
  /** Newest first. */
  readonly live: readonly Sibling[];
  readonly entry: Entry;
}

export const viewOf = (entry: Entry, now: Millis): View => ({
  live: liveSiblings(entry, now),
  entry,
});

/** The context of an answer that shows these and no others. */
export const contextOf = (view: View, shown: readonly Sibling[], now: Millis): CausalContext =>
  contextShowing(view.entry, shown, now);
