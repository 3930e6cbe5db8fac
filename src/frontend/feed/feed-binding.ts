/** The change feed for code in the same account or process, without HTTP: a stream of lines. */
import { CHANGES_COUNT_MAX } from "../../../core/limits.ts";
import { toBase64 } from "../http/base64.ts";
import { type FeedParts, FeedReader } from "./feed-reader.ts";
import { CHANGES_COUNT_DEFAULT, looksAlone, openPlan, streamOf } from "./feed-stream.ts";
import { tokenToPosition } from "./feed-token.ts";

export interface ChangesArguments {
  /** `now` (default), `beginning`, or the token of an earlier line. */
  readonly since?: string;
  /** Only keys with this prefix. */
  readonly prefix?: string;
  /** `value`: values come along, in base64. Default `meta`. */
  readonly include?: "meta" | "value";
  /** Changes between two tokens at most, 1 to 10000; default 1000. */
  readonly limit?: number;
}

const NAMES: ReadonlySet<string> = new Set(["since", "prefix", "include", "limit"]);

function checked(given: ChangesArguments): Required<ChangesArguments> {
  if (typeof given !== "object" || Array.isArray(given)) {
    throw new TypeError("changes takes an object of options: since, prefix, include, limit.");
  }
  const unknown = Object.keys(given).find((name) => !NAMES.has(name));
  if (unknown !== undefined) throw new TypeError(`changes: there is no option "${unknown}".`);
  const { since = "now", prefix = "", include = "meta", limit = CHANGES_COUNT_DEFAULT } = given;
  if (typeof since !== "string" || typeof prefix !== "string") {
    throw new TypeError("changes: since and prefix are texts.");
  }
  if (include !== "meta" && include !== "value") {
    throw new TypeError('changes: include is "meta" or "value".');
  }
  if (!Number.isInteger(limit) || limit < 1 || limit > CHANGES_COUNT_MAX) {
    throw new TypeError(`changes: limit is 1 to ${CHANGES_COUNT_MAX}.`);
  }
  return { since, prefix, include, limit };
}

/**
 * Changes of a namespace as lines of JSON in UTF-8, without end: those of
 * `GET /v1/changes/{namespace}` as `application/x-ndjson`. It looks for more when what was found is
 * read, and stops when it is cancelled.
 *
 * @param given null or absent for no options, as with the methods of a KV namespace
 * @throws TypeError for malformed options
 * @throws Problem `invalid-token`
 */
export function changesOf(
  parts: FeedParts,
  namespace: string,
  given?: ChangesArguments | null,
): ReadableStream<Uint8Array> {
  const { since, prefix, include, limit } = checked(given ?? {});
  const { memberIds } = parts.backend.view().ring;
  const isWord = since === "now" || since === "beginning";
  const from = isWord
    ? since
    : tokenToPosition(parts.hash, { namespace, prefix }, { token: since, memberIds });
  const reader = new FeedReader(parts, {
    ...{ namespace, prefix, from, limit, trace: "", form: "binding" },
    values: include === "value",
    entries: false,
    bytes: toBase64,
  });
  const plan = {
    form: "ndjson",
    since: since === "now" ? "" : since,
    looks: looksAlone(),
  } as const;
  return streamOf(reader, null, openPlan(parts, plan, "binding"));
}
