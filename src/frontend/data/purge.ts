/** `POST /v1/purge`: what was written before is not served any more. */

import { utf8Length } from "../../../core/keys.ts";
import { KEY_BYTES_MAX, PURGE_TAGS_MAX, TAG_CHARS_MAX } from "../../../core/limits.ts";
import type { PurgeOperation } from "../../../core/operations.ts";
import type { Backend } from "../backend/backend.ts";
import { type Grant, requireAccess } from "../http/auth.ts";
import { readJson } from "../http/json-body.ts";
import { checkNamespace } from "../http/key-path.ts";
import { Problem } from "../http/problems.ts";
import { traceOf } from "../http/trace.ts";
import { type PurgeSite, purgedAnswer, runPurge } from "./run-purge.ts";

const TAG = /^[\x21-\x7e]+$/;
const invalid = (detail: string): Problem => new Problem("invalid-request", detail);

/** @throws Problem `invalid-request` with the mend */
function whatOf({ tags, prefix, everything }: Record<string, unknown>): PurgeOperation["what"] {
  const given = [tags, prefix, everything].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw invalid(`Name one thing: "tags": [...], "prefix": "..." or "everything": true.`);
  }
  if (everything !== undefined) {
    if (everything !== true) throw invalid(`"everything" must be true.`);
    return { everything };
  }
  if (prefix !== undefined) {
    const isFine = typeof prefix === "string" && prefix !== "" && prefix.isWellFormed();
    if (isFine && utf8Length(prefix) <= KEY_BYTES_MAX) return { prefix };
    throw invalid(`"prefix" must be a text of 1 to ${KEY_BYTES_MAX} bytes in UTF-8.`);
  }
  const isTag = (tag: unknown): tag is string =>
    typeof tag === "string" && tag.length <= TAG_CHARS_MAX && TAG.test(tag);
  const isList = Array.isArray(tags) && tags.length > 0 && tags.length <= PURGE_TAGS_MAX;
  if (isList && tags.every(isTag)) return { tags };
  const each = `1 to ${TAG_CHARS_MAX} visible ASCII characters`;
  throw invalid(`"tags" must be a list of 1 to ${PURGE_TAGS_MAX} tags, each of ${each}.`);
}

const MEMBERS = new Set(["namespace", "tags", "prefix", "everything"]);
const OF_A_SITE = new Set(["site", "tags", "prefix", "everything", "urls", "soft"]);

/** @throws Problem; `forbidden` when the token may not write to the namespace */
export async function answerPurge(
  { backend, purgeSite }: { readonly backend: Backend; readonly purgeSite: PurgeSite },
  request: Request,
  grant: Grant,
): Promise<Response> {
  const body = await readJson(request);
  if (typeof body !== "object" || body === null) throw invalid("The body must be a JSON object.");
  const trace = traceOf(request);
  const isOfSite = "site" in body;
  const stranger = Object.keys(body).find((name) => !(isOfSite ? OF_A_SITE : MEMBERS).has(name));
  if (stranger !== undefined) {
    throw invalid(
      isOfSite
        ? "Unknown member. A purge of a site has tags, prefix, everything or urls, and soft."
        : "Unknown member. A purge has namespace, and tags, prefix or everything.",
    );
  }
  if (isOfSite) {
    const parts = { backend, grant, trace, whatOf };
    return purgeSite(parts, body as Record<string, unknown>);
  }
  const { namespace, ...rest } = body as Record<string, unknown>;
  if (typeof namespace !== "string") throw invalid(`"namespace" must name a namespace.`);
  checkNamespace(namespace);
  requireAccess(grant, { role: "write", namespace });
  return purgedAnswer(await runPurge({ backend, trace }, { namespace, what: whatOf(rest) }));
}
